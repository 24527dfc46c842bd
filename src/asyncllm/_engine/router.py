"""Which targets a call tries, and in which order: pure functions, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field

from .._providers.provider import Provider
from .._schema.facts import ModelFacts
from .._transport.base import Timeouts
from ..errors import AsyncLLMError
from .retry import USUAL_RETRIES, RetryPolicy


@dataclass(frozen=True, slots=True)
class Target:
    """A model on a host, and the patience this host is given.

    Attributes:
        retry: how often an attempt there is made again.
        key: the provider's configured name and the model.
    """

    provider: Provider
    model: str
    timeouts: Timeouts
    retry: RetryPolicy = USUAL_RETRIES
    key: tuple[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", (self.provider.name, self.model))


FactsOf = Callable[[Target], ModelFacts]
"""A target -> what is known of its model under the target's own entry."""


def order(targets: Iterable[Target]) -> tuple[Target, ...]:
    """The targets in the order given, each once."""
    seen: dict[tuple[str, str], Target] = {}
    for target in targets:
        seen.setdefault(target.key, target)
    return tuple(seen.values())


def following(
    error: AsyncLLMError,
    targets: Sequence[Target],
    position: int,
    facts_of: FactsOf | None = None,
    done: Container[int] = (),
) -> int | None:
    """The position of the next target that the error's advice allows after the one at ``position``; None for none.

    A model of the same provider follows where the advice says ``fallback``, one of another provider where it says
    ``provider``. Where it asks for a larger window, a target follows whose window is known to be larger than the one
    that was too small. Positions in ``done`` have had their turn.
    """
    for later in range(position + 1, len(targets)):
        if later not in done and allows(error, targets[position], targets[later], facts_of):
            return later
    return None


def allows(error: AsyncLLMError, here: Target, there: Target, facts_of: FactsOf | None = None) -> bool:
    """Whether another target may be asked after an error of this one."""
    advice = error.advice.fallback if there.provider.name == here.provider.name else error.advice.provider
    return advice == "yes" or (advice == "larger_window" and _is_larger(there, here, facts_of))


def _is_larger(there: Target, here: Target, facts_of: FactsOf | None) -> bool:
    if facts_of is None:
        return False
    small, large = facts_of(here).context_window, facts_of(there).context_window
    return small is not None and large is not None and large > small
