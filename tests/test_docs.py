"""Every code block of the README and of docs/ does what it says: python runs, yaml loads, commands parse."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyword_table
import pytest
import yaml

from asyncllm import _config as config
from asyncllm import errors
from asyncllm._providers.spec import every_host
from asyncllm.cli.main import build_parser
from asyncllm.testing import Simulator
from docs_pages import DOCS, FOLDER, PAGES, README, ROOT, SKILLS, Block, blocks, name
from provider_docs import missing_from_docs

KEYS = {"OPENAI_API_KEY": "sk-simulated", "ANTHROPIC_API_KEY": "sk-ant-simulated"}


def run(block: Block, names: dict[str, Any]) -> None:
    """Runs a block as `python -m asyncio` would: ``await`` and ``async with`` may stand at the top."""
    source = "\n" * block.line + block.text
    code = compile(source, str(block.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, names))
    else:
        exec(code, names)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.in_thread() as running:
        yield running


def write_config(text: str, simulator: Simulator, folder: Path) -> None:
    """Writes a configuration whose providers are simulated: their addresses and their sign-in are the simulator's."""
    settings = yaml.safe_load(text)
    for entry_name, entry in settings["providers"].items():
        kind = entry.get("kind", entry_name)
        spec = every_host()[kind]
        for one in (entry, *entry.get("deployments", ())):
            for key in set(one) - set(spec.without_credentials(one)):
                del one[key]
        entry |= {"base_url": simulator.url(kind), spec.credential: "sk-simulated"}
        for one in entry.get("deployments", ()):
            one.pop("base_url", None)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf8")


@pytest.fixture
def folder(simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the README's configuration, whose providers are simulated."""
    write_config(blocks(README, "yaml")[0].text, simulator, tmp_path)
    monkeypatch.chdir(tmp_path)
    for variable, key in KEYS.items():
        monkeypatch.setenv(variable, key)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in [*DOCS, *SKILLS] if p.parent.name != "migration"], ids=name)
def test_the_python_of_a_page_runs(page: Path, folder: Path, simulator: Simulator) -> None:
    """A reader may copy the blocks of a page, top to bottom, into a file beside the README's config.yaml, or beside the
    last block that begins with ``# config.yaml``.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page, "python", "yaml"):
        if block.language == "python":
            run(block, names)
        elif block.text.startswith("# config.yaml\n"):
            write_config(block.text, simulator, folder)


def test_python_that_needs_what_is_not_installed_is_python() -> None:
    """Blocks marked ``py`` (Streamlit, Celery, azure-identity) are not run; they are at least free of syntax errors."""
    for page in PAGES:
        for block in blocks(page, "py"):
            ast.parse(block.text, f"{name(page)}:{block.line}")


@pytest.mark.parametrize("page", [*PAGES, *SKILLS], ids=name)
def test_the_yaml_of_a_page_loads(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every configuration shown is one that loads."""
    for variable, key in KEYS.items():
        monkeypatch.setenv(variable, key)
    for block in blocks(page, "yaml"):
        path = tmp_path / "config.yaml"
        path.write_text(block.text, encoding="utf8")
        config.load(path)


def test_the_defaults_shown_are_the_defaults() -> None:
    """Leaving out every optional section that docs/configuration.md shows changes nothing."""
    shown = yaml.safe_load(blocks(FOLDER / "configuration.md", "yaml")[2].text)
    least = {key: shown[key] for key in ("active_provider", "providers")}
    assert config.load(least, environ=KEYS) == config.load(shown, environ=KEYS)


def test_every_kind_of_provider_is_listed_with_its_keys_and_variables() -> None:
    """docs/configuration.md has each kind, each key of it and each variable that is looked at."""
    assert [] == missing_from_docs()


@pytest.mark.parametrize("page", [*PAGES, *SKILLS], ids=name)
def test_the_commands_of_a_page_parse(page: Path) -> None:
    """Every `asyncllm ...` shown is one that the command line accepts."""
    for block in blocks(page, "sh"):
        for line in block.text.splitlines():
            for command in re.split(r"[|]|&&", line):
                words = shlex.split(command, comments=True)
                if words[:1] == ["asyncllm"]:
                    build_parser().parse_args(words[1:])


def test_the_readme_opens_with_one_line_to_see_and_one_to_test() -> None:
    """The first two commands of the README install what they need and do the main job, then the tests."""
    first, second = blocks(README, "sh")[:2]
    assert "python -m pip install '.[cli]' && asyncllm demo\n" == first.text
    assert "python -m pip install '.[cli,test]' && python -m pytest\n" == second.text


def test_the_whole_check_runs_the_tests_as_the_readme_does() -> None:
    """What checks a commit ends with the very line that the README gives to users."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf8")
    assert blocks(README, "sh")[1].text == script.splitlines(keepends=True)[-1]


def test_the_index_names_every_page() -> None:
    """Nobody has to know a page's name to find it."""
    indexes = [(page.parent, page.read_text(encoding="utf8")) for page in DOCS if page.name == "index.md"]
    told = {(folder / link).resolve() for folder, text in indexes for link in re.findall(r"\]\(([^)#]+)\)", text)}
    assert [] == [name(page) for page in DOCS if page not in told and page != FOLDER / "index.md"]


def test_the_error_page_draws_the_real_tree() -> None:
    """The tree in docs/errors.md is the one in the docstring of ``asyncllm.errors``, without its remarks' drift."""
    drawn = blocks(FOLDER / "errors.md", "text")[0].text.splitlines()
    documented = [line.strip() for line in (errors.__doc__ or "").splitlines()]
    assert drawn
    assert [] == [line for line in drawn if line.strip() not in documented]
    assert len(drawn) == sum(bool(re.match(r"[│├└─ ]*[A-Z]\w+Error\b", line)) for line in documented)


def test_the_table_of_keywords_is_that_of_the_list() -> None:
    """The page about calls has each keyword with its type and meaning, as the list of keywords has them."""
    page = (FOLDER / "calls.md").read_text(encoding="utf8")
    assert page == keyword_table.written(page), "run: python tools/keyword_table.py"
