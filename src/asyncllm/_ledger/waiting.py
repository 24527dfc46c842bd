"""Waiting on an event loop for another thread, on asyncio and trio, at the price of one wake-up for many waiters."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol

import anyio
from anyio.lowlevel import current_token

Ring = Callable[..., Any]


class Waiter(Protocol):
    """One wait for one answer."""

    loop: Any

    def wait(self) -> Awaitable[Any]:
        """The answer, when it is there."""
        ...

    def wake(self, answer: Any) -> None:
        """Gives the answer; on the loop's own thread only."""
        ...


class _OnAsyncio:
    __slots__ = ("_future", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._future: asyncio.Future[Any] = loop.create_future()

    def wait(self) -> Awaitable[Any]:
        return self._future

    def wake(self, answer: Any) -> None:
        if not self._future.done():
            self._future.set_result(answer)


class _OnTrio:
    __slots__ = ("_answer", "_event", "loop")

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self._event = anyio.Event()
        self._answer: Any = None

    async def wait(self) -> Any:
        await self._event.wait()
        return self._answer

    def wake(self, answer: Any) -> None:
        self._answer = answer
        self._event.set()


def new_waiter() -> Waiter:
    """A waiter on the running event loop.

    Raises:
        RuntimeError: no event loop is running.
    """
    try:
        return _OnAsyncio(asyncio.get_running_loop())
    except RuntimeError:
        token: Any = current_token()
        return _OnTrio(getattr(token, "native_token", token))  # trio's own; anyio wraps it since 4.11


def deliver(answers: Iterable[tuple[Waiter, Any]]) -> None:
    """Wakes waiters with their answers, from any thread, one call for each loop; a loop that ended has no waiters."""
    by_loop: dict[Any, list[tuple[Waiter, Any]]] = {}
    for pair in answers:
        by_loop.setdefault(pair[0].loop, []).append(pair)
    for loop, pairs in by_loop.items():
        ring = loop.call_soon_threadsafe if isinstance(loop, asyncio.AbstractEventLoop) else loop.run_sync_soon
        with suppress(RuntimeError):  # the loop has ended: trio's RunFinishedError is one, too
            ring(_wake, pairs)


def _wake(pairs: list[tuple[Waiter, Any]]) -> None:
    for waiter, answer in pairs:
        waiter.wake(answer)
