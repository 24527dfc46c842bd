"""What the place of inference adds to the price, and what is not known of it."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest

from asyncllm import Client
from asyncllm._models.prices import PriceBook
from asyncllm.schema import Usage

WHEN = datetime(2026, 11, 28, tzinfo=timezone.utc)
MILLION = Usage(input_tokens=100_000, output_tokens=100_000)

# kind, place, model, factor; the factors that LiteLLM 1.110 and the vendors' pages have, November 2026
PLACES = [
    ("openai", "eu", "gpt-5.4", "1.1"),
    ("openai", "us", "gpt-6-luna", "1.1"),
    ("openai", "eu", "gpt-4o", "1"),
    ("openai", "jp", "gpt-5.2", "1"),
    ("openai", "eu", "o4-mini", "1"),
    ("openai", "", "gpt-5.4", "1"),
    ("anthropic", "us", "claude-opus-5", "1.1"),
    ("anthropic", "global", "claude-opus-5", "1"),
    ("vertex", "us-central1", "claude-haiku-4-5@20251001", "1.1"),
    ("vertex", "eu", "claude-opus-5", "1.1"),
    ("vertex", "global", "claude-opus-5", "1"),
    ("vertex", "us-east5", "claude-3-5-haiku@20241022", "1"),
    ("vertex", "us-east5", "claude-sonnet-4@20250514", "1"),
    ("vertex", "europe-west1", "gemini-2.5-pro", "1"),
    ("vertex", "europe-west1", "gemini-3.8-flash", "1.1"),
    ("bedrock", "eu-central-1", "eu.anthropic.claude-haiku-4-5-20251001-v1:0", "1"),
    ("bedrock", "us-west-2", "amazon.nova-pro-v1:0", "1"),
    ("azure", "westeurope", "gpt-5.4", "1"),
]


def cost(kind: str, place: str, model: str, usage: Usage = MILLION, **more: Any) -> Decimal | None:
    """US dollars of a call in a place."""
    return PriceBook(**more).cost(kind, model, usage, when=WHEN, provider="p", place=place).dollars


@pytest.mark.parametrize(("kind", "place", "model", "factor"), PLACES)
def test_a_place_multiplies_the_price_of_tokens(kind: str, place: str, model: str, factor: str) -> None:
    """Tokens cost the price of the list times the factor of the place."""
    plain = cost(kind, "", model)

    assert plain is not None
    assert plain * Decimal(factor) == cost(kind, place, model)


def test_a_regional_profile_of_bedrock_costs_a_tenth_more() -> None:
    """The price data has a row for each geography in the name of a model."""
    at_home, anywhere = [
        cost("bedrock", "us-east-1", f"{geography}.anthropic.claude-haiku-4-5-20251001-v1:0")
        for geography in ("us", "global")
    ]

    assert at_home is not None
    assert anywhere is not None
    assert anywhere * Decimal("1.1") == at_home


@pytest.mark.parametrize(
    ("kind", "place", "model"),
    [("bedrock", "eu-west-1", "amazon.nova-pro-v1:0"), ("anthropic", "mars", "claude-opus-5")],
)
def test_a_place_that_nobody_knows_makes_the_cost_unknown(kind: str, place: str, model: str) -> None:
    """The cost is None and the reason names the place."""
    found = PriceBook().cost(kind, model, MILLION, when=WHEN, place=place)

    assert found.nano_dollars is None
    assert place in (found.reason or "")


def test_fees_are_the_same_everywhere() -> None:
    """A search costs as much in the United States as anywhere."""
    searched = Usage(input_tokens=1000, output_tokens=1000, provider_tool_requests={"web_search": 2}, region="us")

    assert Decimal("0.03") * Decimal("1.1") + Decimal("0.02") == cost("anthropic", "", "claude-opus-5", searched)


def test_a_price_of_the_configuration_is_what_is_paid() -> None:
    """Whoever states a price has stated it for their place; a unit without one keeps the factor."""
    own = {"gpt-5.4": {"input": Decimal(1)}}
    plain = cost("openai", "", "gpt-5.4", Usage(input_tokens=0, output_tokens=100_000))
    assert plain is not None

    assert Decimal("0.1") + plain * Decimal("1.1") == cost("openai", "eu", "gpt-5.4", overrides=own)


def test_a_reservation_has_the_factor() -> None:
    """What is reserved is an upper bound in the place too, and where its factor is not known."""
    book = PriceBook()

    def most(kind: str, model: str, place: str) -> int:
        return book.worst_case(kind, model, 1000, 1000, when=WHEN, place=place) or 0

    assert most("openai", "gpt-5.4", "") * 11 == most("openai", "gpt-5.4", "eu") * 10
    assert most("bedrock", "amazon.nova-pro-v1:0", "us-east-1") < most("bedrock", "amazon.nova-pro-v1:0", "eu-west-1")


@pytest.mark.parametrize(
    ("entry", "model"),
    [
        ({"kind": "openai", "api_key": "k", "base_url": "https://eu.api.openai.com/v1"}, "gpt-5.4"),
        (
            {"kind": "vertex", "project_id": "p", "location": "europe-west1", "access_token": "t"},
            "gemini-3.8-flash",
        ),
    ],
)
@pytest.mark.anyio
async def test_the_address_of_an_entry_says_its_place(entry: dict[str, Any], model: str) -> None:
    """An estimate for a regional entry is a tenth above the one for the whole world."""
    world = (
        {**entry, "base_url": "https://api.openai.com/v1"}
        if entry["kind"] == "openai"
        else entry | {"location": "global"}
    )
    most = []
    for one in (entry, world):
        one = {**one, "fallback_models": [model]}
        async with Client({"active_provider": "p", "providers": {"p": one}}, environ={}) as client:
            most.append((await client.estimate("hi")).most)
    here, everywhere = most

    assert here is not None
    assert everywhere is not None
    assert abs(everywhere * Decimal("1.1") - here) <= Decimal("0.000000002")


@pytest.mark.anyio
async def test_a_call_is_booked_with_the_place_of_its_entry() -> None:
    """The reply and the record of a call to a regional endpoint have the higher price."""
    from answering_server import serving

    answer = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "ok"}]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 1000, "totalTokenCount": 2000},
    }
    costs = []
    with serving(answer) as server:
        for location in ("global", "us-central1"):
            entry = {
                "kind": "vertex", "project_id": "p", "access_token": "t", "location": location,
                "base_url": server.url, "fallback_models": ["gemini-3.8-flash"],
            }  # fmt: skip
            async with Client({"active_provider": "p", "providers": {"p": entry}}, environ={}) as client:
                reply = await client.send("hi")
                (record,) = [one async for one in client.ledger.records()]
            assert record.cost == reply.cost
            costs.append(reply.cost)

    assert costs[0] * Decimal("1.1") == costs[1]
