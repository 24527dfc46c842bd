"""`asyncllm demo`: the first thing that a newcomer runs."""

from __future__ import annotations

import re
import sys
import time

import pytest

from asyncllm.cli.main import main


@pytest.mark.slow
def test_the_demo_shows_every_provider(capsys: pytest.CaptureFixture[str]) -> None:
    """Each simulated provider answers, streams and is rescued by a fallback, with the usage of each call."""
    started = time.perf_counter()
    assert 0 == main(["demo"])
    assert time.perf_counter() - started < 10
    shown = capsys.readouterr()
    assert "" == shown.err
    for provider in ("openai", "anthropic", "gemini", "bedrock", "vertex", "azure"):
        for call in ("send", "stream", "fallback"):
            assert re.search(rf"{provider} +{call} +\S+ +[12] +\d+ +\d+ +\d+ +\d+", shown.out)
    assert "said 503" in shown.out
    assert "1 2 3 4 5 6 7 8 9 10" in shown.out


def test_without_rich_the_demo_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing extra is one sentence with the command that installs it."""
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert 1 == main(["demo"])
    assert "pip install 'asyncllm-client[cli]'" in capsys.readouterr().err
