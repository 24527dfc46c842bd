"""A process is killed at each step of an attempt's life: every attempt that was sent has a row."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores.sqlite import SQLiteStore
from ledger_books import child

pytestmark = pytest.mark.slow

STEPS = (
    "connect",
    "before open",
    "BEGIN",
    "INSERT INTO opened",
    "COMMIT of open",
    "acknowledged",
    "sent",
    "answered",
    "settled",
    "DELETE FROM opened",
    "INSERT INTO records",
    "COMMIT of settle",
    "flushed",
    "close",
)

VICTIM = """
import asyncio, os, signal, sys
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores.sqlite import SQLiteStore
from ledger_books import DONE, HEAD

step, path, server = sys.argv[1:4]
phase = "open"

def here(name):
    if name == step:
        os.kill(os.getpid(), signal.SIGKILL)

class Traced(SQLiteStore):
    def connect(self, *, hurried=False):
        super().connect(hurried=hurried)
        here("connect")

    def _execute(self, sql, values=()):
        found = super()._execute(sql, values)
        for word in ("BEGIN", "INSERT INTO opened", "DELETE FROM opened", "INSERT INTO records"):
            if sql.startswith(word):
                here(word)
        if sql == "COMMIT":
            here(f"COMMIT of {phase}")
        return found

    def close(self):
        here("close")
        super().close()

async def main():
    global phase
    ledger = Ledger(Traced(path))
    here("before open")
    opening = await ledger.open(HEAD)
    here("acknowledged")
    with open(server, "a") as file:
        file.write(opening.id + "\\n")
    here("sent")
    await asyncio.sleep(0.01)
    here("answered")
    phase = "settle"
    ledger.settle(opening, DONE)
    here("settled")
    await ledger.flush()
    here("flushed")
    await ledger.aclose()

asyncio.run(main())
"""


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_each_step(step: str, record: Callable[[str, str, str], None], tmp_path: Path) -> None:
    """What the server saw has a row: settled as it ended, or recovered as unknown; what it did not see may have one."""
    path, server = tmp_path / "ledger.db", tmp_path / "server"
    server.touch()
    victim = child(VICTIM, step, path, server)
    _, err = victim.communicate()
    assert "" == err
    assert -9 == victim.returncode, "the step was never reached"
    sent = server.read_text().split()
    found = asyncio.run(_recover(path))
    assert [] == [one for one in sent if one not in found]
    assert len(found) <= 1
    if STEPS.index(step) >= STEPS.index("settled"):  # the end is in the journal as soon as settle returns
        assert ["ok"] == list(found.values())
    elif sent:
        assert ["unknown"] == list(found.values())
    if step == STEPS[-1]:
        record(f"sent attempts without a row, killed at {len(STEPS)} steps", "0", "0")


async def _recover(path: Path) -> dict[str, str]:
    ledger = Ledger(SQLiteStore(path))
    found = {one.id: one.status async for one in ledger.records()}
    await ledger.aclose()
    return dict(found)
