"""The name under which the library is installed: asyncllm-client, while the package it brings is asyncllm."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from asyncllm.cli.main import main

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parents[1]
TEXTS = (".py", ".md", ".toml", ".yaml", ".yml", ".sh", ".cfg")
# `pip install asyncllm`, and asyncllm with extras: on the package index that name is somebody else's.
WRONG_NAME = re.compile(r"""pip install (?:-\S+ )*['"]?asyncllm(?![\w.-])|(?<![\w.-])asyncllm\[[a-z]""")


def texts() -> list[Path]:
    """Every text of the project that a person could copy a command from."""
    folders = ("src", "docs", "examples", "benchmarks", "tools", ".ci", ".github")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in TEXTS]
    return [*found, ROOT / ".ci" / "run", *(path for path in ROOT.iterdir() if path.suffix in TEXTS)]


def test_every_text_installs_our_distribution() -> None:
    """No text tells how to install the distribution of the package's own name, which is not ours."""
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts()
        if path.is_file()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if WRONG_NAME.search(line) and "uninstall" not in line
    ]
    assert [] == wrong


def test_the_project_refers_to_itself_by_its_name() -> None:
    """The distribution has its name, and the extra of developers asks for the other extras under it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "asyncllm-client" == project["name"]
    assert [True] == [line.startswith("asyncllm-client[") for line in project["optional-dependencies"]["dev"][:1]]


def test_both_distributions_in_one_environment_are_reported(tmp_path: Path) -> None:
    """The command line says in one sentence that two distributions share the package, and what to do."""
    for name in ("asyncllm", "asyncllm_client"):
        folder = tmp_path / f"{name}-9.9.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 9.9\n")
    code = (
        f"import sys; sys.path.append({str(tmp_path)!r}); from asyncllm.cli.main import main; main(['prices', 'zzz'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "asyncllm and asyncllm-client are both installed here" in done.stderr
    assert "pip uninstall -y asyncllm asyncllm-client" in done.stderr


def test_one_distribution_is_nothing_to_tell(capsys: pytest.CaptureFixture[str]) -> None:
    """With ours alone the command line says nothing of it."""
    main(["prices", "zzz"])
    assert "both installed" not in capsys.readouterr().err
