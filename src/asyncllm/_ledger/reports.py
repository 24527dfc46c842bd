"""Reports: sums of records, by groups.

Stores add up by the dimensions *and* by latency bucket, which the database does in one pass; `merge` adds the buckets
up and reads the percentiles from them (within 1%). Sums are of what is known: how many records had no cost is told
beside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timezone, tzinfo
from decimal import Decimal
from typing import Any

from .budgets import Period, window_of
from .columns import DIMENSIONS, TOKENS, latency_of
from .units import MICROSECONDS, to_dollars, to_moment

FAILED = ("error", "interrupted", "unknown")
TIME_DIMENSIONS: tuple[Period, ...] = ("hour", "day", "week", "month")
_QUARTER, _HOUR, _DAY = 900 * MICROSECONDS, 3_600 * MICROSECONDS, 86_400 * MICROSECONDS
TAG = "tag"
ONE_TAG = "tag:"
SUMS = ("requests", "calls", "failures", "unpriced", "cost", "saved", *TOKENS)
"""What is added up, in the order in which stores give it, after the bucket and the latencies of the successful."""


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
    known = (*DIMENSIONS, *TIME_DIMENSIONS, TAG)
    for name in dimensions:
        if name not in known and not (name.startswith(ONE_TAG) and len(name) > len(ONE_TAG)):
            raise ValueError(f"reports cannot group by {name!r}; choose from {', '.join(known)} or tag:NAME")
    if len(set(dimensions)) != len(dimensions):
        raise ValueError("a report groups by each dimension once")


def step_of(dimensions: Sequence[str], zone: tzinfo) -> int:
    """Returns the length in microseconds of the pieces of time that a store sums up. Quarters of an hour fit into
    every time zone.
    """
    if zone is not timezone.utc:
        return _QUARTER
    return _HOUR if "hour" in dimensions else _DAY


def merge(
    dimensions: Sequence[str], sums: Iterable[Sequence[Any]], zone: tzinfo = timezone.utc, step: int = _DAY
) -> list[ReportRow]:
    """Sums the buckets of each group. The most expensive group comes first; times keep their order.

    Args:
        dimensions: what is grouped by.
        sums: from a store.
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
    __slots__ = ("buckets", "latency", "sums")

    def __init__(self) -> None:
        self.sums: list[int | None] = [None] * len(SUMS)
        self.buckets: dict[int, int] = {}
        self.latency = 0

    def add(self, bucket: int | None, latency: int | None, sums: Sequence[Any]) -> None:
        self.sums = [
            old if new is None else int(new) if old is None else old + int(new)
            for old, new in zip(self.sums, sums, strict=True)
        ]
        if bucket is not None:
            self.buckets[bucket] = self.buckets.get(bucket, 0) + int(sums[0])
            self.latency += int(latency or 0)

    def row(self, dimensions: Sequence[str], key: tuple[Any, ...], zone: tzinfo) -> ReportRow:
        named = dict(zip(SUMS, self.sums, strict=True))
        return ReportRow(
            group={name: _value(name, value, zone) for name, value in zip(dimensions, key, strict=True)},
            requests=named.pop("requests") or 0,
            calls=named.pop("calls") or 0,
            failures=named.pop("failures") or 0,
            unpriced=named.pop("unpriced") or 0,
            cost=to_dollars(named.pop("cost") or 0),
            saved=to_dollars(named.pop("saved") or 0),
            latency_mean=self._mean(),
            latency_p50=self._percentile(50),
            latency_p95=self._percentile(95),
            **named,
        )

    def _mean(self) -> float | None:
        count = sum(self.buckets.values())
        return self.latency / count / MICROSECONDS if count else None

    def _percentile(self, percent: int) -> float | None:
        rank = -(-sum(self.buckets.values()) * percent // 100)  # the nearest rank, rounded up
        for bucket in sorted(self.buckets):
            rank -= self.buckets[bucket]
            if rank <= 0:
                return latency_of(bucket)
        return None


def _value(dimension: str, value: Any, zone: tzinfo) -> Any:
    return to_moment(int(value)).astimezone(zone) if dimension in TIME_DIMENSIONS else value
