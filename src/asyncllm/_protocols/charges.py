"""Reads what the ``usage`` of all JSON wires has in common: stated costs, totals, and later counts.

Sources: recorded traffic and OpenRouter's SDK 1.3.84 (``cost`` in US dollars, ``is_byok`` where the customer's own key
was charged by the host behind it), Perplexity (``cost.total_cost``), xAI (``cost_in_usd_ticks``, 10^10 ticks a dollar),
Venice (``cost.usd`` beside the usage).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from .parts import as_dict

_TICKS = 10


def stated_cost(usage: Mapping[str, Any], body: Mapping[str, Any] | None = None) -> Decimal | None:
    """Returns the US dollars that a provider says it charged; None where it does not say.

    A plain 0 is taken for a price only from a router that says whose key it was: gateways that know no price send 0.

    Args:
        usage: the wire's usage object.
        body: the body or chunk that holds it.
    """
    if "cost_in_usd_ticks" in usage:
        ticks = _dollars(usage["cost_in_usd_ticks"])
        if ticks is not None:
            return ticks.scaleb(-_TICKS)
    found = usage.get("cost")
    if found is None and "cost" not in (body or ()):
        return None
    if isinstance(found, dict):
        return _dollars(found.get("total_cost")) if found.get("currency") in (None, "USD") else None
    told = _dollars(found)
    if told is not None and usage.get("is_byok") is True:
        return told + (_dollars(as_dict(usage.get("cost_details")).get("upstream_inference_cost")) or 0)
    if told is None or (not told and "is_byok" not in usage):
        told = _dollars(as_dict((body or {}).get("cost")).get("usd")) or None
    return told


def _dollars(value: Any) -> Decimal | None:
    """Returns a number as the exact decimal of its digits; None if it cannot be an amount of money."""
    if type(value) not in (int, float, str):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() and 0 <= found < 10**9 else None


def whole_output(read: int | None, written: int | None, total: int | None) -> int | None:
    """Returns the tokens of the output: where the total exceeds input and output, the rest is output as well.

    Args:
        read: tokens of the input.
        written: tokens of the output.
        total: tokens of both, in the provider's own count.
    """
    if read is None or total is None or total <= read + (written or 0):
        return written
    return total - read


def later_usage(before: Any, after: Any) -> Any:
    """Returns a usage object as it stands after a later one of the same stream.

    Counts are cumulative, so the later one holds. Zeros and gaps in it replace no count: some servers close a stream
    with a usage of zeros. A zero where nothing or null stood before is a count: OpenRouter begins with nulls.
    """
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after or before
    return {**before, **{name: value for name, value in after.items() if value or before.get(name) is None}}
