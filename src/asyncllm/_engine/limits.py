"""Limits on what a client sends: for the whole client, a provider and a model. Each limit has a meter.

The theory. An attempt passes its model's meter first, then its provider's, then the client's: whoever waits for a wide
limit holds up only those who would have to wait for it as well. A minute is any minute: what is counted is the last 60
seconds, not a calendar minute, so that two bursts never meet at its edge. Tokens are reserved before by an estimate
and corrected after by what the provider counted. The provider's own rate-limit headers count too: where it says that
nothing is left, nothing goes out until its reset, for a minute at most (then one attempt shows whether it is so).

The rules of a queue:

* The higher priority goes first, then the earlier call. A higher priority is worth at most half a minute of waiting,
  so a call of low priority waits a minute longer at most, and is always served.
* Only the first in the queue has an alarm clock, set to the moment at which a minute's window makes room; everything
  else that makes room (a reply, a correction, a caller who gives up) serves the queue at once.
* Everything here is synchronous but for the wait itself, so a cancellation, whenever it comes, leaves nothing taken.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import field
from heapq import heappop, heappush

import anyio

from .._config.sections import LimitBounds
from .._schema.response import RateLimits
from .._schema.values import dataclass
from ..errors import LimitTimeoutError
from .lifetime import Background
from .target import Key, Target

MINUTE = 60.0
SAMPLES = 128  # waiting times and latencies kept
_EARLY = 0.005  # seconds before the deadline at which a wait ends, so that its own error comes first
_HEAD_START = 30.0  # seconds that the highest priority is worth
_MOST_KEPT = 1000  # names of models come from callers: the memory of them is bounded


class QueuedCall:
    """A caller that waits in the queue. A lower ``rank`` is served first."""

    __slots__ = ("granted", "left", "rank", "reserved", "tokens", "wake")

    def __init__(self, rank: tuple[float, int], tokens: int) -> None:
        self.rank = rank
        self.tokens = tokens
        self.reserved: Reservation | None = None
        self.left = False
        self.wake = anyio.Event()

    def __lt__(self, other: QueuedCall) -> bool:
        return self.rank < other.rank


class Reservation:
    """What one attempt has reserved. `Meter.release` gives it back, `Meter.correct` corrects it."""

    __slots__ = ("at", "tokens")

    def __init__(self, at: float, tokens: int) -> None:
        self.at = at
        self.tokens = tokens


def head_start(priority: int) -> float:
    """Returns how many seconds earlier a call of this priority counts as having come. Negative for a low priority."""
    return _HEAD_START * priority / (1 + abs(priority))


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
        self._minute = MINUTE
        self._most_concurrent = math.inf if concurrent is None else concurrent
        self._most_requests = math.inf if requests is None else requests
        self._most_tokens = math.inf if tokens is None else tokens
        self._windowed = requests is not None or tokens is not None
        self._under_way = 0
        self._recent: deque[Reservation] = deque()
        self._recent_tokens = 0
        self._queue: list[QueuedCall] = []
        self._numbers = 0
        self._served: dict[str, tuple[int, float]] = {}  # the provider's own count: left, and until when that holds

    @property
    def depth(self) -> int:
        """The number of waiting callers."""
        return sum(not waiter.left for waiter in self._queue)

    @property
    def has_room(self) -> bool:
        """Whether a small attempt would pass now."""
        return not self._queue and self._free_at(1) <= self._clock()

    def wait(self, tokens: int) -> float:
        """Seconds until there is room, as far as the windows and the provider's count tell; 0 where nothing tells."""
        at = self._free_at(tokens if tokens <= self._most_tokens else int(self._most_tokens))
        return max(0.0, at - self._clock()) if math.isfinite(at) else 0.0

    @property
    def in_use(self) -> bool:
        """Whether an attempt runs or a caller waits."""
        return self._under_way > 0 or bool(self._queue)

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
        waiter = QueuedCall((self._clock() - head_start(priority), self._numbers), tokens)
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

    async def _sleep(self, waiter: QueuedCall, until: float) -> None:
        first = self._queue[0] is waiter
        alarm = min(until, self._free_at(waiter.tokens)) if first else until
        with anyio.move_on_after(max(0.0, alarm - self._clock())):
            await waiter.wake.wait()
        waiter.wake = anyio.Event()
        self._serve(awake=waiter)

    def _serve(self, awake: QueuedCall | None = None) -> None:
        """Lets the first callers through while there is room, and wakes the next one to compute its waiting time
        again.
        """
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
        """Returns the moment at which there is room for so many tokens: past, now, later, or infinity if unknown."""
        if self._under_way >= self._most_concurrent:
            return math.inf
        now = self._clock()
        recent = self._recent
        while recent and recent[0].at + self._minute <= now:
            self._recent_tokens -= recent.popleft().tokens
        at = now
        if len(recent) >= self._most_requests:
            at = recent[len(recent) - int(self._most_requests)].at + self._minute
        if recent and self._recent_tokens + tokens > self._most_tokens:
            at = max(at, self._room_for(tokens))
        for what, (left, until) in self._served.items():
            if until > now and left < (1 if what == "requests" else tokens):
                at = max(at, until)
        return at

    def _room_for(self, tokens: int) -> float:
        """Returns the moment at which so many tokens have left the window."""
        excess = self._recent_tokens + tokens - self._most_tokens
        at = 0.0
        for reservation in self._recent:
            if excess <= 0:
                break
            excess -= reservation.tokens
            at = reservation.at + self._minute
        return at

    # Giving back.

    def release(self) -> None:
        """Gives a reservation back after its attempt has ended."""
        self._under_way -= 1
        self._serve()

    def cancel(self, reservation: Reservation) -> None:
        """Gives a reservation back whose attempt was never made, as if nothing had been reserved."""
        self.correct(reservation, 0)
        if reservation in self._recent:
            self._recent.remove(reservation)
        self.release()

    def correct(self, reservation: Reservation, tokens: int) -> None:
        """Corrects a reservation by the provider's count. One that has left the window does not matter any more."""
        if self._windowed and reservation.at + self._minute > self._clock():
            self._recent_tokens += tokens - reservation.tokens
            reservation.tokens = tokens

    def observe(self, limits: RateLimits) -> None:
        """Uses what the provider says is left, until its reset."""
        now = self._clock()
        for what, left, reset in (
            ("requests", limits.requests_remaining, limits.requests_reset),
            ("tokens", limits.tokens_remaining, limits.tokens_reset),
        ):
            if left is not None and reset is not None:
                self._served[what] = (left, now + min(reset, self._minute))

    def forget(self) -> None:
        """Forgets all callers and attempts of an event loop that has ended."""
        self._queue.clear()
        self._under_way = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRules:
    """The limits of a client.

    Attributes:
        whole: of everything it sends.
        accounts: of each provider, by its name; of each deployment, by provider and deployment.
        models: of each model, by provider and model; of a deployment by provider, model and deployment.
    """

    whole: LimitBounds = field(default_factory=LimitBounds)
    accounts: Mapping[Key, LimitBounds] = field(default_factory=dict)
    models: Mapping[Key, LimitBounds] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.whole) or any(self.accounts.values()) or any(self.models.values())


UNLIMITED = LimitBounds()
USUAL_QUESTION_LIMITS = LimitBounds(concurrent=32)
"""Of what is asked of a provider besides calls (lists, counts, proofs), each provider by itself."""


class LimitTurn:
    """What one attempt has reserved on its meters."""

    __slots__ = ("held", "waited")

    def __init__(self, waited: float, held: list[tuple[Meter, Reservation]]) -> None:
        self.waited: float = waited
        self.held: list[tuple[Meter, Reservation]] = held

    def ended(self, tokens: int | None, limits: RateLimits | None) -> None:
        """Ends the attempt's reservations. ``tokens`` is what it used, if known."""
        held, self.held = self.held, []
        for meter, reservation in held:
            if tokens is not None:
                meter.correct(reservation, tokens)
        if limits is not None and held:
            held[0][0].observe(limits)
        for meter, _ in held:
            meter.release()

    def cancel(self) -> None:
        """Gives the reservations back, as no attempt was made."""
        held, self.held = self.held, []
        for meter, reservation in held:
            meter.cancel(reservation)


class Limits:
    """The meters of one client; made only where something is limited.

    Args:
        rules: the limits.
        clock: the time, in seconds.
        usual: the limit of a provider that the rules do not name.
    """

    def __init__(self, rules: LimitRules, clock: Callable[[], float], *, usual: LimitBounds = UNLIMITED) -> None:
        self._rules = rules
        self._clock = clock
        self._usual = usual
        self._meters: dict[Key, tuple[Meter, ...]] = {}
        self._whole = self._meter("this client", rules.whole)
        self._wide: dict[tuple[str, Key], Meter] = {}
        self._waits: dict[Key, deque[float]] = {}

    def _meter(self, name: str, bounds: LimitBounds) -> Meter:
        return Meter(
            name,
            self._clock,
            concurrent=bounds.concurrent,
            requests=bounds.requests_per_minute,
            tokens=bounds.tokens_per_minute,
        )

    def _meters_of(self, key: Key) -> tuple[Meter, ...]:
        """Returns the meters that an attempt must pass, the narrowest first; none if nothing limits it."""
        found = self._meters.get(key)
        if found is None:
            found = self._make(key)
            if len(self._meters) >= _MOST_KEPT:
                self._forget_one()
            self._meters[key] = found
        return found

    def _make(self, key: Key) -> tuple[Meter, ...]:
        name, model, *deployment = key
        rules = self._rules
        own = rules.models.get(key, UNLIMITED)
        account = rules.accounts.get((name, *deployment), UNLIMITED if deployment else self._usual)
        account_name = f"{name}/{deployment[0]}/*" if deployment else name
        wide = [self._wide_meter(account_name, "account", (name, *deployment), account)]
        bounds = [own, account, rules.whole]
        if deployment:  # the limits of the entry hold for all its deployments together
            entry, entry_model = rules.accounts.get((name,), self._usual), rules.models.get(key[:2], UNLIMITED)
            bounds += [entry, entry_model]
            wide += [
                self._wide_meter(f"{name}/{model}", "model", key[:2], entry_model),
                self._wide_meter(name, "account", (name,), entry),
            ]
        if not any(bounds):
            return ()
        return (self._meter("/".join((name, *deployment, model)), own), *wide, self._whole)

    def _wide_meter(self, name: str, of: str, key: Key, bounds: LimitBounds) -> Meter:
        """A meter that several keys share."""
        return self._wide.get((of, key)) or self._wide.setdefault((of, key), self._meter(name, bounds))

    def room(self, target: Target) -> bool:
        """Whether an attempt would not have to wait, as far as it is known without its number of tokens."""
        return all(meter.has_room for meter in self._meters_of(target.key))

    def wait(self, target: Target, tokens: int) -> float:
        """Seconds until an attempt can pass, as far as it is known; 0 where it is not."""
        return max([meter.wait(tokens) for meter in self._meters_of(target.key)], default=0.0)

    def _forget_one(self) -> None:
        """Removes the oldest name without a limit of its own that is not in use."""
        for key, meters in self._meters.items():
            if key not in self._rules.models and not (meters and meters[0].in_use):
                del self._meters[key]
                self._waits.pop(key, None)
                return

    async def acquire(
        self, target: Target, count: Callable[[], int], priority: int, seconds: float
    ) -> LimitTurn | None:
        """Waits for its turn under every limit. Returns None if nothing limits the target.

        Args:
            target: where the attempt goes.
            count: estimates the tokens that the attempt takes; called only where something is limited.
            priority: a higher one goes first.
            seconds: how long it waits at most.

        Raises:
            LimitTimeoutError: its turn did not come in time.
        """
        meters = self._meters_of(target.key)
        if not meters:
            return None
        tokens = count()
        began = self._clock()
        held: list[tuple[Meter, Reservation]] = []
        try:
            for meter in meters:
                reservation = await meter.acquire(tokens, priority, began + seconds)
                held.append((meter, reservation))
        except BaseException:
            LimitTurn(0.0, held).cancel()
            raise
        waited = self._clock() - began
        waits = self._waits.get(target.key)
        if waits is None:
            waits = self._waits[target.key] = deque(maxlen=SAMPLES)
        waits.append(waited)
        return LimitTurn(waited, held)

    def queue(self, key: Key) -> tuple[int, float | None]:
        """How many calls wait on the way to a target, and how many seconds the last ones waited, on average."""
        meters = self._meters.get(key) or ()
        waits = tuple(self._waits.get(key, ()))
        return sum(meter.depth for meter in meters), sum(waits) / len(waits) if waits else None

    def attach(self, background: Background) -> None:
        """Works on another event loop from now on: what waited or was under way is gone with the former one.

        Args:
            background: starts tasks on it.
        """
        self.forget()

    def forget(self) -> None:
        """Forgets all callers and attempts of an event loop that has ended."""
        for meter in {meter for meters in self._meters.values() for meter in meters}:
            meter.forget()

    async def aclose(self) -> None:
        """Ends what it holds outside this process: nothing."""
