"""Unit prices: what is counted, what one of it costs, and from when to when.

Money is exact. A price is a decimal string of US dollars for a million tokens (for a thousand requests or searches); in
memory it is an integer of yocto-dollars (10^-24 USD) for one, which holds every price of up to 18 decimals exactly, so
that a sum is a sum of integers and only its end is rounded.

A price may depend on the length of the input: above a threshold of input tokens the higher price is for *all* tokens of
the call. Prices of a model change by date and, with some, by the time of day: the last condition that holds counts, and
the first row where none holds. A service tier (batch included) has a price only where the data says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any

INPUT_UNITS = ("input", "cache_read", "cache_write", "cache_write_1h", "input_audio", "input_image")
OUTPUT_UNITS = ("output", "reasoning", "output_audio", "output_image")
FEE_UNITS = ("request", "web_search", "file_search")

PER: Mapping[str, int] = MappingProxyType(
    {**dict.fromkeys(INPUT_UNITS + OUTPUT_UNITS, 1_000_000), **dict.fromkeys(FEE_UNITS, 1000)}
)
"""For how many of a unit its price is given."""

_YOCTO = 24


@dataclass(frozen=True, slots=True)
class Rate:
    """The price of one token, request or search.

    Attributes:
        base: yocto-dollars.
        tiers: ``(start, yocto-dollars)``, rising: the price where the input has more than ``start`` tokens.
        dollars: the base as it is published: US dollars for a million tokens, or for a thousand of the others.
    """

    base: int
    tiers: tuple[tuple[int, int], ...]
    dollars: str

    @classmethod
    def read(cls, unit: str, price: str | Sequence[Any]) -> Rate:
        """From ``"2.5"``, or ``["2.5", 272000, "5"]`` with thresholds.

        Raises:
            ValueError: no decimal number, negative, or too fine to be held exactly.
        """
        texts = [price] if isinstance(price, str) else list(price)
        per = PER[unit]
        tiers = zip(texts[1::2], texts[2::2])  # noqa: B905  (a start and its price, from our own data)
        return cls(yocto(texts[0], per), tuple((int(start), yocto(text, per)) for start, text in tiers), texts[0])

    def at(self, input_tokens: int) -> int:
        """Yocto-dollars for one, in a call with so many input tokens."""
        price = self.base
        for start, above in self.tiers:
            if input_tokens > start:
                price = above
        return price


def yocto(dollars: str, per: int) -> int:
    """A published price as whole yocto-dollars for one.

    Raises:
        ValueError: no finite number that is not negative, or too fine to be held exactly.
    """
    sign, digits, exponent = Decimal(dollars).as_tuple()
    if sign or not isinstance(exponent, int) or exponent < -_YOCTO:
        raise ValueError(f"{dollars!r} is no price: a decimal number of US dollars is needed, not negative")
    whole: int = int("".join(map(str, digits))) * 10 ** (exponent + _YOCTO)
    one, rest = divmod(whole, per)
    if rest:
        raise ValueError(f"{dollars!r} is too fine: a price has at most 18 decimals")
    return one


def nano_half_even(amount: int) -> int:
    """Yocto-dollars as nano-dollars, a half to the even side."""
    whole, rest = divmod(amount, 10**15)
    half = 5 * 10**14
    return whole + (rest > half or (rest == half and whole % 2 == 1))


def nano_up(amount: int) -> int:
    """Yocto-dollars as nano-dollars, rounded up: for what must not be too little."""
    return -(-amount // 10**15)


Rates = Mapping[str, Rate]


@dataclass(frozen=True, slots=True)
class Condition:
    """When a price holds: from a day on, within a span of every day, or always. Times are UTC."""

    start: date | None = None
    span: tuple[time, time] | None = None

    @classmethod
    def read(cls, text: str | None) -> Condition:
        """From ``None``, ``"2026-10-14"`` or ``"00:30-16:30"``."""
        if text is None:
            return cls()
        if text[2] != ":":
            return cls(start=date.fromisoformat(text))
        begin, _, end = text.partition("-")
        return cls(span=(time.fromisoformat(begin), time.fromisoformat(end)))

    def holds(self, when: datetime) -> bool:
        """Whether it does at a moment in UTC."""
        if self.start is not None:
            return when.date() >= self.start
        if self.span is None:
            return True
        begin, end = self.span
        now = when.time()
        return now >= begin or now < end if end < begin else begin <= now < end


@dataclass(frozen=True, slots=True)
class Schedule:
    """All prices of a model.

    Attributes:
        standard: conditions and prices of the ordinary tier; the last one that holds counts.
        tiers: service tier -> conditions and the prices that differ there; the first one that holds counts.
    """

    standard: tuple[tuple[Condition, Rates], ...] = ()
    tiers: Mapping[str, tuple[tuple[Condition, Rates], ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, standard: Any, tiers: Mapping[str, Any] | None = None) -> Schedule:
        """From the rows of the data file: a mapping of prices, or a list of ``[condition, prices]``."""
        return cls(_rows(standard), {tier: _rows(rows) for tier, rows in (tiers or {}).items()})

    def rates(self, when: datetime, tier: str | None = None) -> Rates | None:
        """The prices at a moment.

        Args:
            when: the moment of the call; without a time zone it is UTC.
            tier: a service tier, or ``None`` for the ordinary one.

        Returns:
            Unit -> rate; ``None`` where the tier's price is not known.
        """
        moment = in_utc(when)
        standard = next((rates for condition, rates in reversed(self.standard) if condition.holds(moment)), None)
        if standard is None:
            standard = self.standard[0][1] if self.standard else {}
        if tier is None:
            return standard
        found = [rates for condition, rates in self.tiers.get(tier, ()) if condition.holds(moment)]
        if not found:
            return None
        merged = dict(standard)
        for rates in reversed(found):
            merged.update(rates)
        return merged

    def moments(self, when: datetime) -> Iterator[datetime]:
        """A moment, and those of the day after it at which a price may be another: midnight and the ends of spans."""
        moment = in_utc(when)
        yield moment
        times = {time(0)}
        for rows in (self.standard, *self.tiers.values()):
            times.update(edge for condition, _ in rows for edge in condition.span or ())
        for edge in sorted(times):
            at = datetime.combine(moment.date(), edge, timezone.utc)
            yield at if at >= moment else at + timedelta(days=1)


def _rows(rows: Any) -> tuple[tuple[Condition, Rates], ...]:
    if isinstance(rows, dict):
        rows = [[None, rows]]
    return tuple(
        (Condition.read(condition), {unit: Rate.read(unit, price) for unit, price in prices.items()})
        for condition, prices in rows
    )


def in_utc(when: datetime) -> datetime:
    """A moment in UTC; without a time zone it is taken to be in UTC."""
    return when.replace(tzinfo=timezone.utc) if when.tzinfo is None else when.astimezone(timezone.utc)
