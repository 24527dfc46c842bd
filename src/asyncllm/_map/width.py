"""How many calls a map has in flight.

The theory of ``concurrency="auto"``. What a provider takes is not known beforehand, and it changes. Two things tell:

* *Refusals.* While nothing was refused, each answer lets one more call in, so that every round doubles. A rate limit
  halves the number, once a round, as the calls of a round fail together. From then on each round adds one. This is how
  TCP finds the width of a path.
* *Headers.* ``remaining`` calls within ``reset`` seconds are a rate, and a rate times the seconds of a call is a number
  of calls in flight. No more than that are let in, so that most limits are met before they refuse. Where tokens run out
  first, they count, at the mean of the answers so far. What a header said holds until its reset.

Several deployments or models add up: each has limits of its own. A refusal of one deployment that another one answered
lowers nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from .._schema.response import Attempt, RateLimits
from ..errors import RateLimitError

_FIRST, _MOST = 8, 256


class Width:
    """The number of calls at a time, of one map.

    Args:
        concurrency: a number, which stays; or ``"auto"``.
        clock: seconds.

    Attributes:
        now: the number at this moment, at least 1.
        auto: whether it changes.
    """

    __slots__ = ("_careful", "_clock", "_flying", "_latency", "_limits", "_since", "_tokens", "auto", "now")

    def __init__(self, concurrency: int | Literal["auto"], clock: Callable[[], float] = time.monotonic) -> None:
        self.auto = concurrency == "auto"
        self.now = _FIRST if concurrency == "auto" else concurrency
        self._clock = clock
        self._careful = False  # something was refused
        self._since = 0  # answers since the last change
        self._flying = 0  # calls that began before the last halving and have not ended
        self._latency = self._tokens = 0.0  # means of late
        self._limits: dict[str, tuple[float, int]] = {}  # label -> until when, how many calls in flight

    def learn(self, outcome: Any) -> None:
        """Raises or lowers the number by an answer or a failure; does nothing unless it is ``"auto"``.

        Args:
            outcome: a `Response`, a `Run`, or an exception.
        """
        attempts: Sequence[Attempt] = getattr(outcome, "attempts", ())
        if not self.auto or not attempts:
            return
        last = attempts[-1]
        if last.outcome == "ok":
            self._measure(last)
        limits = _limits_of(outcome)
        if limits is not None:
            self._heed(last.label, limits)
        if _was_refused(attempts):
            self._careful = True
            self._since = 0
            if self._flying == 0:
                self._flying = self.now
                self.now = max(1, self.now // 2)
        else:
            self._since += 1
            if not self._careful or self._since >= self.now:
                self._since = 0
                self.now = min(_MOST, self.now + 1)
        self._flying = max(0, self._flying - 1)
        self.now = max(1, min(self.now, self._ceiling()))

    def _measure(self, attempt: Attempt) -> None:
        if attempt.latency is not None:
            self._latency += (attempt.latency - self._latency) * (0.1 if self._latency else 1)
        tokens = attempt.usage.total_tokens
        if tokens is not None:
            self._tokens += (tokens - self._tokens) * (0.1 if self._tokens else 1)

    def _heed(self, label: str, limits: RateLimits) -> None:
        """Notes what the headers of one target allow."""
        allowed, until = math.inf, 0.0
        calls_by_tokens = None
        if limits.tokens_remaining is not None and self._tokens > 0:
            calls_by_tokens = limits.tokens_remaining / self._tokens
        for calls, reset in (
            (limits.requests_remaining, limits.requests_reset),
            (calls_by_tokens, limits.tokens_reset),
        ):
            if calls is not None and reset is not None and reset > 0:
                flying = math.ceil(calls / reset * self._latency)
                if flying < allowed:
                    allowed, until = flying, reset
        if until > 0:
            self._limits[label] = (self._clock() + until, max(1, int(allowed)))
        else:
            self._limits.pop(label, None)

    def _ceiling(self) -> int:
        if not self._limits:
            return _MOST
        now = self._clock()
        for label in [label for label, (until, _) in self._limits.items() if until <= now]:
            del self._limits[label]
        return sum([flying for _, flying in self._limits.values()]) or _MOST


def _was_refused(attempts: Sequence[Attempt]) -> bool:
    """Whether a rate limit counts: not where another deployment of the same model answered at once."""
    last = attempts[-1]
    for attempt in attempts:
        if isinstance(attempt.error, RateLimitError):
            answered_beside = (
                last.outcome == "ok"
                and attempt.provider == last.provider
                and attempt.model == last.model
                and attempt.deployment != last.deployment
            )
            if not answered_beside:
                return True
    return False


def _limits_of(outcome: Any) -> RateLimits | None:
    """What the last headers said."""
    steps = getattr(outcome, "steps", None)
    if steps:
        outcome = steps[-1].reply
    limits: RateLimits | None = getattr(outcome, "rate_limits", None)
    return limits
