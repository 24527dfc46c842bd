"""The blocking twin of a bulk job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

if TYPE_CHECKING:
    from ._bulk_job import BulkJob
    from ._ledger.row_journal import BulkStatus
    from ._map_item import Item
    from ._schema.response import Response

__all__ = ["SyncBulkJob"]

T = TypeVar("T", default=Any)
Wait = Callable[[Callable[[], Awaitable[Any]]], Any]


class SyncBulkJob(Generic[T]):
    """As `BulkJob`, blocking.

    Args:
        job: the job.
        call: runs a coroutine on the client's loop and waits for it.
    """

    def __init__(self, job: BulkJob[T], call: Wait) -> None:
        self._job = job
        self._call = call

    @property
    def name(self) -> str:
        """The name under which its answers are kept."""
        return self._job.name

    def run(self) -> BulkStatus:
        """Works until every row has been asked for or found, and says how it went."""
        found: BulkStatus = self._call(self._job.run)
        return found

    def __iter__(self) -> Iterator[Item[T]]:
        items = self._job.__aiter__()
        try:
            while (item := self._call(lambda: anext(items, None))) is not None:
                yield item
        finally:
            self._call(self._job.aclose)

    def status(self) -> BulkStatus:
        """How far the job is, over all processes that work on it."""
        found: BulkStatus = self._call(self._job.status)
        return found

    def answers(self) -> Iterator[tuple[str, Response[Any]]]:
        """Every key with its answer, in the order of the keys."""
        found = self._job.answers()
        while (row := self._call(lambda: anext(found, None))) is not None:
            yield row
