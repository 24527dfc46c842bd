"""The response cache: the same request is paid for once."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncllm import Client, TextDelta, errors
from asyncllm.testing import Fault, Reply, Simulator, ToolUse
from redis_server import running_redis

pytestmark = pytest.mark.anyio
PRICES = {"catalog": {"prices": {"gpt-sim": {"input": 1, "output": 2}}}}
STORES = ["memory", "sqlite", "redis"]


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "memory":
        yield ":memory:"
    elif request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'replies.db'}"
    else:
        with running_redis() as server:
            yield server.url


@asynccontextmanager
async def opened(sim: Simulator, **changes: Any) -> AsyncIterator[Client]:
    cache = {"url": ":memory:", **changes.pop("cache", {})}
    retry = {"max_attempts": 1}
    async with Client(sim.config(retry=retry, response_cache=cache, **PRICES, **changes), environ={}) as client:
        yield client


async def test_the_same_request_is_asked_for_once(url: str) -> None:
    """The second reply is equal, costs 0, and stands in the ledger with what it saved."""
    async with Simulator() as sim, opened(sim, cache={"url": url}) as client:
        first = await client.send("Hi", temperature=0.5)
        second = await client.send("Hi", temperature=0.5, user="another")
        other = await client.send("Hi", temperature=0.6)
        rows = await client.ledger.report(by=["status"])
    assert sim.count() == 2
    assert (second.text, second.message, second.usage) == (first.text, first.message, first.usage)
    assert (second.cost, second.attempts[0].outcome, second.attempts[0].saved) == (Decimal(0), "cached", first.cost)
    assert other.attempts[0].outcome == "ok"
    found = {row.group["status"]: (row.requests, row.cost, row.saved) for row in rows}
    assert found["cached"] == (1, Decimal(0), first.cost)


async def test_a_store_on_disk_or_server_outlives_the_client(tmp_path: Path) -> None:
    """Another client finds the replies of the first one, until they are too old."""
    cache = {"url": f"sqlite:///{tmp_path / 'replies.db'}", "ttl": 2}
    async with Simulator() as sim:
        for _ in range(2):
            async with opened(sim, cache=cache) as client:
                await client.send("Hi")
        assert sim.count() == 1
        await anyio.sleep(2.05)
        async with opened(sim, cache=cache) as client:
            await client.send("Hi")
        assert sim.count() == 2


async def test_equal_calls_at_once_make_one_request() -> None:
    """The others wait for the one that asks; where it fails, the next one asks."""
    async with Simulator(latency=0.1) as sim, opened(sim) as client:
        replies: list[Any] = []

        async def ask() -> None:
            replies.append(await client.send("Hi"))

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(ask)
        assert sim.count() == 1
        assert sorted(reply.attempts[0].outcome for reply in replies) == ["cached"] * 9 + ["ok"]
        sim.on("*", Fault.status(400, times=1))
        failed = 0

        async def ask_other() -> None:
            nonlocal failed
            try:
                await client.send("Hello")
            except errors.BadRequestError:
                failed += 1

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(ask_other)
        assert (failed, sim.count()) == (1, 3)


async def test_a_cancelled_call_leaves_the_others_their_turn() -> None:
    """Whoever waits for a call that is cancelled asks itself."""
    async with Simulator(latency=0.2) as sim, opened(sim) as client:
        async with anyio.create_task_group() as tasks:
            with anyio.move_on_after(0.05):
                await client.send("Hi")
            tasks.start_soon(client.send, "Hi")
        with pytest.raises(errors.DeadlineExceededError):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.send, "Hello")
                await anyio.sleep(0.02)
                began = time.monotonic()
                try:
                    await client.send("Hello", timeout=0.05)
                except errors.DeadlineExceededError as error:
                    late = error
                seconds = time.monotonic() - began
            raise late
    assert seconds < 0.15


async def test_equal_streams_at_once_make_one_request() -> None:
    """Streams and calls wait for the one that asks, and have its events; one that is left lets the next one ask."""
    async with Simulator(reply="Hello there", latency=0.1) as sim, opened(sim) as client:
        texts: list[str] = []

        async def read() -> None:
            async with client.stream("Hi") as stream:
                texts.append("".join([str(event) async for event in stream]))

        async def ask() -> None:
            texts.append((await client.send("Hi")).text)

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(read)
                tasks.start_soon(ask)
        assert (sim.count(), {"Hello there"}, 8) == (1, set(texts), len(texts))

        async def leave() -> None:
            async with client.stream("Bye") as stream:
                async for _ in stream:
                    break

        async def read_other() -> None:
            texts.append("".join([str(event) async for event in client.stream("Bye")]))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(leave)
            await anyio.sleep(0.02)
            for _ in range(3):
                tasks.start_soon(read_other)
        assert (3, 11) == (sim.count(), len(texts))


async def test_a_stream_that_nobody_reads_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others wait for it for a while, then ask themselves; one that was dropped lets the next one ask at once."""
    from asyncllm._response_cache import response_cache

    async with Simulator(reply="Hello there") as sim, opened(sim) as client:
        stream = client.stream("Hi")
        await stream.__anext__()
        monkeypatch.setattr(response_cache, "LONGEST_WAIT", 0.1)
        assert "Hello there" == (await client.send("Hi")).text
        assert "Hello there" == "".join([str(event) async for event in client.stream("Hi")])
        monkeypatch.undo()
        del stream
        gc.collect()
        with anyio.fail_after(10):
            await client.send("Hi", seed=1)
            left = client.stream("Hi", seed=2)
            await left.__anext__()
            del left
            gc.collect()
            assert "Hello there" == (await client.send("Hi", seed=2)).text


async def test_streams_are_replayed() -> None:
    """A stream fills the cache and comes from it, with its events and its response; send has the same reply."""
    async with Simulator(reply=Reply(text="Hello there", reasoning="Hm.")) as sim, opened(sim) as client:
        async with client.stream("Hi") as stream:
            first = "".join([str(event) async for event in stream])
        await anyio.sleep(0.05)
        async with client.stream("Hi") as stream:
            events = [event async for event in stream]
            replayed = stream.response
        whole = await client.send("Hi")
    assert sim.count() == 1
    assert first == "".join(str(event) for event in events) == replayed.text == whole.text
    assert any(isinstance(event, TextDelta) for event in events)
    assert (replayed.cost, replayed.attempts[0].outcome) == (Decimal(0), "cached")


async def test_what_is_not_kept() -> None:
    """Tools unless asked, replies of a fallback, refused ones, and calls that say no."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    async with Simulator() as sim, opened(sim) as client:
        for _ in range(2):
            await client.send("Hi", tools=[tool])
        assert sim.count() == 2
        for _ in range(2):
            await client.send("Hi", tools=[tool], cache_response=True)
        assert sim.count() == 3
        for _ in range(2):
            await client.send("Hi", cache_response=False)
        assert sim.count() == 5
        sim.on("gpt-sim", Fault.status(404, code="model_not_found", times=1))
        await client.send("Hello", fallback=["gpt-sim-mini"])
        client.reset_health()
        reply = await client.send("Hello", fallback=["gpt-sim-mini"])
        assert reply.attempts[-1].model == "gpt-sim"
        before = sim.count()
        sim.behave("*", reply=Reply(text="", tool_calls=(ToolUse("f", {}),)))
        await client.send("Tools", tools=[tool], cache_response=True)
        again = await client.send("Tools", tools=[tool], cache_response=True)
        assert (again.tool_calls[0].name, sim.count()) == ("f", before + 1)


async def test_the_same_store_records_and_replays_tests(tmp_path: Path) -> None:
    """Recording keeps all whole replies, also with tools; replaying gives them without a server and asks nobody."""

    async def add(a: int, b: int) -> int:
        """Adds."""
        return a + b

    def model(request: Any) -> Reply | str:
        if request.tool_results:
            return f"It is {request.tool_results[0]}."
        return Reply(tool_calls=(ToolUse("add", {"a": 1, "b": 2}),)) if request.tools else "Hello"

    cache = {"url": f"sqlite:///{tmp_path / 'replies.db'}", "ttl": 0.01}

    async def program(client: Client) -> list[Any]:
        run = await client.run("Add", tools=[add])
        async with client.stream("Hi") as stream:
            text = "".join([str(event) async for event in stream])
        items = await client.map_all(["one", "two"])
        bypassing = await client.send("Hi", cache_response=False)
        return [run.text, text, [item.text for item in items], bypassing.text]

    async with Simulator(reply=model) as sim, opened(sim, cache={**cache, "mode": "record"}) as client:
        recorded = await program(client)
        asked = sim.count()
    await anyio.sleep(0.05)
    async with Simulator(reply=model) as sim, opened(sim, cache={**cache, "mode": "replay"}) as client:
        assert recorded == await program(client)
        with pytest.raises(errors.ConfigurationError, match="asks nobody"):
            await client.send("What was never asked")
        with pytest.raises(errors.ConfigurationError, match="asks nobody"):
            await client.stream("What was never asked").__anext__()
        view = client.with_options(api_key="sk-another")
        with pytest.raises(errors.ConfigurationError, match="asks nobody"):
            await view.send("What was never asked")
        assert (5, 0) == (asked, sim.count())


async def test_a_typed_answer_comes_back_typed() -> None:
    """`parsed` is read again from the reply."""
    async with Simulator(reply='{"a": 1}') as sim, opened(sim) as client:
        found = [await client.send("Hi", response_format=dict[str, int]) for _ in range(2)]
    assert sim.count() == 1
    assert [reply.parsed for reply in found] == [{"a": 1}] * 2


async def test_a_store_that_is_gone_costs_no_call(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """One warning, and every call is asked."""
    broken = tmp_path / "no.db"
    broken.write_text("this is no database, and long enough to be read as one" * 30)
    for url in (f"sqlite:///{broken}", "redis://127.0.0.1:9/0"):
        caplog.clear()
        async with Simulator() as sim, opened(sim, cache={"url": url}) as client:
            for _ in range(3):
                await client.send("Hi")
        assert sim.count() == 3
        assert 1 == sum("response cache cannot be used" in line for line in caplog.messages)


async def test_without_a_cache_it_cannot_be_asked_for() -> None:
    """The sentence says what to configure; a view with a key of its own has none."""
    async with Simulator() as sim:
        async with Client(sim.config(), environ={}) as client:
            with pytest.raises(errors.ConfigurationError, match="response_cache"):
                await client.send("Hi", cache_response=True)
        async with opened(sim) as client:
            view = client.with_options(api_key="sk-sim-tenant")
            for _ in range(2):
                await view.send("Hi", cache_response=True)
    assert sim.count() == 2


async def test_the_saving_of_the_providers_prompt_cache_is_shown() -> None:
    """A row says what the cached input would have cost besides."""
    prices = {"gpt-sim": {"input": 10, "output": 10, "cache_read": 1}}
    said = Reply(text="ok", input_tokens=1000, output_tokens=10, cache_read_tokens=900)
    async with (
        Simulator(reply=said) as sim,
        Client(sim.config(catalog={"prices": prices}), environ={}) as client,
    ):
        reply = await client.send("Hi")
        rows = await client.ledger.report(by=["deployment"])
    assert reply.usage.cache_read_tokens == 900
    assert rows[0].saved == Decimal("0.0081")
