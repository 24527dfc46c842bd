"""Records as files: the log file of a ledger, and exports as CSV, JSON lines and Parquet.

The log file has a JSON line for each settled attempt, for people with ``tail`` and ``jq``. Lines are appended in one
write a batch, so several processes may share a file. Where it cannot be written, one warning says so; the ledger itself
goes on.

An export is written beside its target and moved into its place when it is complete. A spreadsheet takes a cell that
begins with ``=``, ``+``, ``-``, ``@`` (also as wide characters, or behind blanks), a tab or the end of a line for a
formula: such text gets an apostrophe before it (OWASP's rule for CSV injection). Numbers are left as they are.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from ..errors import ConfigurationError
from .booking import EndedAttempt
from .columns import EXPORTED, INTEGERS, PLACE, Column, record_rows
from .units import MICROSECONDS, to_dollars, to_moment

Pages = Iterator[list[Sequence[Any]]]

_log = logging.getLogger("asyncllm.ledger")
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_PLACES = tuple((PLACE[column.name], column) for column in EXPORTED)
# Money as dollars with nine places, durations as seconds with six: text made of integers, so nothing is rounded.
_DIGITS: Mapping[str, int] = MappingProxyType({"money": 9, "duration": 6, "score": 6})


class LogFile:
    """The log file of a ledger; used on its writer's thread only.

    A file that was rotated (moved away, deleted) is noticed before each write, and a new one is begun at its path.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None
        self._warned = False

    def write(self, entries: Iterable[EndedAttempt]) -> None:
        """Appends the entries that have no line yet."""
        new = [entry for entry in entries if not entry.opening.mirrored]
        if not new:
            return
        try:
            if self._file is not None and self._rotated(self._file):
                self.close()
            if self._file is None:
                self._file = self._path.open("a", encoding="utf8")
            self._file.write("".join(f"{line(row)}\n" for row in record_rows([entry.facts for entry in new])))
            self._file.flush()
        except OSError as error:
            self.close()
            if not self._warned:
                self._warned = True
                _log.warning(
                    "the log file %s cannot be written (%s); its lines are left out",
                    self._path,
                    error,
                    extra={"event": "ledger_log_file"},
                )
            return
        self._warned = False
        for entry in new:
            entry.opening.mirrored = True

    def _rotated(self, file: IO[str]) -> bool:
        """Whether another file stands at the path, or none."""
        try:
            return not os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return True

    def close(self) -> None:
        """Closes the file."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError:
                _log.warning("the log file %s could not be closed", self._path, extra={"event": "ledger_log_file"})


def line(row: Sequence[Any]) -> str:
    """Returns a record as one JSON object. It has only known facts and always the cost; time in ISO 8601, dollars as
    text.
    """
    known: dict[str, Any] = {}
    for place, column in _PLACES:
        value = row[place]
        if value is None and column.name != "cost":
            continue
        if column.name == "usage_details":
            known |= json.loads(value)
        elif column.name == "reserved":
            known["excess"] = f"{to_dollars(max(0, (row[PLACE['cost']] or 0) - value)):f}"
        else:
            known[column.name] = _told(column, value)
    return json.dumps(known)


def _told(column: Column, value: Any) -> Any:
    form = column.form
    if value is None or form in ("word", "text", "count"):
        return value
    if form == "moment":
        return to_moment(value).isoformat()
    if form == "money":
        return f"{to_dollars(value):f}"
    if form in ("duration", "score"):
        return value / MICROSECONDS
    return json.loads(value) if form == "json" else bool(value)


def export_csv(path: Path, pages: Pages) -> int:
    """Writes CSV with a heading; returns the number of records."""
    count = 0
    with _complete(path) as part, part.open("w", encoding="utf8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column.name for column in EXPORTED])
        for page in pages:
            writer.writerows(map(_cells, page))
            count += len(page)
    return count


_WRITTEN = tuple(place for place, _ in _PLACES)
_TIMES = tuple(cell for cell, (_, column) in enumerate(_PLACES) if column.form == "moment")
_SCALED = tuple((cell, _DIGITS[column.form]) for cell, (_, column) in enumerate(_PLACES) if column.form in _DIGITS)
_TEXTS = tuple(cell for cell, (_, column) in enumerate(_PLACES) if column.form in ("text", "json"))


def _cells(row: Sequence[Any]) -> list[Any]:
    cells = [row[place] for place in _WRITTEN]
    for cell in _TIMES:
        cells[cell] = to_moment(cells[cell]).isoformat()
    for cell, digits in _SCALED:
        value = cells[cell]
        if value is not None:
            cells[cell] = scaled(value, digits)
    for cell in _TEXTS:
        text = cells[cell]
        if text is not None:
            cells[cell] = harmless(text)
    return cells


def harmless(text: str) -> str:
    """Returns a text that a spreadsheet does not take for a formula."""
    begins = text.startswith(("\t", "\r", "\n")) or text.lstrip().startswith(_FORMULA)
    return f"'{text}" if begins else text


def scaled(value: int, digits: int) -> str:
    """Returns an integer as a decimal number with the given number of places."""
    sign = "-" if value < 0 else ""
    whole, part = divmod(abs(value), 10**digits)
    return f"{sign}{whole}.{part:0{digits}d}"


def texts(form: str, pages: Pages) -> Iterator[tuple[str, int]]:
    """The records as text, page by page, each with the number of its records.

    Args:
        form: ``"csv"``, which begins with a heading, or ``"jsonl"``.
        pages: the records.
    """
    if form == "csv":
        yield _csv_text([[column.name for column in EXPORTED]]), 0
    for page in pages:
        if form == "csv":
            yield _csv_text(map(_cells, page)), len(page)
        else:
            yield "".join(f"{line(row)}\n" for row in page), len(page)


def _csv_text(rows: Iterable[Sequence[Any]]) -> str:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue()


def export_jsonl(path: Path, pages: Pages) -> int:
    """Writes a JSON object a line; returns the number of records."""
    count = 0
    with _complete(path) as part, part.open("w", encoding="utf8") as file:
        for page in pages:
            file.write("".join(f"{line(row)}\n" for row in page))
            count += len(page)
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
        raise ConfigurationError("Parquet needs pyarrow: python -m pip install 'asyncllm-client[parquet]'") from error
    moment, integer, text = pyarrow.timestamp("us", tz="UTC"), pyarrow.int64(), pyarrow.string()
    schema = pyarrow.schema(
        [
            (column.name, moment if column.form == "moment" else integer if column.name in INTEGERS else text)
            for column in EXPORTED
        ]
    )
    count = 0
    with _complete(path) as part, parquet.ParquetWriter(part, schema) as writer:
        for page in pages:
            columns = list(zip(*page, strict=True))
            writer.write_table(pyarrow.table([columns[place] for place in _WRITTEN], schema=schema))
            count += len(page)
    return count


@contextmanager
def _complete(path: Path) -> Iterator[Path]:
    """Opens a temporary file beside the target, which replaces the target when it is complete. Each export has its
    own.

    Raises:
        OSError: the file cannot be written; it names the target.
    """
    part = path.with_name(f".{path.name}.{os.urandom(8).hex()}.part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        if error.filename != str(part):
            raise
        raise type(error)(error.errno, error.strerror, str(path)) from None
    finally:
        part.unlink(missing_ok=True)


EXPORTS: Mapping[str, Callable[[Path, Pages], int]] = MappingProxyType(
    {"csv": export_csv, "jsonl": export_jsonl, "parquet": export_parquet}
)
