"""Files of SQLite that many processes make at the same moment."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import sys, time
from pathlib import Path
at, path = float(sys.argv[1]), sys.argv[2]
{imports}
for number in range(20):
    time.sleep(max(0.0, at + number * 0.05 - time.time()))
    {action}
"""
FILES = {
    "row journal": (
        "from asyncllm._ledger.row_journal import RowJournal",
        'one = RowJournal(f"sqlite:///{path}{number}", "job"); one.open(); one.close()',
    ),
    "checkpoint": (
        "from asyncllm._map.checkpoint import Checkpoint",
        'one = Checkpoint(Path(f"{path}{number}"), ""); one.open(); one.close()',
    ),
    "response cache": (
        "from asyncllm._response_cache.reply_stores import SQLiteReplies",
        'SQLiteReplies(Path(f"{path}{number}"))._opened()',
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
def test_a_new_file_is_opened_by_several_processes_at_once(kind: str, tmp_path: Path) -> None:
    """Nobody is told that the file is locked. What holds prompts and answers is for the eyes of its owner."""
    imports, action = FILES[kind]
    program = PROGRAM.format(imports=imports, action=action)
    at = str(time.time() + 2)
    command = [sys.executable, "-c", program, at, str(tmp_path / "new")]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(6)]
    told = [process.communicate(timeout=120)[1] for process in processes]
    assert [""] * 6 == told
    if kind != "row journal":  # that one is in the ledger's own file
        assert {0o600} == {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
