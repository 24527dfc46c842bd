"""The log file: a JSON line for each settled attempt, for people with ``tail`` and ``jq``.

Lines are appended in one write a batch, so several processes may share a file. Where it cannot be written, one warning
says so; the ledger itself goes on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

from .booking import Entry
from .money import to_dollars
from .periods import MICROSECONDS, to_moment
from .rows import COLUMNS, record_row

_log = logging.getLogger("asyncllm.ledger")


class Mirror:
    """The log file of a ledger; used on its writer's thread only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None
        self._warned = False

    def write(self, entries: Iterable[Entry]) -> None:
        """Appends the entries that have no line yet."""
        new = [entry for entry in entries if not entry.opening.mirrored]
        if not new:
            return
        try:
            if self._file is None:
                self._file = self._path.open("a", encoding="utf8")
            self._file.write("".join(f"{line(record_row(entry))}\n" for entry in new))
            self._file.flush()
        except OSError as error:
            self.close()
            if not self._warned:
                self._warned = True
                _log.warning("the log file %s cannot be written (%s); its lines are left out", self._path, error)
            return
        self._warned = False
        for entry in new:
            entry.opening.mirrored = True

    def close(self) -> None:
        """Closes the file."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError:
                _log.warning("the log file %s could not be closed", self._path)


def line(row: Sequence[Any]) -> str:
    """A record as one JSON object: only what is known, but for the cost; the time in ISO 8601, dollars as text."""
    known: dict[str, Any] = {"id": row[0], "time": to_moment(row[1]).isoformat()}
    for place, name in _PLAIN:
        value = row[place]
        if value is not None:
            known[name] = value
    for place, name in _DURATIONS:
        value = row[place]
        if value is not None:
            known[name] = value / MICROSECONDS
    if row[_DETAILS] is not None:
        known |= json.loads(row[_DETAILS])
    if row[_TAGS] is not None:
        known["tags"] = json.loads(row[_TAGS])
    cost, reserved = row[_COST], row[_RESERVED]
    known["cost"] = None if cost is None else f"{to_dollars(cost):f}"
    if reserved is not None:
        known["excess"] = f"{to_dollars(max(0, (cost or 0) - reserved)):f}"
    known["recovered"] = bool(row[_RECOVERED])
    return json.dumps(known)


_OTHERWISE = frozenset(
    {"id", "time", "cost", "reserved", "charged", "latency_bucket", "usage_details", "tags", "recovered"}
)
_DURATIONS = tuple((COLUMNS.index(name), name) for name in ("latency", "first_token_latency", "waited"))
_PLAIN = tuple(
    (place, name) for place, name in enumerate(COLUMNS) if name not in _OTHERWISE and (place, name) not in _DURATIONS
)
_DETAILS, _TAGS, _RECOVERED = COLUMNS.index("usage_details"), COLUMNS.index("tags"), COLUMNS.index("recovered")
_COST, _RESERVED = COLUMNS.index("cost"), COLUMNS.index("reserved")
