"""The wire's ``usage`` -> `Usage`.

``inputTokens`` leaves cached tokens out, and they are added here; ``outputTokens`` holds the reasoning already, which
is not counted by itself. ``cacheDetails`` splits the writes by lifetime. Source: botocore 1.44.5 (``TokenUsage``);
recorded traffic repeats the cache counts as ``...TokenCount``.
"""

from __future__ import annotations

from typing import Any

from ..._schema.usage import UNKNOWN_USAGE, Usage
from ..charges import whole_output
from ..parts import as_dict


def read_usage(value: Any, tier: Any = None) -> Usage:
    """Reads what a reply used, with cached tokens as a part of the input; `UNKNOWN_USAGE` where the wire does not say.

    Args:
        value: the wire's ``usage``.
        tier: the wire's ``serviceTier``.
    """
    usage = as_dict(value)
    fresh, output = _count(usage, "inputTokens"), _count(usage, "outputTokens")
    if fresh is None and output is None:
        return UNKNOWN_USAGE
    read = _count(usage, "cacheReadInputTokens", "cacheReadInputTokenCount")
    written = _count(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    word = as_dict(tier).get("type")
    whole = None if fresh is None else fresh + (read or 0) + (written or 0)
    total = _count(usage, "totalTokens")
    return Usage(
        input_tokens=whole,
        output_tokens=whole_output(whole, output, total),
        total_tokens=total,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_tokens_by_ttl=_by_lifetime(usage.get("cacheDetails")),
        service_tier=word if isinstance(word, str) else None,
    )


def _count(usage: dict[str, Any], *names: str) -> int | None:
    for name in names:
        value = usage.get(name)
        if type(value) is int and value >= 0:
            return value
    return None


def _by_lifetime(details: Any) -> dict[str, int] | None:
    found: dict[str, int] = {}
    for detail in details if isinstance(details, list) else ():
        count, ttl = _count(as_dict(detail), "inputTokens"), as_dict(detail).get("ttl")
        if count is not None and isinstance(ttl, str):
            found[ttl] = found.get(ttl, 0) + count
    return found or None
