"""Daft and Dask with the row journal, as the examples use them."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.field
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SAID = ["first run: 200 answers, 200 requests so far", "second run: 200 answers, 200 requests so far"]


@pytest.mark.parametrize("engine", ["daft", "dask"])
def test_a_second_run_asks_for_nothing(engine: str, tmp_path: Path) -> None:
    """Each row is asked for once, by whichever process the engine gives it to."""
    if importlib.util.find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed: python -m pip install daft 'dask[distributed]'")
    example = EXAMPLES / f"bulk_{engine}.py"
    done = subprocess.run(
        [sys.executable, str(example)], capture_output=True, text=True, timeout=180, cwd=tmp_path, check=True
    )
    assert SAID == done.stdout.splitlines()
