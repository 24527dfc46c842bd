"""A second process starts while the first one lives, and then the first one is killed."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from asyncllm._ledger.budgets import Budget
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores import Store, store_of
from asyncllm._ledger.stores.sqlite import SQLiteStore
from ledger_books import DOLLAR, child
from postgres_server import new_database, running_server

pytestmark = pytest.mark.slow

FIRST = """
import asyncio, os, sys
from asyncllm._ledger.budgets import Budget
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores import store_of
from ledger_books import DONE, DOLLAR, HEAD, hold

async def main():
    ledger = Ledger(store_of(sys.argv[1]), budgets=[Budget(limit=DOLLAR, per="total")])
    opened = [await ledger.open(HEAD, hold(ledger, 1000)) for _ in range(5)]
    if len(sys.argv) > 2 and os.fork() == 0:
        while True:                          # a child that outlives its parent has no part in its lock
            await asyncio.sleep(60)
    print("open", flush=True)
    sys.stdin.readline()
    ledger.settle(opened[0], DONE)
    await ledger.flush()
    print("settled", flush=True)
    sys.stdin.readline()

asyncio.run(main())
"""


@pytest.fixture
def server() -> Iterator[str]:
    """A real PostgreSQL server."""
    with running_server() as url:
        yield url


def test_on_sqlite(record: Callable[[str, str, str], None], tmp_path: Path) -> None:
    """On one file."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    _live_and_die(url, lambda: SQLiteStore(tmp_path / "ledger.db"))
    assert [] == list((tmp_path / "ledger.db.locks").iterdir())
    record("living rows touched, dead ones left (SQLite)", "0, 0", "0, 0")


def test_on_postgres(record: Callable[[str, str, str], None], server: str) -> None:
    """On one server."""
    url = new_database(server)
    _live_and_die(url, lambda: store_of(url), lambda: _let_a_minute_pass(url))
    record("living rows touched, dead ones left (PostgreSQL)", "0, 0", "0, 0")


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="no fork here")
def test_a_forked_child_keeps_no_lock(tmp_path: Path) -> None:
    """Rows of a dead parent are recovered although its child lives on."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    first = child(FIRST, url, "fork")
    assert first.stdout is not None
    children: list[int] = []
    try:
        assert "open\n" == first.stdout.readline()
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(first.pid)], capture_output=True, text=True)
        children = [int(pid) for pid in found.stdout.split()]
        first.kill()
        first.wait()
        assert ["unknown"] * 5 == asyncio.run(_look(store_of(url)))[0]
    finally:
        for pid in children:
            subprocess.run(["kill", "-9", str(pid)])
        _close(first)


def _let_a_minute_pass(url: str) -> None:
    """A process that is killed is taken for dead when its row was not renewed for a minute."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE owners SET alive_until = alive_until - interval '1 minute'")


def _live_and_die(url: str, new_store: Callable[[], Store], dead: Callable[[], None] = lambda: None) -> None:
    first = child(FIRST, url)
    try:
        assert first.stdin is not None
        assert first.stdout is not None
        assert "open\n" == first.stdout.readline()
        assert ([], Decimal("0.000005"), Decimal(0)) == asyncio.run(_look(new_store()))
        first.stdin.write("\n")
        first.stdin.flush()
        assert "settled\n" == first.stdout.readline()
        assert (["ok"], Decimal("0.000004"), Decimal("0.00000003")) == asyncio.run(_look(new_store()))
        first.kill()
        first.wait()
        dead()
        expected = (["ok", *["unknown"] * 4], Decimal(0), Decimal("0.00000403"))
        assert expected == asyncio.run(_look(new_store()))
        assert expected == asyncio.run(_look(new_store()))  # once is enough
    finally:
        first.kill()
        _close(first)


async def _look(store: Store) -> tuple[list[str], Decimal, Decimal]:
    """A process that starts: what it finds after its own recovery."""
    ledger = Ledger(store, budgets=[Budget(limit=DOLLAR, per="total")])
    statuses = sorted([one.status async for one in ledger.records()])
    (status,) = await ledger.budget_statuses()
    await ledger.aclose()
    return statuses, status.reserved, status.spent


def _close(process: subprocess.Popen[str]) -> None:
    with process:
        pass
