"""Every example runs as it stands, without a key, and prints something."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parent.parent / "examples").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    """An example ends well, without a warning, in any working directory and without a key in the environment."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=tmp_path,
        env=environment,
    )
    complaints = [line for line in done.stderr.splitlines() if "going on to" not in line]  # the log of a fallback
    assert "" == "\n".join(complaints)
    assert 0 == done.returncode
    assert done.stdout.strip()
