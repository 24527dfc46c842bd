"""Capability routing: from the task a call names, and from what its request needs, to the models that are fit for it.

The configuration names the models: ``tasks`` lists them for a task, ``tiers`` for ``economy``, ``standard`` and
``premium`` (or names of your own). A task that ``tasks`` does not list belongs to a tier:

============  ==========  ====================================================
task          tier        meant for
============  ==========  ====================================================
analytical    premium     reasoning, mathematics, long documents
code          premium     writing and reviewing programs
creative      standard    prose, dialogue, brainstorming
speed         economy     classification, extraction, short answers at once
============  ==========  ====================================================

A tier's own name is a task as well. Then the hard requirements: a model that is known not to take tools, pictures or
other media that the request holds, or whose window is known to be too small for it, is left out. What is not known of
a model is no reason to leave it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .._schema.content import Audio, Document, Image, Part, ResultPart, ToolResult, Video
from .._schema.facts import ModelFacts
from .._schema.request import Request
from ..errors import BadRequestError, UnsupportedContentError
from .estimate import estimate
from .router import FactsOf, Target

TIER_OF: Mapping[str, str] = {
    "analytical": "premium",
    "code": "premium",
    "creative": "standard",
    "speed": "economy",
}


Named = tuple["str | None", str]
"""A provider (None for the active one) and a model of it."""

_MEDIA: tuple[tuple[type, str], ...] = (
    (Image, "images"),
    (Document, "documents"),
    (Audio, "audio"),
    (Video, "video"),
)


def for_task(task: str, tasks: Mapping[str, Sequence[Named]], tiers: Mapping[str, Sequence[Named]]) -> Sequence[Named]:
    """The models of a task, in order.

    Raises:
        BadRequestError: no configured task or tier answers to the name.
    """
    found = tasks.get(task) or tiers.get(task) or tiers.get(TIER_OF.get(task, ""))
    if not found:
        known = sorted({*tasks, *tiers, *(name for name, tier in TIER_OF.items() if tier in tiers)})
        raise BadRequestError(f"no models are configured for task {task!r} (configured: {', '.join(known)})")
    return found


def fit(targets: Sequence[Target], request: Request, facts_of: FactsOf) -> tuple[Target, ...]:
    """The targets that are not known to lack what the request needs, in the order given.

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
