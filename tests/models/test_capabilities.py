"""What models can do: known facts with their source, and nothing invented."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import date
from importlib.resources import files
from typing import Any

import pytest

from asyncllm._config import CapabilitySettings
from asyncllm._models import NOTHING_KNOWN, CapabilityBook, ModelFacts


@pytest.fixture(scope="module")
def book() -> CapabilityBook:
    """A book with nothing overridden."""
    return CapabilityBook()


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
        ("anthropic", "claude-sonnet-4-5-20250929", {"reasoning": True, "documents": True, "sampling": None}),
        ("openai", "gpt-5.4", {"context_window": 1_050_000, "json_schema": True, "audio": False, "sampling": None}),
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
def test_known_models_tell_what_they_can(book: CapabilityBook, kind: str, model: str, expected: dict[str, Any]) -> None:
    """The facts of the data, under the host's own spellings and for dated snapshots."""
    found = book.find(kind, model)
    assert expected == {name: getattr(found, name) for name in expected}


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("openai", "gpt-99"),
        ("ollama", "gpt-5.4"),
        ("nobody", "gpt-5.4"),
        ("openai", "ft:gpt-4o-mini:me::x"),
        ("openai", "gpt-5.4-mega"),
        ("openai", ""),
    ],
)
def test_nothing_is_invented(book: CapabilityBook, kind: str, model: str) -> None:
    """A model that no table has is unknown throughout, however much its name resembles another."""
    assert NOTHING_KNOWN == book.find(kind, model)
    assert {} == book.find(kind, model).sources


def test_each_fact_says_where_it_is_from() -> None:
    """The configuration's facts stand above the data's, the entry's above the model's, each marked."""
    book = CapabilityBook(
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
    assert ModelFacts(sampling=True, sources={"sampling": "config"}) == book.find("vllm", "mine")


def test_what_the_provider_says_comes_on_top(book: CapabilityBook) -> None:
    """Facts of the API are laid over the others; what it does not say stays."""
    found = book.find("openai", "gpt-5.4").overlaid({"max_output_tokens": 5, "tools": None}, "api")
    assert (5, True, "api", "catalog") == (
        found.max_output_tokens,
        found.tools,
        found.sources["max_output_tokens"],
        found.sources["tools"],
    )


def test_a_misspelt_capability_is_refused() -> None:
    """An override of a field that there is not raises with its name."""
    with pytest.raises(ValueError, match="tolls"):
        CapabilityBook({"m": {"tolls": True}})


def test_the_configurations_fields_are_capabilities() -> None:
    """Every key of ``catalog.capabilities`` is a field here."""
    assert set() == set(CapabilitySettings.model_fields) - {found.name for found in fields(ModelFacts)}


def test_every_row_of_the_data_is_readable(book: CapabilityBook) -> None:
    """Each row gives facts, of the right types, and the file is dated and names its sources."""
    book.load()
    data = json.loads((files("asyncllm._models") / "data" / "capabilities.json").read_text("utf-8"))
    assert book.version.startswith(data["date"])
    assert {"litellm", "genai-prices"} == set(data["sources"])
    for kind in data["kinds"]:
        names = list(book.models(kind))
        assert names
        for name in names[:: len(names) // 20 + 1]:
            found = book.find(kind, name)
            assert found.sources, name
            assert found.context_window is None or found.context_window > 0
            assert found.tools in (None, True, False)


def test_a_deprecated_model_says_so(book: CapabilityBook) -> None:
    """What its provider has announced the end of is marked."""
    deprecated = [name for name in book.models("openai") if book.find("openai", name).deprecated]
    assert "gpt-99" not in deprecated
    assert [] == [name for name in deprecated if book.find("openai", name).sources["deprecated"] != "catalog"]


def test_capabilities_are_remembered_within_bounds() -> None:
    """A caller that makes up names without end does not fill the memory."""
    book = CapabilityBook()
    for number in range(4100):
        book.find("ollama", f"model-{number}")
    assert 4 == len(book._found)
