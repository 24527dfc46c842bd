"""The log file: a JSON line for each settled attempt, for people with ``tail`` and ``jq``.

Lines are appended in one write a batch, so several processes may share a file. Where it cannot be written, one warning
says so; the ledger itself goes on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from .booking import Entry
from .rows import COLUMNS, record_of, record_row

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


def line(row: tuple[Any, ...]) -> str:
    """A record as one JSON object: only what is known; the time in ISO 8601, the cost in dollars as text."""
    record = record_of(row)
    usage = record.usage
    known: dict[str, Any] = {"id": record.id, "time": record.time.isoformat()}
    for name in _FIELDS:
        value = getattr(record, name, None) if hasattr(record, name) else getattr(usage, name, None)
        if value is not None:
            known[name] = value if isinstance(value, (str, int, float)) else dict(value)
    known["usage_source"] = usage.source
    known["cost"] = None if record.cost is None else f"{record.cost:f}"
    if record.nano_reserved is not None:
        known["excess"] = f"{record.excess:f}"
    return json.dumps(known)


_LEFT_OUT = frozenset({"id", "time", "cost", "reserved", "charged", "latency_bucket", "usage_details", "usage_source"})
_DETAILS = ("cache_write_tokens_by_ttl", "provider_tool_requests", "service_tier")
_FIELDS = (*(name for name in COLUMNS if name not in _LEFT_OUT), *_DETAILS)
