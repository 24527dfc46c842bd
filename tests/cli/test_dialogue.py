"""`asyncllm init`, the conversation of `asyncllm chat`, its files, options and tools, and `asyncllm logs`."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest
import yaml

from asyncllm import Client
from asyncllm.cli.main import main
from asyncllm.testing import Simulator

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 16


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Lets a user sit at the terminal who types these lines and then Ctrl-D."""
    waiting = iter(lines)

    def read(prompt: str = "") -> str:
        try:
            return next(waiting)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", read)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)


def test_a_conversation_remembers(
    folder: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a question on a terminal a conversation begins; each turn has the ones before it."""
    typed(monkeypatch, "What is 2+2?", "", "/cost", "/model gpt-sim-mini", "Count to 3", "/model", "/nonsense", "/quit")
    assert 0 == main(["chat", "--system", "Be brief."])
    shown = capsys.readouterr()
    assert ["4", "1 2 3"] == [line for line in shown.out.splitlines() if line[:1].isdigit()]
    assert "of unknown cost" in shown.out
    assert "there is no command /nonsense" in shown.out
    assert ["gpt-sim", "gpt-sim-mini"] == [request.model for request in simulator.requests]
    roles = [message["role"] for message in simulator.requests[-1].body["messages"]]
    assert ["system", "user", "assistant", "user"] == roles


def test_the_last_conversation_goes_on(folder: Path, simulator: Simulator, home: Path) -> None:
    """``-c`` continues what was asked last, in a file that only its owner can read."""
    assert 0 == main(["chat", "My name is Ada."])
    assert 0 == main(["chat", "-c", "What is my name?"])
    texts = [message["content"] for message in simulator.requests[-1].body["messages"] if message["role"] == "user"]
    assert ["My name is Ada.", "What is my name?"] == texts
    kept = home / "asyncllm" / "last-conversation.json"
    if os.name == "posix":
        assert 0o600 == stat.S_IMODE(kept.stat().st_mode)


def test_nothing_to_continue(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without an earlier conversation ``-c`` says so."""
    assert 1 == main(["chat", "-c", "Hi"])
    assert "there is no conversation to continue yet" in capsys.readouterr().err


def test_a_conversation_is_saved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``/save`` writes what `Client.conversation` can read."""
    typed(monkeypatch, "Hi", "/save talk.json")
    assert 0 == main(["chat"])
    talk = Client("config.yaml").conversation(saved=Path("talk.json").read_text())
    assert ["user", "assistant"] == [message.role for message in talk.messages]


def test_files_options_and_a_schema_are_sent(folder: Path, simulator: Simulator, tmp_path: Path) -> None:
    """``-a``, ``-o`` and ``--schema`` are parts and keywords of the call."""
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "b.txt").write_text("some words")
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    (tmp_path / "s.json").write_text(json.dumps(schema))
    words = ["-a", "a.png", "-a", "b.txt", "-o", "seed=7", "--option", "max-tokens=50", "--schema", "s.json", "What?"]
    assert 0 == main(["chat", "--model", "gpt-sim", *words])
    body = simulator.requests[-1].body
    assert 7 == body["seed"]
    assert "json_schema" == body["response_format"]["type"]
    kinds = [part["type"] for part in body["messages"][0]["content"]]
    assert "image_url" in kinds
    assert "some words" in json.dumps(body["messages"])


def test_a_function_is_called(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--tool`` names a function of a file in this folder."""
    (tmp_path / "weather_of_the_test.py").write_text(
        'def get_weather(city: str) -> str:\n    """Gets the weather."""\n    return "rain"\n'
    )
    assert 0 == main(["chat", "--tool", "weather_of_the_test:get_weather", "The weather in Oslo?"])
    assert "The tool answered: rain" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-o", "seedd=1"], "--option seedd=1: write NAME=VALUE with one of"),
        (["-o", "seed"], "--option seed: write NAME=VALUE"),
        (["-a", "none.png"], "--attach none.png: No such file"),
        (["--schema", "none.json"], "--schema none.json: No such file"),
        (["--schema", "{"], "--schema is no JSON"),
        (["--tool", "none:f"], "--tool none:f: No module named 'none'; write MODULE:FUNCTION"),
    ],
)
def test_wrong_words_get_a_sentence(
    folder: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be read is named, with what to write."""
    assert 1 == main(["chat", *words, "Hi"])
    assert sentence in capsys.readouterr().err


def test_the_log_is_off_until_switched_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written before ``logs on``; after it questions can be searched, as text and as JSON."""
    main(["chat", "before"])
    main(["logs"])
    assert "the log is off; asyncllm logs on switches it on" in capsys.readouterr().out
    main(["logs", "on"])
    main(["chat", "Tell me of Oslo"])
    main(["chat", "What is 2+2?"])
    capsys.readouterr()
    main(["logs", "oslo"])
    found = capsys.readouterr().out
    assert "> Tell me of Oslo" in found
    assert "2+2" not in found
    main(["logs", "-n", "1", "--json"])
    assert "4" == json.loads(capsys.readouterr().out)["answer"]
    main(["logs", "off"])
    main(["chat", "after"])
    capsys.readouterr()
    main(["logs", "after"])
    assert "" == capsys.readouterr().out


def test_init_without_a_key_says_what_else_there_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no key is found, the sentence names the variables and what works without one."""
    for variable in [name for name in os.environ if name.endswith(("_API_KEY", "_TOKEN"))]:
        monkeypatch.delenv(variable)
    assert 1 == main(["init", "--output", "new.yaml"])
    told = capsys.readouterr().err
    assert "no key of a provider is in the environment" in told
    assert "OPENAI_API_KEY" in told
    assert "asyncllm simulate -- PROGRAM" in told
    assert not Path("new.yaml").exists()


def test_init_writes_a_configuration_of_what_is_there(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The keys of the environment are found, their providers asked, and the file holds variables, not keys."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.endswith(("_KEY", "_TOKEN", "_CREDENTIALS"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-sim-openai")
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.url("openai"))
    assert 0 == main(["init"])
    text = (tmp_path / "config.yaml").read_text()
    written = yaml.safe_load(text)
    assert {"api_key": "${OPENAI_API_KEY}", "fallback_models": ["gpt-sim", "gpt-sim-mini"]} == written["providers"][
        "openai"
    ]
    assert "sk-sim-openai" not in text
    assert "# it also has: gpt-sim-nano" in text
    assert "3 models" in capsys.readouterr().out
    assert 0 == main(["chat", "Hi"])
    assert 1 == main(["init"])
    assert "config.yaml is there already; --force" in capsys.readouterr().err
    assert 0 == main(["init", "--force", "--offline"])


def test_the_users_own_configuration_is_read(
    simulator: Simulator,
    tmp_path: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In a folder without a configuration the user's own one is used."""
    monkeypatch.chdir(tmp_path)
    place = home / "asyncllm"
    place.mkdir()
    (place / "config.yaml").write_text(yaml.safe_dump(simulator.config()))
    assert 0 == main(["chat", "What is 2+2?"])
    assert "4\n" == capsys.readouterr().out
