"""Scenarios: a simulator told by a file, and the servers of the command line for programs in any language."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import asyncllm
from asyncllm.testing import Simulator, load_scenario

pytestmark = pytest.mark.anyio
SCENARIO = """
models: {openai: [gpt-a, gpt-b]}
keys: [sk-right, "sk-team-*"]
replies:
  - {prompt: "(?i)weather", tool: get_weather, arguments: {city: Oslo}}
  - {model: gpt-b, text: I am b.}
faults:
  - {model: gpt-a, status: 503, times: 1}
latency: 0.01
"""


def told(url: str, prompt: str, *, model: str = "gpt-a", key: str = "sk-right") -> httpx.Response:
    """Asks a simulator as a program in another language would."""
    body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    body["tools"] = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]  # type: ignore[assignment]
    return httpx.post(f"{url}/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})


def test_a_scenario_says_models_keys_replies_and_faults(tmp_path: Path) -> None:
    """Each section of the file changes what the server answers; what it does not say is the built-in model's."""
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO)
    with running(load_scenario(path).simulator()) as url:
        assert 401 == told(url, "Hi", key="sk-wrong").status_code
        assert 404 == told(url, "Hi", model="gpt-c").status_code
        assert 503 == told(url, "Hi").status_code
        assert "4" == told(url, "What is 2+2?", key="sk-team-7").json()["choices"][0]["message"]["content"]
        assert "I am b." == told(url, "Hi", model="gpt-b").json()["choices"][0]["message"]["content"]
        call = told(url, "The weather?").json()["choices"][0]["message"]["tool_calls"][0]["function"]
        assert {"name": "get_weather", "arguments": '{"city": "Oslo"}'} == call


@contextmanager
def running(simulator: Simulator) -> Iterator[str]:
    """A simulator that was made already, in a thread of its own."""
    with Simulator.in_thread() as other:
        other._answering, other.models = simulator._answering, simulator.models
        yield other.url("openai")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("fautls: []", r"scenario.yaml:1: fautls: unknown key; did you mean 'faults'\?"),
        ("replies:\n  - {promt: x}", r"scenario.yaml:2: replies\[0\].promt: unknown key; did you mean 'prompt'\?"),
        ("replies: [{prompt: '('}]", r"replies\[0\].prompt: is no regular expression"),
        ("latency: -1", "latency: must be"),
        ("faults: [{kind: explode}]", r"faults\[0\].kind: must be"),
        ("- a", "scenario.yaml"),
    ],
)
def test_a_wrong_file_is_told_with_its_line(text: str, sentence: str, tmp_path: Path) -> None:
    """What is wrong is told with file, line and the nearest key."""
    path = tmp_path / "scenario.yaml"
    path.write_text(text)
    with pytest.raises(asyncllm.ConfigurationError, match=sentence):
        load_scenario(path)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("{kind: stall, status: 500}", "the fault stall does not take status"),
        ("{kind: status}", "the fault status needs status"),
        ("{status: 503, probability: 7}", "must lie between 0 and 1"),
    ],
)
def test_a_fault_that_cannot_be_is_told(fault: str, sentence: str, tmp_path: Path) -> None:
    """A detail that a kind of fault does not have is named."""
    path = tmp_path / "scenario.yaml"
    path.write_text(f"faults: [{fault}]")
    with pytest.raises(asyncllm.ConfigurationError, match=re.escape(sentence)):
        load_scenario(path).simulator()


@contextmanager
def command(*words: str, code: int = 0) -> Iterator[dict[str, str]]:
    """A command that serves; its base URLs by provider. Ctrl-C ends it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "asyncllm", *words, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        urls = {}
        for line in iter(process.stdout.readline, ""):  # type: ignore[union-attr]
            if found := re.match(r"(\w+) +base_url (\S+)", line):
                urls[found[1]] = found[2]
                if found[1] == "github" or (words[0] == "simulate" and found[1] == "azure"):
                    break
        yield urls
    finally:
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=180)
    assert code == process.returncode, complaints


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_the_command_line_plays_a_scenario(tmp_path: Path) -> None:
    """`asyncllm simulate --scenario` serves the file."""
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO)
    with command("simulate", "--scenario", str(path)) as urls:
        assert "I am b." == told(urls["openai"], "Hi", model="gpt-b").json()["choices"][0]["message"]["content"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
async def test_the_command_line_replays_a_file(tmp_path: Path) -> None:
    """`asyncllm simulate --replay` answers a program in any language; an unknown request gets a sentence."""
    from asyncllm.testing import Recording

    path = tmp_path / "it.json"
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    url = "https://api.openai.com/v1/chat/completions"
    recording = Recording(path, mode="new")
    simulator = Simulator(reply="recorded")
    from asyncllm._testing.recorded_transport import RecordedTransport

    transport = RecordedTransport(recording, httpx.MockTransport(simulator.respond))
    async with httpx.AsyncClient(transport=transport) as http:
        await http.post(url, json=body)
    recording.save()
    with command("simulate", "--replay", str(path)) as urls:
        async with httpx.AsyncClient() as http:
            answer = await http.post(f"{urls['openai']}/chat/completions", json=body)
            assert "recorded" == answer.json()["choices"][0]["message"]["content"]
            unknown = await http.post(f"{urls['openai']}/chat/completions", json={**body, "model": "n"})
            nowhere = await http.post(urls["openai"].replace("/openai/v1", "/nobody/x"), json=body)
    assert 404 == unknown.status_code
    assert 'model is "n" (recorded: "m")' in unknown.json()["error"]["message"]
    assert "names no provider" in nowhere.json()["error"]["message"]


async def test_the_relay_records_what_the_provider_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`asyncllm record` sends requests on with the program's own key, and stores the answers without it."""
    from asyncllm._testing import relay
    from asyncllm.testing import Recording

    path = tmp_path / "it.json"
    key = "sk-sim-of-the-program-123456"
    async with Simulator(require_key=key) as sim:
        monkeypatch.setattr(relay, "upstream", lambda target: f"http://127.0.0.1:{sim.port}{target}")
        async with relay.Relay(Recording(path, mode="new")).serving() as serving:
            body = {"model": "m", "messages": [{"role": "user", "content": "Count to 9"}], "stream": True}
            async with httpx.AsyncClient(headers={"authorization": f"Bearer {key}"}) as http:
                answer = await http.post(f"{serving.urls()['openai']}/chat/completions", json=body)
    assert "[DONE]" in answer.text
    assert 1 == len(Recording(path))
    assert key not in path.read_text()


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("/openai/v1/models", "https://api.openai.com/v1/models"),
        ("/groq/v1/chat/completions?a=1", "https://api.groq.com/openai/v1/chat/completions?a=1"),
        ("/anthropic/v1/messages", "https://api.anthropic.com/v1/messages"),
        ("/deepseek/v1/chat/completions", "https://api.deepseek.com/chat/completions"),
        ("/ollama/v1/models", None),
        ("/nobody/v1/models", None),
    ],
)
def test_a_path_is_sent_on_to_the_real_address(target: str, url: str | None) -> None:
    """The kind in front of the path says whose address it is."""
    from asyncllm._testing.relay import upstream

    assert url == upstream(target)
