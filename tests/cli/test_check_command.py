"""``asyncllm check``: every model of every chain, every credential, and a sentence for each problem."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from asyncllm.cli.main import main
from asyncllm.testing import Fault, ListedModel, Simulator

pytestmark = pytest.mark.slow  # a whole command each, over sockets


@pytest.fixture(autouse=True)
def any_model_again(simulator: Simulator) -> None:
    simulator.models = None


def write(folder: Path, settings: Any) -> None:
    (folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf8")


def test_all_is_well(simulator: Simulator, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every model of every chain is proved, in the order of the configuration, and the code is 0."""
    assert 0 == main(["check"])
    lines = capsys.readouterr().out.splitlines()
    models = [model for entry in simulator.config()["providers"].values() for model in entry["fallback_models"]]
    assert len(models) == sum(line.startswith("ok ") for line in lines)
    assert "ok      openai/gpt-sim: gpt-sim works" in lines
    assert f"{len(models)} of {len(models)} checks passed, 6 providers" == lines[-1]
    assert 0 == main(["check", "gemini", "--quiet"])
    assert "" == capsys.readouterr().out


def test_each_problem_is_a_sentence(simulator: Simulator, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown model, a refused key and a model that ends: two problems, one remark, and the code is 1."""
    ends = ListedModel("ends", retires=date(2099, 1, 1))
    settings = simulator.config()
    settings["providers"] = {name: settings["providers"][name] for name in ("openai", "anthropic", "gemini")}
    settings["providers"]["openai"]["fallback_models"] = ["gpt-sim", "gpt-misspelt", ends.name]
    settings["routing"] = {"strategy": "latency", "targets": ["gpt-sim", ["gemini", "from-routing"]]}
    write(folder, settings)
    simulator.models = {"openai": ["gpt-sim", ends]}
    simulator.on("*", Fault.status(401), provider="anthropic", operation="model")
    assert 1 == main(["check"])
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("PROBLEM openai/gpt-misspelt: unknown: ") for line in lines)
    assert 3 == sum(line.startswith("PROBLEM anthropic/") and ": credential: " in line for line in lines)
    assert "note    openai/ends: ends works, but is deprecated and ends on 2099-01-01" in lines
    assert "ok      gemini/from-routing: from-routing works" in lines


def test_providers_without_models_and_without_keys(
    simulator: Simulator, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A provider without models is asked for its list; one without a key is a problem of its own."""
    settings = simulator.config()
    entries = settings["providers"]
    settings["providers"] = {
        "openai": entries["openai"],
        "gemini": entries["gemini"],
        "anthropic": entries["anthropic"],
    }
    del entries["gemini"]["fallback_models"]
    del entries["anthropic"]["api_key"]
    del entries["anthropic"]["fallback_models"]
    write(folder, settings)
    assert 1 == main(["check"])
    lines = capsys.readouterr().out.splitlines()
    assert "ok      gemini: lists 3 models; the configuration names none of them" in lines
    assert any(line.startswith("PROBLEM anthropic: ") and "no key" in line for line in lines)
    entries["anthropic"]["fallback_models"] = ["claude-sim"]
    write(folder, settings)
    assert 1 == main(["check", "anthropic"])
    assert "no key" in capsys.readouterr().out


def test_a_wrong_configuration(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every mistake in the file is a line of its own; an unknown provider is a sentence."""
    assert 1 == main(["check", "nope"])
    assert "no provider 'nope'" in capsys.readouterr().err
    write(folder, {"active_provider": "openai", "providers": {"openai": {"api_kee": "x"}}, "retri": {}})
    assert 1 == main(["check"])
    lines = capsys.readouterr().out.splitlines()
    assert 2 <= len(lines)
    assert all(line.startswith("PROBLEM configuration: ") for line in lines)


def test_progress_on_a_terminal(simulator: Simulator, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal one line says how far it is, and is empty at the end."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    assert 0 == main(["check", "openai"])
    shown = terminal.getvalue().split("\r")
    assert "[3/3] " == shown[3][:6]
    assert "" == shown[-2].strip() == shown[-1]
