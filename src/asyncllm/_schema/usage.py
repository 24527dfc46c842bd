"""The usage of a call, as the provider counted it.

Rules: a number nobody told us is ``None``, never 0; cached tokens are *included* in ``input_tokens`` and reasoning
tokens in ``output_tokens``, whatever the wire does (Anthropic and Converse report cached tokens besides the input,
Gemini reports thoughts besides the output): a codec adds them up, so one formula prices every provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal

from .foreign_names import OF_USAGE, explains
from .values import dataclass

UsageSource = Literal["provider", "estimated", "unknown"]


@explains(OF_USAGE)
@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one response.

    Attributes:
        input_tokens: all prompt tokens, cache reads and writes included.
        output_tokens: all generated tokens, reasoning included.
        total_tokens: the wire's own total, else the sum of the two when both are known.
        cache_read_tokens: prompt tokens served from a cache.
        cache_write_tokens: prompt tokens written to a cache.
        cache_write_tokens_by_ttl: the same, split by lifetime (``"5m"``, ``"1h"``), where the wire splits them.
        reasoning_tokens: the part of the output that was reasoning, only where the wire counts it.
        input_audio_tokens: the audio part of the input.
        output_audio_tokens: the audio part of the output.
        input_image_tokens: the image part of the input.
        output_image_tokens: the image part of the output.
        provider_tool_requests: requests made by tools the provider ran, by tool (``"web_search"``).
        service_tier: the tier that served the call, in the provider's word.
        speed: the speed at which it was served, in the provider's word (Anthropic: ``"standard"``, ``"fast"``).
        region: where it was served, in the provider's word (Anthropic: ``"global"``, ``"us"``).
        stated_cost: US dollars that the provider says it charged for the call.
        source: who counted: ``"provider"``, ``"estimated"`` or ``"unknown"``.
    """

    def __repr__(self) -> str:
        """The counts that are known and not zero, and who counted."""
        known = [(one.name, getattr(self, one.name)) for one in fields(self)]
        return f"Usage({', '.join(f'{name}={value!r}' for name, value in known if value not in (None, 0))})"

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_tokens_by_ttl: Mapping[str, int] | None = None
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    output_image_tokens: int | None = None
    provider_tool_requests: Mapping[str, int] | None = field(default=None)
    service_tier: str | None = None
    speed: str | None = None
    region: str | None = None
    stated_cost: Decimal | None = None
    source: UsageSource = "provider"

    def __post_init__(self) -> None:
        if self.total_tokens is None and self.input_tokens is not None and self.output_tokens is not None:
            object.__setattr__(self, "total_tokens", self.input_tokens + self.output_tokens)


def added(first: Usage, second: Usage) -> Usage:
    """Adds the usage of two requests. A count that one of them does not give is unknown in the sum."""
    sums: dict[str, Any] = {}
    for one in fields(Usage):
        here, there = getattr(first, one.name), getattr(second, one.name)
        if isinstance(here, Mapping) and isinstance(there, Mapping):
            sums[one.name] = {name: here.get(name, 0) + there.get(name, 0) for name in {**here, **there}}
        elif isinstance(here, (int, Decimal)) and isinstance(there, (int, Decimal)):
            sums[one.name] = here + there
        else:
            sums[one.name] = here if here == there else None
    sources: tuple[UsageSource, ...] = ("unknown", "estimated", "provider")
    sums["source"] = next(source for source in sources if source in (first.source, second.source))
    return Usage(**sums)


UNKNOWN_USAGE = Usage(source="unknown")


def add_usage(one: Usage, other: Usage) -> Usage:
    """The tokens of two replies together.

    Input, output and total are unknown if they are unknown in one of the two. Of the other kinds, what is not counted
    in one of them is taken as none there. The source is the less certain of the two.
    """
    stated = None
    if one.stated_cost is not None and other.stated_cost is not None:
        stated = one.stated_cost + other.stated_cost
    return Usage(  # field by field: each step of a run does this
        input_tokens=_both(one.input_tokens, other.input_tokens),
        output_tokens=_both(one.output_tokens, other.output_tokens),
        total_tokens=_both(one.total_tokens, other.total_tokens),
        cache_read_tokens=_any(one.cache_read_tokens, other.cache_read_tokens),
        cache_write_tokens=_any(one.cache_write_tokens, other.cache_write_tokens),
        reasoning_tokens=_any(one.reasoning_tokens, other.reasoning_tokens),
        input_audio_tokens=_any(one.input_audio_tokens, other.input_audio_tokens),
        output_audio_tokens=_any(one.output_audio_tokens, other.output_audio_tokens),
        input_image_tokens=_any(one.input_image_tokens, other.input_image_tokens),
        output_image_tokens=_any(one.output_image_tokens, other.output_image_tokens),
        cache_write_tokens_by_ttl=_add_counts(one.cache_write_tokens_by_ttl, other.cache_write_tokens_by_ttl),
        provider_tool_requests=_add_counts(one.provider_tool_requests, other.provider_tool_requests),
        stated_cost=stated,
        source=one.source if _CERTAINTY[one.source] < _CERTAINTY[other.source] else other.source,
    )


_CERTAINTY: Mapping[UsageSource, int] = MappingProxyType({"unknown": 0, "estimated": 1, "provider": 2})


def _both(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _any(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other


def _add_counts(one: Mapping[str, int] | None, other: Mapping[str, int] | None) -> Mapping[str, int] | None:
    if one is None or other is None:
        return one or other
    return {name: one.get(name, 0) + other.get(name, 0) for name in (*one, *(n for n in other if n not in one))}
