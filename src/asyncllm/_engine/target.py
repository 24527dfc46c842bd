"""A target, and what may follow an error: another attempt or another target. Pure functions, no I/O.

The theory of retries: pauses are drawn at random between nothing and a bound that doubles ("full jitter"), so that
callers who failed together do not come back together. A provider that says when to come back is obeyed, never sooner.
A provider's own verdict (``x-should-retry``) outranks the table of errors. Retries have a quota (`RetryQuota` in
``health``): when most attempts fail, trying again only adds to the load.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import field

from .._config.sections import RetryPolicy, Timeouts
from .._providers.provider import Provider
from .._schema.advice import FallbackReason
from .._schema.facts import ModelFacts
from .._schema.values import dataclass
from ..errors import AsyncLLMError

LONGEST_RETRY_AFTER = 60.0  # seconds; no call waits longer for one target
SPREAD = 0.1  # callers who were all told the same moment come back over a tenth of the wait
SAME_MODEL, OTHER_MODEL = 1.0, 5.0  # seconds that a call waits while such another target may be asked


USUAL_RETRIES = RetryPolicy()
Key = tuple[str, ...]
"""Names a target: the entry, the model, and the deployment where the entry has several."""


@dataclass(frozen=True, slots=True)
class Target:
    """A model on a host, and the timeouts and retries of this host.

    Attributes:
        retry: how often an attempt there is made again.
        entry_key: the provider's configured name and the model.
        key: the same, and the deployment where the entry has several.
    """

    provider: Provider
    model: str
    timeouts: Timeouts
    retry: RetryPolicy = USUAL_RETRIES
    entry_key: tuple[str, str] = field(init=False, repr=False, compare=False)
    key: Key = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        provider = self.provider
        key = (provider.name, self.model)
        object.__setattr__(self, "entry_key", key)
        object.__setattr__(self, "key", key if provider.deployment is None else (*key, provider.deployment))

    def __str__(self) -> str:
        return f"{self.provider.label}/{self.model}"

    def longest_wait(self, other: Target) -> float:
        """Returns the longest pause in seconds that a call waits for here while another target is free."""
        if self.retry.wait_before_fallback is not None:
            return self.retry.wait_before_fallback
        if other.entry_key == self.entry_key:
            return 0.0  # another deployment of the entry: nothing is gained by waiting
        return SAME_MODEL if other.model == self.model else OTHER_MODEL

    def shares_account(self, other: Target) -> bool:
        """Whether both are asked with the same credential, at the same place."""
        here, there = self.provider, other.provider
        return here.name == there.name and here.deployment == there.deployment


FactsOf = Callable[[Target], ModelFacts]
"""A target -> what is known of its model under the target's own entry."""


def order(targets: Iterable[Target]) -> tuple[Target, ...]:
    """Returns the targets in the order given, without duplicates."""
    seen: dict[Key, Target] = {}
    for target in targets:
        seen.setdefault(target.key, target)
    return tuple(seen.values())


def following(
    error: AsyncLLMError,
    targets: Sequence[Target],
    position: int,
    facts_of: FactsOf | None = None,
    also: Container[FallbackReason | None] = (),
) -> int | None:
    """Returns the position of the next target that may be asked after an error of the one at ``position``, or None."""
    for later in range(position + 1, len(targets)):
        if allows(error, targets[position], targets[later], facts_of, also):
            return later
    return None


def allows(
    error: AsyncLLMError,
    here: Target,
    there: Target,
    facts_of: FactsOf | None = None,
    also: Container[FallbackReason | None] = (),
) -> bool:
    """Returns whether another target may be asked after an error of this one.

    A model of the same account may where the error's advice says ``fallback``, one of another provider where it says
    ``provider``, and another deployment of the same entry where it says either. Where the advice asks for a larger
    window, the other window must be known to be larger.

    Args:
        error: what failed.
        here: where it failed.
        there: what would be asked next.
        facts_of: knows the windows.
        also: what the call goes on for besides (``fallback_on``).
    """
    advice = error.advice.fallback if there.provider.name == here.provider.name else error.advice.provider
    if advice == "no" and error.advice.provider == "yes" and not here.shares_account(there):
        return True  # a key or an account that was refused says nothing of another one
    if advice == "larger_window":
        return _is_larger(there, here, facts_of)
    return advice == "yes" or (advice == "opt_in" and error.advice.fallback_on in also)


def _is_larger(there: Target, here: Target, facts_of: FactsOf | None) -> bool:
    if facts_of is None:
        return False
    small, large = facts_of(here).context_window, facts_of(there).context_window
    return small is not None and large is not None and large > small


def pause(
    error: AsyncLLMError,
    policy: RetryPolicy,
    *,
    on_model: int,
    in_call: int,
    not_asked: int = 0,
    retried_once: bool,
    remaining: float,
    quota: int,
    draw: Callable[[], float],
) -> float | None:
    """Returns the seconds before a retry on the same model, or None for no retry.

    Args:
        error: what the last attempt failed with.
        policy: the bounds.
        on_model: attempts made on this model so far.
        in_call: attempts made in this call so far.
        not_asked: targets that the call may still go on to; a retry leaves an attempt for each of them.
        retried_once: an error that allows a single retry has had it.
        remaining: seconds until the deadline of the call.
        quota: what the target's retry quota holds.
        draw: a random number of at least 0 and less than 1.
    """
    if on_model >= policy.max_attempts or in_call + not_asked >= policy.max_attempts_per_call:
        return None
    if not allowed(error, retried_once) or error.advice.retry_cost > quota:
        return None
    if error.retry_after is not None and error.retry_after > 0:  # 0 or a date in the past says nothing
        wait = error.retry_after * (1 + SPREAD * draw())
        return None if error.retry_after > LONGEST_RETRY_AFTER or wait >= remaining else wait
    bound = min(policy.base_delay * error.advice.pause * 2 ** min(on_model - 1, 30), policy.max_delay)
    wait = bound * draw()
    return None if wait >= remaining else wait


def allowed(error: AsyncLLMError, retried_once: bool) -> bool:
    """Returns whether the error allows another attempt on the same model."""
    if error.should_retry is not None:
        return error.should_retry
    return error.advice.retry == "yes" or (error.advice.retry == "once" and not retried_once)
