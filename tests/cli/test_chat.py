"""`asyncllm chat` against the simulator, through a configuration file."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from asyncllm.cli.main import main
from asyncllm.testing import Fault, Simulator

KEYS = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY"]


@pytest.mark.slow
def test_the_answer_goes_to_stdout_and_its_usage_to_stderr(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe carries the answer and nothing else."""
    assert 0 == main(["chat", "What is 2+2?"])
    shown = capsys.readouterr()
    assert "4\n" == shown.out
    assert shown.err.startswith("openai gpt-sim · ")
    assert " tokens · " in shown.err


def test_the_answer_is_streamed(folder: Path, simulator: Simulator) -> None:
    """What the terminal shows arrives as a stream."""
    assert 0 == main(["chat", "Count to 3"])
    assert [True] == [request.stream for request in simulator.requests]


def test_provider_and_model_are_chosen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--provider`` and ``--model`` name who is asked."""
    assert 0 == main(["chat", "--provider", "anthropic", "--model", "claude-sim-mini", "What is 2+2?"])
    assert capsys.readouterr().err.startswith("anthropic claude-sim-mini · ")


def test_a_config_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--config`` is read from wherever it lies."""
    config = tmp_path / "config.yaml"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert 0 == main(["chat", "--config", str(config), "Hello"])


def test_json_is_one_object(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--json`` prints one object with everything a script asks for, and nothing beside it."""
    assert 0 == main(["chat", "--json", "What is 2+2?"])
    shown = capsys.readouterr()
    reply = json.loads(shown.out)
    assert "" == shown.err
    assert "4" == reply["text"]
    assert "stop" == reply["finish_reason"]
    assert ("openai", "gpt-sim") == (reply["provider"], reply["model"])
    assert reply["usage"]["total_tokens"] == reply["usage"]["input_tokens"] + reply["usage"]["output_tokens"]
    assert reply["cost"] is None
    assert reply["request_id"]
    assert ["ok"] == [attempt["outcome"] for attempt in reply["attempts"]]
    assert [] == reply["warnings"]


def test_json_tells_of_the_fallback(folder: Path, simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """A failed attempt is in the object, with its status and its error."""
    simulator.on("gpt-sim", Fault.status(404))
    assert 0 == main(["chat", "--json", "Hello"])
    attempts = json.loads(capsys.readouterr().out)["attempts"]
    assert [("gpt-sim", 404), ("gpt-sim-mini", 200)] == [(each["model"], each["status"]) for each in attempts]
    assert attempts[0]["error"].startswith("ModelNotFoundError: ")


@pytest.mark.parametrize("arguments", [["chat"], ["chat", "-"]])
def test_the_question_comes_from_stdin(
    arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without an argument, or with ``-``, stdin is the question."""
    monkeypatch.setattr("sys.stdin", io.StringIO("What is 3*4?\n"))
    assert 0 == main(arguments)
    assert "12\n" == capsys.readouterr().out


def test_a_terminal_is_told_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever starts it without a question at a terminal learns that it waits for one."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal("What is 3*4?\n"))
    assert 0 == main(["chat", "-"])
    assert "Type the question, then Ctrl-D:\n" in capsys.readouterr().err


def test_no_question_is_an_error(
    folder: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is sent for an empty question."""
    monkeypatch.setattr("sys.stdin", io.StringIO("  \n"))
    assert 1 == main(["chat"])
    assert "there is no question" in capsys.readouterr().err
    assert 0 == len(simulator.requests)


def test_a_provider_s_refusal_is_one_sentence(
    folder: Path, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong key ends in one line on stderr and exit code 1; nothing is on stdout."""
    simulator.on("*", Fault.status(401))
    assert 1 == main(["chat", "Hello"])
    shown = capsys.readouterr()
    assert "" == shown.out
    assert 1 == shown.err.count("\n")
    assert "status=401" in shown.err


def test_a_cut_stream_is_an_error(folder: Path, simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """What came is shown, its line is ended, and the exit code says that it is not the whole."""
    simulator.on("*", Fault.cut(after_events=2))
    assert 1 == main(["chat", "Count to 10"])
    shown = capsys.readouterr()
    assert shown.out.startswith("1 2 ")
    assert shown.out.endswith("\n")
    assert 1 == shown.err.count("\n")


def test_a_config_that_is_not_there_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file is an error that names it."""
    assert 1 == main(["chat", "--config", "nowhere.yaml", "Hello"])
    assert "nowhere.yaml" in capsys.readouterr().err


def test_without_config_and_keys_the_variables_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever starts with nothing learns which variables would do."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", {})
    assert 1 == main(["chat", "Hello"])
    shown = capsys.readouterr().err
    for key in KEYS:
        assert key in shown


def test_warnings_are_shown(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the client left out on the way is said on stderr."""
    from dataclasses import replace

    from asyncllm._engine.stream import Stream

    real = Stream.response
    monkeypatch.setattr(Stream, "response", property(lambda self: replace(real.fget(self), warnings=("no seed",))))
    assert 0 == main(["chat", "Hello"])
    assert "warning: no seed\n" in capsys.readouterr().err
