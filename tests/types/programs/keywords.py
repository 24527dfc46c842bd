"""A misspelt keyword, word or type is refused wherever the keywords are taken: lines that end in ``# error``."""

from __future__ import annotations

from decimal import Decimal

from typing_extensions import assert_type

import asyncllm


async def right(client: asyncllm.Client, temperature: float | None) -> None:
    await client.send("hi", temperature=temperature, max_tokens=None, reasoning="low", timeout=3)
    await client.send("hi", reasoning=2000, hedge=True, on_interrupt="restart", stop=["a"], tags={"team": "x"})
    await client.send("hi", fallback=["a", ("openai", "b")], tools=[{"type": "function"}], tool_choice="required")
    options: asyncllm.CallOptions = {"temperature": 0.5, "reasoning": "none"}
    await client.send("hi", **options)
    assert_type(await client.session_cost(), Decimal)


async def misspelt(client: asyncllm.Client, twin: asyncllm.SyncClient) -> None:
    await client.send("hi", temprature=1)  # error
    client.stream("hi", temprature=1)  # error
    await client.conversation().send("hi", temprature=1)  # error
    client.conversation().stream("hi", temprature=1)  # error
    twin.send("hi", temprature=1)  # error
    twin.stream("hi", temprature=1)  # error
    twin.conversation().send("hi", temprature=1)  # error
    twin.conversation().stream("hi", temprature=1)  # error
    client.conversation(sytem="x")  # error
    twin.conversation(sytem="x")  # error


async def wrong_words(client: asyncllm.Client, twin: asyncllm.SyncClient) -> None:
    await client.send("hi", reasoning="hihg")  # error
    client.stream("hi", on_interrupt="restrat")  # error
    await client.send("hi", tool_choice="requierd")  # error
    twin.send("hi", reasoning="hihg")  # error
    twin.conversation().stream("hi", on_interrupt="restrat")  # error
    wrong: asyncllm.CallOptions = {"reasoning": "hihg"}  # error


async def wrong_types(client: asyncllm.Client, twin: asyncllm.SyncClient) -> None:
    await client.send("hi", model=("openai", "m"))  # error
    await client.send("hi", max_tokens="3")  # error
    await client.send("hi", extra_headers="x: y")  # error
    await client.send("hi", tags={"a": 1})  # error
    twin.send("hi", timeout="3")  # error
    await client.send(3)  # error


def twin_of_the_rest(twin: asyncllm.SyncClient) -> None:
    assert_type(twin.session_cost(), Decimal)
    assert_type(twin.is_deprecated("openai", "m"), bool)
    twin.models(include_deprecatd=True)  # error
    assert_type(twin.ledger.session_cost(), Decimal)
    assert_type(twin.ledger.report(by=["model"])[0].cost, Decimal)
    for record in twin.ledger.records():
        assert_type(record.id, str)
