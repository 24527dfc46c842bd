"""Worker processes that end without closing their clients lose no row: every call that returned is booked as ok."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import pool_worker
from answering_server import serving
from asyncllm.ledger import Ledger, store_of

WORKERS = 4
CHAT = {
    "id": "c",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
}
Work = tuple[str, str, bool, int]


def pool_terminated(works: list[Work]) -> None:
    """``multiprocessing.Pool``, whose workers are killed by SIGTERM when the block ends."""
    with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
        pool.map(pool_worker.ask, works, chunksize=1)


def pool_recycled(works: list[Work]) -> None:
    """Workers that are replaced after each task, as Celery's prefork pool does with max-tasks-per-child."""
    with multiprocessing.get_context("spawn").Pool(WORKERS, maxtasksperchild=1) as pool:
        pool.map(pool_worker.ask, works, chunksize=1)


def executor(works: list[Work]) -> None:
    """``ProcessPoolExecutor``."""
    with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(pool_worker.ask, works))


def forked(works: list[Work]) -> None:
    """Children of ``os.fork`` that end by ``os._exit``, as the workers of preforking servers do."""
    children = []
    for work in works:
        child = os.fork()
        if child == 0:
            try:
                pool_worker.ask(work)
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        assert 0 == os.waitpid(child, 0)[1]


def programs(how: str) -> Callable[[list[Work]], None]:
    """Programs of their own that end in a way without mercy."""

    def run(works: list[Work]) -> None:
        command = [sys.executable, str(Path(pool_worker.__file__)), how]
        started = [subprocess.Popen([*command, *map(str, work)], stderr=subprocess.DEVNULL) for work in works]
        for process in started:
            process.wait(timeout=120)

    run.__name__ = how
    return run


KINDS: list[Callable[[list[Work]], None]] = [
    *(pool_terminated, pool_recycled, executor, forked),
    *map(programs, ("_exit", "async", "SIGTERM", "SIGKILL", "exception")),
]


QUICK = (forked, KINDS[-2])
"""What an ordinary run takes; the others are slow, as their workers begin by importing everything."""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("budgeted", [False, True], ids=["journal", "budget"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.__name__))
def test_every_call_that_returned_is_booked(
    kind: Callable[[list[Work]], None], budgeted: bool, full: bool, tmp_path: Path, record: Callable[..., Any]
) -> None:
    """A thousand calls (the quick form: forty) in four workers that nobody closes: as many rows, all of them ok."""
    if kind not in QUICK and not full:
        pytest.skip("part of the full form")
    calls = 250 if full else 10
    database = str(tmp_path / "ledger.db")
    with serving(CHAT) as server:
        kind([(server.url, database, budgeted, calls)] * WORKERS)
        answered = len(server.bodies)

    async def count() -> dict[str, int]:
        ledger = Ledger(store_of(f"sqlite:///{database}"))
        rows = await ledger.report(by=["status"])
        await ledger.aclose()
        return {str(row.group["status"]): row.requests for row in rows}

    found = asyncio.run(count())
    record(f"{answered} calls, {kind.__name__}{', budget' if budgeted else ''}", f"{found}", "all ok")
    assert WORKERS * calls == answered
    assert {"ok": WORKERS * calls} == found
