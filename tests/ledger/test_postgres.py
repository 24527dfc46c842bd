"""The ledger on a real PostgreSQL server: what only a server does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal

import anyio
import pytest

from asyncllm._ledger.budgets import Budget
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.row_journal import RowJournal
from asyncllm._ledger.stores import store_of
from asyncllm.errors import ConfigurationError, LedgerError
from ledger_books import DOLLAR, DONE, HEAD, hold
from postgres_server import new_database, running_pooler, running_server

pytestmark = [pytest.mark.slow, pytest.mark.anyio]


async def test_a_connection_that_the_server_ends(postgres: str) -> None:
    """Records wait in memory, and the process lives on; whoever was taken for dead has the last word."""
    import psycopg

    url = new_database(postgres)
    budgets = [Budget(limit=DOLLAR, per="total")]
    ledger = Ledger(store_of(url), budgets=budgets)
    opening = await ledger.open(HEAD, hold(ledger, 900))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    other = Ledger(store_of(url), budgets=budgets)
    assert [] == [record.status async for record in other.records()]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE owners SET alive_until = now() - interval '1 second'")
        connection.execute("UPDATE opened SET owner = 'dead'")
    assert ["unknown"] == [record.status async for record in other.records()]
    ledger.settle(opening, DONE._replace(cost=1000))
    try:
        await ledger.flush()
    except LedgerError:
        await ledger.flush()
    assert [("ok", 1000)] == [(record.status, record.nano_cost) async for record in other.records()]
    (status,) = await other.budget_statuses()
    assert (Decimal("0.000001"), Decimal(0)) == (status.spent, status.reserved)
    await other.aclose()
    await ledger.aclose()


async def test_a_server_that_is_not_there(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The sentence says so, without the password."""
    pytest.importorskip("psycopg")
    ledger = Ledger(store_of("postgresql://me:hidden@127.0.0.1:9/x"), on_error="error")
    with pytest.raises(LedgerError, match="PostgreSQL database cannot be used") as caught:
        await ledger.open(HEAD)
    assert "hidden" not in str(caught.value)
    assert "PostgresStore()" == repr(ledger._store)
    await ledger.aclose()


async def test_behind_a_pooler_in_transaction_mode(postgres: str) -> None:
    """No state of a session is needed: attempts at once, budgets, reports; and a pooler that starts anew."""
    plain = new_database(postgres)
    with running_pooler(postgres) as pooled:
        url = pooled(plain)
        ledgers = [
            Ledger(store_of(url), budgets=[Budget(limit=DOLLAR, per="total")], on_error="error") for _ in range(6)
        ]

        async def call(ledger: Ledger) -> None:
            for _ in range(10):
                ledger.settle(await ledger.open(HEAD, hold(ledger, 100)), DONE._replace(cost=50))

        async with anyio.create_task_group() as group:
            for ledger in ledgers:
                for _ in range(3):
                    group.start_soon(call, ledger)
        for ledger in ledgers:
            await ledger.flush()
        assert [180] == [row.requests for row in await ledgers[0].report()]
        (status,) = await ledgers[1].budget_statuses()
        assert (Decimal("0.000009"), Decimal(0)) == (status.spent, status.reserved)
    with pytest.raises(LedgerError):
        await ledgers[0].open(HEAD)  # the pooler is gone
    for ledger in ledgers:
        await ledger.aclose()


async def test_a_table_that_is_away_for_a_while(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What was settled meanwhile is kept, and nothing hangs: not a flush, not a report, not a budget's status."""
    import psycopg

    with running_server() as server:
        url = new_database(server)
        ledger = Ledger(store_of(url), budgets=[Budget(limit=DOLLAR, per="total")])
        opening = await ledger.open(HEAD, hold(ledger, 100))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER TABLE records RENAME TO away")
        ledger.settle(opening, DONE._replace(cost=50))
        with anyio.fail_after(20):
            with pytest.raises(LedgerError):
                await ledger.flush()
            with pytest.raises(LedgerError):
                await ledger.report()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER TABLE away RENAME TO records")
        await ledger.flush()
        assert [50] == [one.nano_cost async for one in ledger.records()]
        assert [Decimal(0)] == [status.reserved for status in await ledger.budget_statuses()]
        await ledger.aclose()


@pytest.mark.parametrize("word", ["with space", "with%zz", "with[bracket"])
def test_the_journal_of_a_job_never_quotes_the_password(word: str) -> None:
    """A URL that the driver cannot read, or a server that is not there, is an error without the password."""
    for url in (f"postgresql://me:{word}@127.0.0.1:9/x", f"postgresql://me:hidden@[{word}/x"):
        with pytest.raises(ConfigurationError) as caught:
            RowJournal(url, "job").open()
        assert caught.value.__context__ is None
        assert word not in str(caught.value)
        assert "hidden" not in str(caught.value)


def test_one_worker_of_a_job_is_inside_also_behind_a_pooler(postgres: str) -> None:
    """The second worker is told so, and may enter when the first one has left, whatever sessions the pooler gives."""
    with running_pooler(postgres) as pooled:
        url = pooled(new_database(postgres))
        first, second = RowJournal(url, "job"), RowJournal(url, "job")
        for _ in range(5):
            with first.exclusive() as mine, second.exclusive() as also:
                assert (True, False) == (mine, also)
            with second.exclusive() as mine, first.exclusive() as also:
                assert (True, False) == (mine, also)


async def test_a_later_version_is_refused(postgres: str) -> None:
    """As with a file."""
    import psycopg

    url = new_database(postgres)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE asyncllm_version (version INTEGER NOT NULL)")
        connection.execute("INSERT INTO asyncllm_version VALUES (99)")
    ledger = Ledger(store_of(url), on_error="error")
    with pytest.raises(LedgerError, match="has version 99"):
        await ledger.open(HEAD)
    await ledger.aclose()


async def test_deadlocks_are_tried_again(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server breaks off to free others is simply done again."""
    import psycopg

    from asyncllm._ledger.stores.postgres import PostgresStore
    from asyncllm._ledger.stores.sql import SQLStore

    ledger = Ledger(PostgresStore(new_database(postgres)), on_error="error")
    left = [2]
    real: Callable[..., object] = SQLStore._write

    def sometimes(self: SQLStore, batch: object) -> object:
        if left[0]:
            left[0] -= 1
            raise psycopg.errors.DeadlockDetected
        return real(self, batch)

    monkeypatch.setattr(SQLStore, "_write", sometimes)
    ledger.settle(await ledger.open(HEAD), DONE)
    assert 1 == len([record async for record in ledger.records()])
    left[0] = 100
    with pytest.raises(LedgerError):
        await ledger.open(HEAD)
    left[0] = 0
    await ledger.aclose()


def test_without_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence says what to install."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "asyncllm._ledger.stores.postgres", raising=False)
    with pytest.raises(ConfigurationError, match=r"asyncllm-client\[postgres\]"):
        store_of("postgresql://x/y")


async def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same for Parquet."""
    from asyncllm._ledger.stores.memory import MemoryStore

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ledger = Ledger(MemoryStore())
    with pytest.raises(ConfigurationError, match=r"asyncllm-client\[parquet\]"):
        await ledger.export_parquet(tmp_path_factory.mktemp("out") / "x.parquet")
    await ledger.aclose()
