"""Five usual programs, written with this library and with another one: ours is not the longer one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks" / "five_programs"
LINES = {  # program: lines of code of ours, the other library, its lines; without blank lines and comments
    "agent": (13, "pydantic_ai", 18),
    "costs": (10, "litellm", 19),
    "dev_prod": (9, "litellm", 16),
    "extractions": (12, "pydantic_ai", 19),
    "fastapi_stream": (7, "openai", 16),
}


def lines_of(program: str, library: str) -> int:
    text = (FOLDER / f"{program}_{library}.py").read_text(encoding="utf8")
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in text.splitlines())


@pytest.mark.parametrize("program", LINES)
def test_our_program_is_not_the_longer_one(program: str) -> None:
    """The lines are as recorded, and ours are not more."""
    ours, library, theirs = LINES[program]
    assert (ours, theirs) == (lines_of(program, "asyncllm"), lines_of(program, library))
    assert ours <= theirs


@pytest.mark.slow
@pytest.mark.parametrize("program", [name for name in LINES if name not in ("fastapi_stream", "extractions")])
def test_our_program_runs(program: str, tmp_path: Path) -> None:
    """It runs on simulated models."""
    file = str(FOLDER / f"{program}_asyncllm.py")
    command = [sys.executable, "-m", "asyncllm", "simulate", "--", sys.executable, "-W", "error", file]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ("", 0) == (done.stderr, done.returncode)
    assert done.stdout.strip()
