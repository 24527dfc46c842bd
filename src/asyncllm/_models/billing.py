"""Counting: a usage and the rates of its model -> amounts by unit, or ``None`` where one of them is not known.

Cached, audio and image tokens are parts of the input, reasoning, audio and image tokens parts of the output. A part
with a price of its own is taken out of the whole and billed at it; a part without one is billed as the whole is, which
is what every price list means. What cannot be told is not guessed:

- no count of the input or the output, or parts that add up to more than the whole;
- tokens with no price at all;
- cache writes of a lifetime that has no price of its own and is not the ordinary one;
- cached *and* audio (or image) tokens with prices of their own: nobody says how many were both;
- requests of a provider's tool whose fee is not known. Free allowances of searches are left out: each one counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .._schema.usage import Usage
from .rates import INPUT_UNITS, OUTPUT_UNITS, Rates

# What the plain price of cache writes is for: Anthropic's and Bedrock's usual lifetime, and OpenAI's.
_ORDINARY_LIFETIMES = frozenset({"5m", "30m"})
_LONG_LIFETIME = "1h"
_TOOL_FEES: Mapping[str, str] = MappingProxyType({"web_search": "web_search", "file_search": "file_search"})
# Only their tokens are billed (Anthropic's price list, November 2026).
_FREE_TOOLS = frozenset({"web_fetch", "tool_search"})

Amounts = Mapping[str, int]


def bill(rates: Rates, usage: Usage) -> Amounts | None:
    """The amounts of a call, unit -> yocto-dollars, without the units it did not use; ``None`` if one is unknown."""
    if usage.input_tokens is None or (usage.output_tokens is None and "output" in rates):
        return None
    counts: dict[str, int] = {}
    complete = (
        _split_input(rates, usage, usage.input_tokens, counts)
        and _split_output(rates, usage, usage.output_tokens or 0, counts)
        and _add_fees(rates, usage, counts)
    )
    if not complete:
        return None
    length = usage.input_tokens
    return {unit: count * rates[unit].at(length) for unit, count in counts.items() if count}


def _split_input(rates: Rates, usage: Usage, whole: int, counts: dict[str, int]) -> bool:
    writes = _writes(usage)
    if writes is None:
        return False
    ordinary, long = writes
    if long and "cache_write_1h" not in rates:
        return False
    cached = {"cache_read": usage.cache_read_tokens or 0, "cache_write": ordinary, "cache_write_1h": long}
    media = {"input_audio": usage.input_audio_tokens or 0, "input_image": usage.input_image_tokens or 0}
    return _split("input", whole, cached, media, rates, counts)


def _writes(usage: Usage) -> tuple[int, int] | None:
    """Tokens written to a cache for the ordinary time and for an hour; ``None`` if they do not add up."""
    by_lifetime = usage.cache_write_tokens_by_ttl or {}
    split = sum(by_lifetime.values())
    whole = split if usage.cache_write_tokens is None else usage.cache_write_tokens
    known = _ORDINARY_LIFETIMES | {_LONG_LIFETIME}
    if split > whole or any(count and lifetime not in known for lifetime, count in by_lifetime.items()):
        return None
    long = by_lifetime.get(_LONG_LIFETIME, 0)
    return whole - long, long


def _split_output(rates: Rates, usage: Usage, whole: int, counts: dict[str, int]) -> bool:
    thought = {"reasoning": usage.reasoning_tokens or 0}
    media = {"output_audio": usage.output_audio_tokens or 0, "output_image": usage.output_image_tokens or 0}
    return _split("output", whole, thought, media, rates, counts)


def _split(
    whole_unit: str,
    whole: int,
    first: Mapping[str, int],
    second: Mapping[str, int],
    rates: Rates,
    counts: dict[str, int],
) -> bool:
    """Takes the priced parts out of the whole; false where that cannot be done. The two groups may overlap."""
    groups = [{unit: count for unit, count in group.items() if count and unit in rates} for group in (first, second)]
    rest = whole - sum(sum(group.values()) for group in groups)
    if all(groups) or rest < 0 or (rest and whole_unit not in rates):
        return False
    counts.update({whole_unit: rest, **groups[0], **groups[1]})
    return True


def _add_fees(rates: Rates, usage: Usage, counts: dict[str, int]) -> bool:
    if "request" in rates:
        counts["request"] = 1
    for tool, count in (usage.provider_tool_requests or {}).items():
        if not count or tool in _FREE_TOOLS:
            continue
        fee = _TOOL_FEES.get(tool)
        if fee is None or fee not in rates:
            return False
        counts[fee] = count
    return True


def dearest(rates: Rates, input_tokens: int, output_tokens: int) -> int | None:
    """The most such a call can cost, in yocto-dollars, whatever its tokens turn out to be; without fees of tools."""
    needed = (("input", input_tokens), ("output", output_tokens))
    if any(count and unit not in rates for unit, count in needed):
        return None
    total = rates["request"].base if "request" in rates else 0
    for units, count in ((INPUT_UNITS, input_tokens), (OUTPUT_UNITS, output_tokens)):
        total += count * max((rates[unit].at(input_tokens) for unit in units if unit in rates), default=0)
    return total
