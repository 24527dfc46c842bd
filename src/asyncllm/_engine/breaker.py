"""What a client knows of one target's health, and whether an attempt may go there now: no I/O, no clock of its own.

A target's circuit is *closed* while attempts pass. It *opens* after 10 consecutive failures, or when half of its last
100 attempts failed, for 30 s times the number of times it opened lately, at most 5 minutes. After that it is *half
open*: one probe passes, and its success closes the circuit.

Four more things keep attempts away:

* a cooldown, as long as the provider asked for (Retry-After): never shortened, not even for a probe;
* the model is off for 10 minutes: it is not there, or this credential may not use it;
* the quota is used up until its reset, for an hour where nobody said when that is;
* the provider is off, with all its models: the credential was refused, or the account has no money. One probe after
  60 s, then after twice as long each time, at most 10 minutes.

Of several reasons the one that lasts longest counts. Where a call has no other target left, one attempt a second
passes all the same (a *pass*), but for cooldowns: it shows that the target is back, or why it is not.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

from ..errors import AsyncLLMError
from .quota import RetryQuota

State = Literal["closed", "open", "half_open"]
Reason = Literal["failures", "cooldown", "model", "quota", "credential", "account"]
Grant = Literal["plain", "probe", "pass"]

MOST_CONSECUTIVE = 10
WINDOW = 100
OPEN_SECONDS, MOST_OPEN_SECONDS = 30.0, 300.0
MODEL_OFF_SECONDS = 600.0
QUOTA_OFF_SECONDS = 3600.0
PROVIDER_OFF_SECONDS, MOST_PROVIDER_OFF_SECONDS = 60.0, 600.0
SECONDS_BETWEEN_PASSES = 1.0
SAMPLES = 128  # latencies kept
_FORGIVEN_AFTER = 10  # successes in a row after which an earlier opening no longer counts
_MASK = (1 << WINDOW) - 1


class ProviderState:
    """What holds for every model of a provider: the credential and the account."""

    __slots__ = ("off_for", "off_until", "probing", "reason")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Credential and account are fine, as far as anybody knows."""
        self.off_until = 0.0
        self.off_for = 0.0
        self.probing = False
        self.reason: Reason = "credential"

    def turn_off(self, reason: Reason, now: float) -> None:
        """The credential or the account was refused; a probe that is refused as well makes the next wait longer."""
        self.reason = reason
        if now >= self.off_until:
            self.off_for = min(max(PROVIDER_OFF_SECONDS, 2 * self.off_for), MOST_PROVIDER_OFF_SECONDS)
            self.off_until = now + self.off_for


class TargetState:
    """The health of one model on one host.

    Attributes:
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
    )

    def __init__(self, provider: ProviderState) -> None:
        self.provider = provider
        self.attempts = 0
        self.failures = 0
        self.latencies: deque[float] = deque(maxlen=SAMPLES)
        self.first_contents: deque[float] = deque(maxlen=SAMPLES)
        self.clear()

    def clear(self) -> None:
        """Forgets everything that keeps attempts away, and the retries made; counts and latencies stay."""
        self.guarded = False
        self.quota = RetryQuota()
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
        self.consecutive = 0
        self._streak = 0

    # Asking.

    def refuses(self, now: float, *, last_resort: bool = False) -> bool:
        """Whether no attempt may go there now.

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
        """Leave for an attempt to go there now; None when none may. The arguments are those of `refuses`."""
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

    def off(self, at: float) -> bool:
        """Whether at that moment only probes and passes go there, as far as it is known now."""
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
        """The state of the circuit, and the reason that lasts longest."""
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
    def failure_rate(self) -> float | None:
        """The share of failures among the last 100 attempts that count; None before the first."""
        return self._outcomes.bit_count() / self._counted if self._counted else None

    # Telling.

    def succeeded(self, grant: Grant) -> None:
        """An attempt succeeded."""
        self.attempts += 1
        if grant != "plain":
            self._alive()
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

    def failed(self, error: AsyncLLMError, grant: Grant, now: float) -> None:
        """An attempt failed; its error's advice says what that means for the target."""
        self.attempts += 1
        advice = error.advice.health
        if advice == "count":
            self._failed(grant, now)
        elif advice == "model_off":
            self._turn_off("model", now + MODEL_OFF_SECONDS)
        elif advice == "until_reset":
            self._turn_off("quota", now + (_reset(error) or QUOTA_OFF_SECONDS))
        elif advice == "account_off":
            self.provider.turn_off("account", now)
        elif grant != "plain" and advice != "credential_off" and error.status is not None:
            self._alive()  # it answered: what it said concerns the request, not its health
        if error.retry_after and advice in ("count", "cooldown", "until_reset"):
            self._cooling_until = max(self._cooling_until, now + error.retry_after)
            self.guarded = True
        self.released(grant)

    def _failed(self, grant: Grant, now: float) -> None:
        self.failures += 1
        self.consecutive += 1
        self._streak = 0
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

    def has_content(self, grant: Grant) -> None:
        """A stream has its first content: a probe need not wait for the stream's end."""
        if grant != "plain":
            self._alive()

    def released(self, grant: Grant) -> None:
        """An attempt ended that says nothing about the target: a probe may follow."""
        if grant == "probe":
            self._probing = False
            self.provider.probing = False

    def forget_probe(self) -> None:
        """Whatever was under way is gone with its event loop."""
        self._probing = self.provider.probing = False

    def _alive(self) -> None:
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
