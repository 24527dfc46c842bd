"""The blocking twin of a batch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from typing_extensions import TypeVar as DefaultTypeVar

if TYPE_CHECKING:
    from .._map.item import Item
    from .._protocols.batching import JobState
    from .batch_job import Batch

__all__ = ["SyncBatch"]

T = DefaultTypeVar("T", default=Any)
Result = TypeVar("Result")
Wait = Callable[[Callable[[], Awaitable[Any]]], Any]


class SyncBatch(Generic[T]):
    """As `Batch`, blocking.

    Args:
        batch: the batch.
        call: runs a coroutine on the client's loop and waits for it.
    """

    def __init__(self, batch: Batch[T], call: Wait) -> None:
        self._batch = batch
        self._call = call

    def __repr__(self) -> str:
        return f"Sync{self._batch!r}"

    @property
    def id(self) -> str:
        """What it is called; opens it again in any process on the same ledger."""
        return self._batch.id

    @property
    def created(self) -> datetime:
        """When it was made, UTC."""
        return self._batch.created

    @property
    def provider(self) -> str:
        """The configured name of the provider."""
        return self._batch.provider

    @property
    def model(self) -> str:
        """The model that answers."""
        return self._batch.model

    @property
    def total(self) -> int:
        """How many lines it has."""
        return self._batch.total

    @property
    def done(self) -> int:
        """Lines that are answered or failed, as far as the provider said when it was last asked."""
        return self._batch.done

    @property
    def state(self) -> JobState:
        """Where it is, as of the last `refresh`."""
        return self._batch.state

    @property
    def is_over(self) -> bool:
        """Whether no further answer will come."""
        return self._batch.is_over

    @property
    def expires_at(self) -> datetime | None:
        """When the provider deletes the answers, UTC; None while it has not said."""
        return self._batch.expires_at

    @property
    def host_ids(self) -> tuple[str, ...]:
        """The provider's own ids of its jobs."""
        return self._batch.host_ids

    def refresh(self) -> SyncBatch[T]:
        """Asks the provider how far it is; as `Batch.refresh`."""
        self._call(self._batch.refresh)
        return self

    def wait(self, timeout: float | None = None, *, poll: float | None = None) -> SyncBatch[T]:
        """Waits until it is over, and returns it; as `Batch.wait`.

        Args:
            timeout: seconds to wait at most; without end by default.
            poll: seconds between two questions; by default 1, then longer, up to 60.

        Raises:
            DeadlineExceededError: it is not over in time; it goes on at the provider.
        """
        self._call(lambda: self._batch.wait(timeout, poll=poll))
        return self

    def cancel(self) -> SyncBatch[T]:
        """Ends it early; what is answered by then can be read."""
        self._call(self._batch.cancel)
        return self

    def results(self) -> list[Item[T]]:
        """All answers of the jobs that are over, in the order of the inputs."""
        found: list[Item[T]] = self._call(self._batch.results)
        return found

    def __iter__(self) -> Iterator[Item[T]]:
        return iter(self.results())
