"""The line that says what a reply used."""

from __future__ import annotations

from decimal import Decimal

import pytest

from asyncllm._schema.messages import Message
from asyncllm._schema.response import Attempt, Response
from asyncllm._schema.usage import UNKNOWN_USAGE, Usage
from asyncllm.cli.figures import summary, tokens


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage(input_tokens=14, output_tokens=9), "14 in + 9 out = 23 tokens"),
        (Usage(total_tokens=23), "23 tokens"),
        (Usage(input_tokens=14), "tokens unknown"),
        (Usage(input_tokens=0, output_tokens=0), "0 in + 0 out = 0 tokens"),
        (UNKNOWN_USAGE, "tokens unknown"),
    ],
)
def test_tokens_are_shown_as_far_as_they_are_known(usage: Usage, expected: str) -> None:
    """A number that nobody counted is unknown, never 0."""
    assert expected == tokens(usage)


def test_a_plain_reply_shows_who_and_how_much() -> None:
    """Nothing is said of a price, a latency or an end that are not known or not worth a word."""
    response = Response(message=Message.assistant("4"), finish_reason="stop", provider="openai", model="m")
    assert "openai m · tokens unknown" == summary(response)


def test_a_remarkable_reply_shows_why() -> None:
    """A price, a cut and a fallback are said."""
    failed = Attempt(provider="openai", model="big", outcome="error", latency=0.5)
    answered = Attempt(provider="openai", model="small", outcome="ok", latency=0.25)
    response = Response(
        message=Message.assistant("4"),
        finish_reason="length",
        usage=Usage(input_tokens=1, output_tokens=2),
        cost=Decimal("0.000012"),
        provider="openai",
        model="small",
        attempts=(failed, answered),
    )
    expected = "openai small · 1 in + 2 out = 3 tokens · $0.000012 · 0.25 s · ended by length · 2 attempts"
    assert expected == summary(response)


def test_a_small_price_is_money() -> None:
    """No exponent, however small the price is."""
    response = Response(
        message=Message.assistant("4"), finish_reason="stop", provider="p", model="m", cost=Decimal("0.0000007")
    )
    assert "p m · tokens unknown · $0.0000007" == summary(response)
