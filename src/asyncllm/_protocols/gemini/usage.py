"""``usageMetadata`` -> `Usage`.

On the wire ``promptTokenCount`` includes cached tokens, ``candidatesTokenCount`` excludes thoughts, and
``totalTokenCount = prompt + toolUsePrompt + candidates + thoughts``. ``candidatesTokenCount`` is often absent; the
output is then the total less the input. Within one stream the counts are cumulative and the last ones hold.

Source: google-genai 3.4.0, types.py, GenerateContentResponseUsageMetadata.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..._schema.usage import UNKNOWN_USAGE, Usage
from ..charges import whole_output


def read_usage(metadata: Any, searches: Mapping[str, Collection[str]] | None = None) -> Usage:
    """Reads the usage of one answer, with the searches that Google charges for.

    Args:
        metadata: the wire's ``usageMetadata``.
        searches: tool -> the queries that the answer's grounding names, see `asyncllm._protocols.gemini.response`.
    """
    tools = {tool: len(queries) for tool, queries in (searches or {}).items() if queries} or None
    if not isinstance(metadata, dict):
        return UNKNOWN_USAGE if tools is None else Usage(provider_tool_requests=tools, source="unknown")
    prompt, tool_use = _count(metadata, "promptTokenCount"), _count(metadata, "toolUsePromptTokenCount")
    thoughts, total = _count(metadata, "thoughtsTokenCount"), _count(metadata, "totalTokenCount")
    inputs = _sum(prompt, tool_use)
    outputs = _sum(_count(metadata, "candidatesTokenCount"), thoughts)
    outputs = whole_output(inputs, outputs, total)
    if outputs is None and total is not None and inputs is not None:
        outputs = 0
    known = inputs is not None or outputs is not None or total is not None
    tier = metadata.get("serviceTier") or metadata.get("trafficType")
    return Usage(
        input_tokens=inputs,
        output_tokens=outputs,
        total_tokens=total,
        cache_read_tokens=_count(metadata, "cachedContentTokenCount"),
        reasoning_tokens=thoughts,
        input_audio_tokens=_of_kind(metadata, "AUDIO", "promptTokensDetails", "toolUsePromptTokensDetails"),
        output_audio_tokens=_of_kind(metadata, "AUDIO", "candidatesTokensDetails"),
        input_image_tokens=_of_kind(metadata, "IMAGE", "promptTokensDetails", "toolUsePromptTokensDetails"),
        output_image_tokens=_of_kind(metadata, "IMAGE", "candidatesTokensDetails"),
        provider_tool_requests=tools,
        service_tier=tier if isinstance(tier, str) else None,
        source="provider" if known else "unknown",
    )


def _count(values: Mapping[str, Any], key: str) -> int | None:
    value = values.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _sum(first: int | None, second: int | None) -> int | None:
    return second if first is None else first + (second or 0)


def _of_kind(metadata: Mapping[str, Any], kind: str, *lists: str) -> int | None:
    counts = [
        _count(entry, "tokenCount")
        for name in lists
        for entry in (metadata[name] if isinstance(metadata.get(name), list) else ())
        if isinstance(entry, dict) and entry.get("modality") == kind
    ]
    return sum(count or 0 for count in counts) if counts else None
