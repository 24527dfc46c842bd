"""The README: what a newcomer copies from it runs, and it reads the same in the repository and on a package index."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from asyncllm import __version__
from docs_pages import README, ROOT, Block, blocks

LOADED = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
assert LOADED is not None
assert LOADED.loader is not None
hatch_build = importlib.util.module_from_spec(LOADED)
LOADED.loader.exec_module(hatch_build)
TEXT = README.read_text(encoding="utf8")


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks(README, "python"), ids=lambda block: f"line{block.line}")
def test_each_program_of_the_readme_runs_on_simulated_models(block: Block, tmp_path: Path) -> None:
    """A block, saved as a file, runs by ``asyncllm simulate -- python first.py``, without a key and a configuration."""
    (tmp_path / "first.py").write_text(block.text, encoding="utf8")
    environ = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    command = [sys.executable, "-m", "asyncllm", "simulate", "--", sys.executable, "-W", "error", "first.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False, encoding="utf8"
    )
    assert ("", 0) == (done.stderr, done.returncode)
    if "City(BaseModel)" in block.text:
        lines = done.stdout.splitlines()
        assert "4 4 0.00000675" == lines[0]
        assert "1 2 3 4 5 6 7 8 9 10" == lines[1]
        assert re.fullmatch(r"The tool answered: \{.*\"sky\":\"rain\".*\} 2 0\.\d+", lines[2])
        assert "name='name' country='country'" == lines[3]
        assert re.fullmatch(r"\{'provider': 'openai', 'model': 'gpt-5.4-mini'\} 5 0\.\d+", lines[4])


def test_the_lines_of_the_readme_are_short() -> None:
    """It can be read in a terminal and in a diff."""
    assert [] == [line for line in TEXT.splitlines() if len(line) > 120]


def test_on_an_index_no_link_of_the_readme_leads_nowhere() -> None:
    """Links to files become the files' names, or absolute links once the address of the repository is known."""
    plain = hatch_build.for_package_index(TEXT, "", __version__)
    assert [] == re.findall(r"\]\((?!https://|#)", plain)
    assert "`docs/costs.md`" in plain
    linked = hatch_build.for_package_index(TEXT, "https://forge.example/asyncllm/", "0.1.0")
    assert "[docs/costs.md](https://forge.example/asyncllm/blob/v0.1.0/docs/costs.md)" in linked
    kept = "[a](https://a.example) [b](#configuration) [c](mailto:c@d.example)"
    assert kept == hatch_build.for_package_index(kept, "https://forge.example", "0.1.0")


def test_the_changelog_has_the_version() -> None:
    """The version of the package is a section of the changelog, with its day."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf8")
    assert re.search(rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE)
