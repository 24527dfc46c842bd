"""Bulk work on a real Ray: two actors, one killed in mid-run; no answer that was paid for is asked for again."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from asyncllm import SyncClient
from asyncllm.testing import Simulator

ROWS, CONCURRENCY = 400, 8
pytestmark = pytest.mark.field


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Any:
    ray = pytest.importorskip("ray", reason="Ray is not installed: python -m pip install 'asyncllm-client[ray]'")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, ignore_reinit_error=True)
    yield ray
    ray.shutdown()


def configuration(sim: Simulator, folder: Path) -> dict[str, Any]:
    entry = {"api_key": "sk-sim-x", "base_url": sim.url("openai"), "fallback_models": ["gpt-sim"]}
    tracking = {"database": f"sqlite:///{folder / 'books.db'}"}
    return {"active_provider": "openai", "providers": {"openai": entry}, "cost_tracking": tracking}


def kill_an_actor(folder: Path, after: int) -> None:
    """Kills the process of one actor once so many rows have an answer."""
    while True:
        time.sleep(0.2)
        try:
            with closing(sqlite3.connect(folder / "books.db")) as db:
                done = db.execute("SELECT count(*) FROM bulk_rows WHERE reply IS NOT NULL").fetchone()[0]
        except sqlite3.Error:
            continue
        if done >= after:
            break
    from ray.util.state import list_actors

    pids = [actor["pid"] for actor in list_actors() if actor["state"] == "ALIVE" and "Map" in actor["class_name"]]
    os.kill(pids[0], signal.SIGKILL)


@pytest.mark.filterwarnings("ignore")
def test_a_killed_actor_loses_no_answer(tmp_path: Path) -> None:
    """Every row is answered once; the server counts at most the rows and what was in flight at the kill."""
    rows = [{"id": f"r{number:04}", "text": f"text {number}"} for number in range(ROWS)]
    with Simulator.in_thread(latency=0.1) as sim, SyncClient(configuration(sim, tmp_path), environ={}) as client:
        killer = threading.Thread(target=kill_an_actor, args=(tmp_path, ROWS // 4), daemon=True)
        killer.start()
        job = client.bulk(
            "on-ray", rows, key="id", prompt="{text}", engine="ray", workers=2, batch_size=50, concurrency=CONCURRENCY
        )
        status = job.run()
        killer.join(5)
        assert not killer.is_alive(), "an actor was killed"
        assert (status.done, status.total, status.failed) == (ROWS, ROWS, 0)
        assert sim.count() <= ROWS + CONCURRENCY
        again = client.bulk("on-ray", rows, key="id", prompt="{text}", engine="ray").run()
        assert again.done == ROWS
        assert sim.count() <= ROWS + CONCURRENCY


@pytest.mark.filterwarnings("ignore")
def test_complete_in_a_pipeline_of_ones_own(cluster: Any, tmp_path: Path) -> None:
    """The class gives the columns of the answer beside those of the row."""
    import ray.data  # noqa: F401  # not imported by ray itself

    from asyncllm.contrib.ray import Complete

    with Simulator.in_thread(reply="fine") as sim:
        said = {"config": configuration(sim, tmp_path), "job": "own", "key": "id", "prompt": "{text}"}
        found = (
            cluster.data.from_items([{"id": str(number), "text": "x"} for number in range(20)])
            .map_batches(Complete, fn_constructor_kwargs=said, concurrency=1, batch_size=10)
            .take_all()
        )
    assert len(found) == 20
    assert {row["answer"] for row in found} == {"fine"}
    assert all(row["error"] is None for row in found)
