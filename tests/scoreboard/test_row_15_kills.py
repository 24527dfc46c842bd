"""Two processes write one file and are killed at random moments: what was acknowledged is there, and sums are right."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncllm._ledger.budgets import Budget
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores.sqlite import SQLiteStore
from ledger_books import child

pytestmark = pytest.mark.slow
DOLLAR = 1_000_000_000

WRITER = """
import asyncio, json, sys
from asyncllm._ledger.budgets import Budget
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores.sqlite import SQLiteStore
from dataclasses import replace
from ledger_books import DONE, DOLLAR, HEAD, hold

async def main():
    ledger = Ledger(SQLiteStore(sys.argv[1]), budgets=[Budget(limit=10**9 * DOLLAR, per="total")])
    async def one(number):
        while True:
            opening = await ledger.open(HEAD, hold(ledger, 100))
            print("sent", opening.id, flush=True)       # what a server would have seen
            await asyncio.sleep(0)
            ledger.settle(opening, DONE._replace(cost=number))
            await ledger.flush()
            print("kept", opening.id, number, flush=True)
    await asyncio.gather(*(one(number) for number in range(1, 9)))

asyncio.run(main())
"""


def test_kills_at_random_moments(record: Callable[[str, str, str], None], full: bool, tmp_path: Path) -> None:
    """No acknowledged record is lost, every sent attempt has a row, sums are equal and the file is sound."""
    rounds = 250 if full else 4  # two writers each
    chance = random.Random(15)
    path = tmp_path / "ledger.db"
    kept: dict[str, int] = {}
    sent: set[str] = set()
    for _ in range(rounds):
        writers = [child(WRITER, path) for _ in range(2)]
        for writer in writers:
            assert writer.stdout is not None
            first = writer.stdout.readline()  # it is under way
            assert first.startswith("sent"), writer.stderr and writer.stderr.read()
            sent.add(first.split()[1])
        for writer in writers:
            time.sleep(chance.uniform(0, 0.1))
            writer.kill()
        for writer in writers:
            out, err = _rest(writer)
            assert "Traceback" not in err
            for words in (line.split() for line in out.splitlines(keepends=True) if line.endswith("\n")):
                if words[0] == "kept":
                    kept[words[1]] = int(words[2])
                else:
                    sent.add(words[1])
    found, spent = asyncio.run(_recover(path))
    assert 0 == len([one for one in kept if found.get(one, ("", 0)) != ("ok", kept[one])])
    assert 0 == len(sent - set(found))
    assert sum(cost for _, cost in found.values()) == spent
    connection = sqlite3.connect(path)
    assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
    assert [(0,)] == connection.execute("SELECT count(*) FROM opened").fetchall()
    assert [(0,)] == connection.execute("SELECT reserved FROM windows").fetchall()
    connection.close()
    unknown = sum(status == "unknown" for status, _ in found.values())
    record(
        f"acknowledged records lost after {2 * rounds} kills",
        f"0 of {len(kept)} ({unknown} recovered)",
        "0",
    )


def _rest(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a process that was killed still said; ``communicate`` would forget what ``readline`` has read ahead."""
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        return process.stdout.read(), process.stderr.read()


async def _recover(path: Path) -> tuple[dict[str, tuple[str, int]], int]:
    ledger = Ledger(SQLiteStore(path), budgets=[Budget(limit=10**9 * DOLLAR, per="total")])
    found = {one.id: (one.status, one.nano_cost or 0) async for one in ledger.records()}
    (status,) = await ledger.budget_statuses()
    await ledger.aclose()
    return found, int(status.spent * DOLLAR)


def test_the_lines_of_a_killed_writer_can_be_read(tmp_path: Path) -> None:
    """The log file of a process that was killed holds whole lines, each with an id of its own."""
    source = WRITER.replace("SQLiteStore(sys.argv[1])", "SQLiteStore(sys.argv[1]), log_path=sys.argv[2]")
    writer = child(source, tmp_path / "ledger.db", tmp_path / "costs.log")
    begun = time.monotonic()
    while not (tmp_path / "costs.log").exists() and time.monotonic() < begun + 20:  # a busy machine starts it late
        time.sleep(0.02)
    time.sleep(0.3)
    writer.kill()
    writer.communicate()
    lines = (tmp_path / "costs.log").read_text().splitlines(keepends=True)
    ids = [json.loads(line)["id"] for line in lines if line.endswith("\n")]
    assert ids
    assert len(ids) == len(set(ids))
