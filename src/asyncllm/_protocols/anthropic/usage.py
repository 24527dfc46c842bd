"""The wire's ``usage`` -> `Usage`.

``input_tokens`` on the wire leaves cached tokens out, and they are added here; ``output_tokens`` holds the thinking
already. The tokens of a compaction that the API ran on the way stand only in ``iterations``, outside of the totals,
although the same model is billed for them: they are added too. What an advisor model used is billed at that model's
price; it stays out, and is counted as a request to a tool whose fee is not known.
Sources: anthropic SDK 2.11 (``types/usage``, ``types/beta/beta_usage``).

Rate-limit headers: Anthropic's own, and those of hosts in front of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..._schema.response import RateLimits
from ..._schema.usage import UNKNOWN_USAGE, Usage
from ..charges import stated_cost
from ..parts import as_dict, as_text, parse_count, seconds_until

_LIFETIMES = (("5m", "ephemeral_5m_input_tokens"), ("1h", "ephemeral_1h_input_tokens"))


def read_usage(value: Any) -> Usage:
    """Reads what a reply used, with cached tokens as a part of the input; `UNKNOWN_USAGE` if the wire says nothing."""
    usage = as_dict(value)
    parts = [usage]
    if usage.get("iterations"):
        parts += _compactions(usage)
    fresh, output = _total(parts, "input_tokens"), _total(parts, "output_tokens")
    stated = stated_cost(usage)
    if fresh is None and output is None:
        return UNKNOWN_USAGE if stated is None else Usage(stated_cost=stated, source="unknown")
    read, written = _total(parts, "cache_read_input_tokens"), _total(parts, "cache_creation_input_tokens")
    tier = usage.get("service_tier")
    return Usage(
        input_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_tokens_by_ttl=_by_lifetime(parts) if usage.get("cache_creation") else None,
        reasoning_tokens=_count(as_dict(usage.get("output_tokens_details")).get("thinking_tokens")),
        provider_tool_requests=_requests(usage) if "server_tool_use" in usage or "iterations" in usage else None,
        service_tier=tier if isinstance(tier, str) else None,
        speed=as_text(usage.get("speed")),
        region=as_text(usage.get("inference_geo")),
        stated_cost=stated,
    )


def _compactions(usage: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = usage.get("iterations")
    if not isinstance(found, list):
        return []
    return [entry for entry in found if isinstance(entry, dict) and entry.get("type") == "compaction"]


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _total(parts: list[dict[str, Any]], key: str) -> int | None:
    """Returns the sum of a count over all parts; None where the reply's own number is unknown."""
    first = parts[0].get(key)
    if type(first) is not int or first < 0:
        return None
    return first if len(parts) == 1 else first + sum([_count(part.get(key)) or 0 for part in parts[1:]])


def _by_lifetime(parts: list[dict[str, Any]]) -> dict[str, int] | None:
    splits = [as_dict(part.get("cache_creation")) for part in parts]
    found = {word: _total(splits, key) for word, key in _LIFETIMES}
    return {word: count for word, count in found.items() if count is not None} or None


def _requests(usage: Mapping[str, Any]) -> dict[str, int] | None:
    told = as_dict(usage.get("server_tool_use"))
    found = {name.removesuffix("_requests"): _count(count) for name, count in told.items()}
    iterations = usage.get("iterations")
    entries = iterations if isinstance(iterations, list) else []
    found["advisor"] = sum([as_dict(entry).get("type") == "advisor_message" for entry in entries]) or None
    return {name: count for name, count in found.items() if count is not None} or None


_OURS = "anthropic-ratelimit-"
_THEIRS = "x-ratelimit-"
_BOTH = (_OURS, _THEIRS)


def read_rate_limits(headers: Mapping[str, str], now: Callable[[], float]) -> RateLimits | None:
    """Reads the limits from the headers; None where there are none.

    ``...-reset`` is an RFC 3339 time on Anthropic and a duration elsewhere; either way seconds from now come out. Input
    tokens stand in for tokens where only those are limited.
    """
    for name in headers:  # asked of every reply: a generator would take twice as long
        if name.startswith(_BOTH):
            break
    else:
        return None

    def first(what: str, fields: Iterable[str]) -> str | None:
        for field in fields:
            found = headers.get(f"{_OURS}{field}-{what}") or headers.get(f"{_THEIRS}{what}-{field}")
            if found:
                return found
        return None

    requests, tokens = ("requests",), ("tokens", "input-tokens")
    return RateLimits(
        requests_limit=parse_count(first("limit", requests)),
        requests_remaining=parse_count(first("remaining", requests)),
        requests_reset=seconds_until(first("reset", requests), now),
        tokens_limit=parse_count(first("limit", tokens)),
        tokens_remaining=parse_count(first("remaining", tokens)),
        tokens_reset=seconds_until(first("reset", tokens), now),
    )
