"""How much a client sends: limits of the whole client, of a provider and of a model, each with its own meter.

An attempt passes its model's meter first, then its provider's, then the client's: whoever waits for a wide limit holds
up only those who would have to wait for it as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .._schema.request import Request
from .._schema.response import RateLimits
from ..errors import LimitTimeoutError
from .breaker import SAMPLES
from .estimate import estimate
from .meter import Meter, Reservation
from .router import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one limit allows; None for no bound."""

    concurrent: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    def __bool__(self) -> bool:
        return self != Bounds()


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRules:
    """The limits of a client.

    Attributes:
        whole: of everything it sends.
        providers: of each provider.
        models: of each model, by provider and model.
    """

    whole: Bounds = Bounds()
    providers: Mapping[str, Bounds] = field(default_factory=dict)
    models: Mapping[tuple[str, str], Bounds] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.whole) or any(self.providers.values()) or any(self.models.values())


class Ticket:
    """What one attempt holds of the meters it passed."""

    __slots__ = ("_held", "waited")

    def __init__(self, waited: float, held: list[tuple[Meter, Reservation]]) -> None:
        self.waited = waited
        self._held = held

    def ended(self, tokens: int | None, limits: RateLimits | None) -> None:
        """The attempt is over; ``tokens`` is what it took, where that is known."""
        held, self._held = self._held, []
        for meter, reservation in held:
            if tokens is not None:
                meter.correct(reservation, tokens)
        if limits is not None and held:
            held[0][0].observe(limits)
        for meter, _ in held:
            meter.release()

    def cancel(self) -> None:
        """The attempt was never made."""
        held, self._held = self._held, []
        for meter, reservation in held:
            meter.cancel(reservation)


class Limits:
    """The meters of one client; made only where something is limited.

    Args:
        rules: the limits.
        clock: the time, in seconds.
    """

    def __init__(self, rules: LimitRules, clock: Callable[[], float]) -> None:
        self._rules = rules
        self._clock = clock
        self._meters: dict[tuple[str, str], tuple[Meter, ...]] = {}
        self._whole = self._meter("this client", rules.whole)
        self._providers: dict[str, Meter] = {}
        self._waits: dict[tuple[str, str], deque[float]] = {}

    def _meter(self, name: str, bounds: Bounds) -> Meter:
        return Meter(
            name,
            self._clock,
            concurrent=bounds.concurrent,
            requests=bounds.requests_per_minute,
            tokens=bounds.tokens_per_minute,
        )

    def _meters_of(self, key: tuple[str, str]) -> tuple[Meter, ...]:
        """The meters an attempt passes, the narrowest first; none where nothing limits it."""
        found = self._meters.get(key)
        if found is None:
            name, model = key
            rules = self._rules
            bounds = rules.models.get(key, Bounds()), rules.providers.get(name, Bounds()), rules.whole
            found = ()
            if any(bounds):
                provider = self._providers.setdefault(name, self._meter(name, bounds[1]))
                found = (self._meter(f"{name}/{model}", bounds[0]), provider, self._whole)
            if len(self._meters) < 1000:  # model names come from callers: the memory of them is bounded
                self._meters[key] = found
        return found

    async def acquire(self, target: Target, request: Request, priority: int, seconds: float) -> Ticket | None:
        """Waits for its turn under every limit, at most so many seconds; None where nothing limits the target.

        Raises:
            LimitTimeoutError: it did not come in time.
        """
        meters = self._meters_of(target.key)
        if not meters:
            return None
        tokens = sum(estimate(request))
        began = self._clock()
        held: list[tuple[Meter, Reservation]] = []
        try:
            for meter in meters:
                reservation = await meter.acquire(tokens, priority, began + seconds)
                held.append((meter, reservation))
        except BaseException as error:
            Ticket(0.0, held).cancel()
            if isinstance(error, LimitTimeoutError):
                error.provider, error.model = target.key
            raise
        waited = self._clock() - began
        waits = self._waits.get(target.key)
        if waits is None:
            waits = self._waits[target.key] = deque(maxlen=SAMPLES)
        waits.append(waited)
        return Ticket(waited, held)

    def queue(self, key: tuple[str, str]) -> tuple[int, float | None]:
        """How many calls wait on the way to a target, and how many seconds the last ones waited, on average."""
        meters = self._meters.get(key) or ()
        waits = tuple(self._waits.get(key, ()))
        return sum(meter.depth for meter in meters), sum(waits) / len(waits) if waits else None

    def forget(self) -> None:
        """The event loop is gone, and all that waited or was under way with it."""
        for meter in {meter for meters in self._meters.values() for meter in meters}:
            meter.forget()
