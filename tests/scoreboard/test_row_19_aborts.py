"""Streams that are left or cut in the middle, with a known truth: what the books say they used."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from asyncllm._ledger.book import Bookkeeper
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores.memory import MemoryStore
from asyncllm._schema.content import Reasoning, Text
from asyncllm._schema.messages import Message
from asyncllm._schema.response import Outcome, Response
from asyncllm._schema.usage import UNKNOWN_USAGE, Usage
from asyncllm._testing.model import tokens
from asyncllm.errors import StreamInterruptedError
from ledger_books import PlainPrices, value

pytestmark = pytest.mark.anyio


async def test_aborted_streams(record: Callable[[str, str, str], None], full: bool) -> None:
    """Left, cut and cancelled streams are booked near what was generated, marked as estimates; none is missing."""
    chance = random.Random(19)
    streams = 2000 if full else 200
    ledger = Ledger(MemoryStore(keep=streams))
    books = Bookkeeper(ledger, PlainPrices())
    truth: dict[str, tuple[int, int]] = {}
    for number in range(streams):
        text = "".join(chance.choices("abcdefgh ", k=chance.randrange(40, 2000)))
        cut = chance.randrange(len(text) // 2)
        asked = chance.randrange(10, 500)
        ticket = await books.call("gpt-x").open(
            provider="openai", kind="openai", model="gpt-x", input_tokens=asked, max_tokens=1000
        )
        said = UNKNOWN_USAGE
        if number % 3 == 0:  # a wire that begins with what it knows: the input, and a first output token
            said = Usage(input_tokens=asked + 3, output_tokens=1)
        parts = (Reasoning(text[:cut]), Text(text[cut:]))
        partial = Response(message=Message(role="assistant", content=parts), finish_reason="other", usage=said)
        outcome: Outcome = chance.choice(["cancelled", "interrupted"])
        error = StreamInterruptedError("cut", partial=partial) if outcome == "interrupted" else None
        settled = ticket.settle(outcome, error=error, partial=None if error else partial, usage=UNKNOWN_USAGE)
        truth[ticket.id] = (said.input_tokens or asked, tokens(text))
        assert "estimated" == settled.usage.source
    found = {one.id: one async for one in ledger.records()}
    worst = 0.0
    for key, (read, written) in truth.items():
        usage = found[key].usage
        assert ("estimated", read) == (usage.source, usage.input_tokens)
        assert found[key].nano_cost == read + 2 * value(usage.output_tokens)
        worst = max(worst, abs(value(usage.output_tokens) - written) / written)
    assert worst <= 0.1
    await ledger.aclose()
    record("usage of aborted streams, worst error", f"{worst:.1%}, none missing of {streams}", "10%, none missing")


async def test_what_the_provider_said_last_is_kept() -> None:
    """A count of the provider's own that is larger than the text stays, with its other kinds of tokens."""
    ledger = Ledger(MemoryStore())
    ticket = (
        await Bookkeeper(ledger, PlainPrices())
        .call("m")
        .open(provider="p", kind="k", model="m", input_tokens=5, max_tokens=None)
    )
    said = Usage(input_tokens=50, output_tokens=90, cache_read_tokens=40)
    settled = ticket.settle("cancelled", usage=said)
    assert replace(said, source="estimated") == settled.usage
    await ledger.aclose()
