"""The interface of a store, where the ledger keeps its records. There are three: memory, SQLite and PostgreSQL.

A store, and its driver, is loaded when a URL asks for it. Every method blocks. `connect`, `write`, `abandoned` and
`close` are called on one thread, the ledger's writer; `report`, `pages` and `windows` on any thread, at the same time
as a write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from ...errors import ConfigurationError
from ..booking import Booked, Opening, Operation
from ..budgets import Budget, Charge, RefusalKey, Window
from ..jobs import JobRow
from ..journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

NOTHING: Mapping[str, str] = MappingProxyType({})
MEMORY = frozenset({":memory:", "sqlite://", "sqlite:///:memory:"})
_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")


def store_of(url: str, journal_path: Path | None = None) -> Store:
    """The store of ``cost_tracking.database``: ``sqlite:///path``, ``postgresql://...`` or ``:memory:``.

    Args:
        url: the database.
        journal_path: the folder for journals of a PostgreSQL database; None for none.

    Raises:
        ConfigurationError: none of these, or psycopg is not installed.
    """
    if url in MEMORY:
        from .memory import MemoryStore

        return MemoryStore()
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        from .sqlite import SQLiteStore

        return SQLiteStore(url[len(_SQLITE) :])
    if url.startswith(_POSTGRES):
        from .postgres import PostgresStore

        return PostgresStore(url, journal_path=journal_path)
    raise ConfigurationError("the ledger's database must be sqlite:///path, postgresql://... or :memory:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Selects records.

    Attributes:
        start: the first microsecond; None from the beginning.
        end: the first microsecond after it; None without an end.
        where: column -> value it must have; ``tag:name`` for a tag.
        billed: leave out what generates nothing and costs nothing.
        step: microseconds of the pieces of time that a report groups by.
        zone: whose days are grouped by; None where the pieces are as good.
        newest: pages begin with the last record and go backwards.
        after: the id of the record after which pages begin.
    """

    start: int | None = None
    end: int | None = None
    where: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    billed: bool = False
    step: int = 1
    zone: tzinfo | None = None
    newest: bool = False
    after: str | None = None


class Store(Protocol):
    """A place to keep records in.

    Every method raises `LedgerError` with a sentence when the place cannot be read or written; nothing is half written.
    """

    budgets: Sequence[Budget]
    """Those of this process, in the order in which its journal names them."""
    more: bool
    """Whether journals hold more than the last `write` has folded."""

    read_only: bool
    """Nothing is written, not even a table."""

    def connect(self, *, hurried: bool = False) -> None:
        """Opens the store, creates or migrates its tables, and takes the lock that this process's rows name.

        Args:
            hurried: wait for nobody: it failed a moment ago, and calls are waiting.
        """
        ...

    renew_every: float | None
    """Seconds after which this process says again that it is alive; None where it holds a lock."""

    def renew(self) -> None:
        """Renews the sign that this process is alive."""
        ...

    def journal(self, wake: Callable[[bool], None]) -> Journal | None:
        """Returns the journal of this process, or None if the store has none. It is created at the first call.

        Args:
            wake: called, from any thread, when there is something to fold; with True when it is much.
        """
        ...

    def write(self, batch: Sequence[Operation]) -> Booked:
        """Books a batch in one transaction; committed when it returns. The same settlement twice changes nothing.

        What the journals hold is folded first, as far as it fits into one transaction.
        """
        ...

    def adopt(self) -> None:
        """Takes over the journals of dead processes. `write` folds them while there is `more`."""
        ...

    def abandoned(self) -> list[Opening]:
        """The open rows of processes that are proven dead."""
        ...

    def save_job(self, job: JobRow) -> None:
        """Writes the row of a job, over the one that is there."""
        ...

    def jobs(self, id: str | None = None) -> list[JobRow]:
        """The job of this id, or all of them, the newest first."""
        ...

    def lines_of(self, job: str) -> list[Opening]:
        """The lines of a job that nobody has settled."""
        ...

    def count_refusals(self, refusals: Mapping[RefusalKey, int]) -> None:
        """Adds calls that budgets turned away."""
        ...

    def refusals(self, start: int | None, end: int | None) -> list[Sequence[Any]]:
        """The values of a `RefusalKey` and a count each, for hours that begin between two moments in microseconds."""
        ...

    def windows(self, charges: Sequence[Charge]) -> list[Window]:
        """Where budget windows stand."""
        ...

    def report(self, query: Query, dimensions: Sequence[str]) -> Iterator[Sequence[Any]]:
        """Sums for `reports.merge`: the dimensions' values, the latencies in two texts, and `rollups.FIGURES`."""
        ...

    def pages(self, query: Query, size: int) -> Iterator[list[Sequence[Any]]]:
        """Rows of `COLUMNS` in the order of their ids, in pages of at most ``size``."""
        ...

    def delete(self, query: Query) -> int:
        """Deletes records; returns how many. What budgets have counted stays."""
        ...

    def tend(self, now: int, keep: int | None, stop: Callable[[], bool]) -> int:
        """Rolls up what is over, and deletes records that are too old; on any thread.

        Args:
            now: microseconds since 1970.
            keep: how many microseconds records are kept; None for ever.
            stop: asked now and then; True ends it.

        Returns:
            How much it did; 0 where there was nothing to do.
        """
        ...

    def rate(self, call: str, score: int, note: str | None) -> int:
        """Writes a score, in millionths, beside the answer of a call; returns how many records it found."""
        ...

    def after_fork(self) -> None:
        """Called in a forked child: leaves everything to the parent. `connect` opens the store again."""
        ...

    def close(self) -> None:
        """Closes the store and releases the lock. `connect` opens it again."""
        ...
