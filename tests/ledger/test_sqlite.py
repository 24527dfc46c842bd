"""The ledger in a file: versions, locks, what others do to the file, and failures that nobody foresaw."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncllm._ledger.booking import Booked, Opening, Operation, Settling
from asyncllm._ledger.budgets import Budget
from asyncllm._ledger.columns import Settlement
from asyncllm._ledger.ledger import Ledger, charge_what_was_reserved
from asyncllm._ledger.locks import FileLock, is_free
from asyncllm._ledger.stores import Store
from asyncllm._ledger.stores.memory import MemoryStore
from asyncllm._ledger.stores.sqlite import SQLiteStore
from asyncllm._ledger.waiting import Room
from asyncllm.errors import LedgerError
from ledger_books import DOLLAR, DONE, HEAD, child, hold

pytestmark = pytest.mark.anyio


async def test_a_database_of_a_later_version_is_refused(tmp_path: Path) -> None:
    """It is not guessed at, and it is not changed."""
    path = tmp_path / "ledger.db"
    future = sqlite3.connect(path)
    future.execute("PRAGMA user_version = 99")
    future.close()
    ledger = Ledger(SQLiteStore(path), on_error="error")
    with pytest.raises(LedgerError, match="has version 99 and this asyncllm knows up to"):
        await ledger.open(HEAD)
    await ledger.aclose()


async def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    """The sentence says that it must be there."""
    ledger = Ledger(SQLiteStore(tmp_path / "no" / "ledger.db"), on_error="error")
    with pytest.raises(LedgerError, match="cannot be opened; the folder must be there"):
        await ledger.open(HEAD)
    await ledger.flush()
    await ledger.aclose()


async def test_a_file_that_is_somebody_elses(tmp_path: Path) -> None:
    """Tables that are gone make a sentence, too; what is settled meanwhile is kept and told at the end."""
    path = tmp_path / "ledger.db"
    ledger = Ledger(SQLiteStore(path), on_error="warn")
    await ledger.open(HEAD)
    other = sqlite3.connect(path)
    other.executescript("DROP TABLE records; DROP TABLE opened")
    other.close()
    ledger.settle(await ledger.open(HEAD), DONE)
    with pytest.raises(LedgerError, match="its tables are missing"):
        await ledger.flush()
    ledger.close()


def test_a_lock_is_free_when_nobody_has_it(tmp_path: Path) -> None:
    """Held, it is held for everybody, in this process too; released, its file is gone."""
    path = tmp_path / "locks" / "one.lock"
    lock = FileLock(path)
    assert not is_free(path)
    with pytest.raises(OSError, match="is locked by another process"):
        FileLock(path)
    lock.release()
    lock.release()
    assert is_free(path)
    assert not path.exists()
    path.mkdir()
    assert not is_free(path)  # it cannot be told, so it is alive


async def test_two_ledgers_of_one_process_leave_each_others_rows(tmp_path: Path) -> None:
    """A second client in the same process recovers nothing of the first one."""
    first, second = (Ledger(SQLiteStore(tmp_path / "ledger.db")) for _ in range(2))
    opening = await first.open(HEAD)
    assert [] == [record async for record in second.records()]
    first.settle(opening, DONE)
    await first.flush()
    assert ["ok"] == [record.status async for record in second.records()]
    await first.aclose()
    await second.aclose()


async def test_whoever_was_taken_for_dead_has_the_last_word(tmp_path: Path) -> None:
    """A row that was recovered by mistake is put right when its attempt ends, and so are the budgets."""
    path = tmp_path / "ledger.db"
    budgets = [Budget(limit=DOLLAR, per="total")]
    living = Ledger(SQLiteStore(path), budgets=budgets)
    opening = await living.open(HEAD, hold(living, 900))
    never = await living.open(HEAD, hold(living, 50))
    for lock in (tmp_path / "ledger.db.locks").iterdir():  # a test may read a small folder
        lock.unlink()
    other = Ledger(SQLiteStore(path), budgets=budgets)
    assert [50, 900] == sorted([record.nano_cost or 0 async for record in other.records()])
    living.settle(opening, DONE._replace(cost=1000))
    living.settle(opening, None)
    living.settle(never, None)  # recovered already: it stays as it was booked
    await living.flush()
    found = {record.id: (record.status, record.nano_cost) async for record in other.records()}
    assert {opening.id: ("ok", 1000), never.id: ("unknown", 50)} == found
    (status,) = await other.budget_statuses()
    assert (Decimal("0.00000105"), Decimal(0), Decimal("0.0000001")) == (status.spent, status.reserved, status.excess)
    await living.aclose()
    await other.aclose()


async def test_a_commit_whose_answer_was_lost_counts_once(tmp_path: Path) -> None:
    """Booked a second time, a settlement changes nothing: not the record, not the budget."""
    path = tmp_path / "ledger.db"

    class Forgetful(SQLiteStore):
        lost = 0

        def write(self, batch: Sequence[Operation]) -> Booked:
            booked = super().write(batch)
            if booked.entries and self.lost < 2:
                self.lost += 1
                raise LedgerError("the connection broke just after the commit")
            return booked

    store = Forgetful(path)
    ledger = Ledger(store, budgets=[Budget(limit=DOLLAR, per="total")])
    for _ in range(3):
        ledger.settle(await ledger.open(HEAD, hold(ledger, 100)), DONE._replace(cost=300))
        for _ in range(3):
            with contextlib.suppress(LedgerError):
                await ledger.flush()
    assert 2 == store.lost
    (status,) = await ledger.budget_statuses()
    assert (Decimal("0.0000009"), Decimal(0), Decimal("0.0000006")) == (status.spent, status.reserved, status.excess)
    assert 3 == len([record async for record in ledger.records()])
    await ledger.aclose()


class Broken(MemoryStore):
    """A store with a mistake in it, for some operations."""

    def __init__(self, breaks: Callable[[Operation], bool]) -> None:
        super().__init__()
        self.breaks = breaks

    def write(self, batch: Sequence[Operation]) -> Booked:
        if any(map(self.breaks, batch)):
            raise ZeroDivisionError("nobody foresaw this")
        return super().write(batch)


async def test_a_mistake_costs_one_operation_only(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody hangs, the others of the batch are written, and the log has the whole story."""

    def is_bad(operation: Operation) -> bool:
        opening = operation.opening if isinstance(operation, Settling) else operation
        return isinstance(opening, Opening) and opening.head.user == "bad"

    ledger = Ledger(Broken(is_bad), places=3)
    outcomes: list[str] = []

    async def call(user: str) -> None:
        with contextlib.suppress(LedgerError):
            ledger.settle(await ledger.open(HEAD._replace(user=user)), DONE)
            outcomes.append(user)

    with caplog.at_level(logging.CRITICAL, "asyncllm.ledger"):
        async with anyio.create_task_group() as group:
            for user in ("good", "bad", "good"):
                group.start_soon(call, user)
        await ledger.flush()
    assert ["good", "good"] == outcomes
    assert ["good", "good"] == [record.user async for record in ledger.records()]
    assert 3 == ledger._room.free
    await ledger.aclose()


async def test_a_settlement_that_cannot_be_written_gives_its_room_back() -> None:
    """A mistake in the end of a call loses that record, with an error in the log, and nothing else."""
    ledger = Ledger(Broken(lambda operation: isinstance(operation, Settling)), places=1)
    for _ in range(2):
        ledger.settle(await ledger.open(HEAD), DONE)
        await ledger.flush()
    assert 1 == ledger._room.free
    await ledger.aclose()


async def test_adjustments_fail_with_the_store(tmp_path: Path) -> None:
    """A reset that cannot be written says so."""
    budget = Budget(limit=1, name="b")
    ledger = Ledger(SQLiteStore(tmp_path / "no" / "x.db"), budgets=[budget])
    with pytest.raises(LedgerError, match="the folder must be there"):
        await ledger.reset_budget("b")
    await ledger.aclose()


async def test_waiting_for_room_ends_with_the_weather() -> None:
    """Whoever waits for room when the store begins to fail is told so; a place given meanwhile is passed on."""
    room = Room(1)
    await room.take()
    told: list[str] = []

    async def take() -> None:
        try:
            await room.take()
        except LedgerError as error:
            told.append(str(error))

    async with anyio.create_task_group() as group:
        group.start_soon(take)
        await anyio.wait_all_tasks_blocked()
        room.refuse("no room")
    assert ["no room"] == told
    async with anyio.create_task_group() as group:
        group.start_soon(take)
        await anyio.wait_all_tasks_blocked()
        room.give(1)
        group.cancel_scope.cancel()
    assert 1 == room.free


async def test_closing_does_not_wait_for_ever(tmp_path: Path) -> None:
    """A store that hangs is left alone after a while."""
    released = threading.Event()
    released.set()

    class Slow(MemoryStore):
        def write(self, batch: Sequence[Operation]) -> Booked:
            released.wait(30)
            return super().write(batch)

    ledger = Ledger(Slow())
    opening = await ledger.open(HEAD)
    released.clear()
    ledger.settle(opening, DONE)
    began = time.monotonic()
    found = ledger._thread.end(0.05)
    assert "did not finish within 0.05 s" in str(found)
    assert 0.25 > time.monotonic() - began
    released.set()
    with anyio.fail_after(10):
        while not ledger._thread.ended:
            await anyio.sleep(0.002)


async def test_a_store_that_cannot_be_closed_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The end is an end all the same."""

    class Sticky(MemoryStore):
        def close(self) -> None:
            raise LedgerError("it sticks")

    ledger = Ledger(Sticky())
    ledger.settle(await ledger.open(HEAD), DONE)
    await ledger.aclose()
    assert "it sticks" in caplog.text
    assert None is ledger._thread.end()


def test_what_nobody_can_price_is_charged_what_it_reserved() -> None:
    """Without prices a dead attempt costs its reservation, or nobody knows."""
    from asyncllm._ledger.budgets import Hold

    assert Settlement(status="unknown", cost=5) == charge_what_was_reserved(Opening("1", 0, HEAD, Hold(5, ()), None))
    assert Settlement(status="unknown") == charge_what_was_reserved(Opening("1", 0, HEAD, None, None))


EXIT = """
import asyncio, sys
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores.sqlite import SQLiteStore
from ledger_books import DONE, HEAD

async def main():
    ledger = Ledger(SQLiteStore(sys.argv[1]))
    for _ in range(50):
        ledger.settle(await ledger.open(HEAD), DONE)
    return ledger

kept = asyncio.run(main())
"""


@pytest.mark.slow
def test_an_unclosed_ledger_is_flushed_at_exit(tmp_path: Path) -> None:
    """Nothing is lost, nothing hangs, nothing is said, and no lock is left."""
    began = time.monotonic()
    process = child(EXIT, tmp_path / "ledger.db")
    out, err = process.communicate(timeout=180)
    assert ("", "", 0) == (out, err, process.returncode)
    assert 3 > time.monotonic() - began
    connection = sqlite3.connect(tmp_path / "ledger.db")
    assert [(50, 0)] == connection.execute("SELECT count(*), (SELECT count(*) FROM opened) FROM records").fetchall()
    connection.close()
    assert [] == list((tmp_path / "ledger.db.locks").iterdir())


def test_the_sentence_without_a_known_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What SQLite or the system says that no table knows is quoted."""
    store: Store = SQLiteStore(tmp_path / "x.db")

    def fail(*_: Any) -> None:
        raise OSError("a strange thing")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(LedgerError, match=r"cannot be read or written \(a strange thing\)"):
        store.connect()


TOGETHER = """
import sys, time
from asyncllm._ledger.stores.sqlite import SQLiteStore
store = SQLiteStore(sys.argv[1])
while time.time() < float(sys.argv[2]):
    pass
store.connect()
store.close()
"""


@pytest.mark.slow
def test_a_new_file_may_be_opened_by_many_processes_at_once(tmp_path: Path) -> None:
    """Whoever comes second to a file that is just being made waits its turn instead of being told it is locked."""
    for number in range(4):
        arguments = [sys.executable, "-c", TOGETHER, str(tmp_path / f"{number}.db"), str(time.time() + 0.6)]
        starting = [subprocess.Popen(arguments, stderr=subprocess.PIPE) for _ in range(5)]
        said = [process.communicate()[1].decode() for process in starting]
        assert [""] * 5 == said
