"""The pool of one origin: a stack of idle connections under a first-come-first-served limit.

The theory:

* A *permit* is the right to use one connection; there are ``limit`` of them. Whoever holds a permit holds exactly one
  connection, and gives both back together, by `Pool.release` (the connection may be used again) or `Pool.discard`.
* Idle connections form a stack. The one used last is used next, so that those at the bottom grow old and go away.
* Everything but waiting is synchronous: there is no moment at which a cancellation could lose a permit. A waiter that
  is cancelled after a permit was handed to it hands it on.
* Newcomers never overtake those who wait.

The pool knows nothing of HTTP; it opens, probes and closes `Connection` objects.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import anyio


class Connection(Protocol):
    """The interface of a pooled connection.

    Attributes:
        born: when it was opened, on the pool's clock.
        idle_since: when it was last given back.
    """

    born: float
    idle_since: float

    def alive(self) -> bool:
        """Whether it can be used. False if the peer has closed it or sent unexpected bytes."""
        ...

    def close(self) -> None:
        """Closes it in the background; never blocks, never raises."""
        ...


ConnectionT = TypeVar("ConnectionT", bound=Connection)


class Pool(Generic[ConnectionT]):
    """The connections to one origin.

    Args:
        open: makes a connection object; the network is first touched when it is used.
        limit: the most connections in use at once.
        most_idle: the most connections that are kept while nobody uses them.
        keepalive: seconds after which an idle connection is closed.
        max_age: seconds after its opening at which a connection is not used again.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        open: Callable[[], ConnectionT],
        *,
        limit: int,
        most_idle: int,
        keepalive: float,
        max_age: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open = open
        self._limit = limit
        self._most_idle = most_idle
        self._keepalive = keepalive
        self._max_age = max_age
        self._clock = clock
        self._used = 0
        self._idle: deque[ConnectionT] = deque()
        self._out: set[ConnectionT] = set()
        self._waiting: OrderedDict[anyio.Event, None] = OrderedDict()

    @property
    def idle(self) -> int:
        """The number of idle connections."""
        return len(self._idle)

    @property
    def used(self) -> int:
        """The number of permits in use."""
        return self._used

    @property
    def out(self) -> list[ConnectionT]:
        """The connections in use."""
        return list(self._out)

    @property
    def waiting(self) -> int:
        """The number of callers that wait for a permit."""
        return len(self._waiting)

    async def acquire(self) -> ConnectionT:
        """Waits for its turn and returns a connection, idle or new.

        Never waits, nor yields to the loop, while there is a free permit.
        """
        if self._waiting or self._used >= self._limit:
            await self._wait()
        else:
            self._used += 1
        try:
            connection = self._take() or self._open()
        except BaseException:
            self._pass_on()
            raise
        self._out.add(connection)
        return connection

    def release(self, connection: ConnectionT) -> None:
        """Gives back a connection that may be used again."""
        now = connection.idle_since = self._clock()
        self._out.discard(connection)
        if now - connection.born < self._max_age:
            self._idle.append(connection)
        else:
            connection.close()
        self._pass_on()
        self._trim(now)

    def discard(self, connection: ConnectionT) -> None:
        """Gives back a connection that must not be used again: it is closed, and its permit is free at once."""
        self._out.discard(connection)
        self._pass_on()
        connection.close()

    def replace(self, connection: ConnectionT) -> ConnectionT:
        """Closes a connection and returns a new one under the same permit."""
        self._out.discard(connection)
        connection.close()
        try:
            fresh = self._open()
        except BaseException:
            self._pass_on()
            raise
        self._out.add(fresh)
        return fresh

    def sweep(self) -> None:
        """Closes idle connections that are too old, too many, or closed by the peer."""
        self._trim(self._clock())
        kept = deque[ConnectionT]()
        for connection in self._idle:
            if connection.alive():
                kept.append(connection)
            else:
                connection.close()
        self._idle = kept

    def empty(self) -> list[ConnectionT]:
        """Takes all idle connections out, for the caller to close."""
        taken = list(self._idle)
        self._idle.clear()
        return taken

    def _take(self) -> ConnectionT | None:
        now = self._clock()
        self._trim(now)
        while self._idle:
            connection = self._idle.pop()
            if not self._stale(connection, now) and connection.alive():
                return connection
            connection.close()
        return None

    def _trim(self, now: float) -> None:
        """Closes idle connections from the bottom of the stack, where they have been idle for longest."""
        idle = self._idle
        while idle and (len(idle) > self._most_idle or self._stale(idle[0], now)):
            idle.popleft().close()

    def _stale(self, connection: ConnectionT, now: float) -> bool:
        return now - connection.idle_since >= self._keepalive or now - connection.born >= self._max_age

    async def _wait(self) -> None:
        turn = anyio.Event()
        self._waiting[turn] = None
        try:
            await turn.wait()
        except BaseException:
            if turn in self._waiting:
                del self._waiting[turn]
            else:
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Gives a free permit to the first waiting caller."""
        if self._waiting:
            turn, _ = self._waiting.popitem(last=False)
            turn.set()
        else:
            self._used -= 1
