"""Finding the command, and what becomes of errors, interrupts and readers that went away."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from asyncllm import RateLimitError, __version__
from asyncllm.cli import main as command_line


def run_as(monkeypatch: pytest.MonkeyPatch, run: object) -> int:
    """The exit code when the demo's work is replaced by ``run``."""
    commands = {**command_line.COMMANDS, "demo": SimpleNamespace(configure=lambda parser: None, run=run)}
    monkeypatch.setattr(command_line, "COMMANDS", commands)
    return command_line.main(["demo"])


def raising(error: BaseException) -> object:
    """A command that fails."""

    def run(arguments: object) -> int:
        raise error

    return run


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """``--version`` prints the package's version and ends well."""
    with pytest.raises(SystemExit) as caught:
        command_line.main(["--version"])
    assert 0 == caught.value.code
    assert f"asyncllm {__version__}\n" == capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["dance"], ["chat", "--colour"], ["simulate", "--latency", "-1"]])
def test_wrong_usage_is_told_apart(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage exits with 2 and shows the usage on stderr."""
    with pytest.raises(SystemExit) as caught:
        command_line.main(arguments)
    assert 2 == caught.value.code
    assert "usage: asyncllm" in capsys.readouterr().err


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """``--help`` lists the commands, a sentence each."""
    with pytest.raises(SystemExit):
        command_line.main(["--help"])
    shown = capsys.readouterr().out
    for name in command_line.COMMANDS:
        assert {f"    {name} ", f"    {name}\n"} & {line[: len(name) + 5] for line in shown.splitlines(keepends=True)}


def test_an_error_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What went wrong is one line on stderr, without a traceback, and the exit code is 1."""
    error = RateLimitError("slow\ndown", provider="openai", retry_after=2)
    assert 1 == run_as(monkeypatch, raising(error))
    assert "asyncllm: slow down (provider=openai, retry_after=2)\n" == capsys.readouterr().err


def test_a_refused_port_is_one_sentence_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of the operating system is told like any other."""
    assert 1 == run_as(monkeypatch, raising(OSError(98, "Address already in use")))
    assert "asyncllm: [Errno 98] Address already in use\n" == capsys.readouterr().err


def test_an_interrupt_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C exits with 130 and says nothing."""
    assert 130 == run_as(monkeypatch, raising(KeyboardInterrupt()))
    assert ("", "") == capsys.readouterr()


def test_parsing_needs_nothing_heavy() -> None:
    """The command line is parsed without loading HTTP, pydantic, anyio or rich."""
    heavy = ["pydantic", "httpx", "yaml", "anyio", "asyncio", "rich", "ssl"]
    code = f"import sys, asyncllm.cli.main as m; m.build_parser(); print([n for n in {heavy!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]\n" == done.stdout
