"""The wire's ``usage`` -> `Usage`.

``input_tokens`` on the wire leaves cached tokens out, and they are added here; ``output_tokens`` holds the thinking
already. The tokens of a compaction that the API ran on the way stand only in ``iterations``, outside of the totals,
although the same model is billed for them: they are added too. What an advisor model used is billed at that model's
price, and stays out. Sources: anthropic SDK 2.11 (``types/usage``, ``types/beta/beta_usage``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._schema.usage import UNKNOWN_USAGE, Usage
from ..shapes import as_dict

_LIFETIMES = (("5m", "ephemeral_5m_input_tokens"), ("1h", "ephemeral_1h_input_tokens"))


def read_usage(value: Any) -> Usage:
    """What a reply used; `UNKNOWN_USAGE` where the wire does not say."""
    usage = as_dict(value)
    parts = [usage, *_compactions(usage)]
    fresh, output = _total(parts, "input_tokens"), _total(parts, "output_tokens")
    if fresh is None and output is None:
        return UNKNOWN_USAGE
    read, written = _total(parts, "cache_read_input_tokens"), _total(parts, "cache_creation_input_tokens")
    tier = usage.get("service_tier")
    return Usage(
        input_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_tokens_by_ttl=_by_lifetime(parts),
        reasoning_tokens=_count(as_dict(usage.get("output_tokens_details")).get("thinking_tokens")),
        provider_tool_requests=_requests(as_dict(usage.get("server_tool_use"))),
        service_tier=tier if isinstance(tier, str) else None,
    )


def _compactions(usage: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = usage.get("iterations")
    if not isinstance(found, list):
        return []
    return [entry for entry in found if isinstance(entry, dict) and entry.get("type") == "compaction"]


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _total(parts: list[dict[str, Any]], key: str) -> int | None:
    """The sum; unknown where the reply's own number is."""
    first = _count(parts[0].get(key))
    if first is None:
        return None
    return first + sum(_count(part.get(key)) or 0 for part in parts[1:])


def _by_lifetime(parts: list[dict[str, Any]]) -> dict[str, int] | None:
    splits = [as_dict(part.get("cache_creation")) for part in parts]
    found = {word: _total(splits, key) for word, key in _LIFETIMES}
    return {word: count for word, count in found.items() if count is not None} or None


def _requests(used: Mapping[str, Any]) -> dict[str, int] | None:
    found = {name.removesuffix("_requests"): _count(count) for name, count in used.items()}
    return {name: count for name, count in found.items() if count is not None} or None
