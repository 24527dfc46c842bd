"""Every example runs as it stands, without a key, and prints something."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def imported(example: Path) -> set[str]:
    """The packages that an example imports."""
    found = set()
    for node in ast.walk(ast.parse(example.read_text(encoding="utf8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found |= {name.partition(".")[0] for name in names}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    """An example ends well, without a warning, in any working directory and without a key in the environment."""
    missing = [name for name in imported(example) if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        capture_output=True,
        text=True,
        timeout=150,  # Dask starts three processes
        cwd=tmp_path,
        env=environment,
    )
    # What may stand there: the log of a fallback, the last state of a bar.
    shown = re.split(r"[\r\n]+", done.stderr)
    complaints = [line for line in shown if "going on to" not in line and not line.startswith("asyncllm ")]
    assert "" == "".join(complaints)
    assert 0 == done.returncode
    assert done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.name)
def test_the_cells_of_a_notebook_run(notebook: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cells run from top to bottom in one event loop, as Jupyter runs them; no output is stored in the file."""
    cells = [cell for cell in json.loads(notebook.read_text(encoding="utf8"))["cells"] if cell["cell_type"] == "code"]
    assert [[]] * len(cells) == [cell["outputs"] for cell in cells]

    async def work() -> None:
        names: dict[str, object] = {}
        for cell in cells:
            code = compile("".join(cell["source"]), notebook.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            waiting = eval(code, names)
            if waiting is not None:
                await waiting

    asyncio.run(work())
    assert "1 2 3 4 5 6 7 8 9 10" in capsys.readouterr().out
