"""Whether a failed attempt is made again on the same model, and after which pause: a pure decision.

The theory: pauses are drawn at random between nothing and a bound that doubles ("full jitter"), so that callers who
failed together do not come back together. A provider that says when to come back is obeyed, never sooner; where that
is more than a minute away the next model is asked instead. A provider's own verdict (``x-should-retry``) outranks the
table of errors. And retries have a quota (`quota`): when most attempts fail, trying again only adds to the load.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import AsyncLLMError

LONGEST_RETRY_AFTER = 60.0  # seconds; a provider that asks for more is left for the next model
SPREAD = 0.1  # callers who were all told the same moment come back over a tenth of the wait


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often an attempt is made again.

    Attributes:
        max_attempts: on one model; 1 for no retries.
        max_attempts_per_call: over all models of a call.
        base_delay: the bound of the first pause, in seconds.
        max_delay: the bound of every pause that the provider did not ask for, in seconds.
    """

    max_attempts: int = 3
    max_attempts_per_call: int = 6
    base_delay: float = 0.5
    max_delay: float = 8.0


USUAL_RETRIES = RetryPolicy()


def pause(
    error: AsyncLLMError,
    policy: RetryPolicy,
    *,
    on_model: int,
    in_call: int,
    retried_once: bool,
    remaining: float,
    quota: int,
    draw: Callable[[], float],
) -> float | None:
    """Seconds to wait before the same model is asked again; None when it is not.

    Args:
        error: what the last attempt failed with.
        policy: the bounds.
        on_model: attempts made on this model so far.
        in_call: attempts made in this call so far.
        retried_once: an error that allows a single retry has had it.
        remaining: seconds until the deadline of the call.
        quota: what the target's retry quota holds.
        draw: a random number of at least 0 and less than 1.
    """
    if on_model >= policy.max_attempts or in_call >= policy.max_attempts_per_call or not allowed(error, retried_once):
        return None
    if error.advice.retry_cost > quota:
        return None
    if error.retry_after is not None:
        wait = error.retry_after * (1 + SPREAD * draw())
        return None if error.retry_after > LONGEST_RETRY_AFTER or wait >= remaining else wait
    bound = min(policy.base_delay * error.advice.pause * 2 ** min(on_model - 1, 30), policy.max_delay)
    wait = bound * draw()
    return None if wait >= remaining else wait


def allowed(error: AsyncLLMError, retried_once: bool) -> bool:
    """Whether the error itself allows another attempt on the same model."""
    if error.should_retry is not None:
        return error.should_retry
    return error.advice.retry == "yes" or (error.advice.retry == "once" and not retried_once)
