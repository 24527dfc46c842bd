"""A newcomer's first hour: one key of two, a config.yaml of another program, wrong flags, files that are none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from asyncllm.cli.main import main
from asyncllm.testing import Simulator


@pytest.fixture
def two(simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose configuration names two providers by variables; the key of one is set."""
    settings = {
        "active_provider": "openai",
        "providers": {
            name: {
                "api_key": f"${{{name.upper()}_API_KEY}}",
                "base_url": simulator.url(name),
                "fallback_models": [model],
            }
            for name, model in (("openai", "gpt-sim"), ("anthropic", "claude-sim"))
        },
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-sim")
    return tmp_path


def test_one_key_is_enough_for_its_provider(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--provider`` needs that provider's key and no other one."""
    assert 0 == main(["chat", "--provider", "anthropic", "What is 2+2?"])
    assert "4\n" == capsys.readouterr().out
    assert 1 == main(["chat", "What is 2+2?"])
    said = capsys.readouterr().err
    assert "config.yaml" in said
    assert "OPENAI_API_KEY is not set" in said


@pytest.mark.parametrize(
    ("command", "code"), [(["costs"], 0), (["costs", "--csv"], 0), (["models"], 1), (["prices", "check"], 1)]
)
def test_what_asks_nobody_needs_no_key(
    two: Path, capsys: pytest.CaptureFixture[str], command: list[str], code: int
) -> None:
    """Reports, prices and the list of models are read without any key."""
    assert code == main(command)
    printed = capsys.readouterr()
    assert "API_KEY" not in printed.out + printed.err


def test_check_says_which_key_is_missing(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The provider without a key is a problem of its own, with the line; the other one is proven."""
    assert 1 == main(["check"])
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("PROBLEM openai: ") and "OPENAI_API_KEY is not set" in line for line in lines)
    assert any(line.startswith("ok      anthropic/claude-sim") for line in lines)
    assert 0 == main(["check", "anthropic"])


def test_somebody_else_s_config_yaml_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ./config.yaml of another program is told of once, and the environment's keys count."""
    (tmp_path / "config.yaml").write_text("server:\n  port: !env 8080\nproviders_of: [x]\n", encoding="utf8")
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-sim")
    assert 1 == main(["models"])
    said = capsys.readouterr().err
    assert "of another program" in said
    assert "no models are known yet" in said
    assert 1 == main(["costs"])
    assert "there is no" not in capsys.readouterr().err


def test_the_users_own_config_counts_beside_somebody_elses(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a ./config.yaml of another program the user's own configuration is read."""
    (tmp_path / "config.yaml").write_text("server: {port: 8080}\n", encoding="utf8")
    (home / "asyncllm").mkdir()
    (home / "asyncllm" / "config.yaml").write_text(
        "active_provider: openai\nproviders: {openai: {api_key: k, fallback_models: [gpt-mine]}}\n", encoding="utf8"
    )
    monkeypatch.chdir(tmp_path)
    main(["prices", "check"])
    assert "gpt-mine" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["export", "gone/all.csv", "--config", "config.yaml"], ["record", "gone/a.json"]])
def test_a_file_in_a_folder_that_is_not_there(
    words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence names the file as it was written, and nothing starts."""
    assert 1 == main(words)
    said = capsys.readouterr().err
    assert words[1] in said
    assert "Errno" not in said
    assert ".part" not in said


@pytest.mark.parametrize(
    "words",
    [
        ["simulate", "--port", "99999"],
        ["simulate", "--port", "-1"],
        ["simulate", "--port", "x"],
        ["simulate", "--latency", "nan"],
        ["simulate", "--seed", "x"],
        ["costs", "--since", "yesterday"],
        ["costs", "--since", "999999w"],
        ["nope"],
    ],
)
def test_a_wrong_flag_is_a_sentence(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What no command takes is told by argparse, with the name of the flag."""
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert 2 == caught.value.code
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["costs", "--by", "nonsense"],
        ["costs", "--database", "nonsense"],
        ["costs", "--database", "sqlite:////nowhere/there/x.db"],
        ["costs", "--database", "postgresql://127.0.0.1:1/x"],
        ["costs", "--config", "missing.yaml"],
        ["chat", "--config", ".", "Hi"],
        ["chat", "--config", "binary.yaml", "Hi"],
        ["chat", "--config", "list.yaml", "Hi"],
        ["chat", "--provider", "nope", "Hi"],
        ["chat", "--provider", "", "Hi"],
        ["chat", "--model", "", "Hi"],
        ["chat", ""],
        ["models", "nope"],
        ["models", "--capability", "nonsense"],
        ["prices", "zzzzzz"],
        ["prices", "check", "--config", "missing.yaml"],
        ["check", "nope"],
    ],
)
def test_no_flag_ends_in_a_traceback(folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a flag holds, the command ends with exit code 1 and one sentence."""
    (folder / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    (folder / "list.yaml").write_text("- 1\n", encoding="utf8")
    assert 1 == main(words)
    said = capsys.readouterr().err
    assert said.startswith("asyncllm: ")
    assert 1 == said.count("\n")


def test_problems_can_be_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing is configured, the sentence that says so comes first, then what each provider wants."""
    monkeypatch.chdir(tmp_path)
    for variable in [name for name in os.environ if name.endswith(("_KEY", "_TOKEN", "_HOST"))]:
        monkeypatch.delenv(variable)
    assert 1 == main(["check"])
    first, second, *_ = capsys.readouterr().out.splitlines()
    told = "no provider is configured; set the variables of one, or write a configuration with asyncllm init"
    assert f"PROBLEM configuration: {told}" == first
    assert second.startswith("PROBLEM configuration: openai: OPENAI_API_KEY")
    assert 1 == main(["models"])
    assert "with asyncllm init: openai: OPENAI_API_KEY; anthropic: " in capsys.readouterr().err
