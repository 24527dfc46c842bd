"""Many processes spend from one hard budget at once: nothing beyond what was reserved, and nothing left reserved."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from asyncllm._ledger.budgets import Budget, BudgetStatus
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores import Store, store_of
from asyncllm._ledger.stores.sqlite import SQLiteStore
from ledger_books import child
from postgres_server import new_database, running_server

pytestmark = pytest.mark.slow
LIMIT = 2_000_000
RESERVED = 1_000

SPENDER = """
import asyncio, json, random, sys
from dataclasses import replace
from asyncllm.errors import BudgetExceededError
from asyncllm._ledger.budgets import Budget
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores import store_of
from ledger_books import DONE, HEAD, hold

async def main(url, seed, calls):
    chance = random.Random(seed)
    alerts = []
    ledger = Ledger(store_of(url), budgets=[Budget(limit=2_000_000, per="total", wait=0)], on_error="error",
                    on_alert=lambda alert: alerts.append(alert.level))
    out = {"ok": 0, "refused": 0, "failed": [], "excess": 0}
    async def one():
        for _ in range(calls):
            cost = chance.choice([0, 900, 1_000, 1_000, 1_200])       # now and then more than was reserved
            try:
                opening = await ledger.open(HEAD, hold(ledger, 1_000))
            except BudgetExceededError:
                out["refused"] += 1
                continue
            except Exception as error:
                out["failed"].append(repr(error))
                continue
            await asyncio.sleep(chance.random() / 500)
            ledger.settle(opening, DONE._replace(cost=cost))
            out["ok"] += 1
            out["excess"] += max(0, cost - 1_000)
    await asyncio.gather(*(one() for _ in range(8)))
    await ledger.flush()
    await ledger.aclose()
    print(json.dumps({**out, "alerts": alerts}))

print("ready", flush=True)
sys.stdin.readline()
asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


@pytest.fixture
def server() -> Iterator[str]:
    """A real PostgreSQL server."""
    with running_server() as url:
        yield url


def test_processes_on_sqlite(record: Callable[[str, str, str], None], full: bool, tmp_path: Path) -> None:
    """Eight processes on one file."""
    workers, calls = (8, 100) if full else (8, 50)
    line = _spend(f"sqlite:///{tmp_path / 'ledger.db'}", workers, calls, lambda: SQLiteStore(tmp_path / "ledger.db"))
    record(f"hard budget, {workers} processes on SQLite", line, "overshoot 0, busy 0, reserved 0")


def test_workers_on_postgres(record: Callable[[str, str, str], None], full: bool, server: str) -> None:
    """Thirty-two workers on one server."""
    workers, calls = (32, 50) if full else (6, 60)
    url = new_database(server)
    line = _spend(url, workers, calls, lambda: store_of(url))
    record(f"hard budget, {workers} workers on PostgreSQL", line, "overshoot 0, busy 0, reserved 0")


def _spend(url: str, workers: int, calls: int, new_store: Callable[[], Store]) -> str:
    spenders = [child(SPENDER, url, str(seed), str(calls)) for seed in range(workers)]
    for spender in spenders:
        assert spender.stdout is not None
        assert "ready\n" == spender.stdout.readline()
    results = []
    for spender in spenders:
        assert spender.stdin is not None
        spender.stdin.write("go\n")
        spender.stdin.flush()
    for spender in spenders:
        out, err = spender.communicate(timeout=120)
        assert 0 == spender.returncode, err
        results.append(json.loads(out))
    status, total = asyncio.run(_look(new_store()))
    excess = sum(result["excess"] for result in results)
    assert [] == [failure for result in results for failure in result["failed"]]
    assert workers * calls * 8 == sum(result["ok"] + result["refused"] for result in results)
    assert sum(result["refused"] for result in results) > 0, "the budget was never full: the figure says nothing"
    assert status.reserved == 0
    assert status.spent == total
    assert int(status.excess * 10**9) == excess
    overshoot = int(status.spent * 10**9) - LIMIT
    assert overshoot <= excess
    assert sorted(level for result in results for level in result["alerts"]) == [90, 100]
    return f"overshoot {max(0, overshoot - excess)}, excess {excess} of {int(total * 10**9)} reported, busy 0"


async def _look(store: Store) -> tuple[BudgetStatus, Decimal]:
    ledger = Ledger(store, budgets=[Budget(limit=LIMIT, per="total")])
    (status,) = await ledger.budget_statuses()
    (total,) = await ledger.report()
    await ledger.aclose()
    return status, total.cost
