"""``asyncllm models``: the table, its JSON, and what is said when there is nothing to list."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from asyncllm._models.registry import ModelInfo
from asyncllm.cli.list_models import note, tokens
from asyncllm.cli.main import main
from asyncllm.cli.tables import table
from asyncllm.testing import Fault, ListedModel, Simulator

pytestmark = pytest.mark.slow  # a whole command each, over sockets


@pytest.fixture
def listing(simulator: Simulator, folder: Path) -> Simulator:
    """A simulator whose models the package has prices for, and a configuration that keeps what is listed."""
    today = datetime.now(timezone.utc).date()
    old = ListedModel("claude-sonnet-4-5", deprecated=today - timedelta(days=9), retires=today + timedelta(days=90))
    settings = simulator.config(catalog={"cache_path": "models.json"})
    (folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf8")
    simulator.models = {"openai": ["gpt-5.4"], "anthropic": ["claude-haiku-4-5", old], "gemini": ["gemini-2.5-flash"]}
    return simulator


@pytest.fixture(autouse=True)
def any_model_again(simulator: Simulator) -> None:
    simulator.models = None


def test_a_table_of_what_the_providers_list(listing: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """A row a model with its window, prices and abilities; the next run needs no call."""
    assert 0 == main(["models", "--refresh"])
    lines = capsys.readouterr().out.splitlines()
    assert "provider model window output $ in $ out can".split(" ")[:4] == lines[0].split()[:4]
    gpt = next(line for line in lines if " gpt-5.4 " in line)
    assert ["openai", "gpt-5.4", "1.05M", "128k", "2.5", "15", "tools"] == gpt.split()[:7]
    assert not any("claude-sonnet-4-5" in line for line in lines)
    assert lines[-1].endswith("window and output in tokens, prices in US dollars for a million tokens")
    listing.reset()
    assert 0 == main(["models", "anthropic", "--deprecated"])
    rows = capsys.readouterr().out.splitlines()
    assert any("claude-sonnet-4-5" in row and "deprecated since" in row and "ends" in row for row in rows)
    assert "2 models" in rows[-1]
    assert 0 == len(listing.requests)


def test_programs_read_json(listing: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """``--json`` has prices as decimal strings, times in ISO 8601, and the source of each fact."""
    assert 0 == main(["models", "openai", "--refresh", "--json"])
    (model,) = json.loads(capsys.readouterr().out)
    assert ("gpt-5.4", "openai", "2.5", 1_050_000) == (
        model["name"],
        model["provider"],
        model["input_price"],
        model["context_window"],
    )
    assert ("api", "catalog") == (model["sources"]["last_seen"], model["capability_sources"]["tools"])
    assert datetime.fromisoformat(model["last_seen"]).tzinfo is not None
    assert 0 == main(["models", "openai", "--capability", "tools", "--json"])
    assert 1 == len(json.loads(capsys.readouterr().out))


def test_a_failing_provider_is_told_and_the_rest_is_listed(
    listing: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """A provider that cannot be read is a sentence on stderr."""
    listing.on("*", Fault.status(401), provider="openai", operation="models")
    assert 0 == main(["models", "--refresh"])
    told = capsys.readouterr()
    assert "asyncllm: openai: " in told.err
    assert "gemini-2.5-flash" in told.out


def test_nothing_to_list(listing: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the first refresh, and where nothing fits, a sentence says what to do."""
    assert 1 == main(["models"])
    assert "asyncllm models --refresh asks the providers" in capsys.readouterr().err
    assert 1 == main(["models", "gemini", "--refresh", "--capability", "telepathy"])
    assert "no capability 'telepathy'" in capsys.readouterr().err
    listing.models = {"openai": [ListedModel("gone", retires=datetime.now(timezone.utc).date() + timedelta(days=1))]}
    assert 1 == main(["models", "openai", "--refresh"])
    assert "with --deprecated, there are some" in capsys.readouterr().err
    assert 1 == main(["models", "nope"])
    assert "no provider 'nope'" in capsys.readouterr().err
    listing.models = {"bedrock": []}
    assert 1 == main(["models", "bedrock", "--refresh"])
    assert "" == capsys.readouterr().out
    assert 1 == main(["models", "bedrock", "--json"])
    assert "[]\n" == capsys.readouterr().out


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (None, ""),
        (512, "512"),
        (8192, "8192"),
        (131_072, "131k"),
        (999_999, "1M"),
        (1_048_576, "1.05M"),
        (10**7, "10M"),
    ],
)
def test_tokens_in_three_digits(count: int | None, expected: str) -> None:
    """Small numbers as they are, larger ones in thousands and millions."""
    assert expected == tokens(count)


def test_notes() -> None:
    """What is said of a model's end: nothing, a day, or that it is deprecated and since when."""
    day = datetime(2027, 1, 2, tzinfo=timezone.utc)
    told = [
        note(ModelInfo(name="m", provider="p", input_price=Decimal(1))),
        note(ModelInfo(name="m", provider="p", retires_at=day)),
        note(ModelInfo(name="m", provider="p", deprecated=True)),
        note(ModelInfo(name="m", provider="p", deprecated=True, deprecated_since=day, retires_at=day)),
    ]
    assert ["", "ends 2027-01-02", "deprecated", "deprecated since 2027-01-02, ends 2027-01-02"] == told


def test_tables_leave_empty_columns_out() -> None:
    """A column without a cell is not shown; figures stand to the right."""
    assert ["a    n", "x    1", "yy  22"] == list(
        table(("a", "b", "n"), [("x", "", "1"), ("yy", "", "22")], right=frozenset({"n"}))
    )
    assert ["a"] == list(table(("a",), []))
