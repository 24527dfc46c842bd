"""Budgets: how much calls may cost in a window of time, and what a call reserves until it is settled.

A call whose ``spent + reserved + upper bound`` would pass the limit of a hard budget waits for the reservations in
flight, or is refused where what is spent leaves too little for it; a warning budget lets it go. Spent counts in the
window in which a call was opened, whenever it ends. What a call costs beyond what it had reserved is counted as
excess, never hidden; a call whose cost nobody knows is charged what it had reserved.

A scope with ``"*"`` for a value gives every such value a budget of its own. A window's identity is its period, zone,
scope and whether it is hard, not its limit: a changed limit keeps what was spent.

A window begins when the local clock of its zone shows its first minute: days have 23 or 25 hours where the clock
changes, and an hour that is shown twice is two windows. A week begins on Monday.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .._config.rules import NANO_DOLLARS, Rule, above, at_least
from .._config.sections import Name
from .._schema.request import ASSUMED_OUTPUT_TOKENS
from .._schema.values import dataclass
from ..errors import BudgetExceededError
from .columns import SCOPES, Head
from .units import to_dollars, to_microseconds, to_moment

EACH = "*"

OnError = Literal["error", "warn"]


def _known_zone(name: str) -> str:
    if name != "UTC":
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"{name!r} is no known time zone; on a system without time zones: python -m pip install tzdata"
            ) from None
    return name


Period = Literal["hour", "day", "week", "month", "session", "total"]
_HOUR = timedelta(hours=1)


def zone_of(name: str) -> tzinfo:
    """Returns the time zone of a name; UTC is there on systems without time zones (Windows) too.

    Raises:
        ValueError: it is not known on this system.
    """
    if name == "UTC":
        return timezone.utc
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"{name!r} is no known time zone") from error


def window_of(period: Period, zone: tzinfo, microseconds: int) -> tuple[int, int | None]:
    """Returns the start of the window that contains a moment, and of the next one (None if it never ends), in
    microseconds.
    """
    bounds = _BOUNDS.get(period)
    if bounds is None:  # a session, or everything
        return 0, None
    start, end = bounds(to_moment(microseconds).astimezone(zone), zone)
    return to_microseconds(start), to_microseconds(end)


def _midnight(day: date, zone: tzinfo) -> datetime:
    # Where the clock skips midnight, the zone's rule before the jump makes it the moment of the jump itself.
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(timezone.utc)


def _hour(local: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    start = local.astimezone(timezone.utc) - past
    return start, start + _HOUR


def _day(local: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    today = local.date()
    return _midnight(today, zone), _midnight(today + timedelta(days=1), zone)


def _week(local: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    monday = local.date() - timedelta(days=local.weekday())
    return _midnight(monday, zone), _midnight(monday + timedelta(days=7), zone)


def _month(local: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    first = local.date().replace(day=1)
    return _midnight(first, zone), _midnight((first + timedelta(days=31)).replace(day=1), zone)


_BOUNDS: Mapping[str, Callable[[datetime, tzinfo], tuple[datetime, datetime]]] = MappingProxyType(
    {"hour": _hour, "day": _day, "week": _week, "month": _month}
)


@dataclass(frozen=True, slots=True, init=False)
class Scope:
    """Which calls a budget counts: those that fit every key that is set. "*" gives each value a budget of its own.

    Attributes:
        keys: column -> the value a call must have there, sorted.
        tags: tag -> the value it must have, sorted.
    """

    keys: tuple[tuple[str, str], ...]
    tags: tuple[tuple[str, str], ...]

    def __init__(self, *, tags: Mapping[str, str] | None = None, **keys: str | None) -> None:
        """Limits a budget; without arguments it counts all calls.

        Args:
            tags: tags a call must carry.
            **keys: ``provider`` (its configured name), ``deployment``, ``model``, ``user`` and ``agent``: what a call
                must have there, or ``"*"`` for a budget of its own for each value.

        Raises:
            TypeError: an unknown key.
        """
        for name in keys:
            if name not in SCOPES:
                raise TypeError(f"a budget cannot be limited to a {name!r}; choose from {', '.join(SCOPES)} or tags")
        named = ((name, keys.get(name)) for name in SCOPES)
        object.__setattr__(self, "keys", tuple((name, value) for name, value in named if value))
        object.__setattr__(self, "tags", tuple(sorted((tags or {}).items())))

    def wanted(self) -> tuple[tuple[str, str], ...]:
        """Column, or ``tag:name``, with the value that a call must have there."""
        return (*self.keys, *((f"tag:{tag}", value) for tag, value in self.tags))

    @staticmethod
    def written_keys() -> Mapping[str, Any]:
        """What a configuration may say, with the type of each key."""
        columns = {name: Annotated[Name | None, f"The {name}, as records have it."] for name in SCOPES}
        return {**columns, "tags": Annotated[Mapping[Name, Name] | None, "Tags a call must carry."]}

    def values(self, head: Head) -> tuple[tuple[str, str], ...] | None:
        """The keys that are set with what the call has there; None where the call is not in the scope."""
        found = []
        for name, wanted in self.wanted():
            tag = name.removeprefix("tag:")
            actual = getattr(head, name) if tag == name else (head.tags or {}).get(tag)
            if actual is None or wanted not in (EACH, actual):
                return None
            found.append((name, actual))
        return tuple(found)

    @property
    def is_each(self) -> bool:
        """Whether each value has a window of its own."""
        return any(value == EACH for _, value in self.wanted())

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.wanted()) or "all calls"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A limit on what calls may cost.

    Attributes:
        limit: nano-dollars; the configuration has it in US dollars.
        name: what people call it; made from the rest where it is empty.
    """

    limit: Annotated[int, above(0), NANO_DOLLARS, "US dollars."]
    per: Annotated[Period, "The window; session is the life of one client, total never starts anew."] = "day"
    timezone: Annotated[Name, Rule(_known_zone), "The zone whose clock begins the windows, as Europe/Berlin."] = "UTC"
    scope: Annotated[Scope, "Without it every call counts."] = field(default_factory=Scope)
    on_exceed: Annotated[
        Literal["error", "warn"], "error refuses the call before it is sent; warn sends it and logs a warning."
    ] = "error"
    assume_output_tokens: Annotated[int, at_least(1), "Output tokens reserved for a call that sets no max_tokens."] = (
        ASSUMED_OUTPUT_TOKENS
    )
    wait: Annotated[
        float, at_least(0), "Seconds a call waits for reservations in flight, where it would fit without them."
    ] = 30
    on_error: Annotated[OnError, "When the ledger cannot reserve: error refuses the call, warn lets it go."] = "error"
    name: Annotated[str, "What errors and alerts call it; made from the rest when left out."] = ""

    def __post_init__(self) -> None:
        if not self.name:
            zone = "" if self.timezone == "UTC" else f" ({self.timezone})"
            object.__setattr__(self, "name", f"{self.per}{zone}: {self.scope}")

    @property
    def hard(self) -> bool:
        """Whether what does not fit is refused."""
        return self.on_exceed == "error"

    @property
    def zone(self) -> tzinfo:
        """The time zone whose clock begins the windows."""
        return zone_of(self.timezone)

    def __str__(self) -> str:
        return f"${to_dollars(self.limit):f} for {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A window of a budget that one call is charged to.

    Attributes:
        key: what the window is of: period, zone and scope.
        start: its first microsecond; 0 where it has no beginning.
        end: the first microsecond after it; None where it never ends.
        scope: column or ``tag:name`` -> value of the records that count in it; None where nobody knows any more.
        budget: the limit; None where this process has no such budget (a row of another one).
        place: of the budget among those of this process.
    """

    key: str
    start: int
    end: int | None = None
    scope: tuple[tuple[str, str], ...] | None = ()
    budget: Budget | None = None
    place: int = -1

    @property
    def window(self) -> tuple[str, int]:
        """What the store finds the window by."""
        return self.key, self.start


@dataclass(frozen=True, slots=True)
class Hold:
    """What a call reserves in each of its windows: an upper bound of its cost.

    Attributes:
        amount: nano-dollars; None where the model has no price, which a hard budget refuses.
        charges: the windows, sorted.
    """

    amount: int | None
    charges: tuple[Charge, ...]

    def patience(self, windows: Mapping[tuple[str, int], Window]) -> float:
        """Seconds that the call may wait for room: none where what is spent leaves too little anyway."""
        if self.amount is None:
            return 0
        hard = [(charge, charge.budget) for charge in self.charges if charge.budget is not None and charge.budget.hard]
        for charge, budget in hard:
            window = windows[charge.window]
            if window.counted + self.amount > budget.limit + window.raised:
                return 0
        return min((budget.wait for _, budget in hard), default=0)

    @property
    def hard(self) -> bool:
        """Whether a budget may refuse the call."""
        return any(charge.budget is not None and charge.budget.hard for charge in self.charges)

    def written(self) -> tuple[int | None, tuple[tuple[Any, ...], ...]]:
        """The reservation in plain values, for a journal."""
        return self.amount, tuple((one.key, one.start, one.end, one.scope, one.place) for one in self.charges)

    @property
    def on_error(self) -> OnError | None:
        """What the strictest hard budget says about a ledger that cannot write; None without one."""
        rules = {charge.budget.on_error for charge in self.charges if charge.budget is not None and charge.budget.hard}
        return "error" if "error" in rules else "warn" if rules else None


class Budgets:
    """The budgets of a client, and which windows a call is charged to."""

    __slots__ = ("_all", "_identities", "_now")

    def __init__(self, budgets: Sequence[Budget] = ()) -> None:
        self._all = tuple(budgets)
        self._identities: list[tuple[str, ...]] = []
        for budget in self._all:
            identity: tuple[str, ...] = (
                budget.per,
                str(budget.zone),
                str(budget.scope),
                "hard" if budget.hard else "warn",
            )
            while identity in self._identities:  # two budgets that are alike each have a window of their own
                identity = (*identity, "again")
            self._identities.append(identity)
        self._now: dict[int, tuple[int, int | None]] = {}

    def __iter__(self) -> Iterator[Budget]:
        return iter(self._all)

    def __bool__(self) -> bool:
        return bool(self._all)

    def named(self, name: str) -> Budget:
        """The budget of a name.

        Raises:
            ValueError: there is none; the sentence lists those there are.
        """
        for budget in self._all:
            if budget.name == name:
                return budget
        raise ValueError(f"no budget is called {name!r}; there are: {', '.join(b.name for b in self._all) or 'none'}")

    def charges(self, head: Head, microseconds: int) -> tuple[Charge, ...]:
        """The windows that a call opened at a moment is charged to, in the order in which stores lock them."""
        found = []
        for index, budget in enumerate(self._all):
            values = budget.scope.values(head)
            if values is not None:
                found.append(self._charge(index, budget, values, head.session, microseconds))
        return tuple(sorted(found, key=_by_window)) if len(found) > 1 else tuple(found)

    def current(self, budget: Budget, session: str, microseconds: int) -> Charge:
        """The window of a budget at a moment, for a scope without ``"*"``.

        Raises:
            ValueError: the scope has a ``"*"``: name the value, by `Budgets.charges`.
        """
        if budget.scope.is_each:
            raise ValueError(f"the budget {budget.name!r} has a window for each value of its scope; say which one")
        return self._charge(self._all.index(budget), budget, budget.scope.wanted(), session, microseconds)

    def window(self, budget: Budget, head: Head | None, session: str, microseconds: int) -> Charge:
        """The current window of a budget: the one that a call is charged to, where it has several.

        Raises:
            ValueError: it has a window for each value and no head is given, or the head is in none.
        """
        if head is None:
            return self.current(budget, session, microseconds)
        for charge in self.charges(head, microseconds):
            if charge.budget is budget:
                return charge
        raise ValueError(f"the budget {budget.name!r} does not count such a call")

    def _charge(
        self, index: int, budget: Budget, values: tuple[tuple[str, str], ...], session: str, microseconds: int
    ) -> Charge:
        if budget.per == "session":
            values = (*values, ("session", session))
        start, end = self._window(index, budget, microseconds)
        per, zone, _, *rest = self._identities[index]
        key = json.dumps([per, zone, *rest, *values], separators=(",", ":"))
        return Charge(key=key, start=start, end=end, scope=values, budget=budget, place=index)

    def _window(self, index: int, budget: Budget, microseconds: int) -> tuple[int, int | None]:
        known = self._now.get(index)
        if known is None or microseconds < known[0] or (known[1] is not None and microseconds >= known[1]):
            known = self._now[index] = window_of(budget.per, budget.zone, microseconds)
        return known


def _by_window(charge: Charge) -> tuple[str, int]:
    return charge.window


@dataclass(slots=True)
class Window:
    """What a window holds, in nano-dollars.

    Attributes:
        spent: charged by settled calls.
        reserved: held by calls that are not settled yet.
        excess: what calls cost beyond what they had reserved.
        raised: added to the limit for this window only.
        forgiven: spent money that no longer counts, after a reset.
        alerted: the highest alert given: 0, 90 or 100 per cent.
    """

    spent: int = 0
    reserved: int = 0
    excess: int = 0
    raised: int = 0
    forgiven: int = 0
    alerted: int = 0

    @property
    def counted(self) -> int:
        """The part of the spent amount that counts against the limit."""
        return self.spent - self.forgiven


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStatus:
    """Where a budget stands, in US dollars.

    Attributes:
        name: the budget's.
        scope: the values its window is for.
        limit: with what it was raised by.
        spent: since the window began or the budget was reset.
        reserved: held by calls under way.
        excess: what calls cost beyond what they had reserved.
        resets_at: when the window ends, UTC; None where it never does.
    """

    name: str
    scope: Mapping[str, str]
    limit: Decimal
    spent: Decimal
    reserved: Decimal
    excess: Decimal
    resets_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A budget has reached a level; given once a window.

    Attributes:
        level: 90 or 100, in per cent of the limit.
        status: where the budget stands.
    """

    level: int
    status: BudgetStatus

    def __str__(self) -> str:
        status = self.status
        return (
            f"budget {status.name!r} has reached {self.level}%: ${status.spent:f} of ${status.limit:f} spent"
            f"{_until(status.resets_at)}"
        )

    def facts(self) -> dict[str, Any]:
        """The alert as fields of a log record or of JSON; money as decimal text."""
        status = self.status
        return {
            "budget": status.name,
            "level": self.level,
            "scope": dict(status.scope),
            "limit": f"{status.limit:f}",
            "spent": f"{status.spent:f}",
            "reserved": f"{status.reserved:f}",
            "resets_at": None if status.resets_at is None else status.resets_at.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRefusal:
    """Calls that a hard budget turned away within an hour.

    Attributes:
        hour: when the hour began, UTC.
        budget: the budget's name.
        provider: the configured name of the provider that would have been asked.
        model: the model that would have been asked.
        user: for whom; None where the calls did not say.
        count: how many.
    """

    hour: datetime
    budget: str
    provider: str
    model: str
    user: str | None
    count: int

    @classmethod
    def of(cls, row: Sequence[Any]) -> BudgetRefusal:
        """From the values of a `RefusalKey`, and how many there were."""
        hour, budget, provider, model, user, count = row
        moment = to_moment(hour * _HOUR_LONG)
        return cls(hour=moment, budget=budget, provider=provider, model=model, user=user or None, count=count)


def refusal_key(head: Head, microseconds: int, error: BudgetExceededError) -> RefusalKey:
    """Returns the hour, and what a refusal is counted by."""
    return microseconds // _HOUR_LONG, error.budget or "", head.provider, head.model, head.user or ""


RefusalKey = tuple[int, str, str, str, str]
_HOUR_LONG = 3_600_000_000  # microseconds


def hours_between(start: int | None, end: int | None) -> tuple[int, int]:
    """Returns the first hour, and the first one after them, for two moments in microseconds."""
    return 0 if start is None else start // _HOUR_LONG, (1 << 62) if end is None else -(-end // _HOUR_LONG)


def status_of(charge: Charge, budget: Budget, window: Window) -> BudgetStatus:
    """Returns the status of a window for users."""
    return BudgetStatus(
        name=budget.name,
        scope=dict(charge.scope or ()),
        limit=to_dollars(budget.limit + window.raised),
        spent=to_dollars(window.counted),
        reserved=to_dollars(window.reserved),
        excess=to_dollars(window.excess),
        resets_at=None if charge.end is None else to_moment(charge.end),
    )


def exceeded(charge: Charge, budget: Budget, window: Window, amount: int | None, head: Head) -> BudgetExceededError:
    """Returns the error for a refused call, with all that a user needs to react."""
    status = status_of(charge, budget, window)
    if amount is None:
        reason = (
            f"{head.model} of {head.provider} has no price, so the hard budget {budget.name!r} cannot count it; "
            f"set catalog.prices in the configuration, or on_exceed: warn"
        )
    else:
        reason = (
            f"the budget {budget.name!r} has no room for this call: up to ${to_dollars(amount):f} needed, "
            f"${status.spent:f} spent and ${status.reserved:f} reserved of ${status.limit:f}"
            f"{_until(status.resets_at)}"
        )
    return BudgetExceededError(
        reason,
        provider=head.provider,
        model=head.model,
        budget=budget.name,
        scope=status.scope,
        limit=status.limit,
        spent=status.spent,
        reserved=status.reserved,
        resets_at=status.resets_at,
    )


def _until(moment: datetime | None) -> str:
    return "" if moment is None else f"; the window ends {moment:%Y-%m-%d %H:%M} UTC"
