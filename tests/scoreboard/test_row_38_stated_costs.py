"""Costs that providers state in recorded replies: each is booked as stated."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import chat_recordings
import response_recordings
from asyncllm._models.prices import PriceBook
from asyncllm._schema.usage import Usage
from asyncllm.errors import AsyncLLMError
from recordings import FOLDER, body_of

PRICES = PriceBook()
NOW = datetime(2026, 11, 28, tzinfo=timezone.utc)


def exchanges() -> Iterator[dict[str, Any]]:
    """The recorded replies of hosts that state a cost."""
    for folder in (FOLDER, FOLDER.parent / "dev2"):
        for path in sorted(folder.glob("*.jsonl")):
            lines = path.read_bytes().splitlines()
            yield from (json.loads(line) for line in lines if b'"cost' in line or b"_ticks" in line)


def stated_in(exchange: dict[str, Any]) -> Decimal | None:
    """The cost that the last usage of a recorded body states, read without our codecs."""
    body, found = str(exchange.get("response_body") or ""), None
    for line in [body, *(line[5:] for line in body.splitlines() if line.startswith("data:"))]:
        try:
            value = json.loads(line, parse_float=Decimal)
        except ValueError:
            continue
        value = value.get("response", value) if isinstance(value, dict) else {}
        usage = value.get("usage") if isinstance(value, dict) else None
        if not isinstance(usage, dict):
            continue
        cost = usage.get("cost")
        if "cost_in_usd_ticks" in usage:
            found = Decimal(usage["cost_in_usd_ticks"]) / 10**10
        elif isinstance(cost, dict):
            found = Decimal(cost["total_cost"])
        elif cost is not None:
            found = Decimal(cost)
    return found


def usage_from(exchange: dict[str, Any]) -> Usage:
    """The usage that our codecs read from a recorded reply, also from a stream that ended in an error."""
    chat, body = exchange["protocol"] == "openai-chat", body_of(exchange)
    if exchange["response_kind"] == "json":
        return (chat_recordings if chat else response_recordings).decode(exchange).usage
    if chat:
        where = chat_recordings.context_of(exchange)
        decoder: Any = chat_recordings.protocol_of(exchange).decoder({}, where)
    else:
        decoder = response_recordings.protocol_of(exchange).decoder({}, response_recordings.here())
    try:
        decoder.feed(chat_recordings.frames_of([body]))
        decoder.close()
    except AsyncLLMError:
        pass
    usage: Usage = decoder.usage
    return usage


def test_recorded_costs_are_booked_as_stated(record: Callable[[str, str, str], None]) -> None:
    """Every cost that OpenRouter, Perplexity or xAI states in a recorded reply is the cost of that reply."""
    if not Path(FOLDER).is_dir():
        pytest.skip("the recorded exchanges are not beside this checkout")
    seen = dict.fromkeys(("openrouter", "perplexity", "xai"), 0)
    for exchange in exchanges():
        provider, stated = exchange["provider"], stated_in(exchange)
        if provider not in seen or exchange["kind"] != "generate" or stated is None:
            continue
        usage = usage_from(exchange)
        assert stated == usage.stated_cost, exchange["id"]
        assert round(stated, 9) == PRICES.cost(provider, "a-model", usage, when=NOW).dollars
        seen[provider] += 1
    record("costs that providers state", f"{sum(seen.values())} booked as stated", "100%")
    assert all(count > 10 for count in seen.values()), seen
