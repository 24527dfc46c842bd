"""Several keys, regions or endpoints in one entry: who is asked, who is passed over, and what stays with an account."""

from __future__ import annotations

import collections
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import anyio
import pytest

from asyncllm import Client, Message, errors
from asyncllm.testing import Fault, Reply, Simulator

pytestmark = pytest.mark.anyio
DEAD = "http://127.0.0.1:9/openai/v1"


@asynccontextmanager
async def opened(
    sim: Simulator, *deployments: Mapping[str, Any], entry: Mapping[str, Any] | None = None, **changes: Any
) -> AsyncIterator[Client]:
    config = sim.config(retry={"base_delay": 0.2}, **changes)
    named = [{"headers": {"x-at": one["name"]}, **one} for one in deployments]
    config["providers"]["openai"] |= {"deployments": named, "fallback_models": ["gpt-sim"], **(entry or {})}
    async with Client(config, environ={}) as client:
        yield client


def at(name: str) -> Any:
    """Whether a request came by this deployment."""
    return lambda received: received.headers.get("x-at") == name


def asked(sim: Simulator) -> dict[str, int]:
    return dict(collections.Counter(received.headers["x-at"] for received in sim.requests))


@pytest.mark.parametrize("streamed", [False, True], ids=["unary", "streamed"])
async def test_a_throttled_and_a_dead_one_cost_no_call(streamed: bool) -> None:
    """Three deployments, one throttled, one dead: every call is answered, and none waits for either."""
    async with (
        Simulator(reply="ok") as sim,
        opened(sim, {"name": "a"}, {"name": "b"}, {"name": "c", "base_url": DEAD}) as client,
    ):
        sim.on("*", Fault.status(429, retry_after=30, when=at("a")))
        slowest = 0.0
        for _ in range(60):
            began = time.monotonic()
            if streamed:
                async with client.stream("Hi") as stream:
                    assert "".join([str(event) async for event in stream]) == "ok"
            else:
                assert (await client.send("Hi")).text == "ok"
            slowest = max(slowest, time.monotonic() - began)
        states = {row.deployment: row for row in client.health()}
    assert slowest < 0.2, "no call waited for a pause"
    assert asked(sim)["a"] == 1, "a throttled one is left alone"
    assert (states["a"].state, states["a"].reason) == ("open", "cooldown")
    assert states["a"].retry_after > 25
    assert states["c"].consecutive_failures <= 3, "a dead one is not asked again at once"
    assert (states[None].state, states[None].attempts) == ("closed", sum(states[name].attempts for name in "abc"))


async def test_many_calls_at_once_lose_none() -> None:
    """The same with 200 calls, 50 at once; the ledger tells the deployments apart, and adds them up."""
    async with (
        Simulator(reply="ok") as sim,
        opened(sim, {"name": "a"}, {"name": "b"}, {"name": "c", "base_url": DEAD}) as client,
    ):
        sim.on("*", Fault.status(429, retry_after=30, when=at("a")))
        limiter = anyio.CapacityLimiter(50)

        async def call() -> None:
            async with limiter:
                assert (await client.send("Hi")).text == "ok"

        async with anyio.create_task_group() as tasks:
            for _ in range(200):
                tasks.start_soon(call)
        rows = await client.ledger.report(by=["provider", "deployment", "status"])
        whole = await client.ledger.report(by=["provider"])
    counts = {(row.group["deployment"], row.group["status"]): row.requests for row in rows}
    assert counts["b", "ok"] == 200
    assert set(counts) <= {("a", "error"), ("b", "ok"), ("c", "error")}
    assert sum(counts.values()) == whole[0].requests


async def test_weights_share_the_calls() -> None:
    """A deployment gets its share; calls with one sticky key go to one deployment."""
    async with Simulator() as sim, opened(sim, {"name": "a", "weight": 3}, {"name": "b"}) as client:
        for _ in range(80):
            await client.send("Hi")
        shares = asked(sim)
        sim.reset()
        for _ in range(10):
            await client.send("Hi", sticky_key="one user")
        stuck = asked(sim)
    assert 45 <= shares["a"] <= 74
    assert list(stuck.values()) == [10]


async def test_the_least_busy_is_asked_first() -> None:
    """A slow deployment has its hands full, so that the other one gets the calls."""
    async with (
        Simulator() as sim,
        opened(sim, {"name": "slow"}, {"name": "fast"}, routing={"strategy": "least_busy"}) as client,
    ):
        sim.on("*", Fault.stall(after="request", seconds=1.0, when=at("slow")))
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(client.send, "Hi")
            await anyio.sleep(0.3)
            busy = {row.deployment: row.under_way for row in client.health()}
            for _ in range(10):
                await client.send("Hi")
            shares = asked(sim)
    assert (busy["slow"], busy["fast"], busy[None]) == (2, 0, 2)
    assert shares["slow"] <= 3, "it is asked again only where both are equally busy"


async def test_the_fastest_is_asked_first() -> None:
    """Latencies are measured first; from then on the slow one gets the few calls that measure it anew."""
    async with (
        Simulator() as sim,
        opened(sim, {"name": "slow"}, {"name": "fast"}, entry={"balance": "latency"}) as client,
    ):
        sim.on("*", Fault.stall(after="request", seconds=0.1, when=at("slow")))
        for _ in range(30):
            await client.send("Hi")
    assert asked(sim)["fast"] >= 22


async def test_a_conversation_returns_to_where_its_beginning_is_cached() -> None:
    """Turns of a conversation go to one deployment, different conversations to different ones."""
    async with (
        Simulator() as sim,
        opened(sim, *({"name": name} for name in "abcd"), routing={"strategy": "cache_affinity"}) as client,
    ):
        homes = set()
        for number in range(12):
            said: list[Any] = [{"role": "user", "content": f"Question {number}"}]
            places = []
            for _ in range(3):
                reply = await client.send(said)
                places.append(reply.attempts[-1].deployment)
                said += [{"role": "assistant", "content": reply.text}, {"role": "user", "content": "And then?"}]
            assert len(set(places)) == 1
            homes.add(places[0])
        talk = client.conversation()
        first = await talk.send("Hello")
        home = first.attempts[-1].deployment
        sim.on("*", Fault.status(503, when=at(str(home))))
        moved = (await talk.send("More")).attempts[-1].deployment
        sim.off()
        client.reset_health()
        stayed = (await talk.send("Still more")).attempts[-1].deployment
    assert len(homes) >= 3
    assert moved != home
    assert stayed == moved, "that is where the longest beginning is cached now"


async def test_a_full_one_is_passed_over() -> None:
    """A deployment at its own limit is passed over while another one has room; the entry's limit holds for all."""
    limits = {"limits": {"concurrent": 1}}
    async with (
        Simulator(latency=0.2) as sim,
        opened(sim, {"name": "a", "weight": 1000, **limits}, {"name": "b", **limits}) as client,
    ):
        began = time.monotonic()
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(client.send, "Hi")
        seconds = time.monotonic() - began
    assert asked(sim) == {"a": 1, "b": 1}
    assert seconds < 0.39
    async with Simulator(latency=0.05) as sim, opened(sim, {"name": "a"}, {"name": "b"}, entry=limits) as client:
        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(client.send, "Hi")
        assert sim.peak_in_flight == 1


async def test_a_refused_key_takes_the_others_nothing() -> None:
    """A 401 or an empty account switches off its own deployment alone, with all its models."""
    async with Simulator(reply="ok") as sim, opened(sim, {"name": "a"}, {"name": "b"}) as client:
        sim.on("*", Fault.status(401, when=at("a")))
        for _ in range(10):
            assert (await client.send("Hi")).text == "ok"
        states = {row.deployment: (row.state, row.reason) for row in client.health()}
    assert asked(sim).get("a", 0) <= 1
    assert states["b"] == ("closed", None)
    assert states.get("a", ("open", "credential")) == ("open", "credential")


async def test_all_of_a_model_come_before_the_next_model() -> None:
    """The chain goes on to the next model when every deployment of the first one has failed."""
    async with (
        Simulator() as sim,
        opened(sim, {"name": "a"}, {"name": "b"}, entry={"fallback_models": ["gpt-sim", "gpt-sim-mini"]}) as client,
    ):
        sim.on("gpt-sim", Fault.status(404, code="model_not_found"))
        reply = await client.send("Hi")
    assert sorted(f"{one.deployment}/{one.model}" for one in reply.attempts[:2]) == ["a/gpt-sim", "b/gpt-sim"]
    assert [one.model for one in reply.attempts[2:]] == ["gpt-sim-mini"]


async def test_errors_name_the_deployments() -> None:
    """When all fail, the sentence names each of them."""
    async with Simulator() as sim, opened(sim, {"name": "a"}, {"name": "b"}) as client:
        sim.on("*", Fault.status(400, code="model_not_found", message="no such model gpt-sim"))
        with pytest.raises(errors.AllFallbacksFailedError) as caught:
            await client.send("Hi")
    assert "openai/a/gpt-sim" in str(caught.value)
    assert "openai/b/gpt-sim" in str(caught.value)


async def test_what_belongs_to_an_account_stays_with_it() -> None:
    """Encrypted reasoning goes to the account that made it; another one gets the call without it, with a warning."""
    async with (
        Simulator(reply=Reply(text="Yes", reasoning="Hm.")) as sim,
        opened(sim, *({"name": name} for name in "abcd"), entry={"api": "responses"}) as client,
    ):
        reply = await client.send("Hi", reasoning="high")
        home = reply.attempts[-1].deployment
        said = [Message.user("Hi"), reply.message, Message.user("So?")]
        replies = [await client.send(said, reasoning="high") for _ in range(8)]
        sim.on("*", Fault.status(503, when=at(str(home))))
        moved = await client.send(said, reasoning="high")
    assert {reply.attempts[-1].deployment for reply in replies} == {home}
    assert all(not reply.warnings for reply in replies)
    assert "encrypted_content" in str(sim.requests[1].body["input"])
    assert moved.attempts[-1].deployment != home
    assert "encrypted_content" not in str(sim.requests[-1].body["input"])
    assert any(f"openai/{home}" in warning for warning in moved.warnings)


async def test_each_has_its_own_price() -> None:
    """A price of the deployment goes before one of the entry."""
    prices = {"openai/gpt-sim": {"input": 1, "output": 1}, "openai/b/gpt-sim": {"input": 2, "output": 2}}
    async with (
        Simulator() as sim,
        opened(sim, {"name": "a"}, {"name": "b"}, catalog={"prices": prices}) as client,
    ):
        costs = {}
        while len(costs) < 2:
            reply = await client.send("Hi")
            costs[reply.attempts[-1].deployment] = reply.cost
    assert Decimal(0) < costs["b"] == 2 * costs["a"]


async def test_a_view_with_a_key_has_one_deployment() -> None:
    """A tenant's key is used at the entry's own address, and at no deployment."""
    async with Simulator(reply="ok") as sim, opened(sim, {"name": "a"}, {"name": "b"}) as client:
        view = client.with_options(api_key="sk-sim-tenant")
        reply = await view.send("Hi")
    assert reply.attempts[-1].deployment is None


@pytest.mark.parametrize(
    ("deployments", "sentence"),
    [
        ([{"name": "a"}, {"name": "a"}], "deployments[1].name: two deployments have this name"),
        ([{"wieght": 2}], "did you mean"),
        ([{"weight": 0}], "deployments[0].weight: must be greater than 0"),
        ([{"region_name": "eu"}], "deployments[0].region_name: not a key of this kind of provider"),
        ("a", "deployments: must be a list"),
    ],
)
async def test_wrong_deployments_are_told(deployments: Any, sentence: str) -> None:
    """The sentence names the place."""
    entry = {"api_key": "sk-x", "fallback_models": ["m"], "deployments": deployments}
    with pytest.raises(errors.ConfigurationError) as caught:
        Client({"active_provider": "openai", "providers": {"openai": entry}}, environ={})
    assert sentence in str(caught.value)


async def test_deployments_without_names_are_counted() -> None:
    """Their names are their places, and a key that one leaves out is the entry's."""
    entry = {"api_key": "sk-x", "fallback_models": ["m"], "deployments": [{}, {"api_key": "sk-y"}]}
    settings = Client({"active_provider": "openai", "providers": {"openai": entry}}, environ={}).settings
    assert [one.name for one in settings.providers["openai"].deployments] == ["1", "2"]
    assert "sk-y" not in repr(settings)
