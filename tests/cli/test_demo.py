"""`asyncllm demo`: the first thing that a newcomer runs."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from decimal import Decimal

import pytest

from asyncllm.cli.main import main
from machine_speed import slowness

COLOUR = re.compile(r"\x1b\[[\d;]*m")
PROVIDERS = ("openai", "anthropic", "gemini", "bedrock", "vertex", "azure")


@pytest.mark.slow
def test_the_demo_shows_what_the_library_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In colour and 80 columns: all providers answer, stream and are rescued; a tool, a typed answer, a report."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    started = time.process_time()
    assert 0 == main(["demo"])
    assert time.process_time() - started < 3.5 * slowness(), "with 0.7 s of pauses in the streams that is five seconds"
    coloured, complaints = capsys.readouterr()
    assert "" == complaints
    assert "\x1b[32m4\x1b[0m" in coloured
    shown = COLOUR.sub("", coloured)
    assert [] == [line for line in shown.splitlines() if len(line) > 80]
    assert [*PROVIDERS, "built on one call"] == re.findall(r"^(\w[\w ]*)$", shown, re.MULTILINE)
    assert 6 == len(re.findall(r"^  send +What is 2\+2\? → 4  4 tokens, \$0\.000008$", shown, re.MULTILINE))
    assert 6 == len(re.findall(r"^  stream +Count to 10 → 1 2 3 4 5 6 7 8 9 10  8 tokens, \$", shown, re.MULTILINE))
    assert 6 == len(re.findall(r"^  fallback +\S+ said 503, \S+ answered → ", shown, re.MULTILINE))
    assert '→ get_weather({"city": "Oslo"})\n' in shown
    assert "→ Rain at 17 degrees: take an umbrella.  2 steps, $0." in shown
    assert "→ {'name': 'Oslo', 'country': 'Norway'}  $0." in shown
    rows = re.findall(r"^ (\w+) +\S+ +(\d+) +(\d*) +\d+ +\d+ +(0\.\d+) +\d+ *$", shown, re.MULTILINE)
    assert 12 == len(rows)
    assert set(PROVIDERS) == {provider for provider, _, failed, _ in rows if failed == "1"}
    spent = sum(Decimal(cost) for *_, cost in rows)
    assert f"spent ${spent:f}, at invented prices" in shown


def test_the_demo_ends_quietly_when_nobody_reads_it() -> None:
    """``asyncllm demo | head`` prints no traceback."""
    command = [sys.executable, "-m", "asyncllm", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"" == process.stderr.read()
    assert 141 == process.returncode


def test_without_rich_the_demo_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing extra is one sentence with the command that installs it."""
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert 1 == main(["demo"])
    assert "pip install 'asyncllm-client[cli]'" in capsys.readouterr().err
