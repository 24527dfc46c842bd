"""Bulk work on a real DBOS over PostgreSQL: three processes, two killed; no answer that was paid for is asked again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncllm import Client, SyncClient, errors
from asyncllm._ledger.row_journal import RowJournal
from asyncllm.testing import Fault, Reply, Simulator
from postgres_server import running_server
from redis_server import running_redis

pytestmark = pytest.mark.field
ROWS, CONCURRENCY, PROCESSES, KILLS = 300, 8, 3, 2
PRICES = {"prices": {"gpt-sim": {"input": 1, "output": 1}}}
PROGRAM = """
import sys, json
from asyncllm import SyncClient
from asyncllm._ledger import row_journal
row_journal.BEAT, row_journal.DEAD = 0.3, 2.0

rows = [{"id": f"r{number:04}", "text": f"text {number}"} for number in range(int(sys.argv[2]))]
config = json.loads(sys.argv[1])
name = config.pop("job", "on-dbos")
with SyncClient(config, environ={}) as client:
    job = client.bulk(
        name, rows, key="id", prompt="{text}", engine="dbos", batch_size=20, concurrency=int(sys.argv[3])
    )
    print(json.dumps(job.run().done), flush=True)
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    pytest.importorskip("dbos", reason="DBOS is not installed: python -m pip install 'asyncllm-client[dbos]'")
    with running_server() as url:
        yield url


def configuration(sim: Simulator, database: str, **sections: Any) -> dict[str, Any]:
    entry = {"api_key": "sk-sim-x", "base_url": sim.url("openai"), "fallback_models": ["gpt-sim"]}
    entry |= sections.pop("entry", {})
    tracking = {"database": database} | sections.pop("cost_tracking", {})
    config = {"active_provider": "openai", "providers": {"openai": entry}, "cost_tracking": tracking}
    return {**config, "catalog": PRICES, **sections}


def rows(number: int) -> list[dict[str, Any]]:
    return [{"id": f"r{index:04}", "text": f"text {index}"} for index in range(number)]


def test_two_of_three_processes_are_killed(postgres: str) -> None:
    """Every row is answered once, the server counts what was in flight at the kills besides, the ledger all of it."""
    import psycopg

    with Simulator.in_thread(latency=0.1) as sim, running_redis() as redis:
        # A limit that all processes share, above what they need, so that it is counted and never hit.
        shared = {"shared": {"url": redis.url}, "entry": {"limits": {"requests_per_minute": 60_000}}}
        config = configuration(sim, postgres, **shared)
        words = [sys.executable, "-c", PROGRAM, json.dumps(config), str(ROWS), str(CONCURRENCY)]
        started = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
        journal = RowJournal(postgres, "on-dbos")
        journal.open()
        for kill in range(KILLS):
            while journal.status().done < (kill + 1) * ROWS // 4:
                time.sleep(0.05)
            started[kill].send_signal(signal.SIGKILL)
        left = started[-1]
        said, _ = left.communicate(timeout=180)
        for process in started:
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        status = journal.status()
        answers = dict(journal.answers())
        journal.close()
        assert (0, str(ROWS)) == (left.returncode, said.strip())
        assert (ROWS, ROWS, 0) == (status.done, status.total, status.failed)
        assert {row["id"] for row in rows(ROWS)} == set(answers)
        asked = sim.count()
        assert ROWS <= asked <= ROWS + CONCURRENCY * KILLS
        with psycopg.connect(postgres, autocommit=True) as connection:  # as after a minute: the killed are silent
            connection.execute("UPDATE owners SET alive_until = now() - interval '1 second'")
        with SyncClient(config, environ={}) as client:
            told = client.ledger.report(by=["status"])
            again = client.bulk("on-dbos", rows(ROWS), key="id", prompt="{text}", engine="dbos").run()
            assert ROWS == again.done
    assert asked == sim.count(), "a second run asks for nothing"
    # A call that was booked at a kill and had not reached the server yet stands there too, as unknown.
    assert asked <= sum(line.requests for line in told) <= asked + CONCURRENCY * KILLS
    assert status.cost > 0


def finish(config: dict[str, Any], processes: int, number: int) -> list[int]:
    """Runs the program in so many processes at once, until all have ended; what each says is done."""
    words = [sys.executable, "-c", PROGRAM, json.dumps(config), str(number), str(CONCURRENCY)]
    started = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    said = [process.communicate(timeout=180)[0].strip() for process in started]
    assert [0] * processes == [process.returncode for process in started]
    return [int(text) for text in said]


def test_a_budget_holds_over_all_processes(postgres: str) -> None:
    """Two processes never spend more than the budget between them; with more money the next run does the rest."""
    number, limit = 120, Decimal("0.002")
    reply = Reply(text="fine", input_tokens=30, output_tokens=20)  # 50 microdollars
    with Simulator.in_thread(reply=reply, latency=0.02) as sim:
        budget = {"limit": str(limit), "per": "total", "scope": {"model": "gpt-poor"}, "assume_output_tokens": 30}
        poor = configuration(sim, postgres, entry={"fallback_models": ["gpt-poor"]}, budgets=[budget])
        poor["catalog"] = {"prices": {"gpt-poor": {"input": 1, "output": 1}}}
        finish({**poor, "job": "poor"}, 2, number)
        journal = RowJournal(postgres, "poor")
        journal.open()
        status = journal.status()
        failures = journal.failures()
        journal.close()
        with SyncClient(poor, environ={}) as client:
            (spent,) = client.ledger.report(where={"model": "gpt-poor"})
            assert spent.cost is not None
            assert limit / 2 < spent.cost <= limit
            assert (number, True) == (status.done + status.failed, status.failed > 0)
            assert {"BudgetExceededError"} == {error.partition(":")[0] for error in failures.values()}
        rich = {**poor, "budgets": [{**budget, "limit": "1"}], "job": "poor"}
        assert [number] == finish(rich, 1, number)


def test_a_shared_limit_holds_over_all_processes(postgres: str) -> None:
    """Two processes with eight calls at a time each are never at the server with more than the three they share."""
    with Simulator.in_thread(reply="fine", latency=0.05) as sim, running_redis() as redis:
        shared = {"shared": {"url": redis.url, "prefix": "dbos-limit"}, "entry": {"limits": {"concurrent": 3}}}
        done = finish({**configuration(sim, postgres, **shared), "job": "limited"}, 2, 80)
        assert ([80, 80], 80) == (done, sim.count())
        assert 2 <= sim.peak_in_flight <= 3


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_other_calls_go_before_a_job(postgres: str) -> None:
    """A call of higher priority passes the waiting rows of a job."""
    with Simulator.in_thread(reply="fine", latency=0.05) as sim:
        config = configuration(sim, postgres, entry={"limits": {"concurrent": 2}})
        async with Client(config, environ={}) as client, anyio.create_task_group() as tasks:
            job = client.bulk(
                "patient",
                rows(80),
                key="id",
                prompt="{text}",
                engine="dbos",
                batch_size=80,
                concurrency=16,
                priority=-1,
            )
            tasks.start_soon(job.run)
            for _ in range(3):
                with anyio.fail_after(60):
                    while sim.in_flight < 2:
                        await anyio.sleep(0.01)
                before = sim.count()
                await client.send("urgent", priority=5)
                assert sim.count() - before <= 6  # two under way, the call itself, what followed while it was answered
            assert "urgent" not in str(sim.requests[-1].body), "rows were left"


def test_failures_and_stops_go_on(postgres: str) -> None:
    """A row that failed is asked for by the next run; max_cost ends a run, whose rest the next one does."""
    with Simulator.in_thread(reply="fine") as sim:
        sim.on("*", Fault.status(400, times=1, when=lambda got: "text 7" in str(got.body)))
        seen: list[Any] = []
        said: dict[str, Any] = {"key": "id", "prompt": "{text}", "engine": "dbos", "batch_size": 8}
        with SyncClient(configuration(sim, postgres), environ={}) as client:
            first = client.bulk("again", rows(20), **said, progress=seen.append).run()
            assert (19, 1, False) == (first.done, first.failed, first.complete)
            second = client.bulk("again", rows(20), **said).run()
            assert (20, 0, True) == (second.done, second.failed, second.complete)
            assert 21 == sim.count()
            assert (20, 1) == (seen[-1].done, seen[-1].failed)
            part = client.bulk("cheap", rows(100), **said, max_cost=0.00005, concurrency=2).run()
            assert 0 < part.done < 100
            assert 100 == client.bulk("cheap", rows(100), **said).run().done
            assert 121 == sim.count()


def test_what_it_needs_is_said(postgres: str, tmp_path: Path) -> None:
    """SQLite, items one by one, rows without a key, and a DBOS of the process's own are refused with a sentence."""
    said: dict[str, Any] = {"key": "id", "prompt": "{text}", "engine": "dbos"}
    with Simulator.in_thread() as sim:
        on_sqlite = configuration(sim, f"sqlite:///{tmp_path / 'x.db'}")
        with SyncClient(on_sqlite, environ={}) as client, pytest.raises(errors.ConfigurationError, match="PostgreSQL"):
            client.bulk("j", rows(1), **said).run()
        with SyncClient(configuration(sim, postgres), environ={}) as client:
            with pytest.raises(errors.ConfigurationError, match="run as a whole"):
                next(iter(client.bulk("j", rows(1), **said)))
            with pytest.raises(errors.BadRequestError, match="no value in the column"):
                client.bulk("j", [{"text": "x"}], **said).run()
            with pytest.raises(errors.BadRequestError, match="no rows"):
                client.bulk("j", [], **said).run()
            from dbos import DBOS

            DBOS(config={"name": "own", "system_database_url": f"sqlite:///{tmp_path / 'own.db'}"})
            try:
                with pytest.raises(errors.ConfigurationError, match="DBOS already"):
                    client.bulk("j", rows(1), **said).run()
            finally:
                DBOS.destroy()
