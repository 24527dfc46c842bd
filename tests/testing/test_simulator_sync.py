"""The simulator in a thread of its own."""

from __future__ import annotations

import subprocess
import sys
import threading

import anyio
import httpx
import pytest

from asyncllm.testing import Simulator
from asyncllm.testing.__main__ import main

HI = {"model": "gpt-sim", "messages": [{"role": "user", "content": "What is 2+2?"}]}


def test_in_thread() -> None:
    """Blocking code gets a running simulator, whose thread ends with it."""
    with Simulator.in_thread(reply="hello") as sim:
        answer = httpx.post(f"{sim.url('openai')}/chat/completions", json=HI)
        assert "hello" == answer.json()["choices"][0]["message"]["content"]
        assert 1 == sim.count()
    assert not [thread for thread in threading.enumerate() if thread.name == "asyncllm-simulator"]


def test_in_thread_on_a_taken_port() -> None:
    """A port that somebody else has is an OSError here too."""
    with (
        Simulator.in_thread() as sim,
        pytest.raises(OSError, match="in use"),
        Simulator.in_thread(port=sim.port),
    ):
        pass


@pytest.mark.asyncio
async def test_under_another_plugin() -> None:
    """It may be opened and closed under pytest-asyncio as well."""
    async with Simulator() as sim, httpx.AsyncClient() as http:
        assert 200 == (await http.post(f"{sim.url('openai')}/chat/completions", json=HI)).status_code


@pytest.mark.anyio
async def test_the_command_in_process(capsys: pytest.CaptureFixture[str]) -> None:
    """The command names the URL of every main provider."""
    with anyio.move_on_after(0.5):
        await main(0)
    expected = ["openai", "anthropic", "gemini", "bedrock", "vertex", "azure"]
    assert expected == [line.split()[0] for line in capsys.readouterr().out.splitlines()]


@pytest.mark.slow
def test_as_a_command() -> None:
    """The command prints the URLs and serves them."""
    command = [sys.executable, "-m", "asyncllm.testing", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        kind, url = process.stdout.readline().split()
        assert "openai" == kind
        assert 200 == httpx.post(f"{url}/chat/completions", json=HI).status_code
        process.terminate()
