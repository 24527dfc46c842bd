"""What a map does with odd inputs, with consumers that leave, and with checkpoints that others use too."""

from __future__ import annotations

import gc
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from asyncllm import RateLimits, errors
from asyncllm._map.checkpoint import salt_of
from asyncllm._map.width import Width
from asyncllm.schema import Attempt, Usage
from asyncllm.testing import Fault, Simulator
from clients import OpenClient

pytestmark = pytest.mark.anyio


async def test_inputs_that_raise_lose_nothing(open_client: OpenClient) -> None:
    """What was read before is answered and handed over; then the error is raised."""

    def inputs() -> Iterator[str]:
        yield from ("a", "b", "c")
        raise RuntimeError("the file ended in the middle of a line")

    async with Simulator(latency=0.05) as sim, open_client(sim) as client:
        found = []
        with pytest.raises(RuntimeError, match="middle of a line"):
            async for item in client.map(inputs(), order="input"):
                found.append(item)  # noqa: PERF401  # an error ends it
    assert [0, 1, 2] == [item.index for item in found]
    assert [None] * 3 == [item.error for item in found]


async def test_async_inputs_that_raise_lose_nothing(open_client: OpenClient, tmp_path: Path) -> None:
    """The same with an async generator and a checkpoint."""

    async def inputs() -> AsyncIterator[str]:
        yield "a"
        yield "b"
        raise LookupError("gone")

    async with Simulator(latency=0.05) as sim, open_client(sim) as client:
        found = []
        with pytest.raises(LookupError):
            async for item in client.map(inputs(), checkpoint=tmp_path / "run.db"):
                found.append(item.index)  # noqa: PERF401  # an error ends it
        assert [0, 1] == sorted(found)
        again = await client.map_all(["a", "b"], checkpoint=tmp_path / "run.db")
        assert [True, True] == [item.recorded for item in again]


async def test_odd_inputs_are_items_with_an_error(open_client: OpenClient) -> None:
    """Unknown keywords, dicts without messages, empty lists, None and numbers; the others are answered."""
    odd: list[Any] = [
        "good",
        {"messages": "a", "temprature": 1},
        {"prompt": "a"},
        {},
        [],
        None,
        7,
        {"messages": "b", "temperature": "hot"},
        "",
        "good too",
    ]
    async with Simulator() as sim, open_client(sim) as client:
        items = await client.map_all(odd)
    assert len(odd) == len(items)
    wrong = {item.index for item in items if isinstance(item.error, (errors.BadRequestError, TypeError))}
    assert {1, 2, 3, 4, 5, 6, 7} <= wrong
    assert {0, 9} <= {item.index for item in items if item.error is None}


async def test_no_inputs_are_no_items(open_client: OpenClient) -> None:
    """An empty list ends at once."""
    async with Simulator() as sim, open_client(sim) as client:
        assert [] == await client.map_all([])
        assert [] == await client.map_all(iter(()), concurrency="auto", order="input")


async def test_a_dropped_map_reads_nothing_more(open_client: OpenClient) -> None:
    """After a break without ``async with`` no further input is read and nothing stays in flight."""
    read: list[int] = []

    def numbers() -> Iterator[str]:
        for number in range(1000):
            read.append(number)
            yield str(number)

    async with Simulator(latency=0.05) as sim, open_client(sim) as client:
        async for _ in client.map(numbers(), concurrency=4):
            break
        gc.collect()
        seen = len(read)
        await anyio.sleep(0.3)
        assert (seen, 0) == (len(read), sim.in_flight)
        assert 9 >= seen


async def test_a_closed_client_ends_its_maps(open_client: OpenClient) -> None:
    """The consumer gets an error and does not wait for ever."""
    async with Simulator(latency=5) as sim, open_client(sim) as client:
        items = client.map(["a", "b"])

        async def close_soon() -> None:
            await anyio.sleep(0.1)
            await client.aclose()

        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(close_soon)
                try:
                    found = [item async for item in items]
                except errors.ClientStateError:
                    found = []
        assert all(item.error is not None for item in found)


async def test_equal_keys_at_once_are_asked_for_once(open_client: OpenClient, tmp_path: Path) -> None:
    """Keys of the user's may come twice: the second waits for the answer of the first."""
    async with Simulator(latency=0.05) as sim, open_client(sim) as client:
        items = await client.map_all(["a", "b", "a", "a"], checkpoint=tmp_path / "run.db", key=str, concurrency=4)
        assert 2 == len(sim.requests)
    assert [False, False, True, True] == [item.recorded for item in items]


async def test_two_maps_on_one_checkpoint_share_the_work(open_client: OpenClient, tmp_path: Path) -> None:
    """An input that another living map asks for is waited for, not asked again."""
    inputs = [str(number) for number in range(12)]
    found: list[Any] = []

    async with Simulator(latency=0.05) as sim, open_client(sim) as client:

        async def work() -> None:
            found.extend(await client.map_all(inputs, checkpoint=tmp_path / "run.db", concurrency=4))

        async with anyio.create_task_group() as group:
            group.start_soon(work)
            group.start_soon(work)
        assert 12 == len(sim.requests)
    assert (24, 12) == (len(found), sum(item.recorded for item in found))
    assert [] == [path.name for path in tmp_path.glob("*.lock")]  # noqa: ASYNC240


KILLED = """
import os, sys
from pathlib import Path
from asyncllm._map.checkpoint import Checkpoint

one = Checkpoint(Path(sys.argv[1]), "")
one.open()
assert one.find("a") is None
os._exit(9)
"""


def test_claims_of_a_killed_process_are_free(tmp_path: Path) -> None:
    """What it asked for is asked for again at once."""
    from asyncllm._map.checkpoint import Checkpoint

    path = tmp_path / "run.db"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], env={**os.environ}, check=False)
    one = Checkpoint(path, "")
    one.open()
    assert one.find("a") is None
    one.close()
    assert [] == [found.name for found in tmp_path.iterdir() if found.suffix == ".lock"]


async def test_another_model_is_another_answer(open_client: OpenClient, tmp_path: Path) -> None:
    """Whether it is named in the call or in the configuration. What changes no answer does not count."""
    path = tmp_path / "run.db"
    async with Simulator() as sim, open_client(sim) as client:
        await client.map_all(["a"], checkpoint=path)
        (same,) = await client.map_all(["a"], checkpoint=path, timeout=99, user="u", tags={"run": "2"}, priority=3)
        (other,) = await client.map_all(["a"], checkpoint=path, model="gpt-sim-mini")
    async with Simulator() as sim, open_client(sim, active_model="gpt-sim-mini") as client:
        (configured,) = await client.map_all(["a"], checkpoint=path)
    assert (True, False, True) == (same.recorded, other.recorded, configured.recorded)
    assert 0 == len(sim.requests)


def test_the_salt_is_the_same_in_every_process() -> None:
    """Functions, types and objects count by what they are, never by where they lie in memory."""

    def tool(city: str) -> str:
        return city

    class City(BaseModel):
        name: str

    first = salt_of({"tools": [tool], "response_format": City, "stop": ["a"], "timeout": 3}, "p/m")
    assert "0x" not in first
    assert first == salt_of({"tools": [tool], "response_format": City, "stop": ["a"], "timeout": 4}, "p/m")

    class City(BaseModel):  # type: ignore[no-redef]
        name: str
        people: int

    assert first != salt_of({"tools": [tool], "response_format": City, "stop": ["a"], "timeout": 3}, "p/m")


class _Told:
    """What a map learns from one call."""

    def __init__(self, *attempts: Attempt, limits: RateLimits | None = None) -> None:
        self.attempts = attempts
        self.rate_limits = limits


def _attempt(error: Any = None, deployment: str | None = None, latency: float = 1.0) -> Attempt:
    return Attempt(
        provider="p",
        model="m",
        outcome="ok" if error is None else "error",
        deployment=deployment,
        error=error,
        latency=latency,
        usage=Usage(total_tokens=100),
    )


def _full() -> errors.RateLimitError:
    return errors.RateLimitError("slow down", provider="p", model="m")


def test_auto_doubles_until_something_is_refused() -> None:
    """One halving a round; then one more a round."""
    width = Width("auto")
    for _ in range(8):
        width.learn(_Told(_attempt()))
    assert 16 == width.now
    for _ in range(16):
        width.learn(_Told(_attempt(_full()), _attempt()))
    assert 8 == width.now
    for _ in range(8):
        width.learn(_Told(_attempt()))
    assert 9 == width.now


def test_auto_heeds_the_headers() -> None:
    """Remaining calls or tokens until the reset bound what is in flight; afterwards they do not."""
    now = [0.0]
    width = Width("auto", clock=lambda: now[0])
    width.learn(_Told(_attempt(), limits=RateLimits(requests_remaining=30, requests_reset=10)))
    assert 3 == width.now
    width.learn(_Told(_attempt(), limits=RateLimits(requests_remaining=0, requests_reset=10)))
    assert 1 == width.now
    for _ in range(30):
        width.learn(_Told(_attempt(), limits=RateLimits(requests_remaining=500, requests_reset=10)))
    assert 31 == width.now
    width.learn(_Told(_attempt(), limits=RateLimits(tokens_remaining=2000, tokens_reset=4)))
    assert 5 == width.now
    now[0] = 5
    for _ in range(20):
        width.learn(_Told(_attempt()))
    assert 25 == width.now


def test_a_deployment_that_is_refused_beside_one_that_answers_lowers_nothing() -> None:
    """The other one has room."""
    width = Width("auto")
    for _ in range(4):
        width.learn(_Told(_attempt(_full(), "a"), _attempt(None, "b")))
    assert 12 == width.now


async def test_auto_is_held_by_a_limit_of_the_provider(open_client: OpenClient) -> None:
    """A provider that refuses is asked by fewer calls at once, and every input is answered."""
    async with Simulator(latency=0.02) as sim, open_client(sim) as client:
        sim.on("*", Fault(status=429, retry_after=0.05, times=6))
        items = await client.map_all([str(n) for n in range(60)], concurrency="auto")
    assert [None] * 60 == [item.error for item in items]


INTERRUPTED = """
import sys, asyncllm

config = {"active_provider": "openai", "providers": {"openai": {"api_key": "k", "base_url": sys.argv[1],
          "fallback_models": ["gpt-sim"]}}}
inputs = (str(number) for number in range(10000))
if sys.argv[3] == "sync":
    with asyncllm.SyncClient(config) as client:
        for item in client.map(inputs, concurrency=4, checkpoint=sys.argv[2]):
            pass
else:
    import asyncio

    async def main():
        async with asyncllm.Client(config) as client:
            await client.map_all(inputs, concurrency=4, checkpoint=sys.argv[2])

    asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_interrupt_keeps_what_is_under_way(kind: str, tmp_path: Path) -> None:
    """Ctrl-C reads nothing more, waits for the calls in flight, records them, and says how to go on."""
    path = tmp_path / "run.db"
    with Simulator.in_thread(latency=0.3) as sim:
        arguments = [sys.executable, "-c", INTERRUPTED, sim.url("openai"), str(path), kind]
        process = subprocess.Popen(arguments, env={**os.environ}, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 20
        while len(sim.requests) < 6 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=180)[1]
        asked = len(sim.requests)
    with sqlite3.connect(path) as answers:
        ((kept,),) = answers.execute("SELECT count(*) FROM answers").fetchall()
    if kind == "async" and sys.version_info < (3, 11):  # asyncio.run cancels every task at once there
        assert asked - 4 <= kept <= asked
    else:
        assert asked == kept
    assert "run the same again to go on" in said
