"""Batches at the provider: made once, read by anybody, booked once at the price of batches."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from pydantic import BaseModel

import asyncllm
from asyncllm import Client, SyncClient, errors
from asyncllm.testing import Fault, ModelRequest, Reply, Simulator

pytestmark = pytest.mark.anyio
PLACES = [
    ("openai", "gpt-5.4-mini"),
    ("azure", "gpt-sim"),
    ("anthropic", "claude-haiku-5-5"),
    ("gemini", "gemini-3.8-flash"),
    ("groq", "openai/gpt-oss-20b"),
    ("mistral", "mistral-small-latest"),
]
FOUND_AGAIN = [place for place in PLACES if place[0] != "anthropic"]


def echo(request: ModelRequest) -> Reply:
    return Reply(text=f"echo {request.prompt}")


def config_of(sim: Simulator, **changes: Any) -> dict[str, Any]:
    config = sim.config(**changes)
    for kind in ("groq", "mistral"):
        config["providers"][kind] = {"base_url": sim.url(kind), "api_key": "sk-sim", "fallback_models": ["m"]}
    return config


@asynccontextmanager
async def opened(sim: Simulator, library: str, **changes: Any) -> AsyncIterator[Client]:
    async with Client(config_of(sim, http={"library": library}, **changes), environ={}) as client:
        yield client


@pytest.mark.parametrize(("provider", "model"), PLACES)
async def test_every_line_has_its_answer(provider: str, model: str, http_library: str) -> None:
    """Prompts, messages and keywords of their own; each answer is read by the codec of the host, at its own place."""
    inputs: list[Any] = [
        "one",
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "two"}],
        {"messages": "three", "max_tokens": 9},
    ]
    async with Simulator(reply=echo) as sim, opened(sim, http_library) as client:
        batch = await client.batch(inputs, provider=provider, model=model, temperature=0.5, user="ada")
        assert ("ended", True, 3) == (batch.state, batch.is_over, batch.done)
        items = await batch.results()
        rows = await client.ledger.report(by=["operation", "service_tier", "user", "status"])
        job = next(iter(sim.batches.values()))
    assert [0, 1, 2] == [item.index for item in items]
    assert inputs == [item.input for item in items]
    assert ["echo one", "echo two", "echo three"] == [item.text for item in items]
    assert [provider] * 3 == [item.reply.provider for item in items if item.reply is not None]
    assert 3 == len(job.lines)
    assert 1 == len(sim.batches)
    booked = {row.group["operation"]: row for row in rows}
    assert ("batch", "ada", "ok", 3) == (
        booked["chat"].group["service_tier"],
        booked["chat"].group["user"],
        booked["chat"].group["status"],
        booked["chat"].requests,
    )
    assert Decimal(0) == booked["batch"].cost


async def test_it_costs_what_batches_cost(http_library: str) -> None:
    """The cost of a line is that of the tier, on the reply as in the ledger; half of what a call costs here."""
    async with Simulator(reply=echo) as sim, opened(sim, http_library) as client:
        call = await client.send("hello you", model="gpt-5.4-mini")
        batch = await client.batch(["hello you"] * 4, model="gpt-5.4-mini")
        items = await batch.results()
        rows = await client.ledger.report(by=["service_tier"])
    costs = [item.reply.cost for item in items if item.reply is not None]
    assert call.cost is not None
    assert [call.cost / 2] * 4 == costs
    assert 2 * call.cost == next(row.cost for row in rows if row.group["service_tier"] == "batch")


async def test_lines_are_settled_once_whoever_reads_them(http_library: str) -> None:
    """Reading again, or by another batch object, gives the same answers and books nothing twice."""
    async with Simulator(reply=echo) as sim, opened(sim, http_library) as client:
        batch = await client.batch(["a", "b"], model="gpt-5.4-mini", id="twice")
        first = await batch.results()
        again = await (await client.open_batch("twice")).results()
        rows = await client.ledger.report(by=["operation"], where={"operation": "chat"})
        cost = await client.session_cost()
    assert [item.text for item in first] == [item.text for item in again]
    assert [item.reply.cost for item in first if item.reply] == [item.reply.cost for item in again if item.reply]
    assert [2] == [row.requests for row in rows]
    assert cost == rows[0].cost


async def test_the_same_id_joins_the_batch(http_library: str) -> None:
    """A second call with the same id and inputs makes nothing; with other inputs it is refused."""
    async with Simulator(reply=echo) as sim, opened(sim, http_library) as client:
        one = await client.batch(["a", "b"], id="joined")
        other = await client.batch(["a", "b"], id="joined")
        assert one.host_ids == other.host_ids
        assert 1 == len(sim.batches)
        with pytest.raises(errors.BadRequestError, match="other inputs"):
            await client.batch(["a", "c"], id="joined")
        with pytest.raises(errors.BatchError, match="no batch 'elsewhere'"):
            await client.open_batch("elsewhere")
        assert ["joined"] == [batch.id for batch in await client.batches()]


async def test_it_is_waited_for(http_library: str) -> None:
    """wait() returns when the batch is over, and raises after its own time; the batch goes on."""
    async with Simulator(reply=echo) as sim, opened(sim, http_library) as client:
        sim.batch_seconds = 0.4
        batch = await client.batch(["a"])
        assert "running" == batch.state
        assert [] == await batch.results()
        with pytest.raises(errors.DeadlineExceededError, match="not over after"):
            await batch.wait(0.05, poll=0.01)
        await batch.wait(20, poll=0.05)
        assert ["echo a"] == [item.text for item in await batch.results()]


async def test_failed_lines_are_items(http_library: str) -> None:
    """A refused line is an item with the error that a call would have raised; it costs nothing."""
    async with Simulator(reply=echo) as sim, opened(sim, http_library) as client:
        for provider, model in PLACES:
            sim.on(model, Fault(status=400, times=1), provider=provider)
            batch = await client.batch(["a", "b"], provider=provider, model=model)
            bad, good = await batch.results()
            assert isinstance(bad.error, errors.BadRequestError), provider
            assert "echo b" == good.text
            assert [Decimal(0)] == [attempt.cost for attempt in bad.error.attempts]


@pytest.mark.parametrize(("provider", "model"), PLACES)
async def test_cancelled_batches_give_what_they_have(provider: str, model: str, http_library: str) -> None:
    """After cancel() the lines without an answer are items with a BatchError; nothing stays reserved."""
    budgets = [{"limit": 1, "per": "day"}] if provider != "azure" else []
    async with Simulator(reply=echo) as sim, opened(sim, http_library, budgets=budgets) as client:
        sim.batch_seconds = 60
        batch = await client.batch(["a", "b"], provider=provider, model=model)
        await batch.cancel()
        assert batch.is_over
        items = await batch.results()
        held = [status.reserved for status in await client.ledger.budget_statuses()]
    assert ["cancelled"] * 2 == [getattr(item.error, "reason", None) for item in items]
    assert [Decimal(0)] * len(budgets) == held


async def test_expired_batches_give_what_they_have(http_library: str) -> None:
    """A line that the provider did not come to says so."""
    async with Simulator(reply=echo) as sim, opened(sim, http_library) as client:
        for provider in ("openai", "anthropic"):
            sim.batch_seconds = 60
            batch = await client.batch(["a"], provider=provider)
            sim.batches[batch.host_ids[0]].expired = True
            (item,) = await (await batch.refresh()).results()
            assert isinstance(item.error, errors.BatchError)
            assert "expired" == item.error.reason


async def test_the_reservation_belongs_to_the_batch(http_library: str, tmp_path: Path) -> None:
    """All lines are reserved before anything is sent, for as long as the batch lasts, and never by recovery."""
    tracking = {"database": f"sqlite:///{tmp_path / 'costs.db'}"}
    budgets = [{"limit": "0.02", "per": "day"}]
    async with Simulator(reply=echo) as sim:
        sim.batch_seconds = 60
        async with opened(sim, http_library, budgets=budgets, cost_tracking=tracking) as client:
            batch = await client.batch(["hello"] * 3, model="gpt-5.4-mini", max_tokens=100, id="held")
            (held,) = await client.ledger.budget_statuses()
            assert held.reserved > 0
            with pytest.raises(errors.BudgetExceededError):
                await client.batch(["hello"] * 300, model="gpt-5.4-mini", max_tokens=1000)
            (same,) = await client.ledger.budget_statuses()
            assert held.reserved == same.reserved
        async with opened(sim, http_library, budgets=budgets, cost_tracking=tracking) as client:
            (later,) = await client.ledger.budget_statuses()
            assert held.reserved == later.reserved
            batch = await client.open_batch("held")
            sim.batch_seconds = 0
            await (await batch.wait(10)).results()
            (after,) = await client.ledger.budget_statuses()
            assert 0 == after.reserved
            assert 0 < after.spent < held.reserved
    assert 1 == len(sim.batches)


async def test_what_nobody_reads_is_booked_when_the_answers_are_gone(http_library: str, tmp_path: Path) -> None:
    """After the provider's results expired, the lines are unknown at their reservation."""
    tracking = {"database": f"sqlite:///{tmp_path / 'costs.db'}"}
    budgets = [{"limit": 1, "per": "day"}]
    async with Simulator(reply=echo) as sim:
        async with opened(sim, http_library, budgets=budgets, cost_tracking=tracking) as client:
            batch = await client.batch(["hello"] * 2, model="gpt-5.4-mini", max_tokens=100, id="forgotten")
            (row,) = await client.ledger.jobs("forgotten")
            (held,) = await client.ledger.budget_statuses()
            await client.ledger.save_job(asyncllm._ledger.jobs.JobRow(**{**_values(row), "expires_at": 1}))
        async with opened(sim, http_library, budgets=budgets, cost_tracking=tracking) as client:
            rows = await client.ledger.report(by=["status"], where={"operation": "chat"})
            (after,) = await client.ledger.budget_statuses()
    assert batch.total == rows[0].requests
    assert "unknown" == rows[0].group["status"]
    assert (Decimal(0), held.reserved) == (after.reserved, after.spent)


def _values(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("id", "created", "expires_at", "state", "data")}


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What may have been made is looked for after shorter pauses, as often as otherwise."""
    monkeypatch.setattr("asyncllm._batches.batch_job._LOOKS", (0.01, 0.02, 0.05))


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(("provider", "model"), FOUND_AGAIN)
@pytest.mark.parametrize("after", [None, 1], ids=["before the host had it", "after the job was made"])
async def test_making_a_job_is_never_repeated_blindly(
    provider: str, model: str, after: int | None, http_library: str
) -> None:
    """The connection breaks while the job is made: it is looked for by its mark, and there is one job at the end."""
    async with Simulator(reply=echo) as sim, opened(sim, http_library) as client:
        sim.on("*", Fault.cut(after_events=after, times=1), provider=provider, operation="batch.create")
        batch = await client.batch(["a", "b"], provider=provider, model=model)
        assert ["echo a", "echo b"] == [item.text for item in await batch.results()]
        assert 1 == len(sim.batches)
        assert 1 <= sim.count(operation="batch.list")
        assert (1 if after else 2) == sim.count(operation="batch.create")


@pytest.mark.parametrize("after", [None, 1])
async def test_an_upload_is_never_repeated_blindly(after: int | None, http_library: str) -> None:
    """The connection breaks while the lines are uploaded: the file is looked for by its name."""
    async with Simulator(reply=echo) as sim, opened(sim, http_library) as client:
        sim.on("*", Fault.cut(after_events=after, times=1), operation="file.create")
        await client.batch(["a"], model="gpt-5.4-mini")
        assert 1 == len([file for file in sim.files.values() if file.purpose == "batch"])


async def test_where_no_search_is_the_error_says_so(http_library: str) -> None:
    """Anthropic keeps no mark: whether the job is there is not known, so its lines stay reserved; none is sent."""
    async with Simulator(reply=echo) as sim, opened(sim, http_library, budgets=[{"limit": 1, "per": "day"}]) as client:
        sim.on("*", Fault.cut(after_events=1, times=1), operation="batch.create")
        inputs = {"provider": "anthropic", "model": "claude-haiku-5-5", "id": "lost"}
        for _ in range(2):
            with pytest.raises(errors.ConnectionLostError, match="is not known"):
                await client.batch(["a", "b"], **inputs)
        assert 1 == len(sim.batches)
        (status,) = await client.ledger.budget_statuses()
        assert status.reserved > 0


async def test_a_refused_batch_leaves_nothing(http_library: str) -> None:
    """A refusal of the host is raised; nothing is reserved and nothing is booked for the lines."""
    async with Simulator(reply=echo) as sim, opened(sim, http_library, budgets=[{"limit": 1, "per": "day"}]) as client:
        sim.on("*", Fault(status=400, times=1), operation="batch.create")
        with pytest.raises(errors.BadRequestError):
            await client.batch(["a", "b"], model="gpt-5.4-mini")
        (status,) = await client.ledger.budget_statuses()
        assert 0 == status.reserved
        assert [] == await client.ledger.report(where={"operation": "chat"})


async def test_a_rate_limit_is_waited_out(http_library: str) -> None:
    """A 429 made nothing, so the same request is sent again."""
    async with Simulator(reply=echo) as sim, opened(sim, http_library) as client:
        sim.on("*", Fault.status(429, retry_after=0.05, times=2), operation="batch.create")
        batch = await client.batch(["a"], model="gpt-5.4-mini")
        assert ["echo a"] == [item.text for item in await batch.results()]
        assert 0 == sim.count(operation="batch.list")


async def test_too_many_lines_are_several_jobs(http_library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines beyond the host's bounds, and lines of another version of the API, go into jobs of their own."""
    monkeypatch.setattr("asyncllm._protocols.anthropic.batch.AnthropicBatching.most_lines", 4)
    inputs: list[Any] = [f"n{n}" for n in range(10)]
    inputs[3] = {"messages": "n3", "temperature": 0.5}  # only the older version has it
    async with Simulator(reply=echo) as sim, opened(sim, http_library) as client:
        batch = await client.batch(inputs, provider="anthropic", model="claude-sonnet-4-5", id="many")
        items = await batch.results()
        again = await (await client.open_batch("many")).results()
        lines = [len(job.lines) for job in sim.batches.values()]
    assert [f"echo n{n}" for n in range(10)] == [item.text for item in items] == [item.text for item in again]
    assert [1, 1, 4, 4] == sorted(lines)
    assert 4 == len(batch.host_ids)


class City(BaseModel):
    name: str


async def test_answers_are_typed(http_library: str) -> None:
    """With response_format each answer is a value; one that does not fit is an item with its error."""

    def reply(request: ModelRequest) -> Reply:
        return Reply(text='{"name": "Oslo"}' if request.prompt == "good" else '{"name": 7}')

    async with Simulator(reply=reply) as sim, opened(sim, http_library) as client:
        batch = await client.batch(["good", "bad"], response_format=City, id="typed")
        good, bad = await batch.results()
        opened_again = await client.open_batch("typed", response_format=City)
        assert City(name="Oslo") == (await opened_again.results())[0].parsed
    assert City(name="Oslo") == good.parsed
    assert isinstance(bad.error, errors.StructuredOutputError)
    assert bad.error.attempts[0].usage.output_tokens


@pytest.mark.parametrize(
    ("inputs", "said", "sentence"),
    [
        ([], {}, "at least one input"),
        ("a", {}, "put one input in a list"),
        (["a"], {"fallback": ["x"]}, "fallback has no meaning"),
        (["a"], {"hedge": True}, "hedge has no meaning"),
        (["a", {"messages": "b", "model": "other"}], {}, "model of one input"),
        (["a", {"messages": "b", "temperature": "hot"}], {}, "temperature"),
        (["a", 7], {}, "input 1"),
    ],
)
async def test_what_is_wrong_is_said_before_anything_is_sent(
    inputs: Any, said: dict[str, Any], sentence: str, http_library: str
) -> None:
    """A wrong input or keyword is refused by name; nothing is sent."""
    async with Simulator() as sim, opened(sim, http_library) as client:
        with pytest.raises(errors.BadRequestError, match=sentence):
            await client.batch(inputs, **said)
        assert 0 == len(sim.requests)


async def test_hosts_without_batches_say_so(http_library: str) -> None:
    """Where no batches are known, nothing is sent."""
    async with Simulator() as sim, opened(sim, http_library) as client:
        with pytest.raises(errors.UnsupportedByProviderError, match="vertex"):
            await client.batch(["a"], provider="vertex", model="meta/llama-sim-maas")
        assert 0 == len(sim.requests)
    async with Simulator() as sim, opened(sim, http_library, cost_tracking={"enabled": False}) as client:
        with pytest.raises(errors.ConfigurationError, match="cost_tracking"):
            await client.batch(["a"])


async def test_a_wait_needs_seconds(http_library: str) -> None:
    """Nothing that would ask without a pause, or end in an error of another kind."""
    async with Simulator() as sim, opened(sim, http_library) as client:
        batch = await client.batch(["a"])
        for said in ({"timeout": -1}, {"timeout": "soon"}, {"poll": 0}, {"poll": True}):
            with pytest.raises(errors.BadRequestError, match="must be a number of seconds above 0"):
                await batch.wait(**said)  # type: ignore[arg-type]


async def test_a_table_is_no_list_of_inputs(http_library: str) -> None:
    """The names of its columns are not asked."""
    frame = pytest.importorskip("pandas").DataFrame({"prompt": ["a"]})
    async with Simulator() as sim, opened(sim, http_library) as client:
        with pytest.raises(errors.BadRequestError, match="this is a table"):
            await client.batch(frame)


def test_the_blocking_client_has_batches() -> None:
    """The same, without async."""
    with Simulator.in_thread(reply=echo) as sim, SyncClient(sim.config(), environ={}) as client:
        batch = client.batch(["a", "b"], id="blocking")
        assert batch.wait(10).is_over
        assert ["echo a", "echo b"] == [item.text for item in batch]
        assert ["blocking"] == [one.id for one in client.batches()]
        assert 2 == len(client.open_batch("blocking").refresh().results())


MAKER = """
import sys, json, anyio, asyncllm

async def main():
    config = json.loads(sys.argv[1])
    async with asyncllm.Client(config, environ={}) as client:
        batch = await client.batch([f"n{n}" for n in range(20)], id="nightly")
        print("made", flush=True)
        await batch.wait()

anyio.run(main)
"""


async def test_one_process_makes_it_and_dies_and_another_reads_it(http_library: str, tmp_path: Path) -> None:
    """A batch of a killed process is one job at the host, read and booked by another process."""
    tracking = {"database": f"sqlite:///{tmp_path / 'costs.db'}"}
    async with Simulator(reply=echo) as sim:
        sim.batch_seconds = 1.0
        config = sim.config(cost_tracking=tracking)
        command = [sys.executable, "-c", MAKER, json.dumps(config)]
        with subprocess.Popen(command, env={**os.environ}, stdout=subprocess.PIPE) as process:  # noqa: ASYNC220
            assert process.stdout is not None
            assert b"made\n" == await to_thread.run_sync(process.stdout.readline)
            process.send_signal(signal.SIGKILL)
        async with opened(sim, http_library, cost_tracking=tracking) as client:
            batch = await client.open_batch("nightly")
            items = await (await batch.wait(20, poll=0.1)).results()
            rows = await client.ledger.report(by=["operation", "status"], where={"operation": "chat"})
            joined = await client.batch([f"n{n}" for n in range(20)], id="nightly")
    assert [f"echo n{n}" for n in range(20)] == [item.text for item in items]
    assert [(20, "ok")] == [(row.requests, row.group["status"]) for row in rows]
    assert batch.host_ids == joined.host_ids
    assert 1 == len(sim.batches)


# Maps through a batch.


async def test_a_map_goes_through_a_batch(http_library: str) -> None:
    """via="batch" gives an item for each input, failures included, from one job."""
    async with Simulator(reply=echo) as sim, opened(sim, http_library) as client:
        items = await client.map_all(["a", {"messages": "b", "temperature": "hot"}, "c"], via="batch")
        assert 1 == len(sim.batches)
        assert 0 == sim.count(operation="generate")
    assert ["echo a", "", "echo c"] == [item.text for item in items]
    assert isinstance(items[1].error, errors.BadRequestError)


@pytest.mark.parametrize("keyword", ["concurrency", "tools", "max_cost"])
async def test_keywords_without_meaning_are_refused(keyword: str, http_library: str) -> None:
    """What a batch cannot do is refused by name."""
    async with Simulator() as sim, opened(sim, http_library) as client:
        with pytest.raises(errors.BadRequestError, match=keyword):
            client.map(["a"], via="batch", **{keyword: 4})


async def test_a_map_that_is_left_goes_on_in_the_same_batch(http_library: str, tmp_path: Path) -> None:
    """With a checkpoint the same map joins its batch; answers that were read are not read again."""
    tracking = {"database": f"sqlite:///{tmp_path / 'costs.db'}"}
    checkpoint = tmp_path / "run.db"
    inputs = [f"n{n}" for n in range(6)]
    async with Simulator(reply=echo) as sim:
        sim.batch_seconds = 0.5
        async with opened(sim, http_library, cost_tracking=tracking) as client:
            began = time.monotonic()
            with anyio.move_on_after(0.3):
                async with client.map(inputs, via="batch", checkpoint=checkpoint) as stream:
                    async for _ in stream:
                        pass
            assert time.monotonic() - began < 10
        async with opened(sim, http_library, cost_tracking=tracking) as client:
            items = await client.map_all(inputs, via="batch", checkpoint=checkpoint)
            again = await client.map_all(inputs, via="batch", checkpoint=checkpoint)
        assert 1 == len(sim.batches)
    assert [f"echo {text}" for text in inputs] == [item.text for item in items] == [item.text for item in again]
    assert {True} == {item.recorded for item in again}


# Batches over a bucket of the caller's.

ROLE = "arn:aws:iam::123456789012:role/batches"
CLOUDS = [
    ("vertex", "gemini-3.8-flash", {"storage": "gs://my-bucket/runs"}),
    ("vertex", "claude-haiku-5-5", {"storage": "gs://my-bucket/runs/"}),
    ("bedrock", "amazon.nova-lite-v1:0", {"storage": "s3://my-bucket/runs", "role": ROLE}),
]


@asynccontextmanager
async def in_the_cloud(sim: Simulator, library: str, **changes: Any) -> AsyncIterator[Client]:
    config = sim.config(http={"library": library}, **changes)
    config["providers"]["bedrock"].pop("api_key")
    config["providers"]["bedrock"].update(aws_access_key_id="sk-sim-bedrock", aws_secret_access_key="sk-sim-secret")
    environ = {"AWS_ENDPOINT_URL_S3": f"{sim.url('bedrock')}/s3", "STORAGE_EMULATOR_HOST": sim.url("vertex")}
    async with Client(config, environ=environ) as client:
        yield client


@pytest.mark.parametrize(("provider", "model", "place"), CLOUDS)
async def test_lines_and_answers_lie_in_the_callers_bucket(
    provider: str, model: str, place: dict[str, str], http_library: str
) -> None:
    """The lines are written to the bucket with the caller's own credentials, and the answers are read from it."""
    async with Simulator(reply=echo, require_key=True) as sim, in_the_cloud(sim, http_library) as client:
        sim.batch_seconds = 0.2
        batch = await client.batch(["a", "b", "c"], provider=provider, model=model, **place)
        await batch.wait(20, poll=0.05)
        items = await batch.results()
        again = await (await client.open_batch(batch.id)).results()
        rows = await client.ledger.report(by=["service_tier"], where={"operation": "chat"})
    assert ["echo a", "echo b", "echo c"] == [item.text for item in items] == [item.text for item in again]
    assert [(3, "batch")] == [(row.requests, row.group["service_tier"]) for row in rows]
    assert 1 == len(sim.batches)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(("provider", "model", "place"), CLOUDS)
@pytest.mark.parametrize("after", [None, 1])
async def test_jobs_in_the_cloud_are_not_made_twice(
    provider: str, model: str, place: dict[str, str], after: int | None, http_library: str
) -> None:
    """The connection breaks while the job is made: it is found by its name."""
    async with Simulator(reply=echo) as sim, in_the_cloud(sim, http_library) as client:
        sim.on("*", Fault.cut(after_events=after, times=1), provider=provider, operation="batch.create")
        batch = await client.batch(["a"], provider=provider, model=model, **place)
        assert ["echo a"] == [item.text for item in await batch.results()]
        assert 1 == len(sim.batches)


@pytest.mark.parametrize(("provider", "model", "place"), CLOUDS)
async def test_a_cancelled_job_in_the_cloud_has_no_answers(
    provider: str, model: str, place: dict[str, str], http_library: str
) -> None:
    """Lines without an answer say so, also where nothing was written to the bucket."""
    async with Simulator(reply=echo) as sim, in_the_cloud(sim, http_library) as client:
        sim.batch_seconds = 60
        batch = await client.batch(["a", "b"], provider=provider, model=model, **place)
        items = await (await batch.cancel()).results()
    assert ["cancelled"] * 2 == [getattr(item.error, "reason", None) for item in items]


@pytest.mark.parametrize(
    ("provider", "said", "sentence"),
    [
        ("vertex", {}, "needs a bucket of yours: storage='gs://"),
        ("vertex", {"storage": "s3://bucket/folder"}, "storage='gs://"),
        ("bedrock", {"storage": "s3://bucket/a b"}, "storage must be like"),
        ("bedrock", {"storage": "s3://bucket/folder"}, "role must name"),
        ("openai", {"storage": "gs://bucket/folder"}, "storage has no meaning"),
    ],
)
async def test_a_bucket_is_asked_for_where_it_is_needed(
    provider: str, said: dict[str, str], sentence: str, http_library: str
) -> None:
    """What is missing is named."""
    async with Simulator(reply=echo) as sim, in_the_cloud(sim, http_library) as client:
        with pytest.raises(errors.BadRequestError, match=sentence):
            await client.batch(["a"], provider=provider, **said)
        assert 0 == len(sim.batches)
