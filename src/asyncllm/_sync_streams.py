"""Streams, runs and maps as blocking iterators. One hop to the client's loop fetches all that is ready."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ._async_only import BlockingOnly
from ._engine.stream import Stream
from ._map.item import Item
from ._schema.events import Event
from ._schema.response import Parsed, Response

if TYPE_CHECKING:
    from ._run_stream import RunStream
    from .bulk import MapProgress, MapStream
    from .runs import Run

__all__ = ["SyncMap", "SyncRunStream", "SyncStream", "Wait"]

Result = TypeVar("Result")
E = TypeVar("E")
Self = TypeVar("Self", bound="_Pulled[Any]")


class Wait(Protocol):
    """Runs work on the client's loop and waits for its result."""

    def __call__(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """The result of ``work``, or what it raises."""
        ...


class _Batches(Protocol[E]):
    """The source that is read in the loop."""

    async def batch(self) -> list[E]: ...

    async def aclose(self) -> None: ...


class _Pulled(BlockingOnly, Generic[E]):
    """A blocking iterator over an async source."""

    def __init__(self, source: _Batches[E], call: Wait) -> None:
        self._source = source
        self._call = call
        self._ready: deque[E] = deque()

    def __iter__(self) -> Iterator[E]:
        return self

    def __next__(self) -> E:
        if not self._ready:
            self._ready.extend(self._call(self._source.batch))
            if not self._ready:
                raise StopIteration
        return self._ready.popleft()

    def close(self) -> None:
        """Ends it, whatever is left to read. Closing twice is fine."""
        self._ready.clear()
        self._call(self._source.aclose)

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class SyncStream(_Pulled[Event], Generic[Parsed]):
    """Events of one reply, blocking: iterate it, or use it in ``with``, which closes it for certain.

    Raises:
        StreamInterruptedError: cut after its first content; ``partial`` holds what was delivered.
        AsyncLLMError: failed before its first content, on every target.
    """

    def __init__(self, stream: Stream[Parsed], call: Wait) -> None:
        super().__init__(stream, call)
        self._stream = stream

    def text(self) -> Iterator[str]:
        """Only the text, as strings.

        Raises:
            BadRequestError: the stream was asked to restart when it is cut, of which strings cannot tell.
        """
        self._stream.check_text()
        return (event.text for event in self if event.text)

    def started(self) -> None:
        """Waits until the first content is there; iteration then begins with the first event.

        Raises:
            AsyncLLMError: it failed before its first content, on every target.
        """
        self._call(self._stream.started)

    @property
    def response(self) -> Response[Parsed]:
        """The whole reply after the end of the stream; before it, what has come so far."""
        return self._stream.response


class SyncRunStream(_Pulled[Event], Generic[Parsed]):
    """Events of a run, blocking: iterate it, or use it in ``with``, which closes it for certain."""

    def __init__(self, stream: RunStream[Parsed], call: Wait) -> None:
        super().__init__(stream, call)
        self._stream = stream

    @property
    def result(self) -> Run[Parsed]:
        """The run so far. It is whole after the last event."""
        return self._stream.result


class SyncMap(_Pulled[Item[Parsed]], Generic[Parsed]):
    """Items of a map, blocking: iterate it, or use it in ``with``, which ends the work for certain."""

    def __init__(self, stream: MapStream[Parsed], call: Wait) -> None:
        super().__init__(stream, call)
        self._stream = stream

    def __next__(self) -> Item[Parsed]:
        try:
            return super().__next__()
        except KeyboardInterrupt:
            self.close()  # what is in flight may end and is recorded
            raise

    @property
    def progress(self) -> MapProgress:
        """The progress of the map."""
        return self._stream.progress

    @property
    def stopped(self) -> str | None:
        """Why it ended before the last input: ``"max_cost"`` or ``"unknown_cost"``; None otherwise."""
        return self._stream.stopped
