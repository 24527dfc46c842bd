"""Conversations keep their history and their provider."""

from __future__ import annotations

from decimal import Decimal

import pytest

from asyncllm import Message, SyncClient, errors
from asyncllm.testing import Fault, Reply, Simulator
from clients import OpenClient

pytestmark = pytest.mark.anyio
PRICES = {"prices": {name: {"input": 1, "output": 10} for name in ("gpt-sim", "gpt-sim-mini")}}
REPLY = Reply(text="four", input_tokens=1000, output_tokens=100)


async def test_a_conversation_remembers(open_client: OpenClient) -> None:
    """Questions and answers, sent or streamed, are there for the next question."""
    async with Simulator(reply=REPLY) as sim, open_client(sim, catalog=PRICES) as client:
        talk = client.conversation(system="Be brief.")
        await talk.send("one")
        async with talk.stream("two") as stream:
            async for _ in stream:
                pass
        await talk.send("three")
        asked = [message["content"] for message in sim.requests[-1].body["messages"]]
    assert ["Be brief.", "one", "four", "two", "four", "three"] == asked
    assert ["system", "user", "assistant", "user", "assistant", "user", "assistant"] == [
        message.role for message in talk.messages
    ]
    assert (3 * Decimal("0.002"), 0) == (talk.cost, talk.unpriced)


async def test_what_failed_or_was_left_is_not_remembered(open_client: OpenClient) -> None:
    """A failed question and a stream that was left add nothing to the history, but their attempts count."""
    async with Simulator(reply="word " * 50, chunk_delay=0.001) as sim, open_client(sim) as client:
        talk = client.conversation()
        sim.on("*", Fault(status=400, times=1))
        with pytest.raises(errors.BadRequestError):
            await talk.send("one")
        async with talk.stream("two") as stream:
            await stream.__anext__()
        sim.on("*", Fault(status=500, times=1))
        with pytest.raises(errors.ServerError):
            async for _ in talk.stream("three", fallback=[]):
                pass
    assert () == talk.messages
    assert (Decimal(0), 1) == (talk.cost, talk.unpriced)


async def test_a_conversation_stays_with_its_provider(open_client: OpenClient) -> None:
    """Whatever the configuration says of other providers, only its own models follow; another one is a fork."""
    async with Simulator() as sim, open_client(sim, cross_provider_fallback=True) as client:
        talk = client.conversation(provider="openai")
        sim.on("*", Fault(status=503), provider="openai")
        with pytest.raises(errors.AllFallbacksFailedError) as caught:
            await talk.send("one")
        assert {"openai"} == {attempt.provider for attempt in caught.value.attempts}
        for keywords in ({"provider": "anthropic"}, {"fallback": [("anthropic", "claude-sim")]}):
            with pytest.raises(errors.BadRequestError, match="fork"):
                await talk.send("one", **keywords)
        sim.off()
        await talk.send("one")
        other = talk.fork(provider="anthropic")
        reply = await other.send("two")
        assert ("anthropic", 4, 2) == (reply.provider, len(other.messages), len(talk.messages))
        same = talk.fork()
        assert ("openai", talk.messages) == (same.provider, same.messages)
        with pytest.raises(errors.ConfigurationError):
            client.conversation(provider="nobody")


def test_a_conversation_without_async() -> None:
    """The blocking twin keeps the same history."""
    with Simulator.in_thread(reply=REPLY) as sim, SyncClient(sim.config(), environ={}) as client:
        talk = client.conversation(system="Be brief.")
        assert "four" == talk.send("one").text
        assert "four" == "".join(talk.stream("two").text())
        assert 5 == len(talk.messages)
        assert Message.system("Be brief.") == talk.fork().messages[0]
        assert Decimal(0) == talk.cost == client.session_cost()
        assert client.estimate("Hi").most is None


async def test_an_empty_model_is_refused(open_client: OpenClient) -> None:
    """The name of no model is refused where it is given, and is not taken for the configured model."""
    async with Simulator() as sim, open_client(sim) as client:
        with pytest.raises(errors.BadRequestError, match="model"):
            client.conversation(model="")
        with pytest.raises(errors.BadRequestError, match="model"):
            await client.conversation().send("Hi", model="")
    assert 0 == sim.count()
