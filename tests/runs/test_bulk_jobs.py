"""Bulk jobs: the row journal, jobs in this process, rows in and out."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncllm import Client, SyncClient, errors
from asyncllm._ledger import row_journal
from asyncllm._ledger.row_journal import RowJournal, RowTakenError
from asyncllm._row_files import read_rows, write_rows
from asyncllm.testing import Fault, Simulator
from forked_program import forked
from postgres_server import new_database, running_server

pytestmark = pytest.mark.anyio
PRICES = {"prices": {"gpt-sim": {"input": 1, "output": 1}}}


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with running_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'books.db'}"
    return new_database(request.getfixturevalue("postgres"))


def client_of(sim: Simulator, url: str, **changes: Any) -> Client:
    tracking = {"database": url}
    return Client(sim.config(cost_tracking=tracking, retry={"max_attempts": 1}, catalog=PRICES, **changes), environ={})


def rows(number: int) -> list[dict[str, Any]]:
    return [{"id": f"r{index:04}", "text": f"text {index}"} for index in range(number)]


async def test_a_row_with_an_answer_is_never_asked_for_again(url: str) -> None:
    """A second run finds every answer; a failure is asked for again; the status adds up from anywhere."""
    async with Simulator(reply="fine") as sim, client_of(sim, url) as client:
        sim.on("*", Fault.status(400, times=1, when=lambda got: "text 7" in str(got.body)))
        job = client.bulk("reviews", rows(20), key="id", prompt="Judge: {text}", fallback=[])
        first = [item async for item in job]
        status = await job.status()
        assert (status.done, status.failed, status.total, status.complete) == (19, 1, 20, False)
        assert [item.input["id"] for item in first if item.error is not None] == ["r0007"]
        status = await client.bulk("reviews", rows(20), key="id", prompt="Judge: {text}").run()
        assert (status.done, status.failed, status.running, status.workers) == (20, 0, 0, 0)
        assert status.complete
        assert sim.count() == 21
        answers = [(key, reply.text) async for key, reply in job.answers()]
        rows_of_ledger = await client.ledger.report(by=["provider"])
    assert answers == [(f"r{index:04}", "fine") for index in range(20)]
    assert rows_of_ledger[0].requests == 21
    assert status.cost == rows_of_ledger[0].cost > Decimal(0)


async def test_two_processes_share_a_job(url: str) -> None:
    """The same line in a second client joins: each row is asked for once, both get every item."""
    async with Simulator(latency=0.02) as sim, client_of(sim, url) as one, client_of(sim, url) as two:
        found: dict[str, int] = {}

        async def work(name: str, client: Client) -> None:
            async for item in client.bulk("shared", rows(60), key="id", prompt="{text}", concurrency=4):
                assert item.error is None
                found[name] = found.get(name, 0) + 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work, "one", one)
            tasks.start_soon(work, "two", two)
        assert sim.count() == 60
    assert found == {"one": 60, "two": 60}


async def test_a_server_that_is_restarted_loses_no_answer(postgres: str) -> None:
    """Connections that PostgreSQL cuts in mid-run are made anew: each row is asked for once and its answer is kept."""
    import psycopg

    url = new_database(postgres)
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> %s"
    async with Simulator(latency=0.01) as sim, client_of(sim, url) as client:
        job = client.bulk("cut", rows(60), key="id", prompt="{text}", concurrency=4)
        with psycopg.connect(url, autocommit=True) as connection:
            async for item in job:
                assert item.error is None
                if item.index in (15, 40):
                    connection.execute(cut, (connection.info.backend_pid,))
        assert (60, 60) == ((await job.status()).done, sim.count())


async def test_rows_that_share_a_key_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Two rows with one key are asked once; the log says that they share an answer."""
    async with Simulator() as sim, client_of(sim, f"sqlite:///{tmp_path / 'x.db'}") as client:
        same = [{"id": "a", "text": "one"}, {"id": "a", "text": "two"}, {"id": "b", "text": "three"}]
        status = await client.bulk("same", same, key="id", prompt="{text}").run()
        assert (2, 2, 2) == (status.done, status.total, sim.count())
    assert "the job 'same' has 3 rows and 2 keys" in caplog.text


@pytest.mark.parametrize("key", ["a\0b", "\ud800", "k" * 1001])
async def test_a_key_that_a_database_cannot_hold_is_refused(key: str, tmp_path: Path) -> None:
    """On SQLite too: the same rows go to PostgreSQL one day."""
    async with Simulator() as sim, client_of(sim, f"sqlite:///{tmp_path / 'x.db'}") as client:
        with pytest.raises(errors.BadRequestError, match="at most 1000 bytes without NUL"):
            await client.bulk("j", [{"id": key, "text": "x"}], key="id", prompt="{text}").run()


def test_the_claims_of_a_dead_worker_are_free(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A living worker keeps its row; one that has been silent for a while loses it."""
    monkeypatch.setattr(row_journal, "DEAD", 0.3)
    one, two = RowJournal(url, "j"), RowJournal(url, "j")
    one.open()
    two.open()
    assert one.claim("k") is None
    assert one.claim("k") is None, "its own claim is no obstacle"
    with pytest.raises(RowTakenError):
        two.claim("k")
    time.sleep(0.4)
    assert two.claim("k") is None
    two.record("k", "first", 5)
    one.record("k", "second", 7)
    assert one.claim("k") == two.claim("k") == "first"
    assert one.status().cost == Decimal("0.000000005")
    one.close()
    two.close()


PROGRAM = """
import asyncio
from asyncllm import Client
from asyncllm._ledger import row_journal
row_journal.BEAT, row_journal.DEAD = 0.05, 0.4

async def main(url, database, number, model, name):
    config = {
        "active_provider": "openai",
        "providers": {"openai": {"api_key": "sk-sim-x", "base_url": url, "fallback_models": [model]}},
        "cost_tracking": {"database": database},
    }
    rows = [{"id": str(n), "text": f"text {n}"} for n in range(number)]
    async with Client(config, environ={}) as client:
        async for item in client.bulk(name, rows, key="id", prompt="{text}", concurrency=8):
            assert item.error is None, item.error
            if name == "killed":
                print(item.index, flush=True)

def run(url, database, number, warm=False):
    if warm:
        asyncio.run(main(url, database, 1, "gpt-warm", "warm"))
    else:
        asyncio.run(main(url, database, int(number), "gpt-sim", "killed"))
"""


def test_a_killed_job_goes_on(tmp_path: Path) -> None:
    """Killed five times: every row is answered, no more was asked than what was in flight at the kills, and the ledger
    shows what the job cost with all of it.
    """
    number, kills, width = 150, 5, 8
    url = f"sqlite:///{tmp_path / 'books.db'}"
    with Simulator.in_thread(latency=0.01) as sim, forked(PROGRAM, sim.url("openai"), url, str(number)) as program:
        for kill in range(kills + 1):
            for given, _ in enumerate(program.run()):
                if kill < kills and given == 20 * (kill + 1):
                    program.kill()
        assert 0 == program.ended
        asked = sim.count(model="gpt-sim")
        with SyncClient(sim.config(cost_tracking={"database": url}), environ={}) as client:
            told = client.ledger.report(by=["status"], where={"tag:bulk_job": "killed"})
    with closing(sqlite3.connect(tmp_path / "books.db")) as db:
        found = db.execute("SELECT count(*) FROM bulk_rows WHERE job = 'killed' AND reply IS NOT NULL").fetchone()
    booked = {row.group["status"]: row.requests for row in told}
    assert (number,) == found
    assert number <= booked["ok"] <= asked <= sum(booked.values()) <= asked + width * kills
    assert asked <= number + width * kills


INTERRUPTED = """
import logging
from asyncllm import SyncClient

def run(url, database, how, warm=False):
    config = {
        "active_provider": "openai",
        "providers": {"openai": {"api_key": "sk-sim-x", "base_url": url, "fallback_models": ["gpt-sim"]}},
        "cost_tracking": {"database": database},
    }
    logging.disable(logging.WARNING)
    with SyncClient(config, environ={}) as client:
        if warm:
            client.send("warm")
            return
        rows = [{"id": str(n), "text": f"text {n}"} for n in range(1000)]
        seen = lambda progress: print(progress.done, flush=True)
        job = client.bulk("stopped", rows, key="id", prompt="{text}", concurrency=8, progress=seen)
        if how == "run":
            job.run()
        else:
            for _ in job:
                pass
"""


@pytest.mark.parametrize("how", ["run", "iterate"])
def test_an_interrupted_job_keeps_what_is_under_way(how: str, tmp_path: Path) -> None:
    """After Ctrl-C in blocking code the calls in flight end and are recorded; nothing that was paid for is lost."""
    url = f"sqlite:///{tmp_path / 'books.db'}"
    with Simulator.in_thread(latency=0.1) as sim, forked(INTERRUPTED, sim.url("openai"), url, how) as program:
        for given, _ in enumerate(program.run()):
            if given == 20:
                program.interrupt()
        assert program.ended is not None
        assert 130 == os.waitstatus_to_exitcode(program.ended)
        asked = sim.count() - 1
    with closing(sqlite3.connect(tmp_path / "books.db")) as db:
        found = db.execute("SELECT count(*) FROM bulk_rows WHERE reply IS NOT NULL").fetchone()
    assert (asked,) == found


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
async def test_rows_are_read_and_written(tmp_path: Path, suffix: str) -> None:
    """Each kind of file gives back what was written."""
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"rows{suffix}"
    write_rows(path, rows(3))
    assert list(read_rows(path)) == rows(3)
    assert list(read_rows(str(path))) == rows(3)


async def test_wrong_jobs_are_refused(tmp_path: Path) -> None:
    """The sentence says what to do."""
    async with Simulator() as sim, client_of(sim, f"sqlite:///{tmp_path / 'x.db'}") as client:
        for keywords, sentence in (
            ({"key": "", "prompt": "x"}, "key must be"),
            ({"key": "id", "prompt": ""}, "prompt must be"),
            ({"key": "id", "prompt": "x", "engine": "spark"}, "engine must be"),
        ):
            with pytest.raises(errors.BadRequestError, match=sentence):
                client.bulk("j", rows(1), **keywords)  # type: ignore[arg-type]
        with pytest.raises(errors.BadRequestError, match="no column 'tex'"):
            items = [item async for item in client.bulk("j", rows(1), key="id", prompt="{tex}")]
            raise items[0].error or AssertionError
        with pytest.raises(errors.BadRequestError, match="no value in the column 'nr'"):
            await client.bulk("j", rows(1), key="nr", prompt="x").run()
        with pytest.raises(errors.BadRequestError, match="name must be a text"):
            client.bulk("", rows(1), key="id", prompt="x")
        for wrong in (5, {"a": 1}, tmp_path / "rows.xlsx"):
            with pytest.raises(errors.BadRequestError):
                await client.bulk("j", wrong, key="id", prompt="x").run()
    async with Simulator() as sim, Client(sim.config(), environ={}) as client:
        with pytest.raises(errors.ConfigurationError, match="sqlite:///path"):
            client.bulk("j", rows(1), key="id", prompt="x")


async def test_answers_may_be_typed(tmp_path: Path) -> None:
    """response_format is that of send, also for recorded answers."""
    async with Simulator(reply='{"a": 1}') as sim, client_of(sim, f"sqlite:///{tmp_path / 'x.db'}") as client:
        for _ in range(2):
            job = client.bulk("typed", rows(2), key="id", prompt="{text}", response_format=dict[str, int])
            assert [item.parsed async for item in job] == [{"a": 1}] * 2
    assert sim.count() == 2
