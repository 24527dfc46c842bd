"""The attempts of a failed call as a small table, for the text of its error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .response import Attempt

_MOST_ROWS = 20
_MOST_OF_A_MESSAGE = 100


def attempt_table(attempts: Sequence[Attempt]) -> list[str]:
    """Returns a line for each attempt: target, status, seconds, and what went wrong."""
    rows = [
        (
            attempt.label,
            "-" if attempt.status is None else str(attempt.status),
            "-" if attempt.latency is None else f"{attempt.latency:.2f} s",
            attempt.outcome if attempt.error is None else type(attempt.error).__name__,
            "" if attempt.error is None else " ".join(attempt.error.message.split()),
        )
        for attempt in attempts[:_MOST_ROWS]
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append(f"  {'  '.join([*cells, _cut(row[4])])}".rstrip())
    return lines + ([f"  and {len(attempts) - _MOST_ROWS} more"] if len(attempts) > _MOST_ROWS else [])


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_OF_A_MESSAGE else f"{text[: _MOST_OF_A_MESSAGE - 1]}…"
