"""Which target a call tries first: pure functions from targets, prices, latencies and chance to an order.

Each gives every target once, the best first; the rest is the chain of fallbacks behind it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from decimal import Decimal

from .router import Target

PriceOf = Callable[[Target], "tuple[Decimal, Decimal] | None"]
"""A target -> US dollars for a million input and a million output tokens; None when that is not known."""

EXPLORATION = 0.05  # of the calls ask another target than the fastest first, so that its latency is seen anew


def by_cost(targets: Sequence[Target], price_of: PriceOf, input_tokens: int, output_tokens: int) -> tuple[Target, ...]:
    """The cheapest for so many tokens first; those without a known price last, in the order given."""

    def price(target: Target) -> tuple[bool, Decimal]:
        known = price_of(target)
        if known is None:
            return True, Decimal(0)
        return False, known[0] * input_tokens + known[1] * output_tokens

    return tuple(sorted(targets, key=price))


def by_latency(
    targets: Sequence[Target], latency_of: Callable[[Target], float | None], draw: Callable[[], float]
) -> tuple[Target, ...]:
    """The fastest first; those not measured yet before it. Now and then another one first, to learn its latency."""

    def latency(target: Target) -> float:
        known = latency_of(target)
        return -1.0 if known is None else known

    ordered = sorted(targets, key=latency)
    if len(ordered) > 1 and draw() < EXPLORATION:
        chosen = ordered.pop(1 + int(draw() * (len(ordered) - 1)))
        ordered.insert(0, chosen)
    return tuple(ordered)


def by_weight(
    targets: Sequence[Target], weights: Sequence[float], draw: Callable[[], float], sticky_key: str | None = None
) -> tuple[Target, ...]:
    """At random, each target first as often as its share of the weights says.

    With a sticky key there is no chance: the same key gives the same order as long as the targets are the same, and
    when a weight changes or a target is added only the share that must move does (weighted rendezvous hashing).
    """

    def rank(place: tuple[int, Target]) -> float:
        number, target = place
        chance = draw() if sticky_key is None else _hash(sticky_key, target)
        return -math.log(1.0 - chance) / weights[number]

    return tuple([target for _, target in sorted(enumerate(targets), key=rank)])


def _hash(sticky_key: str, target: Target) -> float:
    """A number of at least 0 and less than 1, the same on every machine."""
    digest = hashlib.blake2b("\0".join((sticky_key, *target.key)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)
