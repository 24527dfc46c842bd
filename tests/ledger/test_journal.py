"""The journal: frames in files, what is read back of them, and how they come into the database."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import struct
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm._ledger import journal as journal_module
from asyncllm._ledger.budgets import Alert, Budget, Scope
from asyncllm._ledger.columns import FACTS, Head, Settlement
from asyncllm._ledger.journal import (
    FORMAT,
    MAGIC,
    OPEN,
    SETTLE,
    Journal,
    JournalFile,
    frame,
    left_behind,
    read_frames,
)
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores.sqlite import SQLiteStore
from asyncllm.errors import LedgerError
from ledger_books import DOLLAR, DONE, HEAD, child, hold, value

pytestmark = pytest.mark.anyio
MOST = 1 << 20


def begun(folder: Path, **changes: Any) -> Journal:
    given = {"owner": "01OWNER", "database": "01DATABASE", "facts": FACTS, "wake": lambda _: None, **changes}
    return Journal(folder, **given)


def whole(path: Path, *, ended: bool = True) -> JournalFile:
    owner, _, n = path.name.partition(".")
    return JournalFile(path=path, owner=owner, n=int(n), size=path.stat().st_size, ended=ended)


# Frames


@given(st.lists(st.tuples(st.text(max_size=20), st.none() | st.integers() | st.floats(allow_nan=False)), max_size=8))
def test_frames_are_read_as_they_were_written(rows: list[tuple[Any, ...]]) -> None:
    """Any text, numbers of any size, nothing: each comes back, in order."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        journal = begun(Path(name))
        for row in rows:
            assert journal.append(OPEN, row)
        found = read_frames(journal.files()[0], 0, MOST)
        assert [(OPEN, row) for row in rows] == found.frames
        assert found.offset == journal.files()[0].size


def test_a_file_is_read_at_every_length(tmp_path: Path) -> None:
    """Cut anywhere, the whole frames before the cut are there, and reading goes on behind them later."""
    journal = begun(tmp_path)
    for number in range(5):
        journal.append(OPEN, (str(number), "x" * number))
    path = journal.files()[0].path
    data = path.read_bytes()
    expected = [(OPEN, (str(number), "x" * number)) for number in range(5)]
    header = len(data) - sum(len(frame(OPEN, row)) for _, row in expected)
    for size in range(header, len(data) + 1):
        living = JournalFile(path=path, owner="o", n=0, size=size, ended=False)
        first = read_frames(living, 0, MOST)
        rest = read_frames(whole(path), first.offset, MOST)
        assert expected == first.frames + rest.frames
        dead = JournalFile(path=path, owner="o", n=0, size=size, ended=True)
        ended = read_frames(dead, 0, MOST)
        assert first.frames == ended.frames
        assert size == ended.offset


def test_a_damaged_frame_costs_only_itself(tmp_path: Path) -> None:
    """Any byte of a frame may be wrong: the ones beside it are read, and no wrong value is ever given."""
    journal = begun(tmp_path)
    rows = [(str(number), number) for number in range(3)]
    for row in rows:
        journal.append(OPEN, row)
    path = journal.files()[0].path
    data = path.read_bytes()
    size = len(frame(OPEN, rows[1]))
    begins = len(data) - 2 * size
    for place in range(begins, begins + size):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        found = read_frames(whole(path), 0, MOST)
        assert [(OPEN, rows[0]), (OPEN, rows[2])] == found.frames, place
        assert len(data) == found.offset


def test_what_is_no_plain_value_is_written_as_one(tmp_path: Path) -> None:
    """Subclasses of text and numbers, and mappings of other kinds, come back as plain ones."""

    class Word(str):
        pass

    class Number(int):
        pass

    journal = begun(tmp_path)
    given = (Word("a"), Number(200), MappingProxyType({"k": Word("v")}), True, 0.5, None, (Word("b"),), Decimal("1.5"))
    journal.append(OPEN, given)
    (found,) = read_frames(journal.files()[0], 0, MOST).frames
    assert ("a", 200, {"k": "v"}, True, 0.5, None, ("b",), "1.5") == found[1]
    assert {"str", "int", "dict", "bool", "float", "NoneType", "tuple"} == {type(one).__name__ for one in found[1]}


def test_files_are_private_and_closed_at_exec(tmp_path: Path) -> None:
    """Nobody else reads who calls what for whom, and no other program holds the file."""
    journal = begun(tmp_path / "new")
    file = value(journal._file)
    assert 0o600 == file.path.stat().st_mode & 0o777
    assert not os.get_inheritable(file.descriptor)


# Files


def test_a_file_of_eight_megabytes_is_followed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost between them, and the first one is closed when nobody writes to it any more."""
    monkeypatch.setattr(journal_module, "MOST_FILE", 2000)
    journal = begun(tmp_path)
    for number in range(100):
        assert journal.append(OPEN, (number, "x" * 50))
    files = journal.files()
    assert len(files) > 3
    assert [*[True] * (len(files) - 1), False] == [file.ended for file in files]
    found = [values[0] for file in files for _, values in read_frames(file, 0, MOST).frames]
    assert list(range(100)) == found


def test_a_short_write_ends_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The frame is written again in the next file; the torn one is skipped, whoever writes behind it."""
    journal = begun(tmp_path)
    journal.append(OPEN, (1,))
    real = os.write
    torn = value(journal._file)

    def short(descriptor: int, data: bytes) -> int:
        if descriptor == torn.descriptor:
            return real(descriptor, data[: len(data) // 2])
        return real(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", short)
        assert journal.append(OPEN, (2,))
    os.write(torn.descriptor, frame(OPEN, (3,)))  # a thread that had this file in its hand
    torn.close()
    found = [values for file in journal.files() for _, values in read_frames(file, 0, MOST).frames]
    assert [(1,), (3,), (2,)] == found
    assert 2 == len(journal.files())


def test_a_disk_that_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`append` says so; later, with room again, it goes on in a new file."""
    journal = begun(tmp_path)

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        assert not journal.append(OPEN, (1,))
        assert not journal.append(OPEN, (2,))
        journal.mend()
        assert not journal.works
    journal.mend()
    assert journal.works
    assert journal.append(OPEN, (3,))


def test_a_frame_that_is_too_large_goes_another_way(tmp_path: Path) -> None:
    """More than 64 KiB are not written at once."""
    journal = begun(tmp_path)
    assert not journal.append(OPEN, ("x" * (64 << 10),))
    assert journal.append(OPEN, ("x" * (63 << 10),))


def test_slow_writes_are_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Two in a row, and the next minute's attempts go by the queue."""
    journal = begun(tmp_path)
    real = os.write

    def slow(descriptor: int, data: bytes) -> int:
        time.sleep(0.025)
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", slow)
    with caplog.at_level(logging.WARNING, "asyncllm.ledger"):
        assert journal.append(OPEN, (1,))
        assert journal.works
        for _ in range(3):
            assert journal.append(OPEN, (1,))
    assert not journal.works
    assert 1 == sum("journal took" in message for message in caplog.messages)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: b"notes" * 100, "is no journal"),
        (lambda data: MAGIC + struct.pack("<I", FORMAT + 1) + data[len(MAGIC) + 4 :], "later version"),
        (lambda data: data[:30] + b"\0" + data[31:], "header cannot be read"),
        (lambda data: data.replace(b"01DATABASE", b"01DATABASF"), "header cannot be read"),
    ],
)
def test_what_is_not_ours_is_left_alone(change: Callable[[bytes], bytes], said: str, tmp_path: Path) -> None:
    """Another program's file, a later version's, a damaged one: the sentence says which, and the file stays."""
    journal = begun(tmp_path)
    journal.append(OPEN, (1,))
    path = journal.files()[0].path
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(LedgerError, match=said):
        left_behind(path, "01DATABASE")
    assert path.exists()


def test_a_process_that_died_when_it_had_just_begun(tmp_path: Path) -> None:
    """A file without a whole header holds nothing."""
    journal = begun(tmp_path)
    path = journal.files()[0].path
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        assert None is left_behind(path, "01DATABASE")
    path.write_bytes(data)
    assert "01OWNER" == value(left_behind(path, "01DATABASE")).owner
    with pytest.raises(LedgerError, match="belongs to another database"):
        left_behind(path, "01OTHER")


# Into the database


async def ready(ledger: Ledger) -> Ledger:
    """A ledger whose journal is open: the first attempt goes by the queue."""
    ledger.settle(await ledger.open(HEAD), None)
    await ledger.flush()
    assert ledger._thread.journal is not None
    return ledger


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    found = connection.execute(sql).fetchall()
    connection.close()
    return found


async def test_an_attempt_is_in_the_journal_before_it_is_sent(tmp_path: Path) -> None:
    """`open` and `settle` return when the frame is written; a moment later the database has the record."""
    path = tmp_path / "ledger.db"
    ledger = await ready(Ledger(SQLiteStore(path)))
    opening = await ledger.open(HEAD)
    (file,) = (tmp_path / "ledger.db.journal").iterdir()  # a small folder
    assert opening.id.encode() in file.read_bytes()
    ledger.settle(opening, DONE)
    with anyio.fail_after(10):
        while rows(path, "SELECT id FROM records") != [(opening.id,)]:
            await anyio.sleep(0.01)
    await ledger.aclose()
    assert [] == list((tmp_path / "ledger.db.journal").iterdir())
    assert [] == list((tmp_path / "ledger.db.locks").iterdir())


async def test_an_attempt_in_two_slices(tmp_path: Path) -> None:
    """Opened in one fold and settled in the next, or voided: the open row is gone, and there is one record or none."""
    path = tmp_path / "ledger.db"
    ledger = await ready(Ledger(SQLiteStore(path)))
    kept, void = await ledger.open(HEAD), await ledger.open(HEAD)
    await ledger.flush()
    assert [(2,)] == rows(path, "SELECT count(*) FROM opened")
    ledger.settle(kept, DONE)
    ledger.settle(void, None)
    await ledger.flush()
    assert [(0,)] == rows(path, "SELECT count(*) FROM opened")
    assert [(kept.id, "ok")] == rows(path, "SELECT id, status FROM records")
    await ledger.aclose()


async def test_warning_budgets_are_booked_from_the_journal(tmp_path: Path) -> None:
    """Windows, reservations and alerts come with the fold; what was spent before the budget was there is counted."""
    path = tmp_path / "ledger.db"
    before = Ledger(SQLiteStore(path))
    before.settle(await before.open(HEAD), DONE._replace(cost=500))
    await before.aclose()
    alerts: list[Alert] = []
    budgets = [Budget(limit=1000, on_exceed="warn", scope=Scope(user="ann")), Budget(limit=10**9, on_exceed="warn")]
    ledger = await ready(Ledger(SQLiteStore(path), budgets=budgets, on_alert=alerts.append))
    held = await ledger.open(HEAD, hold(ledger, 100))
    void = await ledger.open(HEAD, hold(ledger, 70))
    assert held.journal is not None
    statuses = await ledger.budget_statuses()
    assert [(Decimal("0.0000005"), Decimal("0.00000017"))] * 2 == [(one.spent, one.reserved) for one in statuses]
    ledger.settle(held, DONE._replace(cost=450))
    ledger.settle(void, None)
    statuses = await ledger.budget_statuses()
    assert [(Decimal("0.00000095"), Decimal(0), Decimal("0.00000035"))] * 2 == [
        (one.spent, one.reserved, one.excess) for one in statuses
    ]
    assert [90] == [alert.level for alert in alerts]
    await ledger.aclose()


async def test_hard_budgets_keep_their_transaction(tmp_path: Path) -> None:
    """An attempt that a budget may refuse is committed before it is sent."""
    ledger = await ready(Ledger(SQLiteStore(tmp_path / "x.db"), budgets=[Budget(limit=DOLLAR)]))
    opening = await ledger.open(HEAD, hold(ledger, 10))
    assert None is opening.journal
    assert [(1,)] == rows(tmp_path / "x.db", "SELECT count(*) FROM opened")
    ledger.settle(opening, DONE)
    await ledger.aclose()


async def test_large_tags_go_by_the_queue(tmp_path: Path) -> None:
    """Nothing is too large to be booked."""
    ledger = await ready(Ledger(SQLiteStore(tmp_path / "x.db")))
    opening = await ledger.open(HEAD._replace(tags={"x": "y" * 100_000}))
    assert None is opening.journal
    ledger.settle(opening, DONE)
    nearly = await ledger.open(HEAD._replace(tags={"x": "y" * (64_000)}))
    assert nearly.journal is not None
    ledger.settle(nearly, DONE._replace(request_id="r" * 5000))
    assert [64_000, 100_000] == sorted([len(value(one.tags)["x"]) async for one in ledger.records()])
    await ledger.aclose()


async def test_a_fold_that_fails_is_done_again(tmp_path: Path) -> None:
    """A locked database keeps nobody: everything is in the journal, and comes when it is free."""
    path = tmp_path / "x.db"
    ledger = await ready(Ledger(SQLiteStore(path, patience=0.05)))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(20):
        ledger.settle(await ledger.open(HEAD), DONE)
    with pytest.raises(LedgerError, match="the journal is not in the database yet"):
        await ledger.flush()
    other.execute("COMMIT")
    other.close()
    await ledger.flush()
    assert 20 == len([one async for one in ledger.records()])
    await ledger.aclose()


async def test_a_store_that_fails_for_a_minute_is_in_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the policy decides, and the journal is used again when the store works."""
    monkeypatch.setattr("asyncllm._ledger.thread.PATIENCE_WITH_FOLDING", 0.1)
    path = tmp_path / "x.db"
    ledger = await ready(Ledger(SQLiteStore(path, patience=0.02), on_error="error"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ledger.settle(await ledger.open(HEAD), DONE)
    for _ in range(3):
        with pytest.raises(LedgerError):
            await ledger.flush()
        await anyio.sleep(0.1)
    with pytest.raises(LedgerError, match="is locked"):
        await ledger.open(HEAD)
    other.execute("COMMIT")
    other.close()
    await ledger.flush()
    opening = await ledger.open(HEAD)
    assert opening.journal is not None
    ledger.settle(opening, DONE)
    assert 2 == len([one async for one in ledger.records()])
    await ledger.aclose()


def test_threads_write_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight threads with loops of their own, in small files: every attempt is there once."""
    monkeypatch.setattr(journal_module, "MOST_FILE", 20_000)
    ledger = Ledger(SQLiteStore(tmp_path / "x.db"))

    async def calls() -> None:
        for _ in range(100):
            ledger.settle(await ledger.open(HEAD), DONE)

    threads = [threading.Thread(target=asyncio.run, args=(calls(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def count() -> int:
        return (await ledger.report())[0].requests

    assert 800 == asyncio.run(count())
    ledger.close()
    assert [] == list((tmp_path / "x.db.journal").iterdir())


async def test_a_journal_of_an_earlier_version_is_understood(tmp_path: Path) -> None:
    """Facts are found by their names, in whatever order; what that version did not know is unknown."""
    path = tmp_path / "x.db"
    await (await ready(Ledger(SQLiteStore(path)))).aclose()
    (database,) = rows(path, "SELECT value FROM about WHERE name = 'id'")[0]
    old_head = tuple(name for name in reversed(Head._fields) if name not in ("operation", "deployment"))
    old_end = tuple(name for name in reversed(FACTS[1]) if name != "unpriced_reason")
    journal = begun(tmp_path / "x.db.journal", owner="01DEAD", database=database, facts=(old_head, old_end))
    head = {**HEAD._asdict(), "user": "old"}
    end: dict[str, Any] = dict.fromkeys(FACTS[1])
    end |= {name: found for name, found in DONE._asdict().items() if name != "usage"}
    end |= {"input_tokens": 7, "source": "provider"}
    values = ("01ARZ3NDEKTSV4RRFFQ69G5FAV", 1, tuple(head[name] for name in old_head), None, None)
    journal.append(SETTLE, (*values, tuple(end[name] for name in old_end)))
    ledger = Ledger(SQLiteStore(path))
    (record,) = [one async for one in ledger.records()]
    assert ("old", 7, "chat", "ok", 30) == (
        record.user,
        record.usage.input_tokens,
        record.operation,
        record.status,
        record.nano_cost,
    )
    await ledger.aclose()


async def test_foreign_files_are_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A journal of another database stays where it is; the ledger works."""
    path = tmp_path / "x.db"
    ledger = await ready(Ledger(SQLiteStore(path)))
    foreign = begun(tmp_path / "x.db.journal", owner="01FOREIGN", database="01ELSEWHERE").files()[0].path
    with caplog.at_level(logging.WARNING, "asyncllm.ledger"):
        for _ in range(3):
            assert [] == await ledger.report()
    assert 1 == sum("belongs to another database" in message for message in caplog.messages)
    assert foreign.exists()
    await ledger.aclose()


async def test_a_late_settlement_after_the_end_is_written(tmp_path: Path) -> None:
    """The journal is gone, so it goes by the queue; the record that was recovered meanwhile is put right."""
    path = tmp_path / "x.db"
    ledger = await ready(Ledger(SQLiteStore(path)))
    late = await ledger.open(HEAD)
    await ledger.aclose()
    other = Ledger(SQLiteStore(path))
    assert ["unknown"] == [one.status async for one in other.records()]
    ledger.settle(late, DONE)
    await ledger.flush()
    assert ["ok"] == [one.status async for one in other.records()]
    await other.aclose()
    await ledger.aclose()


FORK = """
import asyncio, os, sys
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores.sqlite import SQLiteStore
from ledger_books import DONE, HEAD

ledger = Ledger(SQLiteStore(sys.argv[1]))

async def some(user, kept=None):
    for _ in range(20):
        ledger.settle(await ledger.open(HEAD._replace(user=user)), DONE)
    return await ledger.open(HEAD._replace(user=kept)) if kept else None

opened = asyncio.run(some("parent", "open"))
children = []
for number in range(3):
    pid = os.fork()
    if pid == 0:
        ledger.settle(opened, DONE._replace(status="error"))     # the parent's: left alone
        asyncio.run(some(f"child{number}"))
        os._exit(0)                                              # nobody closes anything
    children.append(pid)
asyncio.run(some("parent"))
for pid in children:
    os.waitpid(pid, 0)
ledger.settle(opened, DONE)
ledger.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_children_have_journals_of_their_own(tmp_path: Path) -> None:
    """A ledger goes on in every child; what was open is the parent's; children that end at once lose nothing."""
    process = child(FORK, tmp_path / "x.db")
    out, err = process.communicate(timeout=180)
    assert (0, "") == (process.returncode, out), err

    async def found() -> dict[tuple[str | None, str], int]:
        ledger = Ledger(SQLiteStore(tmp_path / "x.db"))
        counted: dict[tuple[str | None, str], int] = {}
        async for one in ledger.records():
            key = (one.user, one.status)
            counted[key] = counted.get(key, 0) + 1
        await ledger.aclose()
        return counted

    expected = {("parent", "ok"): 40, ("open", "ok"): 1, **{(f"child{number}", "ok"): 20 for number in range(3)}}
    assert expected == asyncio.run(found())


EXEC = """
import asyncio, os, sys
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores.sqlite import SQLiteStore
from ledger_books import DONE, HEAD

async def main():
    ledger = Ledger(SQLiteStore(sys.argv[1]))
    for _ in range(100):
        ledger.settle(await ledger.open(HEAD), DONE)
    os._exit(0)

asyncio.run(main())
"""


def test_a_process_that_ends_at_once_loses_nothing(tmp_path: Path) -> None:
    """`os._exit` runs no clean-up; every attempt that was settled is ``ok`` all the same."""
    process = child(EXEC, tmp_path / "x.db")
    assert ("", "") == process.communicate(timeout=180)

    async def statuses() -> list[str]:
        ledger = Ledger(SQLiteStore(tmp_path / "x.db"))
        found = [one.status async for one in ledger.records()]
        await ledger.aclose()
        return found

    assert ["ok"] * 100 == asyncio.run(statuses())
    assert [] == list((tmp_path / "x.db.journal").iterdir())
    assert [] == list((tmp_path / "x.db.locks").iterdir())


def test_settlement_and_head_are_what_frames_hold() -> None:
    """The order of the facts is that of the two halves; the header of each file names them."""
    assert FACTS[0] == Head._fields
    assert FACTS[1][: len(Settlement._fields) - 1] == Settlement._fields[:-1]
