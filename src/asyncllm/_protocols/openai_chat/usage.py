"""Token counts and finish words of the chat format.

Cached and written tokens are a breakdown of ``prompt_tokens``, reasoning tokens of ``completion_tokens``: nothing is
added up, except where a host leaves tokens out of the output and its total proves it (xAI: reasoning). What a host does
not count stays None. Hosts put their usage in many places: `usage_of` knows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._schema.usage import UNKNOWN_USAGE, Usage
from ..charges import stated_cost, whole_output
from ..parts import as_dict


def _count(*values: object) -> int | None:
    """The first that is a count of tokens."""
    for value in values:
        if type(value) is int and value >= 0:
            return value
        if type(value) is float and value >= 0 and value.is_integer():
            return int(value)
    return None


def usage_of(body: Mapping[str, Any]) -> object:
    """The usage object of a body or chunk.

    ``usage``, Groq's ``x_groq.usage``, Moonshot's usage in a choice, llama.cpp's ``timings``.
    """
    found = body.get("usage") or as_dict(body.get("x_groq")).get("usage")
    if found:
        return found
    choices = body.get("choices")
    if type(choices) is list and choices and type(choices[0]) is dict and choices[0].get("usage"):
        return choices[0]["usage"]
    timings = body.get("timings")
    if type(timings) is dict and "predicted_n" in timings:
        read = _count(timings.get("prompt_n")), _count(timings.get("cache_n"))
        return {
            "prompt_tokens": None if read[0] is None else read[0] + (read[1] or 0),
            "completion_tokens": timings["predicted_n"],
        }
    return None


def read_usage(raw: object, service_tier: object = None, body: Mapping[str, Any] | None = None) -> Usage:
    """The usage object of a body or chunk; `UNKNOWN_USAGE` where it counts nothing.

    Args:
        raw: what `usage_of` gives.
        service_tier: the tier that the body names.
        body: the body or chunk; some hosts state the cost there.
    """
    usage = as_dict(raw)
    prompt, output = as_dict(usage.get("prompt_tokens_details")), as_dict(usage.get("completion_tokens_details"))
    input_tokens = _count(usage.get("prompt_tokens"), usage.get("input_tokens"))
    output_tokens = _count(usage.get("completion_tokens"), usage.get("output_tokens"))
    total = _count(usage.get("total_tokens"))
    states = "cost" in usage or "cost_in_usd_ticks" in usage or (body is not None and "cost" in body)
    stated = stated_cost(usage, body) if states else None
    reasoning = _count(output.get("reasoning_tokens"), usage.get("reasoning_tokens"))
    if input_tokens is None and output_tokens is None and total is None:
        return UNKNOWN_USAGE if stated is None else Usage(stated_cost=stated, source="unknown")
    if total is not None and total > (input_tokens or 0) + (output_tokens or 0):
        output_tokens = whole_output(input_tokens, output_tokens, total)
    tools = usage.get("server_tool_use_details")
    tier = next((tier for tier in (service_tier, usage.get("service_tier")) if isinstance(tier, str) and tier), None)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=total,
        cache_read_tokens=_count(
            prompt.get("cached_tokens"),
            usage.get("prompt_cache_hit_tokens"),  # DeepSeek
            usage.get("cached_tokens"),
            usage.get("num_cached_tokens"),  # Mistral
            usage.get("cache_read_input_tokens"),
        ),
        cache_write_tokens=_count(
            prompt.get("cache_write_tokens"),
            prompt.get("created_cache_tokens"),  # vLLM
            usage.get("cache_creation_input_tokens"),
        ),
        reasoning_tokens=reasoning,
        input_audio_tokens=_count(prompt.get("audio_tokens")),
        output_audio_tokens=_count(output.get("audio_tokens")),
        input_image_tokens=_count(prompt.get("image_tokens")),
        output_image_tokens=_count(output.get("image_tokens")),
        provider_tool_requests=_tool_requests(tools) if isinstance(tools, dict) else None,
        service_tier=tier,
        stated_cost=stated,
    )


def _tool_requests(raw: dict[str, Any]) -> Mapping[str, int] | None:
    """OpenRouter: ``{"web_search_requests": 1, ...}``."""
    found = {
        name.removesuffix("_requests"): count
        for name, value in raw.items()
        if name.endswith("_requests") and (count := _count(value)) is not None
    }
    return found or None
