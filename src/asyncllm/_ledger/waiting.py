"""Waits for the ledger: for an answer of its thread, and for room in its queue.

Waiting on an event loop for another thread works on asyncio and trio, at the price of one wake-up for many waiters.
Every call that goes by the queue takes one place before it begins and gives it back when its record is written. So the
end of a call never has to wait, nothing is ever dropped, and whoever is too many waits at the beginning, first come,
first served.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import anyio
from anyio.lowlevel import current_token

from ..errors import LedgerError

if TYPE_CHECKING:
    from .booking import Opening


class PendingAnswer(Protocol):
    """One wait for one answer."""

    loop: Any

    def wait(self) -> Awaitable[Any]:
        """Waits for the answer and returns it."""
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


def new_waiter() -> PendingAnswer:
    """A waiter on the running event loop.

    Raises:
        RuntimeError: no event loop is running.
    """
    try:
        return _OnAsyncio(asyncio.get_running_loop())
    except RuntimeError:
        token: Any = current_token()
        return _OnTrio(getattr(token, "native_token", token))  # trio's own; anyio wraps it since 4.11


def deliver(answers: Iterable[tuple[PendingAnswer, Any]]) -> None:
    """Wakes waiters with their answers, from any thread, with one call for each loop. Waiters of an ended loop are
    skipped.
    """
    by_loop: dict[Any, list[tuple[PendingAnswer, Any]]] = {}
    for pair in answers:
        by_loop.setdefault(pair[0].loop, []).append(pair)
    for loop, pairs in by_loop.items():
        ring = loop.call_soon_threadsafe if isinstance(loop, asyncio.AbstractEventLoop) else loop.run_sync_soon
        with suppress(RuntimeError):  # the loop has ended: trio's RunFinishedError is one, too
            ring(_wake, pairs)


def _wake(pairs: list[tuple[PendingAnswer, Any]]) -> None:
    for waiter, answer in pairs:
        waiter.wake(answer)


class Room:
    """A number of free places. Thread-safe; not for finalisers."""

    def __init__(self, places: int) -> None:
        self._places = self._free = places
        self._lock = threading.Lock()
        self._waiting: deque[PendingAnswer] = deque()

    @property
    def free(self) -> int:
        """Places nobody has taken."""
        return self._free

    async def take(self) -> None:
        """Waits for a free place and takes it.

        Raises:
            LedgerError: `refuse` was called in the meantime.
        """
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return
            waiter = new_waiter()
            self._waiting.append(waiter)
        try:
            error = await waiter.wait()
        except BaseException:
            with self._lock:
                given = waiter not in self._waiting
                if not given:
                    self._waiting.remove(waiter)
            if given:
                self.give(1)
            raise
        if error is not None:
            raise error

    def give(self, places: int) -> None:
        """Gives places back. Waiting callers get them first."""
        with self._lock:
            woken = [self._waiting.popleft() for _ in range(min(places, len(self._waiting)))]
            self._free += places - len(woken)
        deliver([(waiter, None) for waiter in woken])

    def begin_anew(self) -> None:
        """Called in a forked child: all places are free, and nobody waits."""
        self._free = self._places
        self._lock = threading.Lock()
        self._waiting = deque()

    def refuse(self, sentence: str) -> None:
        """Refuses every waiting caller, as no place will be free for some time."""
        with self._lock:
            woken, self._waiting = self._waiting, deque()
        deliver([(waiter, LedgerError(sentence)) for waiter in woken])


class Flushing:
    """An operation that ends when everything before it is committed.

    Attributes:
        last: the ledger is closed.
        look: what dead processes left is booked as well.
    """

    __slots__ = ("done", "error", "last", "look", "waiter")

    def __init__(self, waiter: PendingAnswer | None, *, last: bool = False, look: bool = False) -> None:
        self.waiter = waiter
        self.last = last
        self.look = look
        self.done = threading.Event()
        self.error: LedgerError | None = None


class Written:
    """Tells the thread to fold the journal now, because it holds the end of an attempt that was opened through the
    queue.
    """

    __slots__ = ("opening",)

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
