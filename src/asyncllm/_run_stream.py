"""A run as a stream of events: those of each reply, and `ToolStart` and `ToolEnd` for each call of a tool."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic

import anyio
from typing_extensions import TypeVar

from ._async_only import AsyncIterationOnly
from ._run_loop import Loop
from ._schema.content import ToolCall
from ._schema.events import Event, ToolEnd, ToolStart
from .errors import AsyncLLMError
from .runs import Run, ToolRun

if TYPE_CHECKING:
    from ._engine.hooks import RunTrace
    from ._engine.stream import Stream

__all__ = ["RunStream"]

T = TypeVar("T", default=Any)
StreamOf = Callable[..., "Stream[Any]"]
"""`Client.stream`."""
Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]
"""Starts a background task."""


class RunStream(AsyncIterationOnly, Generic[T]):
    """The events of a run: those of each reply, and `ToolStart` and `ToolEnd` for each call.

    Iterate it directly, or inside ``async with``, which closes it for certain. `result` is the run so far, and the
    whole run after the last event.

    Nothing is held between two events. Tools run in background tasks, so that an event of one tool is seen while
    another one still works; `aclose` cancels them.
    """

    def __init__(
        self, stream_of: StreamOf, loop: Loop, spawn: Spawn, trace: Callable[[], RunTrace] | None = None
    ) -> None:
        self._stream_of = stream_of
        self._loop = loop
        self._spawn = spawn
        self._trace = trace
        self._ready: deque[Event] = deque()
        self._stream: Stream[Any] | None = None
        self._working: _Working | None = None
        self._begun = False
        self._over = False
        self._when_ended: Callable[[Run[Any]], Awaitable[None]] | None = None

    def __aiter__(self) -> RunStream[T]:
        return self

    async def __anext__(self) -> Event:
        while not self._ready:
            if self._over:
                raise StopAsyncIteration
            try:
                if self._trace is None:
                    await self._advance()
                else:
                    await self._advance_traced(self._trace)
            except BaseException as error:
                self._over = True
                if isinstance(error, AsyncLLMError):
                    error.run = self._loop.failed()
                await self._stop(error)
                raise
        return self._ready.popleft()

    async def _advance_traced(self, trace: Callable[[], RunTrace]) -> None:
        traced = self._loop.trace
        if traced is None:
            traced = self._loop.trace = trace()
        with traced.active():
            await self._advance()
        if self._over:
            traced.ended(None)

    async def started(self) -> None:
        """Waits until the first event is there; iteration then begins with it. Calling it twice is fine.

        Raises:
            AsyncLLMError: the first reply failed before its first content.
        """
        if not self._ready and not self._over:
            event = await self.__anext__()
            self._ready.appendleft(event)

    async def batch(self) -> list[Event]:
        """Returns all events that have come: at least one, or none at the end."""
        try:
            first = await self.__anext__()
        except StopAsyncIteration:
            return []
        events = [first, *self._ready]
        self._ready.clear()
        return events

    @property
    def result(self) -> Run[T]:
        """The run so far. It is whole after the last event."""
        return self._loop.result()

    async def text(self) -> str:
        """Reads the run to its end and returns the text of its last reply."""
        async for _ in self:
            pass
        return self.result.text

    async def aclose(self) -> None:
        """Closes the reply that is being read and cancels the tools that work. Closing twice is fine."""
        self._over = True
        self._ready.clear()
        await self._stop()

    async def __aenter__(self) -> RunStream[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if self._working is not None:
            self._working.cancel()

    async def _stop(self, error: BaseException | None = None) -> None:
        if self._loop.trace is not None:
            self._loop.trace.ended(error)
        working, self._working = self._working, None
        if working is not None:
            working.cancel()
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()

    async def _advance(self) -> None:
        """Makes one step: begins, reads the reply, or waits for the next tool that ends."""
        loop = self._loop
        if loop.toolsets:
            await loop.prepare()
        if self._working is not None:
            await self._watch(self._working)
        elif self._stream is not None:
            await self._read(self._stream)
        elif not self._begun and loop.pending:
            self._begun = True
            self._start(loop.pending)
        elif loop.next_step():
            self._begun = True
            self._stream = self._stream_of(loop.sent(), **loop.options())
        else:
            self._over = True
            told, self._when_ended = self._when_ended, None
            if told is not None:
                await told(loop.result())

    def when_ended(self, told: Callable[[Run[Any]], Awaitable[None]]) -> None:
        """Calls ``told`` once with the whole run, after it has ended by itself."""
        self._when_ended = told

    async def _read(self, stream: Stream[Any]) -> None:
        try:
            events = await stream.batch()
        except AsyncLLMError as error:
            if not self._loop.told_instead(error):
                raise
            self._stream = None
            return
        if events:
            self._ready.extend(events)
            return
        self._stream = None
        if self._loop.take(stream.response):
            self._start(self._loop.pending)

    def _start(self, calls: Sequence[ToolCall]) -> None:
        self._ready.extend(ToolStart(call) for call in calls)
        self._working = working = _Working(self._loop, calls)
        for place in range(len(calls)):
            self._spawn(partial(working.answer, place))

    async def _watch(self, working: _Working) -> None:
        self._ready.extend(await working.ended())
        if working.over:
            self._working = None
            self._loop.settle(working.calls, working.answers)
            await self._loop.end_step()


class _Working:
    """Calls that are being answered in background tasks."""

    def __init__(self, loop: Loop, calls: Sequence[ToolCall]) -> None:
        self.calls = tuple(calls)
        self.answers: dict[int, ToolRun | None] = {}
        self._loop = loop
        self._events: list[Event] = []
        self._changed = anyio.Event()
        self._scopes = [anyio.CancelScope() for _ in calls]

    @property
    def over(self) -> bool:
        return len(self.answers) == len(self.calls)

    async def answer(self, place: int) -> None:
        call = self.calls[place]
        found: ToolRun | None = None
        try:
            with self._scopes[place]:
                found = await self._loop.answer_one(call)
        finally:
            self.answers[place] = found
            if found is not None:
                self._events.append(ToolEnd(call, found.result, seconds=found.seconds))
            self._changed.set()

    async def ended(self) -> list[Event]:
        """Waits for the next calls that end and returns their events; none if all have ended."""
        while not self._events and not self.over:
            self._changed = anyio.Event()
            await self._changed.wait()
        events, self._events = self._events, []
        return events

    def cancel(self) -> None:
        for scope in self._scopes:
            scope.cancel()
