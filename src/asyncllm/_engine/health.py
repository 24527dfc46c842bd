"""The health of every target of one client: shared by all its calls and kept for its life, on whichever event loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import CircuitOpenError
from .breaker import ProviderState, Reason, State, TargetState
from .router import Target

_MOST_TARGETS = 1000  # model names come from callers: the memory of them is bounded
_SENTENCES: Mapping[Reason, str] = {
    "failures": "{target} failed too often lately",
    "cooldown": "{target} asked to be left alone for a while",
    "model": "{target} is not there, or may not be used with this credential",
    "quota": "the quota of {target} is used up",
    "credential": "the credential of {provider} was refused",
    "account": "the account of {provider} has no money, or has reached its limit",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetHealth:
    """What a client knows of one target.

    Attributes:
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
    """

    provider: str
    model: str
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


class Health:
    """The states of all targets.

    Attributes:
        now: the time, in seconds; goes on evenly when the client moves to another event loop.
    """

    def __init__(self) -> None:
        self._targets: dict[tuple[str, str], TargetState] = {}
        self._providers: dict[str, ProviderState] = {}
        self.now: Callable[[], float] = time.monotonic

    def attach(self, clock: Callable[[], float]) -> None:
        """Measures with an event loop's own clock from now on."""
        for state in self._targets.values():
            state.forget_probe()
        offset = time.monotonic() - clock()
        # asyncio's clock is the monotonic one itself, trio's begins anywhere.
        self.now = clock if abs(offset) < 0.01 else lambda: clock() + offset

    def of(self, target: Target) -> TargetState:
        """The state of a target, made at its first use."""
        return self._targets.get(target.key) or self._new(target.key)

    def _new(self, key: tuple[str, str]) -> TargetState:
        if len(self._targets) >= _MOST_TARGETS:
            for old in [old for old, state in self._targets.items() if not state.guarded][: _MOST_TARGETS // 10]:
                del self._targets[old]
        provider = self._providers.setdefault(key[0], ProviderState())
        state = self._targets[key] = TargetState(provider)
        return state

    def refusal(self, target: Target, *, last_resort: bool = False) -> CircuitOpenError:
        """The error for a target that may not be asked now."""
        now, state = self.now(), self.of(target)
        reason = state.describe(now)[1] or "failures"
        seconds = state.next_pass(now) if last_resort else state.wait(now)
        name = target.provider.name
        what = _SENTENCES[reason].format(target=f"{name}/{target.model}", provider=name)
        return CircuitOpenError(
            f"{what}; it is off for {seconds:.1f} s more (client.reset_health() tries again at once)",
            provider=name,
            model=target.model,
            code=reason,
            retry_after=seconds,
        )

    def credential_refused(self, target: Target) -> None:
        """A credential was refused, and could not be refreshed: every model of the provider is off."""
        self.of(target).provider.turn_off("credential", self.now())

    def typical(self, target: Target, stream: bool) -> float | None:
        """Median seconds until a target's first content: of streams, or of answers in one piece; None if unknown."""
        return self.percentile(target, stream, 50)

    def percentile(self, target: Target, stream: bool, percent: float, least: int = 1) -> float | None:
        """That percentile of a target's latencies; None with fewer than ``least`` of them."""
        state = self._targets.get(target.key)
        if state is None:
            return None
        samples = state.first_contents if stream else state.latencies
        return percentile(samples, percent) if len(samples) >= least else None

    def report(self, queue: Callable[[tuple[str, str]], tuple[int, float | None]]) -> tuple[TargetHealth, ...]:
        """Every target that was used, in the order of its first use.

        Args:
            queue: gives the queue depth and the mean waiting time of a target.
        """
        now = self.now()
        return tuple([_describe(key, state, now, *queue(key)) for key, state in tuple(self._targets.items())])

    def reset(self, provider: str | None) -> None:
        """Lets attempts pass again: to all targets of a provider, or to all. Counts and latencies stay."""
        for name, state in self._providers.items():
            if provider in (None, name):
                state.clear()
        for (name, _), target in self._targets.items():
            if provider in (None, name):
                target.clear()


def percentile(samples: Iterable[float], percent: float) -> float | None:
    """The value below which that share of the samples lies; None of none."""
    ordered: Sequence[float] = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else None


def _describe(key: tuple[str, str], state: TargetState, now: float, depth: int, waiting: float | None) -> TargetHealth:
    circuit, reason = state.describe(now)
    return TargetHealth(
        provider=key[0],
        model=key[1],
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
    )
