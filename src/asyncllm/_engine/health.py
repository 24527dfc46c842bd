"""The health of targets, and whether an attempt may go to one now. No I/O, and no clock of its own.

The theory. A target's circuit is *closed* while attempts pass. It *opens* after 10 failures in a row, or when half of
its last 100 attempts failed, for 30 s times the number of times it opened lately, at most 5 minutes. After that it is
*half open*: one probe passes, and its success closes the circuit.

Four more things keep attempts away:

* a cooldown, as long as the provider asked for (Retry-After): never shortened, not even for a probe;
* the model is off for 10 minutes: it is not there, or this credential may not use it;
* the quota is used up until its reset, with a probe every hour;
* the provider is off, with all its models: the credential was refused, or the account has no money. One probe after
  60 s, then after twice as long each time, at most 10 minutes.

The rules:

* Only evidence about the target counts: what an error's advice says of its health. What a call may have caused itself
  (by headers of its own) switches nothing off for the other calls (`Permit.settle`).
* Of several reasons the one that lasts longest counts. None lasts longer than 10 minutes without a probe, but for the
  quota.
* Where a call has no other target left, one attempt a second passes all the same (a *pass*), but for cooldowns: it
  shows that the target is back, or why it is not.
* The states outlive the event loop. Their number is bounded, because the names of models come from callers.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Literal

from .._schema.request import Request
from .._schema.response import Outcome, RateLimits
from .._schema.usage import Usage
from ..errors import AsyncLLMError, CircuitOpenError, ConnectError, ConnectionLostError
from .health_report import TargetHealth, describe, describe_whole, percentile
from .limits import SAMPLES, LimitTurn
from .target import Key, Target

State = Literal["closed", "open", "half_open"]
Reason = Literal["failures", "cooldown", "model", "quota", "credential", "account"]
Grant = Literal["plain", "probe", "pass"]
Own = Literal["credential", "request"]
"""What a call brought along besides its messages: a credential (or account), or headers or a model in the body."""

MOST_CONSECUTIVE = 10
WINDOW = 100
OPEN_SECONDS, MOST_OPEN_SECONDS = 30.0, 300.0
MODEL_OFF_SECONDS = MOST_COOLDOWN_SECONDS = 600.0
QUOTA_OFF_SECONDS = 3600.0
PROVIDER_OFF_SECONDS, MOST_PROVIDER_OFF_SECONDS = 60.0, 600.0
SECONDS_BETWEEN_PASSES = 1.0
RETRY_QUOTA = 500
_FORGIVEN_AFTER = 10  # successes in a row after which an earlier opening no longer counts
_MASK = (1 << WINDOW) - 1
_MOST_TARGETS = 1000
_OFF = frozenset({"model_off", "account_off", "credential_off"})
_CREDENTIAL_HEADERS = frozenset(
    {
        *("authorization", "x-api-key", "api-key", "x-goog-api-key", "x-goog-user-project"),
        *("openai-organization", "openai-project"),
    }
)
_CHOOSES_A_MODEL = frozenset({"model", "models", "provider", "route", "project"})  # keys of `extra_body`
_SENTENCES: Mapping[Reason, str] = {
    "failures": "{target} failed too often lately",
    "cooldown": "{target} asked to be left alone for a while",
    "model": "{target} is not there, or may not be used with this credential",
    "quota": "the quota of {target} is used up",
    "credential": "the credential of {provider} was refused",
    "account": "the account of {provider} has no money, or has reached its limit",
}


class RetryQuota:
    """The retry quota of a target. Successes fill it, retries use it up.

    A bucket of 500. A retry takes 5 (10 after a timeout); when it leads to a success all of that comes back, and a
    success at the first attempt adds 1. While a target mostly works, retries are free in effect; when it mostly fails,
    the bucket runs dry and each call makes one attempt only. Source: the standard retry mode of the AWS SDKs.

    Attributes:
        left: what it holds.
    """

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left: int = RETRY_QUOTA

    def take(self, cost: int) -> None:
        """Takes what one retry costs."""
        self.left = max(0, self.left - cost)

    def give(self, amount: int) -> None:
        """Adds what one success gives."""
        self.left = min(RETRY_QUOTA, self.left + amount)


class ProviderState:
    """The health of a provider's credential and account. It holds for all its models."""

    __slots__ = ("off_for", "off_until", "probing", "reason")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Switches the credential and the account on again."""
        self.off_until: float = 0.0
        self.off_for: float = 0.0
        self.probing: bool = False
        self.reason: Reason = "credential"

    def turn_off(self, reason: Reason, now: float) -> None:
        """Switches the credential or the account off. A refused probe makes the next wait longer."""
        self.reason = reason
        if now >= self.off_until:
            self.off_for = min(max(PROVIDER_OFF_SECONDS, 2 * self.off_for), MOST_PROVIDER_OFF_SECONDS)
            self.off_until = now + self.off_for


class TargetState:
    """The health of one model on one host.

    Attributes:
        under_way: attempts that were let pass and have not ended.
        guarded: something may keep attempts away; while it is False nothing needs to be asked.
        attempts: how many ended.
        failures: how many of them failed in a way that counts against the target.
        consecutive: how many failures came in a row, up to now.
        latencies: of the last answers in one piece, in seconds.
        first_contents: of the last streams, seconds until their first content.
        quota: the retry quota.
    """

    __slots__ = (
        "_cooling_until",
        "_counted",
        "_doubted_until",
        "_next_pass",
        "_off_reason",
        "_off_until",
        "_open_until",
        "_outcomes",
        "_probing",
        "_streak",
        "_trips",
        "attempts",
        "consecutive",
        "failures",
        "first_contents",
        "guarded",
        "latencies",
        "provider",
        "quota",
        "under_way",
    )

    def __init__(self, provider: ProviderState) -> None:
        self.provider: ProviderState = provider
        self.under_way: int = 0
        self.attempts: int = 0
        self.failures: int = 0
        self.latencies: deque[float] = deque(maxlen=SAMPLES)
        self.first_contents: deque[float] = deque(maxlen=SAMPLES)
        self.clear()

    def clear(self) -> None:
        """Lets attempts pass again and forgets the retries. Counts and latencies stay."""
        self.guarded: bool = False
        self.quota: RetryQuota = RetryQuota()
        self._trips = 0
        self._cooling_until = 0.0
        self._next_pass = 0.0
        self._close()

    def _close(self) -> None:
        self._open_until = 0.0
        self._off_until = 0.0
        self._off_reason: Reason = "model"
        self._probing = False
        self._outcomes = 0  # the last ones as bits, 1 for a failure
        self._counted = 0
        self._doubted_until = 0.0
        self.consecutive: int = 0
        self._streak = 0

    # Asking.

    def refuses(self, now: float, *, last_resort: bool = False) -> bool:
        """Returns whether no attempt may go there now.

        Args:
            now: the time, in seconds.
            last_resort: the call has no other target left.
        """
        if now < self._cooling_until:
            return True
        until = max(self._open_until, self._off_until, self.provider.off_until)
        if now >= until and (until == 0 or not (self._probing or self.provider.probing)):
            return False
        return not last_resort or now < self._next_pass

    def admit(self, now: float, *, last_resort: bool = False) -> Grant | None:
        """Returns a permit for an attempt now, or None. The arguments are those of `refuses`."""
        if not self.guarded and self.provider.off_until == 0:
            return "plain"
        if self.refuses(now, last_resort=last_resort):
            return None
        until = max(self._open_until, self._off_until, self.provider.off_until)
        if until == 0:
            self.guarded = False
            return "plain"
        if now >= until and not (self._probing or self.provider.probing):
            self._probing = True
            self.provider.probing = self.provider.off_until > 0
            return "probe"
        self._next_pass = now + SECONDS_BETWEEN_PASSES
        return "pass"

    def absence(self) -> tuple[float, float, Reason]:
        """Until when it cools, until when it is off (0 for not at all), and why the latter, for other processes."""
        reasons: list[tuple[float, Reason]] = [
            (self._open_until, "failures"),
            (self._off_until, self._off_reason),
            (self.provider.off_until, self.provider.reason),
        ]
        return self._cooling_until, *max(reasons, key=lambda pair: pair[0])

    def learn(self, cool: float, off: float, reason: Reason | None, now: float) -> None:
        """Takes another process's word for how many seconds it is to be left alone."""
        if cool > 0:
            self._cool(cool, now)
        if off > 0 and reason in ("credential", "account"):
            self.provider.reason = reason
            self.provider.off_until = max(self.provider.off_until, now + off)
        elif off > 0:
            self._turn_off(reason or "failures", now + off)

    def is_doubted(self, now: float) -> bool:
        """Whether it failed a moment ago: a call that has the choice goes elsewhere, though the circuit is closed."""
        return now < self._doubted_until and self.consecutive > 0

    def off(self, at: float) -> bool:
        """Returns whether only probes may go there at that moment, by what is known now."""
        return at < max(self._open_until, self._off_until, self.provider.off_until)

    def cooling(self, now: float) -> float:
        """Seconds of the cooldown that are left; 0 for none."""
        return max(0.0, self._cooling_until - now)

    def wait(self, now: float) -> float:
        """Seconds until an attempt may pass, as far as it is known; 0 when it may now."""
        return max(0.0, self._until() - now)

    def next_pass(self, now: float) -> float:
        """Seconds until an attempt passes even where nothing else is left."""
        return max(self.cooling(now), min(self.wait(now), max(0.0, self._next_pass - now)))

    def _until(self) -> float:
        return max(self._cooling_until, self._open_until, self._off_until, self.provider.off_until)

    def describe(self, now: float) -> tuple[State, Reason | None]:
        """Returns the state of the circuit, and the reason that lasts longest."""
        reasons: list[tuple[float, Reason]] = [
            (self._open_until, "failures"),
            (self._off_until, self._off_reason),
            (self.provider.off_until, self.provider.reason),
        ]
        if now < self._cooling_until:
            reasons.append((self._cooling_until, "cooldown"))
        until, reason = max(reasons, key=lambda pair: pair[0])
        if until == 0:
            return "closed", None
        return ("open" if now < until else "half_open"), reason

    @property
    def counted(self) -> int:
        """How many of the last 100 attempts count for the failure rate."""
        return self._counted

    @property
    def failure_rate(self) -> float | None:
        """The share of failures among the last 100 attempts that count; None before the first."""
        return self._outcomes.bit_count() / self._counted if self._counted else None

    # Telling.

    def succeeded(self, grant: Grant, latency: float, first_content: float | None = None) -> None:
        """Notes a success and its latency in seconds; for a stream also the time until its first content."""
        self.attempts += 1
        if first_content is None:
            self.latencies.append(latency)
        else:
            self.first_contents.append(first_content)
        if grant != "plain":
            self.revive()
        self.consecutive = 0
        if self._outcomes or self._trips:
            self._count(0)
            self._streak += 1
            if self._streak >= _FORGIVEN_AFTER:
                self._trips = 0
        elif self._counted < WINDOW:
            self._counted += 1

    def _count(self, failed: int) -> None:
        self._outcomes = (self._outcomes << 1 | failed) & _MASK
        if self._counted < WINDOW:
            self._counted += 1

    def failed(self, error: AsyncLLMError, grant: Grant, now: float, *, own: Own | None = None) -> None:
        """Notes a failure. The error's advice says what it means for the target.

        Args:
            error: what failed.
            grant: how the attempt was let pass.
            now: the time, in seconds.
            own: what the call brought along that may be why it was refused: that is no evidence about the target.
        """
        self.attempts += 1
        advice = error.advice.health
        if own is not None and (advice in _OFF or (own == "credential" and advice in ("cooldown", "until_reset"))):
            advice = "none"
        if advice == "count":
            self._failed(grant, now)
        elif advice == "model_off":
            self._turn_off("model", now + MODEL_OFF_SECONDS)
        elif advice == "until_reset":
            self._turn_off("quota", now + min(_reset(error) or QUOTA_OFF_SECONDS, QUOTA_OFF_SECONDS))
        elif advice == "account_off":
            self.provider.turn_off("account", now)
        elif grant != "plain" and advice != "credential_off" and error.status is not None:
            self.revive()  # it answered: what it said concerns the request, not its health
        if error.retry_after and error.retry_after > 0 and advice in ("count", "cooldown"):
            self._cool(error.retry_after, now)
        self.released(grant)

    def _cool(self, seconds: float, now: float) -> None:
        if seconds > MOST_COOLDOWN_SECONDS:  # nobody is believed for longer without a probe
            self._turn_off("cooldown", now + MOST_COOLDOWN_SECONDS)
        self._cooling_until = max(self._cooling_until, now + min(seconds, MOST_COOLDOWN_SECONDS))
        self.guarded = True

    def _failed(self, grant: Grant, now: float) -> None:
        self.failures += 1
        self.consecutive += 1
        self._streak = 0
        doublings = min(self.consecutive - 1, MOST_CONSECUTIVE)  # a power of a long outage is no float any more
        self._doubted_until = now + min(2.0**doublings, OPEN_SECONDS)
        self._count(1)
        worn = self._counted >= WINDOW and 2 * self._outcomes.bit_count() >= WINDOW
        if grant == "probe" or (self._open_until == 0 and (self.consecutive >= MOST_CONSECUTIVE or worn)):
            self._trips += 1
            self._open_until = now + min(OPEN_SECONDS * self._trips, MOST_OPEN_SECONDS)
            self.guarded = True

    def _turn_off(self, reason: Reason, until: float) -> None:
        self._off_reason = reason
        self._off_until = max(self._off_until, until)
        self.guarded = True

    def released(self, grant: Grant) -> None:
        """Notes the end of an attempt that says nothing about the target. A probe may follow."""
        if grant == "probe":
            self._probing = False
            self.provider.probing = False

    def forget_probe(self) -> None:
        """Forgets a probe that was under way on an event loop that has ended."""
        self.under_way = 0
        self._probing = self.provider.probing = False

    def revive(self) -> None:
        """Lets all attempts pass again after a probe was answered."""
        self.provider.clear()
        self._close()


def _reset(error: AsyncLLMError) -> float | None:
    limits = error.rate_limits
    if error.retry_after is not None or limits is None:
        return error.retry_after
    resets = [
        reset
        for left, reset in (
            (limits.requests_remaining, limits.requests_reset),
            (limits.tokens_remaining, limits.tokens_reset),
        )
        if left == 0 and reset is not None
    ]
    return max(resets, default=None)


def brought_along(request: Request) -> Own | None:
    """Returns what a call sent in its own words that may be why it was refused."""
    if request.extra_headers:
        named = {name.lower() for name in request.extra_headers}
        return "request" if named.isdisjoint(_CREDENTIAL_HEADERS) else "credential"
    return "request" if request.extra_body and not _CHOOSES_A_MODEL.isdisjoint(request.extra_body) else None


class Permit:
    """A permit for one attempt, given by health and limits, and given back once.

    Args:
        state: the health of the target; None for an attempt that no circuit keeps away (a list, a count, a proof).
        grant: how the health let it pass.
        turn: what it holds under the limits; None where nothing limits it.
        now: the clock of the health.
        told: gives the health to be told of failures to connect where ``state`` is None.

    Attributes:
        waited: seconds it waited under a limit; None where nothing is limited.
    """

    __slots__ = ("_grant", "_now", "_state", "_told", "_turn", "waited")

    def __init__(
        self,
        state: TargetState | None,
        grant: Grant,
        turn: LimitTurn | None,
        now: Callable[[], float],
        told: Callable[[], TargetState] | None = None,
    ) -> None:
        self.waited: float | None = None if turn is None else turn.waited
        self._state = state
        self._told = told
        self._grant = grant
        self._turn = turn
        self._now = now
        if state is not None:
            state.under_way += 1

    def has_content(self) -> None:
        """Notes the first content of a stream. A probe need not wait for the end."""
        if self._state is not None and self._grant != "plain":
            self._state.revive()

    def settle(
        self,
        outcome: Outcome,
        error: AsyncLLMError | None,
        *,
        latency: float,
        first_content: float | None,
        usage: Usage,
        limits: RateLimits | None,
        own: Own | None = None,
    ) -> None:
        """Gives the permit back, and tells health and limits how the attempt went.

        Args:
            outcome: how it ended.
            error: what went wrong.
            latency: seconds it took.
            first_content: seconds until the first content of a stream; None for an answer in one piece.
            usage: what it used.
            limits: what the rate-limit headers said.
            own: what the call brought along that may be why it was refused.
        """
        state = self._state
        if state is not None:
            if state.under_way > 0:  # 0 where its event loop is gone
                state.under_way -= 1
            if outcome == "ok":
                state.succeeded(self._grant, latency, first_content)
            elif error is not None:
                state.failed(error, self._grant, self._now(), own=own)
            else:
                state.released(self._grant)
        elif self._told is not None and isinstance(error, (ConnectError, ConnectionLostError)):
            self._told().failed(error, "plain", self._now())
        if self._turn is not None:
            free = error is not None and error.advice.ledger == "zero"  # what was refused cost no tokens
            self._turn.ended(0 if free else usage.total_tokens, limits)

    def cancel(self) -> None:
        """Gives the permit back unused."""
        if self._state is not None:
            if self._state.under_way > 0:
                self._state.under_way -= 1
            self._state.released(self._grant)
        if self._turn is not None:
            self._turn.cancel()


class Health:
    """The states of all targets.

    Attributes:
        now: the time, in seconds; goes on evenly when the client moves to another event loop.
    """

    def __init__(self) -> None:
        self._targets: dict[Key, TargetState] = {}
        self._providers: dict[Key, ProviderState] = {}
        self.now: Callable[[], float] = time.monotonic

    def attach(self, clock: Callable[[], float]) -> None:
        """Uses the clock of an event loop from now on."""
        for state in self._targets.values():
            state.forget_probe()
        offset = time.monotonic() - clock()
        # asyncio's clock is the monotonic one itself, trio's begins anywhere.
        self.now = clock if abs(offset) < 0.01 else lambda: clock() + offset

    def of(self, target: Target) -> TargetState:
        """The state of a target, made at its first use."""
        return self._targets.get(target.key) or self._new(target.key)

    def seen(self, target: Target) -> TargetState | None:
        """The state of a target that was used; None of one that was not."""
        return self._targets.get(target.key)

    def _new(self, key: Key) -> TargetState:
        if len(self._targets) >= _MOST_TARGETS:  # those that are kept away are forgotten last, the oldest first
            oldest = sorted(self._targets, key=lambda key: self._targets[key].guarded)
            for old in oldest[: _MOST_TARGETS // 10]:
                del self._targets[old]
        account = (key[0], *key[2:])  # each deployment has a credential of its own
        provider = self._providers.setdefault(account, ProviderState())
        state = self._targets[key] = TargetState(provider)
        return state

    def refusal(self, target: Target, *, last_resort: bool = False) -> CircuitOpenError:
        """The error for a target that may not be asked now."""
        now, state = self.now(), self.of(target)
        reason = state.describe(now)[1] or "failures"
        seconds = state.next_pass(now) if last_resort else state.wait(now)
        name = target.provider.name
        what = _SENTENCES[reason].format(target=target, provider=target.provider.label)
        return CircuitOpenError(
            f"{what}; it is off for {seconds:.1f} s more (client.reset_health() tries again at once)",
            provider=name,
            model=target.model,
            code=reason,
            retry_after=seconds,
        )

    def credential_refused(self, target: Target) -> None:
        """Switches every model of a provider off after its credential was refused and could not be refreshed."""
        self.of(target).provider.turn_off("credential", self.now())

    def typical(self, target: Target, stream: bool) -> float | None:
        """Median seconds until a target's first content: of streams, or of answers in one piece; None if unknown."""
        return self.percentile(target, stream, 50)

    def percentile(self, target: Target, stream: bool, percent: float, least: int = 1) -> float | None:
        """Returns a percentile of a target's latencies, or None if there are fewer than ``least``."""
        state = self._targets.get(target.key)
        if state is None:
            return None
        samples = state.first_contents if stream else state.latencies
        return percentile(samples, percent) if len(samples) >= least else None

    def report(self, queue: Callable[[Key], tuple[int, float | None]]) -> tuple[TargetHealth, ...]:
        """Every target that was used, in the order of its first use; an entry with deployments before them.

        Args:
            queue: gives the queue depth and the mean waiting time of a target.
        """
        now = self.now()
        states = tuple(self._targets.items())
        groups: dict[Key, list[TargetState]] = {}
        for key, state in states:
            groups.setdefault(key[:2], []).append(state)
        found = []
        for key, state in states:
            parts = groups[key[:2]]
            if len(key) > 2 and state is parts[0]:
                queues = [queue(other) for other, _ in states if other[:2] == key[:2]]
                found.append(describe_whole(key[:2], parts, now, queues))
            found.append(describe(key, state, now, *queue(key)))
        return tuple(found)

    def reset(self, provider: str | None) -> None:
        """Lets attempts pass again: to all targets of a provider, or to all. Counts and latencies stay."""
        for key, state in self._providers.items():
            if provider in (None, key[0]):
                state.clear()
        for key, target in self._targets.items():
            if provider in (None, key[0]):
                target.clear()
