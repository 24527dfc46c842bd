"""Which targets a call tries, and in which order: pure functions, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import AsyncLLMError
from ..providers.base import Provider
from ..transport.base import Timeouts


@dataclass(frozen=True, slots=True)
class Target:
    """A model on a host, and the patience this host is given."""

    provider: Provider
    model: str
    timeouts: Timeouts


def order(targets: Iterable[Target]) -> tuple[Target, ...]:
    """The targets in the order given, each once."""
    seen: dict[tuple[str, str], Target] = {}
    for target in targets:
        seen.setdefault((target.provider.name, target.model), target)
    return tuple(seen.values())


def following(error: AsyncLLMError, targets: Sequence[Target], position: int) -> int | None:
    """The position of the next target that the error's advice allows after the one at ``position``; None for none.

    A model of the same provider follows where the advice says ``fallback``, one of another provider where it says
    ``provider``. An advice that depends on a larger context window needs window sizes, which are not known here, so it
    allows nothing.
    """
    here = targets[position].provider.name
    for later in range(position + 1, len(targets)):
        same = targets[later].provider.name == here
        if (error.advice.fallback if same else error.advice.provider) == "yes":
            return later
    return None
