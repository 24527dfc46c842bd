"""One limit's count of what is under way and what went out in the last minute, and the queue of those who wait for it.

A minute is any minute: what is counted is the last 60 seconds, not a calendar minute, so that two bursts never meet at
its edge. Tokens are reserved before by an estimate and corrected after by what the provider counted. The provider's
own rate-limit headers count too: where it says that nothing is left, nothing goes out until its reset.

Whoever waits stands in a heap: the higher priority first, then the earlier. Only the first one has an alarm clock, set
to the moment at which a minute's window makes room; everything else that makes room (an answer, a correction, a caller
who gives up) serves the queue at once. Everything here is synchronous but for the wait itself, so a cancellation,
whenever it comes, leaves nothing taken.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush

import anyio

from .._schema.response import RateLimits
from ..errors import LimitTimeoutError

MINUTE = 60.0
_EARLY = 0.005  # seconds before the deadline at which a wait ends, so that its own error comes first


class Waiter:
    """A caller in the queue; a lower ``rank`` is served first."""

    __slots__ = ("granted", "left", "rank", "reserved", "tokens", "wake")

    def __init__(self, rank: tuple[int, int], tokens: int) -> None:
        self.rank = rank
        self.tokens = tokens
        self.reserved: Reservation | None = None
        self.left = False
        self.wake = anyio.Event()

    def __lt__(self, other: Waiter) -> bool:
        return self.rank < other.rank


class Reservation:
    """What one attempt has taken; given back by `Meter.release`, put right by `Meter.correct`."""

    __slots__ = ("at", "tokens")

    def __init__(self, at: float, tokens: int) -> None:
        self.at = at
        self.tokens = tokens


class Meter:
    """One limit.

    Args:
        name: what is limited, for the sentence of an error.
        clock: the time, in seconds.
        concurrent: attempts at a time; None for no bound.
        requests: requests in any minute.
        tokens: tokens in any minute.
    """

    def __init__(
        self,
        name: str,
        clock: Callable[[], float],
        *,
        concurrent: int | None = None,
        requests: int | None = None,
        tokens: int | None = None,
    ) -> None:
        self.name = name
        self._clock = clock
        self._most_concurrent = math.inf if concurrent is None else concurrent
        self._most_requests = math.inf if requests is None else requests
        self._most_tokens = math.inf if tokens is None else tokens
        self._windowed = requests is not None or tokens is not None
        self._under_way = 0
        self._recent: deque[Reservation] = deque()
        self._recent_tokens = 0
        self._queue: list[Waiter] = []
        self._numbers = 0
        self._served: dict[str, tuple[int, float]] = {}  # the provider's own count: left, and until when that holds

    @property
    def depth(self) -> int:
        """Callers who wait."""
        return sum(not waiter.left for waiter in self._queue)

    # Taking.

    async def acquire(self, tokens: int, priority: int, deadline: float) -> Reservation:
        """Waits for its turn.

        Raises:
            LimitTimeoutError: it would not have come before the deadline.
        """
        if tokens > self._most_tokens:  # an estimate that no minute has room for goes out alone
            tokens = int(self._most_tokens)
        if not self._queue and self._free_at(tokens) <= self._clock():
            return self._take(tokens)
        self._numbers += 1
        waiter = Waiter((-priority, self._numbers), tokens)
        heappush(self._queue, waiter)
        try:
            while waiter.reserved is None and self._clock() < deadline - _EARLY:
                await self._sleep(waiter, deadline - _EARLY)
        except BaseException:
            if waiter.reserved is not None:
                self.cancel(waiter.reserved)
            raise
        finally:
            waiter.left = True
            self._serve()
        if waiter.reserved is None:
            raise LimitTimeoutError(
                f"the limit of {self.name} had no room before the deadline; {self.depth} more calls wait for it"
            )
        return waiter.reserved

    async def _sleep(self, waiter: Waiter, until: float) -> None:
        first = self._queue[0] is waiter
        alarm = min(until, self._free_at(waiter.tokens)) if first else until
        with anyio.move_on_after(max(0.0, alarm - self._clock())):
            await waiter.wake.wait()
        waiter.wake = anyio.Event()
        self._serve(awake=waiter)

    def _serve(self, awake: Waiter | None = None) -> None:
        """Lets the first ones through while there is room; the next one wakes to set its alarm clock anew."""
        queue = self._queue
        while queue:
            waiter = queue[0]
            if waiter.left or waiter.reserved is not None:
                heappop(queue)
            elif self._free_at(waiter.tokens) <= self._clock():
                heappop(queue)
                waiter.reserved = self._take(waiter.tokens)
                waiter.wake.set()
            else:
                if waiter is not awake:
                    waiter.wake.set()
                return

    def _take(self, tokens: int) -> Reservation:
        reservation = Reservation(self._clock(), tokens)
        self._under_way += 1
        if self._windowed:
            self._recent.append(reservation)
            self._recent_tokens += tokens
        for what, (left, until) in self._served.items():
            self._served[what] = (left - (1 if what == "requests" else tokens), until)
        return reservation

    def _free_at(self, tokens: int) -> float:
        """When there is room for so many tokens: a moment in the past or now, a later one, or infinity (unknown)."""
        if self._under_way >= self._most_concurrent:
            return math.inf
        now = self._clock()
        recent = self._recent
        while recent and recent[0].at + MINUTE <= now:
            self._recent_tokens -= recent.popleft().tokens
        at = now
        if len(recent) >= self._most_requests:
            at = recent[len(recent) - int(self._most_requests)].at + MINUTE
        if recent and self._recent_tokens + tokens > self._most_tokens:
            at = max(at, self._room_for(tokens))
        for what, (left, until) in self._served.items():
            if until > now and left < (1 if what == "requests" else tokens):
                at = max(at, until)
        return at

    def _room_for(self, tokens: int) -> float:
        """When so many tokens will have left the window."""
        excess = self._recent_tokens + tokens - self._most_tokens
        at = 0.0
        for reservation in self._recent:
            if excess <= 0:
                break
            excess -= reservation.tokens
            at = reservation.at + MINUTE
        return at

    # Giving back.

    def release(self) -> None:
        """An attempt is over."""
        self._under_way -= 1
        self._serve()

    def cancel(self, reservation: Reservation) -> None:
        """An attempt was never made: as if it had not been reserved."""
        self.correct(reservation, 0)
        if reservation in self._recent:
            self._recent.remove(reservation)
        self.release()

    def correct(self, reservation: Reservation, tokens: int) -> None:
        """The provider counted; a reservation that has left the window is past."""
        if self._windowed and reservation.at + MINUTE > self._clock():
            self._recent_tokens += tokens - reservation.tokens
            reservation.tokens = tokens

    def observe(self, limits: RateLimits) -> None:
        """Takes the provider's own word for what is left, until its reset."""
        now = self._clock()
        for what, left, reset in (
            ("requests", limits.requests_remaining, limits.requests_reset),
            ("tokens", limits.tokens_remaining, limits.tokens_reset),
        ):
            if left is not None and reset is not None:
                self._served[what] = (left, now + reset)

    def forget(self) -> None:
        """The event loop of those who waited is gone, and what was under way with it."""
        self._queue.clear()
        self._under_way = 0
