"""PostgreSQL with ``durability: journal``: attempts are opened in files and folded into the database."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psycopg
import pytest

from asyncllm._config.rules import SecretStr
from asyncllm._config.sections import CostTrackingSettings
from asyncllm._ledger.budgets import Budget
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores.postgres import PostgresStore
from ledger_books import DOLLAR, DONE, HEAD, child, hold
from postgres_server import new_database

pytestmark = pytest.mark.slow
LIMIT = 10**9 * DOLLAR

# What a caller has seen goes to a file of its own, one unbuffered write each, so that a kill loses none of it.
WRITER = """
import asyncio, os, sys
from pathlib import Path
from asyncllm._ledger import journal
from asyncllm._ledger.budgets import Budget
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores import postgres
from ledger_books import DONE, DOLLAR, HEAD, hold

journal.MOST_FILE = 20_000                         # many files, folded and removed
seen = os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

async def one(ledger, number):
    while True:
        opening = await ledger.open(HEAD, hold(ledger, 100))
        os.write(seen, f"sent {opening.id} 0\\n".encode())
        await asyncio.sleep(0.0001 * number)
        ledger.settle(opening, DONE._replace(cost=number))
        os.write(seen, f"kept {opening.id} {number}\\n".encode())

async def main():
    budgets = [Budget(limit=10**9 * DOLLAR, per="total", on_exceed="warn")]
    ledger = Ledger(postgres.PostgresStore(sys.argv[1], journal_path=Path(sys.argv[2])), budgets=budgets)
    await asyncio.gather(*(one(ledger, number) for number in range(1, 9)))

if len(sys.argv) > 4:
    step, count = sys.argv[4], int(sys.argv[5])
    real = postgres.PostgresStore._execute
    def execute(self, sql, values=()):
        global count
        counts = sql.startswith("COMMIT" if step == "after" else step)
        count -= counts
        if counts and count == 0 and step != "after":
            os.kill(os.getpid(), 9)
        found = real(self, sql, values)
        if counts and count == 0:
            os.kill(os.getpid(), 9)
        return found
    postgres.PostgresStore._execute = execute
asyncio.run(main())
"""


def told(seen: list[Path]) -> tuple[set[str], dict[str, int]]:
    """What processes had sent, and what they had settled."""
    sent: set[str] = set()
    kept: dict[str, int] = {}
    for file in seen:
        for line in file.read_text().splitlines(keepends=True) if file.exists() else []:
            if line.endswith("\n"):
                word, one, cost = line.split()
                if word == "kept":
                    kept[one] = int(cost)
                sent.add(one)
    return sent, kept


def is_right(url: str, folder: Path, seen: list[Path]) -> None:
    """Nothing acknowledged is lost, nothing counts twice, nothing stays behind."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE owners SET alive_until = now() - interval '1 second'")  # the minute passes

    async def recovered() -> tuple[dict[str, tuple[str, int]], int, int]:
        store = PostgresStore(url, journal_path=folder)
        ledger = Ledger(store, budgets=[Budget(limit=LIMIT, per="total", on_exceed="warn")])
        found: dict[str, tuple[str, int]] = {}
        async for one in ledger.records():
            assert one.id not in found
            found[one.id] = (one.status, one.nano_cost or 0)
        (status,) = await ledger.budget_statuses()
        await ledger.aclose()
        return found, int(status.spent * DOLLAR), int(status.reserved * DOLLAR)

    found, spent, reserved = asyncio.run(recovered())
    sent, kept = told(seen)
    assert kept
    assert [] == [one for one in kept if found.get(one) != ("ok", kept[one])]
    assert set() == sent - set(found)
    assert sum(cost for _, cost in found.values()) == spent
    assert 0 == reserved
    with psycopg.connect(url) as connection:
        left = connection.execute("SELECT (SELECT count(*) FROM opened), (SELECT count(*) FROM journals)").fetchone()
    assert (0, 0) == left
    assert [] == list((folder / "journal").iterdir())


def wait_for(seen: list[Path]) -> None:
    """Waits until every process has written something."""
    deadline = time.monotonic() + 40
    while not all(file.exists() and file.stat().st_size for file in seen) and time.monotonic() < deadline:
        time.sleep(0.02)


def test_kills_at_random_instants(postgres: str, tmp_path: Path) -> None:
    """Two processes on one database and one folder: whoever comes next folds what a killed one left."""
    url = new_database(postgres)
    seen: list[Path] = []
    for number in range(2):
        mine = [tmp_path / f"seen.{number}.{place}" for place in range(2)]
        seen += mine
        running = [child(WRITER, url, tmp_path / "journals", file) for file in mine]
        wait_for(mine)
        for process in running:
            time.sleep(0.1 * (number + 1))
            process.kill()
        for process in running:
            assert "Traceback" not in process.communicate()[1]
    is_right(url, tmp_path / "journals", seen)


@pytest.mark.parametrize("step", ["BEGIN", "INSERT INTO journals", "INSERT INTO records", "COMMIT", "after"])
def test_kills_inside_a_fold(step: str, postgres: str, tmp_path: Path) -> None:
    """Killed before a statement of a fold, or after its commit and before its file is removed: each counts once."""
    url = new_database(postgres)
    seen = tmp_path / "seen"
    process = child(WRITER, url, tmp_path / "journals", seen, step, "4")
    error = process.communicate(timeout=180)[1]
    assert -9 == process.returncode, error
    is_right(url, tmp_path / "journals", [seen])


def test_a_torn_last_frame(postgres: str, tmp_path: Path) -> None:
    """What was being written when the process died was not acknowledged; everything before it is there."""
    url = new_database(postgres)
    seen = tmp_path / "seen"
    process = child(WRITER, url, tmp_path / "journals", seen)
    wait_for([seen])
    process.kill()
    process.communicate()
    files = sorted((tmp_path / "journals" / "journal").iterdir(), key=lambda file: int(file.suffix[1:]))
    with files[-1].open("ab") as file:
        file.write(b"\xf1\x9eaj\x10\x01\x00\x00half a frame")
    is_right(url, tmp_path / "journals", [seen])


def test_machines_with_folders_of_their_own(postgres: str, tmp_path: Path) -> None:
    """A machine leaves the offsets of others alone, and a hard budget has its transaction all the same."""
    url = new_database(postgres)

    async def run() -> list[int]:
        budgets = [Budget(limit=LIMIT, per="total")]
        stores = [PostgresStore(url, journal_path=tmp_path / name) for name in ("one", "two")]
        ledgers = [Ledger(stores[0]), Ledger(stores[1], budgets=budgets)]
        for _ in range(3):
            for ledger in ledgers:
                for _ in range(5):
                    ledger.settle(await ledger.open(HEAD, hold(ledger, 100) if ledger.budgets else None), DONE)
                await ledger.flush()
        (row,) = await ledgers[0].report()
        for ledger in ledgers:
            await ledger.aclose()
        with psycopg.connect(url) as connection:
            left = connection.execute("SELECT count(*) FROM journals").fetchone()
        assert left is not None
        return [row.requests, left[0]]

    assert [30, 0] == asyncio.run(run())


def test_a_folder_that_cannot_be_used(postgres: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without its folder the ledger goes on by transactions, and says so once."""
    url = new_database(postgres)
    (tmp_path / "file").write_text("")

    async def run() -> int:
        ledger = Ledger(PostgresStore(url, journal_path=tmp_path / "file" / "journals"))
        ledger.settle(await ledger.open(HEAD), DONE)
        (row,) = await ledger.report()
        await ledger.aclose()
        return row.requests

    assert 1 == asyncio.run(run())
    assert 1 == len([record for record in caplog.records if "no journal" in record.getMessage()])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"database": "sqlite:///x.db", "durability": "journal"}, "are for postgresql://"),
        ({"database": "postgresql://h/d", "durability": "journal"}, "needs journal_path"),
        ({"database": "postgresql://h/d", "journal_path": Path("x")}, "is for durability: journal"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, object], said: str) -> None:
    """The folder and the durability belong together, and to PostgreSQL."""
    database = SecretStr(str(settings.pop("database")))
    with pytest.raises(ValueError, match=said):
        CostTrackingSettings(database=database, **settings)  # type: ignore[arg-type]
