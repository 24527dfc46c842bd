"""Records as files: the log file of a ledger, and exports as CSV, JSON lines and Parquet.

The log file has a JSON line for each settled attempt, for people with ``tail`` and ``jq``. Lines are appended in one
write a batch, so several processes may share a file. Where it cannot be written, one warning says so; the ledger itself
goes on.

An export is written beside its target and moved into its place when it is complete. A spreadsheet takes a cell that
begins with ``=``, ``+``, ``-``, ``@`` (also as wide characters, or behind blanks), a tab or the end of a line for a
formula: such text gets an apostrophe before it (OWASP's rule for CSV injection). Numbers are left as they are.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import repeat
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
_HOUR = 3600 * MICROSECONDS
_QUOTED = (",", '"', "\r", "\n")
_SPECIAL = (*_QUOTED, *_FORMULA, "\t")  # a text without any of these stands in CSV as it is
_SIXTY = tuple(f"{number:02d}" for number in range(60))
_SCALED: Mapping[int, str] = MappingProxyType({digits: f"%d.%0{digits}d" for digits in set(_DIGITS.values())})


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
        file.write(_HEADING)
        for page in pages:
            file.write(_csv_lines(page))
            count += len(page)
    return count


_HEADING = ",".join(column.name for column in EXPORTED) + "\r\n"
_WRITTEN = tuple(place for place, _ in _PLACES)


def _csv_lines(page: Sequence[Sequence[Any]]) -> str:
    """The lines of a page, as `csv.writer` writes them in its usual dialect.

    They are made column by column: what a column says again and again is converted and quoted once, and neighbours that
    say the same in all rows, as those that are empty, are joined before.
    """
    parts: list[Iterable[str]] = []
    same: list[str] = []  # the cells of neighbours that are the same in all rows of the page
    columns = list(zip(*page, strict=True))
    for place, column in _PLACES:
        values = columns[place]
        if values.count(values[0]) == len(values):
            same.append(_column_cells(column, values[:1])[0])
            continue
        if same:
            parts.append(repeat(",".join(same), len(page)))
            same = []
        parts.append(_column_cells(column, values))
    if same:
        parts.append(repeat(",".join(same), len(page)))
    return "\r\n".join(map(",".join, zip(*parts, strict=True))) + "\r\n"


def _column_cells(column: Column, values: Sequence[Any]) -> list[str]:
    """A column as text. What is not known is empty."""
    if column.form == "moment":
        return _moments(values)
    digits = _DIGITS.get(column.form)
    if digits is not None:
        return ["" if value is None else scaled(value, digits) for value in values]
    if column.form not in ("text", "json", "word"):
        return ["" if value is None else str(value) for value in values]
    texts = ["" if value is None else value for value in values]
    whole = "".join(texts)
    if not any(sign in whole for sign in _SPECIAL):
        return texts
    if column.form == "word":
        return [*map(_quoted, texts)]
    shown = {text: _quoted(harmless(text)) for text in set(texts)}
    return [shown[text] for text in texts]


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in _QUOTED) else text


def _moments(values: Sequence[int]) -> list[str]:
    """Moments as `datetime.isoformat` writes them, in UTC. The text of an hour is made once."""
    hours: dict[int, str] = {}
    found = []
    for value in values:
        hour, rest = divmod(value, _HOUR)
        text = hours.get(hour)
        if text is None:
            text = hours[hour] = to_moment(hour * _HOUR).isoformat()[: len("2026-01-01T00:")]
        second, micro = divmod(rest, MICROSECONDS)
        fraction = f".{micro:06d}" if micro else ""
        found.append(f"{text}{_SIXTY[second // 60]}:{_SIXTY[second % 60]}{fraction}+00:00")
    return found


def harmless(text: str) -> str:
    """Returns a text that a spreadsheet does not take for a formula."""
    begins = text.startswith(("\t", "\r", "\n")) or text.lstrip().startswith(_FORMULA)
    return f"'{text}" if begins else text


def scaled(value: int, digits: int) -> str:
    """Returns an integer as a decimal number with the given number of places."""
    if value < 0:
        return f"-{scaled(-value, digits)}"
    text: str = _SCALED[digits] % divmod(value, 10**digits)
    return text


def texts(form: str, pages: Pages) -> Iterator[tuple[str, int]]:
    """The records as text, page by page, each with the number of its records.

    Args:
        form: ``"csv"``, which begins with a heading, or ``"jsonl"``.
        pages: the records.
    """
    if form == "csv":
        yield _HEADING, 0
    for page in pages:
        if form == "csv":
            yield _csv_lines(page), len(page)
        else:
            yield "".join(f"{line(row)}\n" for row in page), len(page)


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
