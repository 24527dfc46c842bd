"""What a call used, as the provider counted it.

Rules: a number nobody told us is ``None``, never 0; cached tokens are *included* in ``input_tokens`` and reasoning
tokens in ``output_tokens``, whatever the wire does (Anthropic and Converse report cached tokens besides the input,
Gemini reports thoughts besides the output): a codec adds them up, so one formula prices every provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

UsageSource = Literal["provider", "estimated", "unknown"]


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


UNKNOWN_USAGE = Usage(source="unknown")
