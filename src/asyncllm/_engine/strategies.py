"""Routing strategies: pure functions that order targets by facts, prices, latencies and random numbers.

Each gives every target once, the best first; the rest is the chain of fallbacks behind it.

Routing by capability goes from the task that a call names, and from what its request needs, to the models that are fit
for it. The configuration names the models: ``tasks`` lists them for a task, ``tiers`` for ``economy``, ``standard`` and
``premium`` (or names of your own). A task that ``tasks`` does not list belongs to a tier:

============  ==========  ====================================================
task          tier        meant for
============  ==========  ====================================================
analytical    premium     reasoning, mathematics, long documents
code          premium     writing and reviewing programs
creative      standard    prose, dialogue, brainstorming
speed         economy     classification, extraction, short answers at once
============  ==========  ====================================================

``complex_reasoning``, ``code_generation``, ``creative_writing`` and ``simple_tasks`` are other names of these four.

A tier's own name is a task as well. Then the hard requirements: a model that is known not to take tools, pictures or
other media that the request holds, or whose window is known to be too small for it, is left out. What is not known of
a model is no reason to leave it out.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from decimal import Decimal

from .._config.sections import RouteTarget
from .._schema.content import (
    Audio,
    Document,
    Image,
    Part,
    ProviderToolCall,
    ProviderToolResult,
    ResultPart,
    Text,
    ToolResult,
    Unknown,
    Video,
)
from .._schema.facts import ModelFacts
from .._schema.request import Request
from ..errors import BadRequestError, UnsupportedContentError
from .forecast import estimate
from .target import FactsOf, Key, Target

PriceOf = Callable[[Target], "tuple[Decimal, Decimal] | None"]
"""A target -> US dollars for a million input and a million output tokens; None when that is not known."""

EXPLORATION = 0.05  # of the calls ask another target than the fastest first, so that its latency is seen anew


def by_cost(targets: Sequence[Target], price_of: PriceOf, input_tokens: int, output_tokens: int) -> tuple[Target, ...]:
    """Returns the cheapest target for so many tokens first. Targets without a known price come last, in the order
    given.
    """

    def price(target: Target) -> tuple[bool, Decimal]:
        known = price_of(target)
        if known is None:
            return True, Decimal(0)
        return False, known[0] * input_tokens + known[1] * output_tokens

    return tuple(sorted(targets, key=price))


def by_latency(
    targets: Sequence[Target], latency_of: Callable[[Target], float | None], draw: Callable[[], float]
) -> tuple[Target, ...]:
    """Returns the fastest target first, after those that were not measured yet. Now and then another one comes
    first, to measure it.
    """

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
    """Returns the targets in random order. Each comes first as often as its share of the weights says.

    With a sticky key there is no chance: the same key gives the same order as long as the targets are the same, and
    when a weight changes or a target is added only the share that must move does (weighted rendezvous hashing).
    """

    def rank(place: tuple[int, Target]) -> float:
        number, target = place
        chance = draw() if sticky_key is None else _hash(sticky_key, target)
        return -math.log(1.0 - chance) / weights[number]

    return tuple([target for _, target in sorted(enumerate(targets), key=rank)])


def _hash(sticky_key: str, target: Target) -> float:
    """Returns a number from 0 up to 1 (not included), the same on every machine."""
    digest = hashlib.blake2b("\0".join((sticky_key, *target.key)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


# --- deployments: equal targets with keys, regions or endpoints of their own ---


def by_load(
    targets: Sequence[Target], weights: Sequence[float], load_of: Callable[[Target], int], draw: Callable[[], float]
) -> tuple[Target, ...]:
    """The one with the least to do for its weight first; among equals at random."""
    ranked = [((load_of(target) + 1) / weight, draw(), target) for target, weight in zip(targets, weights, strict=True)]
    return tuple([target for _, _, target in sorted(ranked, key=lambda one: one[:2])])


def beginning(request: Request) -> str:
    """What the turns of one conversation have in common, as a key: tools, instructions and the first message.

    A provider caches prompts from their beginning, so this is also what it has cached of a conversation.
    """
    digest = hashlib.blake2b(repr(request.tools).encode("utf-8", "surrogatepass"), digest_size=16)
    for message in request.messages:
        for part in message.content:
            data = part.text if isinstance(part, Text) else getattr(part, "data", None) or repr(part)
            digest.update(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data)
        if message.role != "system":
            break
    return digest.hexdigest()


def answered_last(request: Request) -> str | None:
    """The account that gave the last reply of the conversation: it has the longest beginning cached."""
    for message in reversed(request.messages):
        if message.role == "assistant":
            for part in message.content:
                origin = getattr(part, "origin", None)
                if origin is not None and origin.account:
                    return str(origin.account)
            return None
    return None


def bound_to(request: Request) -> str | None:
    """The account to which parts of the conversation belong (signatures, sealed reasoning, ids); the latest counts."""
    for message in reversed(request.messages):
        for part in message.content:
            origin = getattr(part, "origin", None)
            if origin is not None and origin.account and _is_bound(part):
                return str(origin.account)
    return None


def _is_bound(part: Part) -> bool:
    if isinstance(part, (ProviderToolCall, ProviderToolResult, Unknown)):
        return True
    return any(getattr(part, name, None) is not None for name in ("signature", "encrypted", "file_id"))


def put_first(
    targets: Sequence[Target], account: str | None, unless: Container[Key] = frozenset()
) -> tuple[Target, ...]:
    """The targets, with that of an account before the others unless its key is one of ``unless``."""
    if account is None:
        return tuple(targets)
    return tuple(sorted(targets, key=lambda target: target.provider.account != account or target.key in unless))


TIER_OF: Mapping[str, str] = {
    "analytical": "premium",
    "code": "premium",
    "creative": "standard",
    "speed": "economy",
}
SAME_TASK: Mapping[str, str] = {
    "complex_reasoning": "analytical",
    "code_generation": "code",
    "creative_writing": "creative",
    "simple_tasks": "speed",
}


_MEDIA: tuple[tuple[type, str], ...] = (
    (Image, "images"),
    (Document, "documents"),
    (Audio, "audio"),
    (Video, "video"),
)


def for_task(
    task: str, tasks: Mapping[str, Sequence[RouteTarget]], tiers: Mapping[str, Sequence[RouteTarget]]
) -> Sequence[RouteTarget]:
    """Returns the models of a task, in order.

    Raises:
        BadRequestError: no configured task or tier answers to the name.
    """
    found = tasks.get(task) or tiers.get(task)
    if not found:
        meant = SAME_TASK.get(task, task)
        found = tasks.get(meant) or tiers.get(TIER_OF.get(meant, ""))
    if not found:
        known = sorted({*tasks, *tiers, *(name for name, tier in TIER_OF.items() if tier in tiers)})
        raise BadRequestError(f"no models are configured for task {task!r} (configured: {', '.join(known)})")
    return found


def fit(targets: Sequence[Target], request: Request, facts_of: FactsOf) -> tuple[Target, ...]:
    """Returns the targets without those that are known to lack what the request needs, in the order given.

    Raises:
        UnsupportedContentError: none is left.
    """
    needs = _needs(request)
    tokens = sum(estimate(request))
    left = tuple([target for target in targets if not _lacks(facts_of(target), needs, tokens)])
    if not left:
        wanted = ", ".join([*sorted(needs), f"a window of about {tokens} tokens"])
        raise UnsupportedContentError(
            f"none of the {len(targets)} models for this task has what the request needs ({wanted})"
        )
    return left


def _lacks(facts: ModelFacts, needs: Iterable[str], tokens: int) -> bool:
    if facts.context_window is not None and facts.context_window < tokens:
        return True
    return any(getattr(facts, need) is False for need in needs)


def _needs(request: Request) -> set[str]:
    needs = {need for message in request.messages for part in message.content for need in _media(part)}
    if request.tools:
        needs.add("tools")
    if request.response_format is not None and request.response_format.schema is not None:
        needs.add("json_schema")
    return needs


def _media(part: Part | ResultPart) -> Iterable[str]:
    if isinstance(part, ToolResult):
        return [need for inner in part.content for need in _media(inner)]
    return [need for kind, need in _MEDIA if isinstance(part, kind)]
