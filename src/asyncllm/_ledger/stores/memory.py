"""The ledger in memory: for tests, notebooks, and programs that keep no books.

Budgets and sums of windows are exact; records are kept up to a number, the newest, so that a service that runs for
weeks does not fill its memory with them.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from ..booking import Booked, Opening, Operation, book, settled_ids, touched
from ..budgets import Budget, Charge, RefusalKey, Window, hours_between
from ..columns import PLACE, TOKENS, UNBILLED, record_rows
from ..jobs import OWNER, JobRow
from ..journal import Journal
from ..reports import ONE_TAG, TAG, TIME_DIMENSIONS
from ..rollups import FAILED, letter_of
from . import Query

_log = logging.getLogger("asyncllm.ledger")
KEPT = 10_000
_PLACE = PLACE.__getitem__


class MemoryStore:
    """A ledger that ends with the process; `Store` says what the methods do.

    Args:
        keep: how many records, and counts of refusals, are kept; older ones are forgotten, what they cost is not.
    """

    renew_every: float | None = None

    read_only = False

    def __init__(self, keep: int = KEPT) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._records: deque[tuple[Any, ...]] = deque(maxlen=keep)
        self._opened: dict[str, Opening] = {}
        self._windows: dict[tuple[str, int], Window] = {}
        self._jobs: dict[str, JobRow] = {}
        self.budgets: Sequence[Budget] = ()
        self.more = False
        self._is_copy = False
        self._refusals: dict[RefusalKey, int] = {}

    def __repr__(self) -> str:
        return "MemoryStore()"

    def connect(self, *, hurried: bool = False) -> None:
        """Does nothing, as there is nothing to open."""

    def close(self) -> None:
        """The records stay, for reports after the end."""

    def after_fork(self) -> None:
        """A forked child has a copy of what was there, and says so when it is used."""
        self._lock = threading.Lock()
        self._is_copy = True

    def journal(self, wake: Callable[[bool], None]) -> Journal | None:  # a store's own choice
        """None: nothing here survives the process."""
        return None

    def renew(self) -> None:
        """Does nothing, as there is nothing to renew."""

    def adopt(self) -> None:
        """Does nothing, as no other process has records here."""

    def abandoned(self) -> list[Opening]:
        """Returns nothing, as no other process has records here."""
        return []

    def write(self, batch: Sequence[Operation]) -> Booked:
        """Books a batch."""
        if self._is_copy and batch:
            self._is_copy = False
            _log.warning(
                "a ledger in memory is used after its process was forked: the parent sees nothing of it, and budgets "
                "count each process by itself; name a database in cost_tracking",
                extra={"event": "ledger_forked"},
            )
        with self._lock:
            missing = {one: None for one in settled_ids(batch) if one not in self._opened}
            windows = {key: self._window(charge) for key, charge in touched(batch).items()}
            booked = book(batch, windows, missing)
            for one in settled_ids(batch):
                self._opened.pop(one, None)
            self._opened.update(booked.opened)
            self._windows.update(booked.windows)
            self._records += record_rows([entry.facts for entry in booked.entries])
        return booked

    def _window(self, charge: Charge) -> Window:
        found = self._windows.get(charge.window)
        if found is not None:
            return found
        query = Query(start=charge.start, end=charge.end, where=dict(charge.scope or ()))
        return Window(spent=sum(row[_PLACE("cost")] or 0 for row in self._chosen(query)))

    def save_job(self, job: JobRow) -> None:
        """Keeps a job."""
        self._jobs[job.id] = job

    def jobs(self, id: str | None = None) -> list[JobRow]:
        """The jobs, the newest first."""
        found = [job for job in self._jobs.values() if id in (None, job.id)]
        return sorted(found, key=lambda job: -job.created)

    def lines_of(self, job: str) -> list[Opening]:
        """The lines of a job that nobody has settled."""
        with self._lock:
            return [opening for opening in self._opened.values() if opening.owner == OWNER + job]

    def count_refusals(self, refusals: Mapping[RefusalKey, int]) -> None:
        """Adds calls that budgets turned away."""
        with self._lock:
            for key, count in refusals.items():
                self._refusals[key] = self._refusals.get(key, 0) + count
            if len(self._refusals) > self._keep:  # users come from callers: the oldest hours are forgotten
                for key in sorted(self._refusals)[: len(self._refusals) - max(1, self._keep * 9 // 10)]:
                    del self._refusals[key]

    def refusals(self, start: int | None, end: int | None) -> list[Sequence[Any]]:
        """The values of a key and a count each."""
        least, most = hours_between(start, end)
        with self._lock:
            return [(*key, count) for key, count in sorted(self._refusals.items()) if least <= key[0] < most]

    def windows(self, charges: Sequence[Charge]) -> list[Window]:
        """Where budget windows stand."""
        with self._lock:
            return [self._window(charge) for charge in charges]

    def report(self, query: Query, dimensions: Sequence[str]) -> Iterator[Sequence[Any]]:
        """Returns the sums of each kept record."""
        with self._lock:
            rows = list(self._chosen(query))
        for row in rows:
            bucket = row[_PLACE("latency_bucket")]
            letter = None if bucket is None else letter_of(bucket)
            figures = _figures(row)
            for key in _keys(row, dimensions, query.step):
                yield (*key, letter, None, *figures)

    def delete(self, query: Query) -> int:
        """Forgets records; budgets remember what they cost."""
        with self._lock:
            gone = {row[0] for row in self._chosen(query)}
            left = [row for row in self._records if row[0] not in gone]
            self._records = deque(left, maxlen=self._records.maxlen)
            return len(gone)

    def tend(self, now: int, keep: int | None, stop: Callable[[], bool]) -> int:
        """Does nothing, as only the newest records are kept."""
        return 0

    def rate(self, call: str, score: int, note: str | None) -> int:
        """Writes a score beside the answer of a call."""
        with self._lock:
            found = [place for place, row in enumerate(self._records) if row[_PLACE("call")] == call]
            if not found:
                return 0
            chosen = max(found, key=lambda place: (self._records[place][_PLACE("status")] in ("ok", "cached"), place))
            row = list(self._records[chosen])
            row[_PLACE("score")], row[_PLACE("note")] = score, note
            self._records[chosen] = tuple(row)
            return 1

    def pages(self, query: Query, size: int) -> Iterator[list[Sequence[Any]]]:
        """The kept records, oldest first."""
        with self._lock:
            rows: list[Sequence[Any]] = [*sorted(self._chosen(query), key=itemgetter(0), reverse=query.newest)]
        if query.after is not None:
            after = query.after
            rows = [row for row in rows if (row[0] < after if query.newest else row[0] > after)]
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    def _chosen(self, query: Query) -> Iterable[tuple[Any, ...]]:
        for row in self._records:
            time = row[_PLACE("time")]
            if (query.start is not None and time < query.start) or (query.end is not None and time >= query.end):
                continue
            if query.billed and row[_PLACE("operation")] in UNBILLED and row[_PLACE("cost")] == 0:
                continue
            if all(_value(row, name) == wanted for name, wanted in query.where.items()):
                yield row


def _figures(row: Sequence[Any]) -> tuple[Any, ...]:
    """The values of `FIGURES` for one record."""
    cost, again = row[_PLACE("cost")], row[_PLACE("attempt")] > 1
    other = row[_PLACE("model")] != row[_PLACE("requested_model")]
    return (
        None if row[_PLACE("latency_bucket")] is None else row[_PLACE("latency")],
        1,
        int(row[_PLACE("attempt")] == 1),
        int(row[_PLACE("status")] in FAILED),
        int(cost is None),
        cost,
        row[_PLACE("saved")],
        cost if again and not other else None,
        cost if again and other else None,
        int(row[_PLACE("score")] is not None),
        row[_PLACE("score")],
        *(row[_PLACE(name)] for name in TOKENS),
    )


def _tags(row: Sequence[Any]) -> dict[str, str]:
    text = row[_PLACE("tags")]
    return dict(json.loads(text)) if text else {}


def _value(row: Sequence[Any], name: str, step: int = 1) -> Any:
    if name.startswith(ONE_TAG):
        return _tags(row).get(name[len(ONE_TAG) :])
    if name in TIME_DIMENSIONS:
        return row[_PLACE("time")] // step
    return row[_PLACE(name)]


def _keys(row: Sequence[Any], dimensions: Sequence[str], step: int) -> Iterator[tuple[Any, ...]]:
    """The groups that a record belongs to: several where it has several tags."""
    tags: list[str | None] = []
    if TAG in dimensions:
        tags += [f"{name}={value}" for name, value in _tags(row).items()]
    for tag in tags or [None]:
        yield tuple(tag if name == TAG else _value(row, name, step) for name in dimensions)
