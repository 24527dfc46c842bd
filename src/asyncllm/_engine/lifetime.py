"""The lifetime of a client: its process, its event loop, its background tasks, and the timeouts of its streams.

The rules:

* A client belongs to the process and the loop of its first call. When that loop is gone and a new one calls, the client
  drops its connections and goes on there; two living loops, a forked child and a closed client get a sentence instead
  of a hang (`Lifetime`).
* Background tasks are started in one place (`Background`): closing connections, sweeping, watching streams. asyncio
  tasks are created with a strong reference and cancelled by `stop`; on trio they are system tasks. No task group is
  held anywhere, so a client needs no ``async with`` to work. A background task outlives the call that started it, and
  no cancellation of a caller reaches it.
* A cancel scope cannot stay open across the yields of a stream, and one for each read would cost as much as the read.
  So one task (`Watch`) looks at all open streams of a client, exactly when the earliest of them may be due, and aborts
  the connection of one that is: the read that waits on it fails at once, and the stream raises the timeout instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import anyio.to_thread
import sniffio

from ..errors import ClientStateError

if TYPE_CHECKING:
    from .attempt import Engine

Work = Callable[[], Coroutine[Any, Any, None]]
_log = logging.getLogger("asyncllm.engine")


def current_loop() -> object:
    """Returns what identifies the running event loop: asyncio's loop or trio's token.

    Raises:
        RuntimeError: no event loop is running.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        trio = sys.modules.get("trio")
        if trio is not None and trio.lowlevel.in_trio_run():
            return trio.lowlevel.current_trio_token()
    raise RuntimeError("no event loop is running: call this from async code, or use SyncClient")


def is_alive(loop: object) -> bool:
    """Whether a loop that `current_loop` returned is still running."""
    if isinstance(loop, asyncio.AbstractEventLoop):
        return loop.is_running()
    try:
        loop.run_sync_soon(int)  # type: ignore[attr-defined]  # a trio token
    except sys.modules["trio"].RunFinishedError:
        return False
    return True


class Background:
    """Background tasks of one client, on one loop."""

    def __init__(self) -> None:
        self._loop = current_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._scopes: set[Any] = set()
        self.clock: Callable[[], float] = (
            self._loop.time if isinstance(self._loop, asyncio.AbstractEventLoop) else sys.modules["trio"].current_time
        )
        """Seconds on the clock that timeouts of this loop are measured with."""

    def spawn(self, work: Work) -> None:
        """Starts ``work`` as a background task. Its exception is logged and never raised."""
        if isinstance(self._loop, asyncio.AbstractEventLoop):
            if self._loop.is_closed():
                return
            task = self._loop.create_task(_guarded(work))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            with contextlib.suppress(sys.modules["trio"].RunFinishedError):
                sys.modules["trio"].lowlevel.spawn_system_task(self._on_trio, work, name="asyncllm background")

    async def _on_trio(self, work: Work) -> None:
        scope = sys.modules["trio"].CancelScope()
        self._scopes.add(scope)
        try:
            with scope:
                await _guarded(work)
        finally:
            self._scopes.discard(scope)

    def call_soon(self, action: Callable[[], None]) -> None:
        """Runs ``action`` soon, on the loop's thread. May be called from any thread and from a finaliser. If the
        loop has ended, nothing happens.
        """
        if isinstance(self._loop, asyncio.AbstractEventLoop):
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(action)
        else:
            with contextlib.suppress(sys.modules["trio"].RunFinishedError):
                self._loop.run_sync_soon(action)  # type: ignore[attr-defined]

    def stop(self) -> None:
        """Cancels what still runs."""
        for task in tuple(self._tasks):
            task.cancel()
        for scope in tuple(self._scopes):
            scope.cancel()


async def _guarded(work: Work) -> None:
    try:
        await work()
    except Exception:  # noqa: BLE001  # nobody awaits a background task: the log is where its failure can be seen
        _log.exception("a background task failed", extra={"event": "background"})


class Watched(Protocol):
    """What a watched stream must offer."""

    def due(self, now: float) -> float:
        """The earliest moment at which the stream may time out."""
        ...

    def expire(self) -> None:
        """Fails the waiting read, as the stream has timed out."""
        ...


class Watch:
    """Watches the timeouts of all streams of a client with one timer.

    Args:
        background: starts the task, and knows the clock.
    """

    def __init__(self, background: Background) -> None:
        self._background = background
        self._clock = background.clock
        self._streams: weakref.WeakSet[Watched] = weakref.WeakSet()  # an abandoned stream must be collected
        self._running = False
        self._sleeping_until = math.inf
        self._wake = anyio.Event()

    def add(self, stream: Watched) -> None:
        """Watches a stream until it expires or is removed."""
        self._streams.add(stream)
        if not self._running:
            self._running = True
            self._background.spawn(self._run)
        elif stream.due(self._clock()) < self._sleeping_until:
            self._wake.set()

    def remove(self, stream: Watched) -> None:
        """Stops watching a stream. Does nothing for a stream that is not watched."""
        self._streams.discard(stream)

    def look(self) -> float:
        """Times out what is due and sets the next timer."""
        now = self._clock()
        earliest = math.inf
        for stream in tuple(self._streams):
            due = stream.due(now)
            if due <= now:
                self._streams.discard(stream)
                stream.expire()
            else:
                earliest = min(earliest, due)
        return earliest

    async def _run(self) -> None:
        try:
            while self._streams:
                self._sleeping_until = self.look()
                self._wake = anyio.Event()
                with anyio.move_on_at(self._sleeping_until):
                    await self._wake.wait()
        finally:
            self._running = False
            self._sleeping_until = math.inf


class Preparation:
    """Loads what the first call needs, libraries and data files, in a thread and once a client.

    Args:
        works: blocking functions, in order.

    Attributes:
        done: whether everything is ready.
    """

    __slots__ = ("_lock", "_works", "done")

    def __init__(self, works: Sequence[Callable[[], object]]) -> None:
        self.done = False
        self._works = works
        self._lock = threading.Lock()

    async def run(self) -> float:
        """Loads everything, and returns the seconds that this took. The event loop is not blocked."""
        if self.done:
            return 0.0
        if sniffio.current_async_library() == "asyncio":  # anyio's part for asyncio is what has to be imported first
            loop = asyncio.get_running_loop()
            began = loop.time()
            await loop.run_in_executor(None, self._run)
            return loop.time() - began
        began = anyio.current_time()
        await anyio.to_thread.run_sync(self._run, abandon_on_cancel=True)
        return anyio.current_time() - began

    def _run(self) -> None:
        with self._lock:  # whoever comes second waits for the first
            if not self.done:
                for work in self._works:
                    work()
                self.done = True


class SharedLifetime:
    """The engine of another client with a few parts changed, for a view of that client.

    Args:
        lifetime: of the client whose connections are used.
        change: makes the view's engine of the client's.
    """

    def __init__(self, lifetime: Lifetime | SharedLifetime, change: Callable[[Engine], Engine]) -> None:
        self._lifetime = lifetime
        self._change = change
        self._last: tuple[Engine, Engine] | None = None

    def engine(self) -> Engine:
        """The engine of the running loop.

        Raises:
            ClientStateError: as `Lifetime.engine`.
        """
        whole = self._lifetime.engine()
        if self._last is None or self._last[0] is not whole:
            self._last = (whole, self._change(whole))
        return self._last[1]

    async def aclose(self) -> None:
        """Closes nothing: the connections are the client's."""


class Lifetime:
    """Gives the engine of the running loop.

    Args:
        build: makes the engine for a loop, given the background tasks of that loop.
    """

    def __init__(self, build: Callable[[Background], Engine]) -> None:
        self._build = build
        self._engine: Engine | None = None
        self._loop: object = None
        self._process: int | None = None
        self._closed = False

    def engine(self) -> Engine:
        """The engine of the running loop.

        Raises:
            ClientStateError: the client is closed, in a forked process, or in use by another running loop.
        """
        if self._closed:
            raise ClientStateError("this client is closed; make a new one")
        process = os.getpid()
        if self._process not in (None, process):
            raise ClientStateError(
                "this client was used before the process was forked, so its connections belong to the parent; "
                "make the client in the child process"
            )
        loop = current_loop()
        if self._engine is not None:
            if loop is self._loop:
                return self._engine
            if is_alive(self._loop):
                raise ClientStateError(
                    "this client is in use by another running event loop; "
                    "make one client for each loop, or use SyncClient"
                )
            self._engine.transport.forget()
        self._process, self._loop = process, loop
        self._engine = self._build(Background())
        return self._engine

    async def aclose(self) -> None:
        """Closes the engine. No call is possible afterwards. Closing twice is fine."""
        self._closed = True
        engine, self._engine = self._engine, None
        if engine is None or self._process != os.getpid():
            return
        if current_loop() is self._loop:
            await engine.transport.aclose()
            engine.background.stop()
        else:
            engine.transport.forget()
