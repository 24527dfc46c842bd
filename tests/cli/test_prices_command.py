"""``asyncllm prices``: the table, its JSON, and the check of the configured models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from asyncllm.cli.main import main


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration in the working directory with a local model that nobody prices."""
    settings: dict[str, Any] = {
        "active_provider": "openai",
        "active_model": "gpt-5.4",
        "providers": {
            "openai": {"api_key": "sk-x", "fallback_models": ["gpt-5.4-mini"]},
            "local": {"kind": "vllm", "fallback_models": ["llama", "other"]},
        },
        "routing": {"strategy": "cost", "targets": ["gpt-5.4", ["local", "llama"]]},
        "catalog": {"prices": {"local/llama": {"input": 0.1, "output": 0.2}}},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf8")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "config.yaml"


@pytest.mark.slow
def test_the_table_shows_what_fits(capsys: pytest.CaptureFixture[str]) -> None:
    """Rows whose provider/model holds the pattern, with a plus where a long input costs more."""
    assert 0 == main(["prices", "openai/gpt-5.4"])
    lines = capsys.readouterr().out.splitlines()
    assert "provider model input output cache read cache write source date".split() == lines[0].split()
    row = next(line.split() for line in lines if line.split()[1:2] == ["gpt-5.4"])
    assert ["openai", "gpt-5.4", "2.5+", "15+", "0.25+", "-", "genai-prices"] == row[:-1]
    assert "US dollars for a million tokens" in lines[-1]


@pytest.mark.slow
def test_a_pattern_may_have_wildcards(capsys: pytest.CaptureFixture[str]) -> None:
    """With ``*`` the whole name must fit."""
    assert 0 == main(["prices", "anthropic/claude-*-5-5"])
    lines = capsys.readouterr().out.splitlines()[1:-2]
    assert lines
    assert {"anthropic"} == {line.split()[0] for line in lines}


@pytest.mark.slow
def test_programs_read_json(capsys: pytest.CaptureFixture[str]) -> None:
    """``--json`` has prices as decimal strings, tiers, source and date; nothing found is an empty list."""
    assert 0 == main(["prices", "gemini-pro-vision", "--json"])
    told = json.loads(capsys.readouterr().out)
    model = next(model for model in told["models"] if "gemini" in model["providers"])
    assert ({"input": "0.5", "output": "1.5"}, "retired") == (model["prices"], model["source"])
    assert told["version"].startswith(model["date"])
    assert 0 == main(["prices", "no-such-model", "--json"])
    assert [] == json.loads(capsys.readouterr().out)["models"]


@pytest.mark.slow
def test_nothing_found_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """A pattern that no model fits ends in one sentence and exit code 1."""
    assert 1 == main(["prices", "no-such-model"])
    assert "no-such-model" in capsys.readouterr().err


@pytest.mark.slow
def test_the_list_shows_the_configurations_prices(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With ``--config`` its prices are listed too, marked as its own."""
    assert 0 == main(["prices", "local/llama", "--config", str(config)])
    assert ["-", "local/llama", "0.1", "0.2", "-", "-", "config", "-"] == capsys.readouterr().out.splitlines()[
        1
    ].split()


def test_the_check_names_what_has_no_price(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every configured model is looked up, once; an unpriced one is named and the exit code is 1."""
    assert 1 == main(["prices", "check"])
    lines = capsys.readouterr().out.splitlines()
    assert 2 == len(lines)
    assert lines[0].startswith("local/other has no price")
    assert "3 of 4 configured models are priced" == lines[1]


def test_the_check_speaks_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--json`` lists provider and model of what has no price."""
    assert 1 == main(["prices", "check", "--config", str(config), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (4, [{"provider": "local", "model": "other"}]) == (told["checked"], told["unpriced"])


def test_the_check_passes_without_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With no file the providers of the environment are checked; all priced is exit code 0."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-x")
    for name in ("OPENAI_API_KEY", "GITHUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert 0 == main(["prices", "check"])
    assert "configured models are priced" in capsys.readouterr().out
