"""Windows of time: hour, day, week and month in a time zone, as moments in UTC.

Moments are integer microseconds since 1970, so a window is the same on every machine. A window begins when the local
clock shows its first minute: days have 23 or 25 hours where the clock changes, and an hour that is shown twice is two
windows. A week begins on Monday.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta, timezone, tzinfo
from types import MappingProxyType
from typing import Literal

Period = Literal["hour", "day", "week", "month", "session", "total"]

MICROSECONDS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_HOUR = timedelta(hours=1)


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970; a moment without a time zone is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return (moment - _EPOCH) // _MICROSECOND


def to_moment(microseconds: int) -> datetime:
    """The moment, in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def window_of(period: Period, zone: tzinfo, microseconds: int) -> tuple[int, int | None]:
    """The first microsecond of the window that a moment is in, and of the next one; None where it never ends."""
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
