"""Limits and health over several clients, by a real Redis and a real Valkey server."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from asyncllm import Client, errors
from asyncllm._engine import limits
from asyncllm.testing import Fault, Simulator
from redis_server import RedisServer, running_redis

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["redis", "valkey"], scope="module")
def store(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with running_redis(request.param) as server:
        yield server


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> float:
    """A window of a second in the place of a minute."""
    monkeypatch.setattr(limits, "MINUTE", 1.0)
    return 1.0


@asynccontextmanager
async def opened(sim: Simulator, store: RedisServer, prefix: str, **changes: Any) -> AsyncIterator[Client]:
    shared = {"url": store.url, "prefix": f"{prefix}-{time.monotonic_ns()}"}
    shared |= changes.pop("shared", {})
    async with Client(sim.config(retry={"max_attempts": 1}, shared=shared, **changes), environ={}) as client:
        yield client


async def send(client: Client, number: int, **options: Any) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(number):
            tasks.start_soon(lambda: client.send("Hi", **options))


async def test_requests_of_two_clients_are_counted_together(store: RedisServer, short: float) -> None:
    """Two clients with one prefix send together what one may send, in every window."""
    prefix = {"prefix": f"both-{time.monotonic_ns()}"}
    rules = {"limits": {"requests_per_minute": 10}, "shared": prefix}
    async with (
        Simulator() as sim,
        opened(sim, store, "", **rules) as one,
        opened(sim, store, "", **rules) as two,
    ):
        began = time.monotonic()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send, one, 13)
            tasks.start_soon(send, two, 12)
        seconds = time.monotonic() - began
        times = sorted(received.time for received in sim.requests)
    assert len(times) == 25
    assert seconds >= 2 * short
    assert all(late - early > 0.9 * short for early, late in zip(times, times[10:], strict=False))


async def test_leases_bound_what_is_under_way(store: RedisServer) -> None:
    """Concurrency is shared, and given back when an attempt ends, fails or is cancelled."""
    rules = {"limits": {"concurrent": 2}, "shared": {"prefix": f"leases-{time.monotonic_ns()}"}}
    async with (
        Simulator(latency=0.03) as sim,
        opened(sim, store, "", **rules) as one,
        opened(sim, store, "", **rules) as two,
    ):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send, one, 6)
            tasks.start_soon(send, two, 6)
        assert sim.peak_in_flight == 2
        sim.behave("*", latency=5)
        with anyio.move_on_after(0.2):
            await send(one, 2)
        sim.behave("*", latency=0)
        with anyio.fail_after(10):
            await send(two, 2)


async def test_tokens_are_put_right(store: RedisServer, short: float) -> None:
    """A call takes what it may use and gives back what it did not."""
    async with (
        Simulator(reply="ok") as sim,
        opened(sim, store, "tokens", limits={"tokens_per_minute": 1000}) as client,
    ):
        began = time.monotonic()
        for _ in range(4):
            await client.send("Hi", max_tokens=600)
        seconds = time.monotonic() - began
    assert seconds < 0.9 * short, "the first call gave 590 tokens back"


async def test_a_cooldown_holds_for_the_others(store: RedisServer) -> None:
    """A target that one client was told to leave alone is left alone by the other one, too."""
    rules: dict[str, Any] = {"shared": {"prefix": f"cool-{time.monotonic_ns()}"}}
    async with (
        Simulator() as sim,
        opened(sim, store, "", **rules) as one,
        opened(sim, store, "", **rules) as two,
    ):
        sim.on("gpt-sim", Fault.status(429, retry_after=30))
        reply = await one.send("Hi", fallback=["gpt-sim-mini"])
        assert reply.attempts[-1].model == "gpt-sim-mini"
        await anyio.sleep(0.05)
        reply = await two.send("Hi", fallback=["gpt-sim-mini"])
        assert [attempt.model for attempt in reply.attempts] == ["gpt-sim-mini"]
        found = {row.model: row for row in two.health()}
    assert sim.count(model="gpt-sim") == 1
    assert found["gpt-sim"].reason == "cooldown"
    assert found["gpt-sim"].retry_after > 25


async def test_a_circuit_opens_and_closes_for_all(store: RedisServer) -> None:
    """A refused model is off for the other client; when the first one finds it back, so does the other one."""
    rules: dict[str, Any] = {"shared": {"prefix": f"off-{time.monotonic_ns()}"}}
    async with (
        Simulator() as sim,
        opened(sim, store, "", **rules) as one,
        opened(sim, store, "", **rules) as two,
    ):
        sim.on("gpt-sim", Fault.status(404, code="model_not_found"))
        with pytest.raises(errors.ModelNotFoundError):
            await one.send("Hi", fallback=[])
        await anyio.sleep(0.05)
        await two.send("Hi", fallback=["gpt-sim-mini"])
        assert sim.count(model="gpt-sim") == 1
        assert {row.model: row.reason for row in two.health()}["gpt-sim"] == "model"
        sim.off()
        one.reset_health()
        await one.send("Hi", fallback=[])
        await anyio.sleep(0.05)
        two.reset_health()
        await two.send("Hi", fallback=[])
        assert {row.model: row.state for row in two.health()}["gpt-sim"] == "closed"


async def test_the_providers_own_count_is_shared(store: RedisServer, short: float) -> None:
    """Where the provider says that nothing is left, no client sends before its reset."""
    rules: dict[str, Any] = {"shared": {"prefix": f"headers-{time.monotonic_ns()}"}}
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "600ms"}
    async with (
        Simulator() as sim,
        opened(sim, store, "", **rules) as one,
        opened(sim, store, "", **rules) as two,
    ):
        sim.on("*", Fault.status(429, headers=headers, times=1))
        with pytest.raises(errors.RateLimitError):
            await one.send("Hi", fallback=[])
        await anyio.sleep(0.02)
        began = time.monotonic()
        await two.send("Hi")
        seconds = time.monotonic() - began
    assert 0.4 <= seconds <= 1.5


async def test_one_round_trip_an_attempt(store: RedisServer) -> None:
    """What a call tells travels with what the next one asks, and a call alone waits for one answer."""
    import redis

    async with Simulator() as sim, opened(sim, store, "trips", limits={"requests_per_minute": 6000}) as client:
        await client.send("Hi")
        await anyio.sleep(0.05)
        server = redis.Redis(port=store.port)
        before = server.info("commandstats")["cmdstat_evalsha"]["calls"]
        for _ in range(20):
            await client.send("Hi")
        await send(client, 100)
        after = server.info("commandstats")["cmdstat_evalsha"]["calls"]
        server.close()
    assert after - before <= 121


async def test_a_store_that_is_not_there_stops_nobody(store: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """Calls go on by the process's own share, one warning is logged, and on_error: error refuses."""
    gone = {"url": "redis://127.0.0.1:9/0"}
    async with (
        Simulator() as sim,
        opened(sim, store, "gone", limits={"requests_per_minute": 100}, shared=gone) as client,
        opened(sim, store, "gone", shared={**gone, "on_error": "error"}) as strict,
    ):
        with caplog.at_level(logging.WARNING):
            began = time.monotonic()
            await send(client, 20)
            assert time.monotonic() - began < 2
        assert sim.count() == 20
        assert 1 == sum("store of the shared limits is gone" in line for line in caplog.messages)
        with pytest.raises(errors.LimitTimeoutError, match="cannot be reached"):
            await strict.send("Hi")


async def test_a_store_that_hangs_holds_nobody_up(store: RedisServer) -> None:
    """A server that accepts and never answers costs its timeout once."""

    async def silent(stream: Any) -> None:
        async with stream:
            await anyio.sleep(60)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, silent)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        url = f"redis://127.0.0.1:{port}/0"
        async with Simulator() as sim, opened(sim, store, "hang", shared={"url": url, "timeout": 0.2}) as client:
            began = time.monotonic()
            for _ in range(50):
                await client.send("Hi")
            assert time.monotonic() - began < 8, "fifty times its timeout are ten seconds"
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("url", ["redis://:secret/word@localhost:6379", "redis://user:word@localhost:secret"])
def test_a_malformed_url_is_refused_without_its_password(url: str) -> None:
    """A password with a slash that is not encoded is a problem of the configuration; the sentence quotes none of it."""
    with pytest.raises(errors.ConfigurationError, match=r"shared\.url") as caught:
        Client(
            {"providers": {"openai": {"api_key": "k"}}, "active_provider": "openai", "shared": {"url": url}}, environ={}
        )
    assert "secret" not in repr(caught.value)
    assert "secret" not in str(caught.value)


async def test_an_option_that_redis_does_not_know_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """What the URL says behind its host may be wrong too: each process takes its part, and one line is logged."""
    async with Simulator() as sim:
        config = sim.config(shared={"url": "redis://localhost:1/0?word=secret"}, limits={"requests_per_minute": 100})
        async with Client(config, environ={}) as client:
            assert (await client.send("Hi", timeout=5)).text
    assert 1 >= len([record for record in caplog.records if record.levelname == "ERROR"])
    assert "secret" not in caplog.text
