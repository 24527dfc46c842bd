"""What mypy and pyright say to a user: small programs, with the expected errors in them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import asyncllm

PROGRAMS = Path(__file__).parent / "programs"
SOURCE = Path(asyncllm.__file__).parents[1]
# An installed package is found by itself, and mypy refuses to be led to the folder of installed packages.
FOUND = {} if SOURCE.name == "site-packages" else {"PYTHONPATH": str(SOURCE), "MYPYPATH": str(SOURCE)}
pytest.importorskip("mypy", reason="the type checkers come with the extra `lint`")


def expected() -> set[tuple[str, int]]:
    """The lines that say they are wrong."""
    return {
        (program.name, number)
        for program in PROGRAMS.glob("*.py")
        for number, line in enumerate(program.read_text(encoding="utf8").splitlines(), 1)
        if line.endswith("# error")
    }


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROGRAMS,
        timeout=300,
        env={**os.environ, **FOUND},
    )
    assert done.stdout, done.stderr
    return done.stdout


@pytest.mark.slow
def test_mypy_refuses_what_is_wrong_and_nothing_else(tmp_path: Path) -> None:
    """Mypy --strict finds an error on each line that has one, and knows the type of every parsed answer."""
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\nstrict = True\nwarn_unused_ignores = False\n", encoding="utf8")
    said = run("mypy", "--config-file", str(config), "--cache-dir", str(tmp_path / "cache"), str(PROGRAMS))
    found = {
        (Path(line[1]).name, int(line[2]))
        for line in re.finditer(r"^(\S+?\.py):(\d+): error:", said, re.MULTILINE)
        if Path(line[1]).name in {name for name, _ in expected()}
    }
    assert expected() == found, said


@pytest.mark.slow
def test_pyright_refuses_what_is_wrong_and_nothing_else() -> None:
    """Pyright finds an error on each line that has one, and knows the type of every parsed answer."""
    pytest.importorskip("pyright", reason="the type checkers come with the extra `lint`")
    programs = [str(program) for program in sorted(PROGRAMS.glob("*.py"))]
    said = run("pyright", "--outputjson", "--pythonversion", "3.10", "--pythonpath", sys.executable, *programs)
    found = {
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1)
        for one in json.loads(said)["generalDiagnostics"]
        if one["severity"] == "error"
    }
    assert expected() == found, said


@pytest.mark.slow
def test_every_exported_symbol_has_a_declared_type() -> None:
    """Nothing of the public interface is left for type checkers to guess, and nothing private is exported."""
    pytest.importorskip("pyright", reason="the type checkers come with the extra `lint`")
    said = json.loads(run("pyright", "--verifytypes", "asyncllm", "--ignoreexternal", "--outputjson"))
    symbols = said["typeCompleteness"]["symbols"]
    guessed = [
        f"{symbol['name']}: {problem['message']}"
        for symbol in symbols
        if symbol["isExported"] and not (symbol["isTypeKnown"] and not symbol["isTypeAmbiguous"])
        for problem in symbol["diagnostics"]
    ]
    assert [] == guessed
    private = re.compile(r"(^|\.)_(?!_)\w")
    assert [] == [symbol["name"] for symbol in symbols if symbol["isExported"] and private.search(symbol["name"])]
