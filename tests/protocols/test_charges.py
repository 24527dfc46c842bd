"""What every wire says of its bill: stated costs, totals that prove more tokens, later counts of a stream."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from asyncllm._protocols.anthropic.usage import read_usage as read_anthropic
from asyncllm._protocols.charges import later_usage, stated_cost, whole_output
from asyncllm._protocols.converse.usage import read_usage as read_converse
from asyncllm._protocols.gemini.response import read_searches
from asyncllm._protocols.gemini.usage import read_usage as read_gemini
from asyncllm._protocols.openai_chat.response import read_usage as read_chat
from asyncllm._protocols.openai_chat.response import usage_of
from asyncllm._protocols.openai_responses.usage import read_usage as read_responses


@pytest.mark.parametrize(
    ("usage", "body", "cost"),
    [
        ({}, {}, None),
        ({"cost": 0.00123, "is_byok": False}, {}, "0.00123"),
        ({"cost": 6e-08}, {}, "6E-8"),
        ({"cost": 0, "is_byok": False}, {}, "0"),
        ({"cost": 0}, {}, None),
        ({"cost": None, "is_byok": False}, {}, None),
        ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.0021}}, {}, "0.0021"),
        ({"cost": 0.0001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.002}}, {}, "0.0021"),
        ({"cost": {"total_cost": 0.00503, "request_cost": 0.005}}, {}, "0.00503"),
        ({"cost": {"total_cost": 0.1, "currency": "EUR"}}, {}, None),
        ({"cost_in_usd_ticks": 5_902_500}, {}, "0.00059025"),
        ({"prompt_tokens": 1}, {"cost": {"usd": 0.25, "diem": 0}}, "0.25"),
        ({"cost": -1}, {}, None),
        ({"cost": True}, {}, None),
        ({"cost": "much"}, {}, None),
        ({"cost": float("inf")}, {}, None),
    ],
)
def test_a_stated_cost_is_exact(usage: dict[str, Any], body: dict[str, Any], cost: str | None) -> None:
    """OpenRouter's, Perplexity's, xAI's and Venice's words for it, to the last digit; anything else is no cost."""
    assert (None if cost is None else Decimal(cost)) == stated_cost(usage, body)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [((10, 26, 263), 253), ((10, 26, 36), 26), ((10, 26, 30), 26), ((10, None, 36), 26), ((None, 26, 263), 26)],
)
def test_what_only_the_total_counts_is_output(counts: tuple[Any, Any, Any], expected: int) -> None:
    """A total that is larger than its parts proves more output; one that is smaller proves nothing."""
    assert expected == whole_output(*counts)


def test_every_wire_gives_the_rest_of_the_total_to_the_output() -> None:
    """253 tokens of output on each wire that has a total."""
    chat = {"prompt_tokens": 10, "completion_tokens": 26, "total_tokens": 263}
    responses = {"input_tokens": 10, "output_tokens": 26, "total_tokens": 263}
    gemini = {"promptTokenCount": 10, "candidatesTokenCount": 26, "totalTokenCount": 263}
    converse = {"inputTokens": 10, "outputTokens": 26, "totalTokens": 263}
    found = [read_chat(chat), read_responses({"usage": responses}), read_gemini(gemini), read_converse(converse)]
    assert [253] * 4 == [usage.output_tokens for usage in found]


def test_zeros_of_a_later_usage_are_no_counts() -> None:
    """A stream that closes with zeros keeps what it counted before; larger counts replace it."""
    first = {"prompt_tokens": 10, "completion_tokens": 5}
    assert first == later_usage(first, {"prompt_tokens": 0, "completion_tokens": 0})
    assert {**first, "completion_tokens": 9} == later_usage(first, {"completion_tokens": 9, "prompt_tokens": None})
    assert {**first, "total_tokens": 0} == later_usage(first, {"total_tokens": 0})
    nulls = {"prompt_tokens": 7, "cached_tokens": None}  # OpenRouter's first event; its last one counts
    assert {"prompt_tokens": 7, "cached_tokens": 0} == later_usage(nulls, {"prompt_tokens": 0, "cached_tokens": 0})
    assert first == later_usage(None, first) == later_usage(first, None)


@pytest.mark.parametrize(
    "body",
    [
        {"usage": {"prompt_tokens": 10, "completion_tokens": 5}},
        {"usage": {"input_tokens": 10, "output_tokens": 5}},
        {"x_groq": {"usage": {"prompt_tokens": 10, "completion_tokens": 5}}},
        {"choices": [{"usage": {"prompt_tokens": 10, "completion_tokens": 5}}]},
        {"timings": {"prompt_n": 8, "cache_n": 2, "predicted_n": 5}},
    ],
)
def test_a_chat_usage_is_found_wherever_a_host_puts_it(body: dict[str, Any]) -> None:
    """In the body, in Groq's own object, in the choice, in llama.cpp's timings, and under the names of Responses."""
    found = read_chat(usage_of(body), None, body)
    assert (10, 5) == (found.input_tokens, found.output_tokens)


def test_claude_says_how_fast_and_where() -> None:
    """Speed and region are kept, and an advisor is a tool whose fee nobody knows."""
    told = {"input_tokens": 1, "output_tokens": 2, "speed": "fast", "inference_geo": "us"}
    found = read_anthropic({**told, "iterations": [{"type": "message"}, {"type": "advisor_message"}]})
    assert ("fast", "us", {"advisor": 1}) == (found.speed, found.region, found.provider_tool_requests)
    assert read_anthropic(told).provider_tool_requests is None


def test_gemini_counts_different_queries() -> None:
    """A query is charged once; grounding without a query counts as one; maps are a tool of their own."""

    def searched(**metadata: Any) -> dict[str, int] | None:
        found = read_gemini({"promptTokenCount": 1}, read_searches({"groundingMetadata": metadata}))
        return None if found.provider_tool_requests is None else dict(found.provider_tool_requests)

    assert searched() is None
    assert {"web_search": 2} == searched(webSearchQueries=["a", "b", "a", " ", ""])
    assert {"web_search": 1} == searched(groundingChunks=[{"web": {"uri": "u"}}, {"web": {"uri": "v"}}])
    assert {"google_maps": 1} == searched(groundingChunks=[{"maps": {"uri": "u"}}])
