"""Plain tables on a terminal: columns as wide as they need to be, figures to the right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[str] = frozenset()) -> Iterator[str]:
    """The lines of a table; columns that are empty in every row are left out.

    Args:
        head: the names of the columns.
        rows: a cell for each column.
        right: the columns that are aligned to the right.
    """
    kept = [column for column in range(len(head)) if not rows or any(row[column] for row in rows)]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in kept]
    for row in (head, *rows):
        cells = [
            row[column].rjust(width) if head[column] in right else row[column].ljust(width)
            for column, width in zip(kept, widths, strict=True)
        ]
        yield "  ".join(cells).rstrip()
