"""Pages of docs/ that are made from the code: they are what the code says now, and nothing is missing in them."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import commands_page
import generated_pages
import pytest
import yaml

import docs_pages
from asyncllm._config.settings import Settings
from asyncllm._providers.spec import every_host
from asyncllm.cli.main import COMMANDS
from test_docs_names import keys

SETTINGS = docs_pages.FOLDER / "reference" / "settings.md"
NAMES = Path(__file__).with_name("public_names.txt")


@pytest.fixture(scope="module")
def made() -> dict[Path, str]:
    """The pages as they are made now."""
    return generated_pages.pages()


def test_the_pages_are_what_the_code_says(made: dict[Path, str]) -> None:
    """A page that no longer fits the code is named."""
    kept = {path: path.read_text(encoding="utf8") if path.exists() else "" for path in made}
    stale = [docs_pages.name(path) for path, text in made.items() if kept[path] != text]
    assert [] == stale, "run: python tools/generated_pages.py"


def test_no_page_of_the_reference_is_left_over(made: dict[Path, str]) -> None:
    """A page of a module that is gone goes too."""
    there = [path for path in docs_pages.DOCS if path.parent.name in ("api", "reference")]
    made_now = {path for path in made if path.parent.name in ("api", "reference")}
    assert set(there) == {*made_now, generated_pages.CAPTURED}


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info[:2] not in ((3, 11), (3, 12)), reason="other Pythons word the help differently")
@pytest.mark.skipif(os.name != "posix", reason="the paths in it are those of POSIX")
def test_the_captures_are_what_the_commands_print() -> None:
    """The help of every command, and what its usual forms print, is in docs/reference/commands.md as it is today."""
    kept = generated_pages.CAPTURED.read_text(encoding="utf8")
    assert kept.splitlines() == commands_page.page().splitlines(), "run: python tools/generated_pages.py"
    assert [] == [name for name in COMMANDS if f"$ asyncllm {name} --help" not in kept]


def test_the_index_for_language_models_is_up_to_date() -> None:
    """docs/llms.txt has a line for every page, with its title and what it answers."""
    kept = (docs_pages.FOLDER / "llms.txt").read_text(encoding="utf8")
    assert kept == generated_pages.index(), "run: python tools/generated_pages.py"
    links = re.findall(r"^- \[.+?\]\(([^)]+)\)", kept, re.MULTILINE)
    assert sorted(docs_pages.name(page) for page in docs_pages.DOCS) == sorted(links)


@pytest.mark.parametrize(
    "skill", [page for page in docs_pages.SKILLS if page.name == "SKILL.md"], ids=lambda page: page.parent.name
)
def test_a_skill_says_what_it_is(skill: Path) -> None:
    """The head of a skill is what agents look for: the name of its folder, and a description of bounded length."""
    head = yaml.safe_load(skill.read_text(encoding="utf8").split("---\n")[1])
    assert head["name"] == skill.parent.name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", head["name"])
    assert 100 < len(head["description"]) <= 1024
    assert "Use when" in head["description"]


def test_every_public_name_has_a_page() -> None:
    """Each public name of each public module is documented on one page, or named there as the same one of another."""
    pages = [page.read_text(encoding="utf8") for page in docs_pages.DOCS if page.parent.name == "api"]
    documented = [found for text in pages for found in re.findall(r"^::: (\S+)$", text, re.MULTILINE)]
    same = {
        found for text in pages for line in re.findall(r"^- (.*): \[", text, re.MULTILINE) for found in line.split(", ")
    }
    names = NAMES.read_text(encoding="utf8").split()
    assert [] == [name for name in names if name not in documented and f"`{name}`" not in same]
    assert [] == [name for name in documented if documented.count(name) > 1 or name not in names]


def test_every_setting_has_a_type_and_a_meaning() -> None:
    """A row for each key of each section, none of them with an empty type or meaning."""
    rows = [line.split(" | ") for line in SETTINGS.read_text(encoding="utf8").splitlines() if line.startswith("| `")]
    told = {row[0].strip("| `") for row in rows}
    assert set() == {path.rpartition(".")[2] for path in keys(Settings)} - told
    assert [] == [row[0] for row in rows if not row[1].strip() or not row[-1].strip(" |")]


def test_every_key_and_variable_of_a_host_is_there() -> None:
    """Each kind has a part of its own with its keys and their variables."""
    parts = SETTINGS.read_text(encoding="utf8").split("\n### ")
    by_kind = {part.split("\n")[0]: part for part in parts[1:]}
    missing = []
    for kind, spec in every_host().items():
        names = {*spec.keys, *(variable for key in spec.keys.values() for variable in key.variables)}
        missing += [f"{kind}: {name}" for name in names if f"`{name}`" not in by_kind.get(kind, "")]
    assert [] == missing
