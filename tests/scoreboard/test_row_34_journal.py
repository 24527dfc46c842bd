"""The journal: processes are killed at random instants and inside a fold; nothing is lost, nothing counts twice."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
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
LIMIT = 10**9 * DOLLAR

# What a caller has seen goes to a file of its own, one unbuffered write each, so that a kill loses none of it.
WRITER = """
import asyncio, os, sys, anyio
from asyncllm._ledger import journal
from asyncllm._ledger.budgets import Budget
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores import sqlite
from ledger_books import DONE, DOLLAR, HEAD, hold

journal.MOST_FILE = 20_000                         # many files, folded and removed
seen = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

async def one(ledger, number):
    while True:
        opening = await ledger.open(HEAD, hold(ledger, 100))
        os.write(seen, f"sent {opening.id} 0\\n".encode())
        await anyio.sleep(0.0001 * number)
        ledger.settle(opening, DONE._replace(cost=number))
        os.write(seen, f"kept {opening.id} {number}\\n".encode())

async def main():
    budgets = [Budget(limit=10**9 * DOLLAR, per="total", on_exceed="warn")]
    ledger = Ledger(sqlite.SQLiteStore(sys.argv[1]), budgets=budgets)
    async with anyio.create_task_group() as group:
        for number in range(1, 9):
            group.start_soon(one, ledger, number)

if len(sys.argv) > 4:
    step, count = sys.argv[4], int(sys.argv[5])
    real = sqlite.SQLiteStore._execute
    def execute(self, sql, values=()):
        global count
        if step == "after" or not sql.startswith(step):
            found = real(self, sql, values)
            if step == "after" and sql == "COMMIT":
                count -= 1
                if count == 0:
                    os.kill(os.getpid(), 9)
            return found
        count -= 1
        if count == 0:
            os.kill(os.getpid(), 9)
        return real(self, sql, values)
    sqlite.SQLiteStore._execute = execute
anyio.run(main, backend=sys.argv[3])
"""
STEPS = ("BEGIN", "INSERT INTO journals", "INSERT INTO opened", "DELETE FROM opened", "INSERT INTO records", "COMMIT")


def started(path: Path, seen: Path, backend: str, *step: str) -> subprocess.Popen[str]:
    return child(WRITER, path, seen, backend, *step)


def ended(process: subprocess.Popen[str]) -> None:
    _, err = process.communicate()
    assert "Traceback" not in err


def told(seen: Path) -> tuple[set[str], dict[str, int]]:
    """What a process had sent, and what it had settled."""
    sent: set[str] = set()
    kept: dict[str, int] = {}
    if seen.exists():
        for line in seen.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                word, one, cost = line.split()
                if word == "kept":
                    kept[one] = int(cost)
                else:
                    sent.add(one)
    return sent, kept


async def recovered(path: Path) -> tuple[dict[str, tuple[str, int]], int, int]:
    """Every record; what the budget's window says was spent, and what is still reserved."""
    ledger = Ledger(SQLiteStore(path), budgets=[Budget(limit=LIMIT, per="total", on_exceed="warn")])
    found: dict[str, tuple[str, int]] = {}
    async for one in ledger.records():
        assert one.id not in found
        found[one.id] = (one.status, one.nano_cost or 0)
    (status,) = await ledger.budget_statuses()
    await ledger.aclose()
    return found, int(status.spent * DOLLAR), int(status.reserved * DOLLAR)


def is_right(path: Path, seen: list[Path]) -> tuple[int, int]:
    """Nothing acknowledged is lost, nothing counts twice, nothing stays behind; how many were kept and recovered."""
    found, spent, reserved = asyncio.run(recovered(path))
    sent: set[str] = set()
    kept: dict[str, int] = {}
    for one in seen:
        more, settled = told(one)
        sent |= more
        kept |= settled
    assert [] == [one for one in kept if found.get(one) != ("ok", kept[one])]
    assert set() == sent - set(found)
    assert sum(cost for _, cost in found.values()) == spent
    assert 0 == reserved
    connection = sqlite3.connect(path)
    assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
    assert [(0, 0)] == connection.execute("SELECT count(*), (SELECT count(*) FROM journals) FROM opened").fetchall()
    connection.close()
    assert [] == list(path.with_name(f"{path.name}.journal").iterdir())
    return len(kept), sum(status == "unknown" for status, _ in found.values())


def test_kills_at_random_instants(record: Callable[[str, str, str], None], full: bool, tmp_path: Path) -> None:
    """Four processes on one database, on asyncio and trio: whoever comes next folds what a killed one left."""
    chance = random.Random(34)
    path = tmp_path / "ledger.db"
    seen: list[Path] = []
    rounds = 125 if full else 3
    for number in range(rounds):
        running = []
        for place in range(4):
            seen.append(tmp_path / f"seen.{number}.{place}")
            running.append(started(path, seen[-1], ("asyncio", "trio")[place % 2]))
        deadline = time.monotonic() + 20
        while not all(one.exists() for one in seen[-4:]) and time.monotonic() < deadline:
            time.sleep(0.01)
        for process in running:
            time.sleep(chance.uniform(0, 0.15))
            process.kill()
        for process in running:
            ended(process)
    kept, unknown = is_right(path, seen)
    record(f"acknowledged attempts lost after {4 * rounds} kills", f"0 of {kept} ({unknown} recovered)", "0")


@pytest.mark.parametrize("step", [*STEPS, "after"])
def test_kills_inside_a_fold(step: str, full: bool, tmp_path: Path) -> None:
    """Killed before each statement of a fold, or after its commit and before its file is removed: each counts once."""
    path = tmp_path / "ledger.db"
    seen: list[Path] = []
    for number in range(20 if full else 2):
        seen.append(tmp_path / f"seen.{number}")
        process = started(path, seen[-1], "asyncio", step, str(number + 3))
        ended(process)
        assert -9 == process.returncode
    is_right(path, seen)


def test_a_torn_last_frame(tmp_path: Path) -> None:
    """What was being written when the process died was not acknowledged; everything before it is there."""
    path = tmp_path / "ledger.db"
    seen = tmp_path / "seen"
    process = started(path, seen, "asyncio")
    while not seen.exists():
        time.sleep(0.01)
    time.sleep(0.2)
    process.kill()
    ended(process)
    files = sorted(path.with_name("ledger.db.journal").iterdir(), key=lambda file: int(file.suffix[1:]))
    with files[-1].open("ab") as file:
        file.write(b"\xf1\x9eaj\x10\x01\x00\x00half a frame")
    is_right(path, [seen])


def test_two_fold_at_once(tmp_path: Path) -> None:
    """Many processes find the journal of a dead one at the same moment: each frame counts once."""
    path = tmp_path / "ledger.db"
    seen = tmp_path / "seen"
    process = started(path, seen, "asyncio")
    while not seen.exists():
        time.sleep(0.01)
    time.sleep(0.3)
    process.kill()
    ended(process)
    source = (
        "import asyncio, sys\nfrom asyncllm._ledger.ledger import Ledger\n"
        "from asyncllm._ledger.stores.sqlite import SQLiteStore\n"
        "async def main():\n    ledger = Ledger(SQLiteStore(sys.argv[1]))\n    await ledger.report()\n"
        "    await ledger.aclose()\nasyncio.run(main())\n"
    )
    folding = [child(source, path) for _ in range(4)]
    for one in folding:
        ended(one)
        assert 0 == one.returncode
    is_right(path, [seen])


FULL_DISK = """
import asyncio, os, resource, signal, sys
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores.sqlite import SQLiteStore
from ledger_books import DONE, HEAD

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
async def main():
    ledger = Ledger(SQLiteStore(sys.argv[1]), on_error="warn")
    for _ in range(50):
        ledger.settle(await ledger.open(HEAD), DONE)
    opened = [await ledger.open(HEAD) for _ in range(50)]
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))   # no file may grow any more
    for opening in opened:
        ledger.settle(opening, DONE)
    for _ in range(50):
        ledger.settle(await ledger.open(HEAD), DONE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await ledger.flush()
    print((await ledger.report(by=["status"]))[0].requests)
    await ledger.aclose()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of POSIX")
def test_a_disk_that_is_full(record: Callable[[str, str, str], None], tmp_path: Path) -> None:
    """No file can grow: what was open, and what begins now, waits in memory, and is written when there is room."""
    process = child(FULL_DISK, tmp_path / "ledger.db")
    out, err = process.communicate(timeout=180)
    assert "150\n" == out, err
    record("attempts lost on a full disk, journal and database", "0 of 150", "0")
