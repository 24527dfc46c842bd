"""Reads token counts and the finish reason of a ``response`` object.

``input_tokens`` counts cached and written tokens, ``output_tokens`` counts reasoning: nothing is added up, but for a
total that proves more. There is no
finish reason on this wire: it is read from the status, ``incomplete_details`` and what the output holds.
Source: openai 3.52.0 (openai/types/responses/response.py, response_usage.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._schema.response import FinishReason
from ..._schema.usage import UNKNOWN_USAGE, Usage
from ..charges import stated_cost, whole_output
from ..finish import WORDS
from ..parts import as_dict


def _count(value: object) -> int | None:
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and value >= 0 else None


def read_usage(response: Mapping[str, Any]) -> Usage:
    """Reads the usage of a ``response`` object; `UNKNOWN_USAGE` if it has no counts."""
    usage = as_dict(response.get("usage"))
    read, written = as_dict(usage.get("input_tokens_details")), as_dict(usage.get("output_tokens_details"))
    counts = [_count(usage.get(name)) for name in ("input_tokens", "output_tokens", "total_tokens")]
    stated = stated_cost(usage, response)
    if counts == [None, None, None]:
        return UNKNOWN_USAGE if stated is None else Usage(stated_cost=stated, source="unknown")
    tier = response.get("service_tier")
    return Usage(
        input_tokens=counts[0],
        output_tokens=whole_output(*counts),
        total_tokens=counts[2],
        cache_read_tokens=_count(read.get("cached_tokens")),
        cache_write_tokens=_count(read.get("cache_write_tokens")),
        cache_write_tokens_by_ttl=_by_ttl(as_dict(read.get("cache_write_tokens_details"))),
        reasoning_tokens=_count(written.get("reasoning_tokens")),
        provider_tool_requests=_tool_requests(response, usage),
        service_tier=tier if isinstance(tier, str) and tier else None,
        stated_cost=stated,
    )


def _by_ttl(details: dict[str, Any]) -> Mapping[str, int] | None:
    """Reads ``{"ttl_30m_tokens": 1}`` as ``{"30m": 1}``."""
    found = {
        name[len("ttl_") : -len("_tokens")]: count
        for name, value in details.items()
        if name.startswith("ttl_") and name.endswith("_tokens") and (count := _count(value)) is not None
    }
    return found or None


def _tool_requests(response: Mapping[str, Any], usage: Mapping[str, Any]) -> Mapping[str, int] | None:
    """Reads OpenAI's ``tool_usage.web_search.num_requests``, and xAI's ``server_side_tool_usage_details``."""
    found: dict[str, int] = {}
    for name, told in as_dict(response.get("tool_usage")).items():
        count = _count(as_dict(told).get("num_requests"))
        if count is not None:
            found[name] = count
    for name, told in as_dict(usage.get("server_side_tool_usage_details")).items():
        count = _count(told)
        if count is not None:
            found[name.removesuffix("_calls")] = count
    return found or None


_NORMAL = frozenset({"completed", "complete"})


def read_finish(response: Mapping[str, Any], *, calls: bool, refused: bool) -> tuple[FinishReason, str | None]:
    """Returns why the reply ended, and the word of the wire: the reason of an incomplete reply, or else its status."""
    status = response.get("status")
    if isinstance(status, str) and status not in _NORMAL:
        word = as_dict(response.get("incomplete_details")).get("reason")
        word = word if isinstance(word, str) and word else status
        return WORDS.get(word.lower(), "other"), word
    raw = status if isinstance(status, str) else None
    if calls:
        return "tool_calls", raw
    return "refusal" if refused else "stop", raw
