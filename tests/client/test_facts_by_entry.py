"""What the configuration says of a model under the name of an entry holds for that entry, in every kind of routing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from asyncllm import Client, Tool, errors
from asyncllm.testing import Fault, Simulator

pytestmark = pytest.mark.anyio


def two_entries(sim: Simulator, **more: Any) -> Mapping[str, Any]:
    """Two servers of one kind that serve one model."""
    entry = {
        "kind": "openai_compatible",
        "base_url": sim.url("openai_compatible"),
        "api_key": "k",
        "fallback_models": ["gpt-sim"],
    }
    return {"active_provider": "one", "providers": {"one": dict(entry), "two": dict(entry)}, **more}


TARGETS = [{"provider": "one", "model": "gpt-sim"}, {"provider": "two", "model": "gpt-sim"}]


async def test_the_cheapest_is_found_by_the_prices_of_each_entry() -> None:
    """Prices under ``entry/model`` decide which of two entries is the cheaper."""
    prices = {"one/gpt-sim": {"input": 100, "output": 100}, "two/gpt-sim": {"input": 1, "output": 1}}
    async with Simulator() as sim:
        config = two_entries(sim, catalog={"prices": prices}, routing={"strategy": "cost", "targets": TARGETS})
        async with Client(config, environ={}) as client:
            assert "two" == (await client.send("Hi")).provider


async def test_a_larger_window_is_found_by_the_windows_of_each_entry() -> None:
    """A prompt that is too long for one entry goes to the entry whose window is larger."""
    windows = {"one/gpt-sim": {"context_window": 1000}, "two/gpt-sim-mini": {"context_window": 100_000}}
    async with Simulator() as sim:
        sim.on("gpt-sim", Fault.status(400, code="context_length_exceeded"))
        async with Client(two_entries(sim, catalog={"capabilities": windows}), environ={}) as client:
            reply = await client.send("Hi", fallback=[("two", "gpt-sim-mini")])
            assert ("two", "gpt-sim-mini") == (reply.provider, reply.model)
            with pytest.raises(errors.AsyncLLMError):
                await client.send("Hi", fallback=[("two", "gpt-sim-nano")])


async def test_a_capability_is_looked_up_for_each_entry() -> None:
    """The entry whose model cannot call tools is not asked for them; the other one is, with the same model."""
    can = {"one/gpt-sim": {"tools": False}}
    routing = {"strategy": "capability", "tasks": {"code": TARGETS}}
    async with Simulator() as sim:
        config = two_entries(sim, catalog={"capabilities": can}, routing=routing)
        async with Client(config, environ={}) as client:
            tool = Tool("f", "does something", {"type": "object", "properties": {}})
            assert "two" == (await client.send("Hi", task="code", tools=[tool])).provider
            assert "one" == (await client.send("Hi", task="code")).provider
