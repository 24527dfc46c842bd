"""The pages for users of other libraries: both programs of each, and the map from their names to ours."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import asyncllm
from docs_pages import FOLDER, ROOT, blocks

PAGES = sorted(page for page in (FOLDER / "migration").glob("*.md") if page.name != "index.md")


def by_name(page: Path) -> str:
    return page.stem


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_a_page_has_the_same_four_parts(page: Path) -> None:
    """Each page has a program before and after, the names beside ours, and what is missing here."""
    headings = re.findall(r"^## (.+)$", page.read_text(encoding="utf8"), re.MULTILINE)
    assert ["Before", "After", "Name by name", "What has no counterpart"] == headings
    assert (1, 1) == (len(blocks(page, "py")), len(blocks(page, "python")))


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_the_program_before_compiles(page: Path) -> None:
    """The other library's program is Python; ``nox -s migration`` runs it where that library is installed."""
    for block in blocks(page, "py"):
        compile(block.text, str(page), "exec")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_the_program_after_runs(page: Path, tmp_path: Path) -> None:
    """Our program runs as the page says: on simulated models, without a key."""
    (tmp_path / "program.py").write_text(blocks(page, "python")[0].text, encoding="utf8")
    command = [sys.executable, "-m", "asyncllm", "simulate", "--", sys.executable, "-W", "error", "program.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ("", 0) == (done.stderr, done.returncode)
    assert done.stdout.startswith(("4", "name='name'", "The tool answered: 17 degrees in Oslo"))


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_the_names_of_ours_exist(page: Path) -> None:
    """What the right column calls a method of a client or a name of the package is one."""
    table = page.read_text(encoding="utf8").partition("## Name by name")[2].partition("## What has")[0]
    ours = "\n".join(line.split(" | ")[-1] for line in table.splitlines() if line.startswith("| "))
    methods = re.findall(r"\b(?:client|Client|SyncClient)\.(\w+)", ours)
    assert [] == [name for name in methods if not hasattr(asyncllm.Client, name) and name != "ledger"]
    names = re.findall(r"\basyncllm\.([A-Z]\w+)", ours)
    assert [] == [name for name in names if not hasattr(asyncllm, name)]


def test_every_page_of_a_library_is_run_by_nox() -> None:
    """The list of libraries to install and the pages are the same."""
    done = subprocess.run(
        [sys.executable, "-c", "import run_migration as r; print(*sorted(r.PEERS))"],
        cwd=ROOT / "tools",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [page.stem for page in PAGES if page.stem != "first-requirements"]
