"""Many prompts through one client: order, failures, bounds, checkpoints, kills."""

from __future__ import annotations

import gc
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncllm import Item, MapProgress, Response, errors
from asyncllm.testing import Fault, ModelRequest, Reply, Simulator, ToolUse
from clients import OpenClient
from forked_program import forked

pytestmark = pytest.mark.anyio
PRICES = {"prices": {name: {"input": 1, "output": 10} for name in ("gpt-sim", "gpt-sim-mini")}}


async def collect(items: Any) -> list[Item[Any]]:
    return [item async for item in items]


async def test_every_input_has_its_item(open_client: OpenClient) -> None:
    """Prompts, message lists and dicts with keywords; in the order of completion each index comes once."""
    inputs: list[Any] = [
        "say one",
        [{"role": "user", "content": "say two"}],
        {"messages": "say three", "max_tokens": 7},
        {"role": "user", "content": "say four"},
    ]
    async with Simulator() as sim, open_client(sim) as client:
        items = await collect(client.map(inputs, concurrency=2, temperature=0))
        bodies = [request.body for request in sim.requests]
    assert [0, 1, 2, 3] == sorted(item.index for item in items)
    assert all(item.error is None and item.text for item in items)
    assert [inputs[item.index] for item in items] == [item.input for item in items]
    assert {0} == {body["temperature"] for body in bodies}
    assert 1 == sum("max_tokens" in body or "max_completion_tokens" in body for body in bodies)


async def test_the_order_of_the_inputs_can_be_kept(open_client: OpenClient) -> None:
    """A slow first answer holds the others back, and memory stays bounded."""
    read: list[int] = []

    def numbers() -> Any:
        for number in range(40):
            read.append(number)
            yield f"{number}"

    async with Simulator(latency=0.01) as sim, open_client(sim) as client:
        items = client.map(numbers(), concurrency=4, order="input")
        first = await items.__anext__()
        assert 8 + 1 >= len(read)
        rest = await collect(items)
    assert list(range(40)) == [first.index, *(item.index for item in rest)]


async def test_an_async_iterable_is_read_lazily(open_client: OpenClient) -> None:
    """No input is read more than twice the concurrency ahead of the consumer."""
    read: list[int] = []

    async def numbers() -> AsyncIterator[str]:
        for number in range(1000):
            read.append(number)
            yield str(number)

    async with Simulator() as sim, open_client(sim) as client, client.map(numbers(), concurrency=3) as items:
        await items.__anext__()
        await anyio.sleep(0.2)
        assert 6 + 1 >= len(read)


@pytest.mark.parametrize("checkpoint", [None, "run.db"])
async def test_nothing_is_kept_of_what_was_taken(
    open_client: OpenClient, tmp_path: Path, checkpoint: str | None
) -> None:
    """However many inputs there were, only the answers that are ready and not taken yet are in memory."""
    path = None if checkpoint is None else tmp_path / checkpoint
    async with Simulator() as sim, open_client(sim) as client:
        gc.collect()
        before = sum(isinstance(one, Response) for one in gc.get_objects())
        inputs = (f"{n} {'x' * 1000}" for n in range(200))
        async with client.map(inputs, concurrency=4, checkpoint=path) as items:
            async for item in items:
                if item.index == 150:
                    gc.collect()
                    kept = sum(isinstance(one, Response) for one in gc.get_objects()) - before
                    assert kept <= 2 * 4 + 1


async def test_failures_are_items(open_client: OpenClient) -> None:
    """A refused call is an item with its error, the others are answered; on_error="raise" raises it."""
    async with Simulator() as sim, open_client(sim) as client:
        sim.on("*", Fault(status=400, times=1))
        items = await client.map_all(["a", "b", "c"], concurrency=1)
        assert [True, False, False] == [item.error is not None for item in items]
        assert isinstance(items[0].error, errors.BadRequestError)
        sim.on("*", Fault(status=400, times=1))
        with pytest.raises(errors.BadRequestError):
            await client.map_all(["a", "b", "c"], on_error="raise")


async def test_structured_answers_and_tools(open_client: OpenClient) -> None:
    """response_format and tools are those of send and run."""

    async def add(a: int, b: int) -> int:
        """Adds two numbers."""
        return a + b

    def model(request: ModelRequest) -> Reply | str:
        if request.schema is not None:
            return '{"n": 4}'
        if request.tool_results:
            return request.tool_results[0]
        return Reply(tool_calls=(ToolUse("add", {"a": 1, "b": 2}),))

    async with Simulator(reply=model) as sim, open_client(sim) as client:
        (item,) = await client.map_all(["x"], response_format="json")
        assert {"n": 4} == item.parsed
        (item,) = await client.map_all(["x"], tools=[add])
        assert "3" == item.text


async def test_money_is_a_bound(open_client: OpenClient) -> None:
    """Nothing is asked that would cost more than may be spent, at the mean so far, however many calls run at once."""
    reply = Reply(text="a", input_tokens=900, output_tokens=10)
    async with Simulator(reply=reply, latency=0.02) as sim, open_client(sim, catalog=PRICES) as client:
        items = client.map([str(n) for n in range(50)], concurrency=16, max_cost=0.0055)
        found = await collect(items)
    assert (5, "max_cost") == (len(found), items.stopped)
    assert 5 == len(sim.requests)


async def test_what_cannot_be_priced_ends_a_bounded_map(open_client: OpenClient) -> None:
    """With max_cost an answer of unknown cost stops the reading, and the map says so."""
    async with Simulator() as sim, open_client(sim, catalog={}) as client:
        items = client.map([str(n) for n in range(50)], max_cost=1, model="nobody-knows-its-price")
        found = await collect(items)
    assert (1, "unknown_cost", 1) == (len(found), items.stopped, len(sim.requests))


async def test_a_budget_that_is_used_up_pauses_the_work(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Items wait for the next window of the budget, and then all are answered."""
    reply = Reply(text="a", input_tokens=1000, output_tokens=0)
    budget = {"limit": 0.0025, "per": "hour", "assume_output_tokens": 1}
    caplog.set_level("INFO", "asyncllm")
    hour = time.time() // 3600 * 3600
    async with Simulator(reply=reply) as sim, open_client(sim, catalog=PRICES, budgets=[budget]) as client:
        client.ledger._clock = lambda: hour - 60

        async def next_hour() -> None:
            with anyio.fail_after(30):
                while "the map waits for a budget" not in caplog.text:
                    await anyio.sleep(0.01)
            paused.append(sim.count())
            client.ledger._clock = lambda: hour + 60

        paused: list[int] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(next_hour)
            items = await client.map_all([str(n) for n in range(5)], concurrency=1)
    assert [None] * 5 == [item.error for item in items]
    assert [3] == paused  # the third one still fitted beside what the two before it had cost


async def test_a_budget_that_never_ends_is_an_error(open_client: OpenClient) -> None:
    """Where no window will end, the items that are left have the error of the budget."""
    reply = Reply(text="a", input_tokens=1000, output_tokens=0)
    budget = {"limit": 0.0025, "per": "session", "assume_output_tokens": 1}
    async with Simulator(reply=reply) as sim, open_client(sim, catalog=PRICES, budgets=[budget]) as client:
        items = await client.map_all([str(n) for n in range(4)], concurrency=1)
    assert {False, True} == {isinstance(item.error, errors.BudgetExceededError) for item in items}


async def test_progress_is_told(open_client: OpenClient) -> None:
    """A function sees every item counted, with the rate and what is left."""
    seen: list[MapProgress] = []
    async with Simulator() as sim, open_client(sim) as client:
        await client.map_all([str(n) for n in range(10)], progress=seen.append)
    assert list(range(1, 11)) == [found.done for found in seen]
    assert (10, 0, 0) == (seen[-1].total, seen[-1].failed, seen[-1].seconds_left)


async def test_auto_follows_the_rate_limits(open_client: OpenClient) -> None:
    """With "auto" the number of calls in flight grows while all is well, by one with each answer."""
    async with Simulator(latency=0.15) as sim, open_client(sim) as client:
        await client.map_all([str(n) for n in range(80)], concurrency="auto")
        # It begins with 8. After k answers at most 8 + k may be in flight, and 80 - k inputs are left: 44 at the most.
        assert 11 <= sim.peak_in_flight <= 44


async def test_recorded_answers_are_never_asked_for_again(open_client: OpenClient, tmp_path: Path) -> None:
    """A second run reads them; equal inputs are told apart; other keywords are other answers."""
    path = tmp_path / "run.db"
    inputs = ["a", "b", "a"]
    async with Simulator() as sim, open_client(sim) as client:
        first = await client.map_all(inputs, checkpoint=path)
        assert 3 == len(sim.requests)
        second = await client.map_all([*inputs, "c"], checkpoint=path)
        assert 4 == len(sim.requests)
        assert [True, True, True, False] == [item.recorded for item in second]
        assert [item.text for item in first] == [item.text for item in second[:3]]
        await client.map_all(inputs, checkpoint=path, temperature=1)
        assert 7 == len(sim.requests)
        mine = await client.map_all(inputs, checkpoint=path, key=lambda said: f"mine-{said}", concurrency=1)
        assert [False, False, True] == [item.recorded for item in mine]


async def test_a_failure_is_asked_again(open_client: OpenClient, tmp_path: Path) -> None:
    """Only answers are recorded."""
    async with Simulator() as sim, open_client(sim) as client:
        sim.on("*", Fault(status=400, times=1))
        await client.map_all(["a"], checkpoint=tmp_path / "run.db")
        (item,) = await client.map_all(["a"], checkpoint=tmp_path / "run.db")
    assert (None, False) == (item.error, item.recorded)


async def test_answers_in_flight_are_kept_when_the_consumer_stops(open_client: OpenClient, tmp_path: Path) -> None:
    """After a break the calls in flight end and are recorded; nothing new is asked."""
    async with Simulator(latency=0.1) as sim, open_client(sim) as client:
        async with client.map([str(n) for n in range(100)], concurrency=4, checkpoint=tmp_path / "run.db") as items:
            async for _ in items:
                break
        asked = len(sim.requests)
        again = await client.map_all([str(n) for n in range(asked)], checkpoint=tmp_path / "run.db")
    assert asked == sum(item.recorded for item in again)
    assert 12 >= asked


async def test_leaving_without_a_checkpoint_cancels_what_is_in_flight(open_client: OpenClient) -> None:
    """Nothing goes on in the background."""
    async with Simulator(latency=5) as sim, open_client(sim) as client:
        started = time.monotonic()
        with anyio.move_on_after(0.2):
            async for _ in client.map(["a", "b"]):
                pass
        assert 2 > time.monotonic() - started
        with anyio.fail_after(10):
            while sim.in_flight:
                await anyio.sleep(0.02)


@pytest.mark.parametrize(
    "keywords",
    [
        {"concurrency": 0},
        {"concurrency": "many"},
        {"order": "random"},
        {"on_error": "ignore"},
        {"max_cost": 0},
        {"key": str},
        {"temperature": "hot"},
        {"max_steps": 3},
        {"concurency": 3},
    ],
)
async def test_wrong_keywords_are_refused_at_once(open_client: OpenClient, keywords: dict[str, Any]) -> None:
    """Before anything is read."""
    async with Simulator() as sim, open_client(sim) as client:
        with pytest.raises((errors.BadRequestError, TypeError)):
            client.map(["a"], **keywords)
        assert 0 == len(sim.requests)


@pytest.mark.parametrize("inputs", ["text", {"messages": "a"}, 3])
async def test_inputs_must_be_many(open_client: OpenClient, inputs: Any) -> None:
    """A single prompt is not split into letters."""
    async with Simulator() as sim, open_client(sim) as client:
        with pytest.raises(errors.BadRequestError):
            client.map(inputs)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
async def test_a_table_is_no_list_of_prompts(open_client: OpenClient, library: str) -> None:
    """The names of its columns are not asked; a column of it is."""
    made = pytest.importorskip(library)
    if library == "pyarrow":
        frame = made.Table.from_pylist([{"prompt": "one"}, {"prompt": "two"}])
        column: Any = frame["prompt"].to_pylist()
    else:
        frame = made.DataFrame({"prompt": ["one", "two"]})
        column = frame["prompt"]
    async with Simulator() as sim, open_client(sim) as client:
        with pytest.raises(errors.BadRequestError, match="this is a table"):
            client.map(frame)
        items = await client.map_all(column)
    assert ["one", "two"] == [item.input for item in items]
    assert [None, None] == [item.error for item in items]


async def test_an_input_that_cannot_be_kept_is_an_item(open_client: OpenClient, tmp_path: Path) -> None:
    """With a checkpoint too, one bad input of many does not end the map."""
    inputs: list[Any] = ["a", "\ud800", object(), "b"]
    async with Simulator() as sim, open_client(sim) as client:
        items = await client.map_all(inputs, checkpoint=tmp_path / "run.db")
    assert [False, True, True, False] == [isinstance(item.error, errors.BadRequestError) for item in items]


PROGRAM = """
import asyncio, asyncllm

async def main(url, path, count, model):
    config = {"active_provider": "openai", "providers": {"openai": {"api_key": "k", "base_url": url,
              "fallback_models": [model]}}, "cost_tracking": {"database": f"sqlite:///{path}.ledger"}}
    async with asyncllm.Client(config) as client:
        async for item in client.map((str(n) for n in range(count)), concurrency=8, checkpoint=path):
            assert item.error is None, item.error
            if model == "gpt-sim":
                print(item.index, flush=True)

def run(url, path, count, warm=False):
    if warm:
        asyncio.run(main(url, path + ".warm", 1, "gpt-warm"))
    else:
        asyncio.run(main(url, path, int(count), "gpt-sim"))
"""


def test_a_killed_map_goes_on(tmp_path: Path) -> None:
    """Killed again and again, every input is answered, and no more is asked than what was in flight at the kills.

    Each request that the server counted has a row. A row more is a request that had not left when its process was
    killed: it is open before its first byte goes.
    """
    count, kills, width = 120, 5, 8
    path = tmp_path / "run.db"
    with Simulator.in_thread(latency=0.01) as sim, forked(PROGRAM, sim.url("openai"), str(path), str(count)) as program:
        for kill in range(kills + 1):
            for given, _ in enumerate(program.run()):
                if kill < kills and given == 15 * (kill + 1):
                    program.kill()
        assert 0 == program.ended
        asked = sim.count(model="gpt-sim")
        prompts = {request.body["messages"][0]["content"] for request in sim.requests if request.model == "gpt-sim"}
    assert count <= asked <= count + width * kills
    assert {str(n) for n in range(count)} <= prompts
    with sqlite3.connect(f"{path}.ledger") as ledger:
        statuses = dict(ledger.execute("SELECT status, count(*) FROM records GROUP BY status").fetchall())
    assert {"ok", "unknown"} >= set(statuses)
    assert count <= statuses["ok"] <= asked <= sum(statuses.values()) <= asked + width * kills
    assert width * kills >= statuses.get("unknown", 0)
