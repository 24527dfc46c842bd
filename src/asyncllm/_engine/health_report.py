"""What is told of the health of targets: a line for each, and one for an entry over its deployments."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .._schema.values import dataclass
from .target import Key

if TYPE_CHECKING:
    from .health import Reason, State, TargetState


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetHealth:
    """What a client knows of one target.

    An entry with several deployments has a line for each, and one for the whole with ``deployment`` None: its counts
    are sums, and its state is that of the deployment that may be asked first.

    Attributes:
        deployment: the key, region or endpoint; None for a whole entry.
        state: ``"closed"`` while attempts pass, ``"open"`` while they are kept away, ``"half_open"`` while a probe may.
        reason: why it is not closed: ``"failures"``, ``"cooldown"``, ``"model"``, ``"quota"``, ``"credential"`` or
            ``"account"``; the one that lasts longest.
        retry_after: seconds until an attempt may pass; 0 when it may now.
        attempts: attempts that ended with an answer or a failure.
        failures: those that count against the target.
        failure_rate: the share of failures among the last 100; None before the first attempt.
        consecutive_failures: failures in a row, up to now.
        latency_p50: median seconds of the last 128 answers in one piece; None before the first.
        latency_p95: their 95th percentile.
        first_content_p50: median seconds until the first content of the last 128 streams; None before the first.
        first_content_p95: their 95th percentile.
        retry_quota: what is left for retries, of 500.
        queue_depth: calls that wait for their turn under a limit now.
        waiting_time: mean seconds that the last 128 calls waited under a limit; None where there is no limit.
        under_way: attempts that have not ended.
    """

    provider: str
    model: str
    deployment: str | None = None
    state: State
    reason: Reason | None
    retry_after: float
    attempts: int
    failures: int
    failure_rate: float | None
    consecutive_failures: int
    latency_p50: float | None
    latency_p95: float | None
    first_content_p50: float | None
    first_content_p95: float | None
    retry_quota: int
    queue_depth: int = 0
    waiting_time: float | None = None
    under_way: int = 0


def percentile(samples: Iterable[float], percent: float) -> float | None:
    """The value below which that share of the samples lies; None of none."""
    ordered: Sequence[float] = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else None


def describe(key: Key, state: TargetState, now: float, depth: int, waiting: float | None) -> TargetHealth:
    circuit, reason = state.describe(now)
    return TargetHealth(
        provider=key[0],
        model=key[1],
        deployment=key[2] if len(key) > 2 else None,
        state=circuit,
        reason=reason,
        retry_after=state.wait(now),
        attempts=state.attempts,
        failures=state.failures,
        failure_rate=state.failure_rate,
        consecutive_failures=state.consecutive,
        latency_p50=percentile(state.latencies, 50),
        latency_p95=percentile(state.latencies, 95),
        first_content_p50=percentile(state.first_contents, 50),
        first_content_p95=percentile(state.first_contents, 95),
        retry_quota=state.quota.left,
        queue_depth=depth,
        waiting_time=waiting,
        under_way=state.under_way,
    )


def describe_whole(
    key: Key, parts: Sequence[TargetState], now: float, queues: Sequence[tuple[int, float | None]]
) -> TargetHealth:
    """The line of an entry over its deployments."""
    first = min(parts, key=lambda state: state.wait(now))
    circuit, reason = first.describe(now)
    counted = sum(state.counted for state in parts)
    latencies = [latency for state in parts for latency in state.latencies]
    contents = [latency for state in parts for latency in state.first_contents]
    waits = [waiting for _, waiting in queues if waiting is not None]
    return TargetHealth(
        provider=key[0],
        model=key[1],
        state=circuit,
        reason=reason,
        retry_after=first.wait(now),
        attempts=sum(state.attempts for state in parts),
        failures=sum(state.failures for state in parts),
        failure_rate=sum(state.counted * (state.failure_rate or 0) for state in parts) / counted if counted else None,
        consecutive_failures=min(state.consecutive for state in parts),
        latency_p50=percentile(latencies, 50),
        latency_p95=percentile(latencies, 95),
        first_content_p50=percentile(contents, 50),
        first_content_p95=percentile(contents, 95),
        retry_quota=sum(state.quota.left for state in parts),
        queue_depth=sum(depth for depth, _ in queues),
        waiting_time=sum(waits) / len(waits) if waits else None,
        under_way=sum(state.under_way for state in parts),
    )
