"""The disk is full, the file is read-only, locked, damaged: what the policy says happens, and nobody waits for ever."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from asyncllm._ledger.budgets import Budget, OnError
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores.sqlite import SQLiteStore
from asyncllm.errors import LedgerError
from ledger_books import DOLLAR, DONE, HEAD, child, hold

pytestmark = [pytest.mark.slow, pytest.mark.anyio]
LONGEST = 1.0
Record = Callable[[str, str, str], None]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes; skipped where this process may not mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True)
    if mount.returncode != 0:
        pytest.skip("no tmpfs can be mounted here; the limit of a process's file size is tested beside")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


async def timed(ledger: Ledger, *, held: bool = False) -> float:
    """Seconds that the beginning of a call takes."""
    began = time.monotonic()
    opening = await ledger.open(HEAD, hold(ledger, 10) if held else None)
    took = time.monotonic() - began
    ledger.settle(opening, DONE)
    return took


async def weather(ledger: Ledger, policy: OnError, sentence: str, *, longest: float = LONGEST) -> None:
    """What a call meets while the store cannot be written: by the policy, with the sentence, soon."""
    for _ in range(3):
        began = time.monotonic()
        if policy == "error":
            with pytest.raises(LedgerError, match=sentence):
                await timed(ledger)
        else:
            await timed(ledger)
        assert longest > time.monotonic() - began
    began = time.monotonic()
    with pytest.raises(LedgerError, match=sentence):
        await timed(ledger, held=True)  # a hard budget refuses whatever the policy is for the rest
    assert longest > time.monotonic() - began


def budgets() -> list[Budget]:
    return [Budget(limit=DOLLAR, per="total")]


@pytest.mark.parametrize("policy", ["error", "warn"])
async def test_a_full_disk(policy: OnError, small_disk: Path, record: Record, caplog: pytest.LogCaptureFixture) -> None:
    """Calls that were open are settled when there is room again; not one record is lost."""
    ledger = Ledger(SQLiteStore(small_disk / "ledger.db"), budgets=budgets(), on_error=policy)
    await timed(ledger)
    opened = [await ledger.open(HEAD._replace(user=f"before {number}")) for number in range(5)]
    await ledger.flush()
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    with caplog.at_level(logging.CRITICAL, "asyncllm.ledger"):
        await _fill(ledger, policy)
        await weather(ledger, policy, "disk")
        for opening in opened:
            ledger.settle(opening, DONE)
        with pytest.raises(LedgerError, match="records are not written"):
            await ledger.flush()
        ballast.unlink()
        await ledger.flush()
    users = [one.user async for one in ledger.records() if (one.user or "").startswith("before")]
    assert 5 == len(users)
    assert [0] == [int(status.reserved) for status in await ledger.budget_statuses()]
    await ledger.aclose()
    record(f"ledger on a full disk, {policy}", "0 records lost, no hang", "the policy, no hang")


async def _fill(ledger: Ledger, policy: OnError) -> None:
    """Writes until the store says that it cannot: what is left in the last page of a file goes first."""
    for number in range(2000):
        try:
            await timed(ledger)
        except LedgerError:
            assert "error" == policy
            return
        if ledger._thread.trouble is not None:
            assert "warn" == policy
            return
        assert number < 1999


@pytest.mark.parametrize("policy", ["error", "warn"])
async def test_a_locked_file(policy: OnError, tmp_path: Path, record: Record) -> None:
    """Somebody else holds the write lock: it is waited for, but not for ever; afterwards all is written."""
    path = tmp_path / "ledger.db"
    ledger = Ledger(SQLiteStore(path, patience=0.2), budgets=budgets(), on_error=policy)
    await timed(ledger)
    await ledger.flush()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(3):
        assert LONGEST > await timed(ledger)  # by the journal, whatever the policy: it has a minute
    with pytest.raises(LedgerError, match="is locked by another program"):
        await timed(ledger, held=True)
    other.execute("COMMIT")
    other.close()
    await ledger.flush()
    assert 4 == len([one async for one in ledger.records()])
    await timed(ledger, held=True)
    await ledger.aclose()
    record(f"ledger locked, {policy}", "no hang", "the policy, no hang")


READ_ONLY = """
import asyncio, os, sys
from asyncllm.errors import LedgerError
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores.sqlite import SQLiteStore
from ledger_books import DONE, HEAD

async def main():
    ledger = Ledger(SQLiteStore(sys.argv[1]), on_error=sys.argv[2])
    try:
        ledger.settle(await ledger.open(HEAD), DONE)
        print("went")
    except LedgerError as error:
        print(error)
    await ledger.aclose()

if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)                      # nothing is read-only to root
asyncio.run(main())
"""


@pytest.mark.parametrize("policy", ["error", "warn"])
def test_a_read_only_file(policy: str, tmp_path: Path, record: Record) -> None:
    """The sentence names the file and the reason; the exit says what is lost, and nothing hangs."""
    place = tmp_path / "books"
    place.mkdir(mode=0o755)
    for folder in (place, *place.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    sqlite3.connect(place / "ledger.db").close()
    (place / "ledger.db").write_bytes(b"")
    (place / "ledger.db").chmod(0o444)
    place.chmod(0o555)
    began = time.monotonic()
    process = child(READ_ONLY, place / "ledger.db", policy)
    out, err = process.communicate(timeout=180)
    assert 10 > time.monotonic() - began
    if policy == "error":
        assert "cannot be written: the file or its folder is read-only" in out, err
    else:
        assert "went\n" == out, err
        assert "1 records are not written" in err
    record(f"ledger read-only, {policy}", "no hang", "the policy, no hang")


@pytest.mark.parametrize("policy", ["error", "warn"])
async def test_a_damaged_file(policy: OnError, tmp_path: Path) -> None:
    """A file that is no database is not touched, and the sentence says what to do."""
    path = tmp_path / "ledger.db"
    path.write_bytes(b"these are somebody's notes, and no database" * 100)
    ledger = Ledger(SQLiteStore(path), budgets=budgets(), on_error=policy)
    await weather(ledger, policy, "is not a ledger: the file is no SQLite database")
    with pytest.raises(LedgerError, match="is not a ledger"):
        await ledger.report()
    ledger.close()
    assert path.read_bytes().startswith(b"these are somebody's notes")


FILE_SIZE = """
import asyncio, resource, signal, sys
from asyncllm.errors import LedgerError
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores.sqlite import SQLiteStore
from ledger_books import DONE, HEAD

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
async def main():
    ledger = Ledger(SQLiteStore(sys.argv[1]), on_error="error")
    ledger.settle(await ledger.open(HEAD), DONE)
    await ledger.flush()
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    went = 1
    opened = []
    try:
        while True:
            opened.append(await ledger.open(HEAD))
            went += 1
            if went % 500 == 0:
                await ledger.flush()  # the store meets the limit now, and not when the journal is full
    except LedgerError as error:
        print(error)
    for opening in opened:
        ledger.settle(opening, DONE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await ledger.flush()
    print(went, (await ledger.report())[0].requests)
    await ledger.aclose()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of POSIX")
def test_a_limit_of_the_file_size(tmp_path: Path) -> None:
    """The same as a full disk, for those who may not mount one: what had begun is written in the end."""
    process = child(FILE_SIZE, tmp_path / "ledger.db")
    out, err = process.communicate(timeout=120)
    sentence, counts = out.splitlines()
    assert "disk" in sentence
    went, found = counts.split()
    assert went == found, err
