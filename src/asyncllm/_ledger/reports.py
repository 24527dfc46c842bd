"""Reports: sums of records, by groups.

Stores add up by the dimensions, in one pass, and join the latencies of each group into a text of buckets; `merge` reads
the percentiles from them (within 1%). Sums are of what is known: how many records had no cost is told beside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any

from .budgets import Period, window_of
from .columns import DIMENSIONS, TOKENS, latency_of
from .rollups import FIGURES, counted
from .units import MICROSECONDS, to_dollars, to_moment

TIME_DIMENSIONS: tuple[Period, ...] = ("hour", "day", "week", "month")
_QUARTER, _HOUR, _DAY = 900 * MICROSECONDS, 3_600 * MICROSECONDS, 86_400 * MICROSECONDS
TAG = "tag"
ONE_TAG = "tag:"
SUMS = (
    "requests",
    "calls",
    "failures",
    "unpriced",
    "cost",
    "saved",
    "retry_cost",
    "fallback_cost",
    "rated",
    *TOKENS,
)
"""The sums of a row of a report, in the order of its columns in a table."""
_MONEY = ("cost", "saved", "retry_cost", "fallback_cost")
_YEARS = 30 * 365


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """The usage and cost of a group of attempts.

    Attributes:
        group: dimension -> value; None where the records have none. Hours, days, weeks and months are the moments at
            which they begin, in the report's time zone.
        requests: HTTP attempts.
        calls: calls whose first attempt is in the group.
        failures: those that ended in an error, interrupted or unknown; cancelled ones are none.
        unpriced: attempts whose cost is not known; ``cost`` is without them.
        cost: US dollars.
        saved: US dollars that caches spared: the providers' prompt caches, and replies that were not asked for again.
        retry_cost: the part of ``cost`` for asking the model of the call again.
        fallback_cost: the part of ``cost`` for asking another model instead.
        rated: how many answers were rated, by ``ledger.rate``.
        score: the mean of their scores; None without any.
        input_tokens: the sum of what is known, as are the other counts; None where nothing is.
        latency_mean: seconds that a successful attempt took on average; None without any.
        latency_p50: seconds that half of the successful attempts took at most; None without any.
        latency_p95: the same for 95 of 100.
    """

    group: Mapping[str, Any]
    requests: int
    calls: int
    failures: int
    unpriced: int
    cost: Decimal
    saved: Decimal
    retry_cost: Decimal
    fallback_cost: Decimal
    rated: int
    score: float | None
    input_tokens: int | None
    output_tokens: int | None
    total_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    input_audio_tokens: int | None
    output_audio_tokens: int | None
    input_image_tokens: int | None
    output_image_tokens: int | None
    latency_mean: float | None
    latency_p50: float | None
    latency_p95: float | None

    @property
    def failure_rate(self) -> float:
        """The part of the attempts that failed, 0 to 1."""
        return self.failures / self.requests

    def as_dict(self) -> dict[str, Any]:
        """The group and the figures in one flat dict, for a table: ``DataFrame([row.as_dict() for row in rows])``."""
        figures = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "group"}
        return {**self.group, **figures, "failure_rate": self.failure_rate}


def check_dimensions(dimensions: Sequence[str]) -> None:
    """Checks the dimensions of a report.

    Raises:
        ValueError: an unknown dimension, or one twice.
    """
    if isinstance(dimensions, str):
        raise ValueError(f"by is a list of what to group by; write by=[{dimensions!r}]")  # noqa: TRY004
    known = (*DIMENSIONS, *TIME_DIMENSIONS, TAG)
    for name in dimensions:
        if name not in known and not (name.startswith(ONE_TAG) and len(name) > len(ONE_TAG)):
            raise ValueError(f"reports cannot group by {name!r}; choose from {', '.join(known)} or tag:NAME")
    if len(set(dimensions)) != len(dimensions):
        raise ValueError("a report groups by each dimension once")


def step_of(dimensions: Sequence[str], zone: tzinfo) -> int:
    """Returns the length in microseconds of the pieces of time that a store sums up: days where the zone is UTC, else
    hours; quarters of an hour fit into every time zone.
    """
    if zone is timezone.utc or not any(name in TIME_DIMENSIONS for name in dimensions):
        return _HOUR if "hour" in dimensions else _DAY
    return _HOUR if _begins_at_hours(zone) else _QUARTER


def zone_of_days(dimensions: Sequence[str], zone: tzinfo) -> tzinfo | None:
    """Returns the zone whose days a store can add up by itself; None where its pieces of time are as good."""
    by_days = "hour" not in dimensions and any(name in TIME_DIMENSIONS for name in dimensions)
    return zone if by_days and zone is not timezone.utc else None


def _begins_at_hours(zone: tzinfo) -> bool:
    """Whether the clock of a zone has always differed from UTC by whole hours, as far as records go back."""
    now = datetime.now(timezone.utc)
    for days in range(-400, _YEARS, 30):
        offset = (now - timedelta(days=days)).astimezone(zone).utcoffset()
        if offset is not None and offset.total_seconds() % 3600:
            return False
    return True


def spans(start: int, end: int, zone: tzinfo) -> Iterator[tuple[int, int, int]]:
    """Divides time where the clock of a zone is changed: (first microsecond, first after it, microseconds from UTC)."""

    def offset_at(moment: int) -> int:
        found = to_moment(moment).astimezone(zone).utcoffset()
        return 0 if found is None else found // timedelta(microseconds=1)

    begin, at, offset = start, start, offset_at(start)
    while at < end:
        later = min(at + _DAY, end)
        if offset_at(later) != offset:  # clocks are changed at quarters of an hour of UTC
            later = at // _QUARTER * _QUARTER + _QUARTER
            while offset_at(later) == offset:
                later += _QUARTER
            if later >= end:
                break
            yield begin, later, offset
            begin, offset = later, offset_at(later)
        at = later
    yield begin, end, offset


def merge(
    dimensions: Sequence[str], sums: Iterable[Sequence[Any]], zone: tzinfo = timezone.utc, step: int = _DAY
) -> list[ReportRow]:
    """Adds the groups of a store up. The most expensive group comes first; times keep their order.

    Args:
        dimensions: what is grouped by.
        sums: from a store; a group may come several times.
        zone: whose clock begins hours, days, weeks and months.
        step: from `step_of`, as the store was told.
    """
    width = len(dimensions)
    groups: dict[tuple[Any, ...], _Group] = {}
    begins: dict[tuple[Period, int], int] = {}

    def begin(period: Period, piece: int) -> int:
        found = begins.get((period, piece))
        if found is None:
            found = begins[period, piece] = window_of(period, zone, piece * step)[0]
        return found

    times = [(place, period) for place, period in enumerate(dimensions) if period in TIME_DIMENSIONS]
    for row in sums:
        key = tuple(row[:width])
        for place, period in times:
            key = (*key[:place], begin(period, int(row[place])), *key[place + 1 :])
        group = groups.get(key)
        if group is None:
            group = groups[key] = _Group()
        group.add(row[width], row[width + 1], row[width + 2 :])
    rows = [group.row(dimensions, key, zone) for key, group in groups.items()]
    by_time = [name for name in dimensions if name in TIME_DIMENSIONS]
    rows.sort(key=lambda row: (*(row.group[name] for name in by_time), -row.cost, -row.requests, str(row.group)))
    return rows


class _Group:
    __slots__ = ("runs", "singles", "sums")

    def __init__(self) -> None:
        self.sums: Sequence[int | None] = ()
        self.singles: list[str] = []
        self.runs: list[str] = []

    def add(self, singles: str | None, runs: str | None, sums: Sequence[Any]) -> None:
        if singles:
            self.singles.append(singles)
        if runs:
            self.runs.append(runs)
        if not self.sums:
            self.sums = sums
            return
        self.sums = [
            old if new is None else new if old is None else old + new for old, new in zip(self.sums, sums, strict=True)
        ]

    def row(self, dimensions: Sequence[str], key: tuple[Any, ...], zone: tzinfo) -> ReportRow:
        known: dict[str, Any] = {
            name: None if value is None else int(value) for name, value in zip(FIGURES, self.sums, strict=True)
        }
        latency, score, rated = known.pop("latency"), known.pop("score"), known.pop("rated") or 0
        buckets = sorted(counted("".join(self.singles), "".join(self.runs)).items())
        answered = sum(times for _, times in buckets)
        money: dict[str, Any] = {name: to_dollars(known.pop(name) or 0) for name in _MONEY}
        return ReportRow(
            group={name: _value(name, value, zone) for name, value in zip(dimensions, key, strict=True)},
            **money,
            requests=known.pop("requests") or 0,
            calls=known.pop("calls") or 0,
            failures=known.pop("failures") or 0,
            unpriced=known.pop("unpriced") or 0,
            rated=rated,
            score=None if score is None else score / rated / MICROSECONDS,
            latency_mean=(latency or 0) / answered / MICROSECONDS if answered else None,
            latency_p50=_percentile(buckets, answered, 50),
            latency_p95=_percentile(buckets, answered, 95),
            **known,
        )


def _percentile(buckets: Sequence[tuple[int, int]], answered: int, percent: int) -> float | None:
    rank = -(-answered * percent // 100)  # the nearest rank, rounded up
    for bucket, times in buckets:
        rank -= times
        if rank <= 0:
            return latency_of(bucket)
    return None


def _value(dimension: str, value: Any, zone: tzinfo) -> Any:
    return to_moment(int(value)).astimezone(zone) if dimension in TIME_DIMENSIONS else value
