"""The times at which the prices of a model hold: by date, time of day and service tier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING, Union

from .._schema.values import dataclass

if TYPE_CHECKING:
    from .prices import Rates


Moment = Union[datetime, int]
"""A moment: without a time zone it is UTC, and a number is microseconds since 1970, as the ledger counts."""
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class Condition:
    """Says when a price holds: from a day on, within a span of every day, or always. Times are UTC."""

    start: date | None = None
    span: tuple[time, time] | None = None

    def holds(self, when: datetime) -> bool:
        """Returns whether the price holds at a moment in UTC."""
        if self.start is not None:
            return when.date() >= self.start
        if self.span is None:
            return True
        begin, end = self.span
        now = when.time()
        return now >= begin or now < end if end < begin else begin <= now < end


@dataclass(frozen=True, slots=True)
class Schedule:
    """Holds all prices of a model.

    Attributes:
        standard: conditions and prices of the ordinary tier; the last one that holds counts.
        tiers: service tier -> conditions and the prices that differ there; the first one that holds counts.
    """

    standard: tuple[tuple[Condition, Rates], ...] = ()
    tiers: Mapping[str, tuple[tuple[Condition, Rates], ...]] = field(default_factory=dict)

    def rates(self, when: Moment, tier: str | None = None) -> Rates | None:
        """Returns the prices at a moment.

        Args:
            when: the moment of the call.
            tier: a service tier, or ``None`` for the ordinary one.

        Returns:
            Unit -> rate; ``None`` where the tier's price is not known.
        """
        if tier is None and len(self.standard) == 1:  # nearly every model
            return self.standard[0][1]
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

    def moments(self, when: Moment) -> Iterator[datetime]:
        """Yields a moment and the later ones of the next day at which the price may change: midnight and the ends of
        spans.
        """
        moment = in_utc(when)
        yield moment
        times = {time(0)}
        for rows in (self.standard, *self.tiers.values()):
            times.update(edge for condition, _ in rows for edge in condition.span or ())
        for edge in sorted(times):
            at = datetime.combine(moment.date(), edge, timezone.utc)
            yield at if at >= moment else at + timedelta(days=1)


def in_utc(when: Moment) -> datetime:
    """Returns a moment in UTC."""
    if isinstance(when, int):
        return _EPOCH + timedelta(microseconds=when)
    return when.replace(tzinfo=timezone.utc) if when.tzinfo is None else when.astimezone(timezone.utc)
