"""What models can do: known facts with their source, and nothing invented."""

from __future__ import annotations

import importlib
import json
from dataclasses import fields
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from asyncllm._config.sections import CapabilitySettings
from asyncllm._models import NOTHING_KNOWN, FactBook, ModelFacts
from asyncllm._models.lookup import Families
from asyncllm._providers.spec import every_host
from asyncllm._schema.facts import ReasoningRules


@pytest.fixture(scope="module")
def book() -> FactBook:
    """A book with nothing overridden."""
    return FactBook()


@pytest.mark.parametrize(
    ("kind", "model", "expected"),
    [
        (
            "anthropic",
            "claude-sonnet-5-5",
            {
                "context_window": 1_000_000,
                "max_output_tokens": 128_000,
                "tools": True,
                "images": True,
                "sampling": False,
            },
        ),
        ("anthropic", "claude-sonnet-4-5-20250929", {"reasoning": True, "documents": True, "sampling": True}),
        ("openai", "gpt-5.4", {"context_window": 1_050_000, "json_schema": True, "audio": False, "sampling": True}),
        ("openai", "gpt-5.4-2027-01-01", {"context_window": 1_050_000}),
        ("openai", "gpt-5.4-pro", {"responses_only": True, "sampling": False}),
        ("openai", "o1-pro", {"responses_only": True, "retires_on": date(2026, 10, 23)}),
        ("openai", "gpt-5.4-mini", {"context_window": 400_000, "max_input_tokens": 272_000, "responses_only": None}),
        ("gemini", "models/gemini-3.8-flash", {"audio": True, "video": True, "max_output_tokens": 65_536}),
        ("vertex", "publishers/google/models/gemini-3.8-flash", {"tools": True}),
        ("vertex", "claude-sonnet-5-5@20261001", {"sampling": False, "context_window": 1_000_000}),
        ("bedrock", "us.anthropic.claude-sonnet-5-5-20261001-v1:0", {"sampling": False, "tools": True}),
        ("bedrock", "amazon.nova-lite-v1:0", {"max_output_tokens": 10_000, "context_window": 300_000}),
        ("openrouter", "openai/gpt-5.4-nano", {"context_window": 400_000, "tools": None}),
        ("huggingface", "openai/gpt-oss-120b:groq", {"context_window": 131_072}),
        ("mistral", "mistral-large-latest", {"context_window": 262_144}),
    ],
)
def test_known_models_tell_what_they_can(book: FactBook, kind: str, model: str, expected: dict[str, Any]) -> None:
    """The facts of the data, under the host's own spellings and for dated snapshots."""
    found = book.find(kind, model)
    assert expected == {name: getattr(found, name) for name in expected}


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("openai", "gpt-99"),
        ("ollama", "gpt-5.4"),
        ("nobody", "gpt-5.4"),
        ("openai", "gpt-5.9"),
        ("gemini", "tunedModels/gemini-3-mine"),
        ("openai", ""),
    ],
)
def test_nothing_is_invented(book: FactBook, kind: str, model: str) -> None:
    """A model that no table has is unknown throughout, however much its name resembles another."""
    assert NOTHING_KNOWN == book.find(kind, model)
    assert {} == book.find(kind, model).sources


@pytest.mark.parametrize(("kind", "model"), [("openai", "ft:gpt-4o-mini:me::x"), ("openai", "gpt-5.4-mega")])
def test_of_a_model_that_only_its_family_knows_nothing_else_is_told(book: FactBook, kind: str, model: str) -> None:
    """How it reasons is its family's; a window or a price that nobody has said is unknown."""
    found = book.find(kind, model)
    assert (None, None, True) == (found.context_window, found.tools, found.rules is not None)


def test_each_fact_says_where_it_is_from() -> None:
    """The configuration's facts stand above the data's, the entry's above the model's, each marked."""
    book = FactBook(
        {
            "GPT-5.4": {"tools": False, "context_window": 10},
            "work/gpt-5.4": {"context_window": 20, "images": None},
            "vllm/mine": {"sampling": True},
        }
    )
    found = book.find("openai", "gpt-5.4", provider="work")
    assert (20, False, True) == (found.context_window, found.tools, found.images)
    assert ("config", "config", "catalog") == tuple(
        found.sources[name] for name in ("context_window", "tools", "images")
    )
    assert 10 == book.find("openai", "gpt-5.4").context_window
    mine = book.find("vllm", "mine")
    assert {"sampling": "config", "sampling_while_reasoning": "config"} == mine.sources
    assert (True, None) == (mine.sampling, mine.tools)


def test_what_the_provider_says_comes_on_top(book: FactBook) -> None:
    """Facts of the API are laid over the others; what it does not say stays."""
    found = book.find("openai", "gpt-5.4").overlaid({"max_output_tokens": 5, "tools": None}, "api")
    assert (5, True, "api", "catalog") == (
        found.max_output_tokens,
        found.tools,
        found.sources["max_output_tokens"],
        found.sources["tools"],
    )


def test_what_the_configuration_says_of_reasoning_holds_for_requests() -> None:
    """A model that is said not to reason is not asked to; one that is said to take hints gets them while it reasons."""
    book = FactBook({"gpt-6-sol": {"reasoning": False}, "gpt-5.5": {"sampling": True}, "gpt-5.4": {"sampling": False}})
    rules = book.find("openai", "gpt-6-sol").rules
    assert rules is not None and not rules.reasons
    assert book.find("openai", "gpt-5.5").sampling_while_reasoning is True
    found = book.find("openai", "gpt-5.4")
    assert (False, False) == (found.sampling, found.sampling_while_reasoning)


def test_a_deployment_has_the_facts_of_the_model_behind_it() -> None:
    """A deployment with a name of its own is the model that ``priced_as`` names, for its own entry only."""
    book = FactBook(priced_as={"work": {"prod-chat": "gpt-5.5"}})
    known = book.find("azure", "prod-chat", provider="work")
    assert book.find("azure", "gpt-5.5") == known
    assert NOTHING_KNOWN == book.find("azure", "prod-chat", provider="other")


def test_a_misspelt_capability_is_refused() -> None:
    """An override of a field that there is not raises with its name."""
    with pytest.raises(ValueError, match="tolls"):
        FactBook({"m": {"tolls": True}})


def test_the_configurations_fields_are_capabilities() -> None:
    """Every key of ``catalog.capabilities`` is a field here."""
    assert set() == {key.name for key in fields(CapabilitySettings)} - {found.name for found in fields(ModelFacts)}


def test_every_row_of_the_data_is_readable(book: FactBook) -> None:
    """Each row gives facts, of the right types, and the file is dated and names its sources."""
    book.load()
    data = json.loads((files("asyncllm._models") / "data" / "facts" / "index.json").read_text("utf-8"))
    assert book.version.startswith(data["date"])
    assert {"litellm", "genai-prices"} == set(data["sources"])
    for kind in data["kinds"]:
        names = list(book.models(kind))
        assert names
        for name in names:
            found = book.find(kind, name)
            assert found.sources, name
            assert found.context_window is None or found.context_window > 0
            assert found.tools in (None, True, False)


FAMILIES = json.loads((files("asyncllm._models") / "data" / "families.json").read_text("utf-8"))


def test_every_row_of_the_families_is_well_formed() -> None:
    """Shapes exist, kinds are kinds, words are words of the vocabulary, and no other key than a fact is used."""
    known = {found.name for found in fields(ModelFacts)} | {found.name for found in fields(ReasoningRules)} | {"like"}
    rows = [row for group in FAMILIES["families"] for row in group["models"].values() if isinstance(row, dict)]
    for row in (*FAMILIES["shapes"].values(), *rows):
        assert set() == row.keys() - known
        assert row.get("like") in (None, *FAMILIES["shapes"])
        assert set() == set(row.get("efforts", "").split()) - {"minimal", "low", "medium", "high", "xhigh", "max"}
    for group in FAMILIES["families"]:
        assert set() == set(group["kinds"].split()) - every_host().keys()
        assert set() == {row for row in group["models"].values() if isinstance(row, str)} - FAMILIES["shapes"].keys()
        for name in group["models"]:
            assert name == name.lower()
            for kind in group["kinds"].split():
                Families(FAMILIES).find(kind, name)


def test_a_new_model_of_a_known_family_is_one_line() -> None:
    """A row that names a shape is all that a new model needs."""
    group = {"kinds": "anthropic", "models": {"claude-opus-9": "claude 5"}}
    found = Families({**FAMILIES, "families": [*FAMILIES["families"], group]}).find(
        "anthropic", "claude-opus-9-20270101"
    )
    assert Families(FAMILIES).find("anthropic", "claude-opus-5") == found


@pytest.mark.parametrize(
    ("kind", "model", "like"),
    [
        ("bedrock", "us.anthropic.claude-opus-4-5-20251101-v1:0", ("anthropic", "claude-opus-4-5")),
        ("vertex", "claude-opus-4-5@20251101", ("anthropic", "claude-opus-4-5")),
        ("vertex", "publishers/anthropic/models/claude-opus-4-0", ("anthropic", "claude-opus-4-20250514")),
        ("openai", "gpt-5-mini-2025-08-07", ("openai", "gpt-5")),
        ("openai", "ft:gpt-5-mini:org::id", ("openai", "gpt-5")),
        ("azure", "gpt-5.5", ("openai", "gpt-5.5")),
        ("gemini", "models/gemini-3.8-flash-preview", ("gemini", "gemini-3.8-flash")),
        ("bedrock", "arn:aws:bedrock:us-east-1::foundation-model/xai.grok-4.6", ("bedrock", "us.xai.grok-4.6")),
        ("groq", "openai/gpt-oss-120b", ("fireworks", "accounts/fireworks/models/gpt-oss-20b")),
    ],
)
def test_a_family_is_found_under_every_dress_of_a_name(
    book: FactBook, kind: str, model: str, like: tuple[str, str]
) -> None:
    """Dates, versions, ARNs, publishers and regions are taken off before a family is looked for."""
    assert book.find(kind, model).rules is not None
    assert book.find(*like).rules == book.find(kind, model).rules


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("openai", "gpt-5.7"),
        ("openai", "gpt-50"),
        ("anthropic", "claude-opus-4-9"),
        ("gemini", "palm-2"),
        ("xai", "grok-5"),
    ],
)
def test_another_version_is_another_model(book: FactBook, kind: str, model: str) -> None:
    """How a version reasons that no row has is unknown."""
    assert book.find(kind, model).rules is None


def test_a_host_s_own_rule_goes_over_its_family_s(book: FactBook) -> None:
    """Vertex lets gemini-3.1-pro-preview be switched off, the Gemini API does not."""
    at = {kind: book.find(kind, "gemini-3.1-pro-preview").rules for kind in ("gemini", "vertex")}
    assert (False, True) == tuple(rules is not None and rules.optional for rules in at.values())


def test_the_files_are_as_the_compiler_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is checked in is what ``tools/compile_facts.py`` writes for these facts, byte for byte."""
    pytest.importorskip("genai_prices")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    compiler = importlib.import_module("compile_facts")
    folder = files("asyncllm._models") / "data" / "facts"
    index = json.loads((folder / "index.json").read_text("utf-8"))
    kinds = {kind: json.loads((folder / f"{kind}.json").read_text("utf-8")) for kind in index["kinds"]}
    compiler.write({**index, "kinds": kinds}, tmp_path)
    assert sorted(entry.name for entry in folder.iterdir()) == sorted(entry.name for entry in tmp_path.iterdir())
    for entry in tmp_path.iterdir():
        assert (folder / entry.name).read_bytes() == entry.read_bytes(), entry.name


def test_a_deprecated_model_says_so(book: FactBook) -> None:
    """What its provider has announced the end of is marked."""
    deprecated = [name for name in book.models("openai") if book.find("openai", name).deprecated]
    assert "gpt-99" not in deprecated
    assert [] == [name for name in deprecated if book.find("openai", name).sources["deprecated"] != "catalog"]


def test_capabilities_are_remembered_within_bounds() -> None:
    """A caller that makes up names without end does not fill the memory."""
    book = FactBook()
    for number in range(4100):
        book.find("ollama", f"model-{number}")
    assert 4 == len(book._found)
