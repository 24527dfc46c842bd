"""Records as files: CSV, JSON lines, Parquet. Written beside the target and moved into its place when complete.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return for a formula: such
text gets an apostrophe before it (OWASP's rule for CSV injection). Numbers are left as they are.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import ConfigurationError
from .mirror import line
from .periods import to_moment
from .rows import COLUMNS, INTEGERS

Pages = Iterator[list[Sequence[Any]]]

_LEFT_OUT = frozenset({"latency_bucket", "charged"})
_KEPT = tuple(place for place, name in enumerate(COLUMNS) if name not in _LEFT_OUT)
_TIME = COLUMNS.index("time")
_TEXTS = tuple(
    place for place, name in enumerate(_KEPT) if COLUMNS[name] not in INTEGERS and COLUMNS[name] not in {"id", "status"}
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NANO = frozenset({"cost", "reserved"})
_SECONDS = frozenset({"latency", "first_token_latency", "waited"})
# Money as dollars with nine places, durations as seconds with six: text made of integers, so nothing is rounded.
_SCALED = tuple(
    (place, 9 if COLUMNS[name] in _NANO else 6) for place, name in enumerate(_KEPT) if COLUMNS[name] in _NANO | _SECONDS
)
_WHEN = _KEPT.index(_TIME)


def export_csv(path: Path, pages: Pages) -> int:
    """Writes CSV with a heading; returns the number of records."""
    count = 0
    with _beside(path).open("w", encoding="utf8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([COLUMNS[place] for place in _KEPT])
        for page in pages:
            writer.writerows(map(_cells, page))
            count += len(page)
    _beside(path).replace(path)
    return count


def _cells(row: Sequence[Any]) -> list[Any]:
    cells = [row[place] for place in _KEPT]
    cells[_WHEN] = to_moment(row[_TIME]).isoformat()
    for place, digits in _SCALED:
        value = cells[place]
        if value is not None:
            cells[place] = scaled(value, digits)
    for place in _TEXTS:
        text = cells[place]
        if text is not None:
            cells[place] = harmless(text)
    return cells


def harmless(text: str) -> str:
    """Text as a spreadsheet takes it for text."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def scaled(value: int, digits: int) -> str:
    """An integer as a decimal number with so many places."""
    sign = "-" if value < 0 else ""
    whole, part = divmod(abs(value), 10**digits)
    return f"{sign}{whole}.{part:0{digits}d}"


def export_jsonl(path: Path, pages: Pages) -> int:
    """Writes a JSON object a line; returns the number of records."""
    count = 0
    with _beside(path).open("w", encoding="utf8") as file:
        for page in pages:
            file.write("".join(f"{line(row)}\n" for row in page))
            count += len(page)
    _beside(path).replace(path)
    return count


def export_parquet(path: Path, pages: Pages) -> int:
    """Writes Parquet: the columns of the ledger with their integers; ``time`` is a moment in UTC.

    Raises:
        ConfigurationError: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigurationError("Parquet needs pyarrow: python -m pip install 'asyncllm[parquet]'") from error
    types = {name: pyarrow.int64() if name in INTEGERS else pyarrow.string() for name in COLUMNS}
    types["time"] = pyarrow.timestamp("us", tz="UTC")
    schema = pyarrow.schema([(COLUMNS[place], types[COLUMNS[place]]) for place in _KEPT])
    count = 0
    with parquet.ParquetWriter(_beside(path), schema) as writer:
        for page in pages:
            columns = list(zip(*page, strict=True))
            writer.write_table(pyarrow.table([columns[place] for place in _KEPT], schema=schema))
            count += len(page)
    _beside(path).replace(path)
    return count


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


EXPORTS: Mapping[str, Callable[[Path, Pages], int]] = MappingProxyType(
    {"csv": export_csv, "jsonl": export_jsonl, "parquet": export_parquet}
)
