"""The one place that starts background tasks: closing connections, sweeping, watching streams.

asyncio tasks are created with a strong reference and cancelled by `stop`; on trio they are system tasks. No task
group is held anywhere, so a client needs no ``async with`` to work. A background task outlives the call that started
it, and no cancellation of a caller reaches it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable, Coroutine
from typing import Any

Work = Callable[[], Coroutine[Any, Any, None]]
_log = logging.getLogger("asyncllm.engine")


def current_loop() -> object:
    """What identifies the running event loop: asyncio's loop or trio's token.

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
        """Starts ``work``; an exception it lets out is logged, never raised anywhere."""
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
        """Runs ``action`` on the loop's thread soon; callable from anywhere, a finaliser too; lost if the loop is."""
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
        _log.exception("a background task failed")
