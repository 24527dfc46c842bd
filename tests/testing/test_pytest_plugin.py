"""The pytest plugin, in runs of pytest of its own, as a user's project has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from asyncllm.testing import Simulator

PLUGIN = ("-p", "asyncllm.testing.pytest_plugin")  # where the package is installed, its entry point does this
UNUSED = ("-p", "no:schemathesis", "-p", "no:hypothesispytest")  # plugins of this environment that load for seconds
SETTINGS = """
[pytest]
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


def pytest(folder: Path, *arguments: str, **environ: str) -> tuple[str, int]:
    """Runs pytest in a folder, and gives what it printed and its exit code."""
    (folder / "pytest.ini").write_text(SETTINGS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *UNUSED, *PLUGIN, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environ},
    )
    return done.stdout + done.stderr, done.returncode


def test_the_fixtures_serve_every_kind_of_test(tmp_path: Path) -> None:
    """One set of fixtures serves anyio on both loops, pytest-asyncio and blocking tests, without a warning."""
    (tmp_path / "test_it.py").write_text(
        """
import pytest
from asyncllm.testing import Fault

@pytest.mark.anyio
async def test_anyio(llm_client, llm_simulator):
    llm_simulator.script("one", Fault.status(503), "two")
    assert (await llm_client.send("Hi")).text == "one"
    assert (await llm_client.send("Hi again")).text == "two"
    llm_simulator.assert_sent(times=2, prompt="Hi again", model="gpt-sim")

@pytest.mark.asyncio
async def test_asyncio(llm_client):
    assert [text async for text in llm_client.stream("Count to 3").text()]

@pytest.mark.llm_simulator(reply="as marked")
def test_blocking(llm_sync_client):
    assert llm_sync_client.send("Hi").text == "as marked"
"""
    )
    told, code = pytest(tmp_path, "--strict-markers")
    assert 0 == code, told
    assert "4 passed" in told


def test_the_network_is_forbidden_where_the_marker_says_so(tmp_path: Path) -> None:
    """A connection to another machine fails the test, also when it was caught; the loopback is allowed."""
    (tmp_path / "test_it.py").write_text(
        """
import socket
import pytest
import asyncllm

@pytest.mark.llm_no_network
def test_local(llm_sync_client):
    llm_sync_client.send("Hi")

@pytest.mark.llm_no_network
@pytest.mark.anyio
async def test_remote():
    async with asyncllm.Client(provider="openai", model="gpt-5.4-mini", api_key="sk-test") as client:
        await client.send("Hi")

@pytest.mark.llm_no_network
def test_caught():
    try:
        socket.create_connection(("203.0.113.7", 80), timeout=1)
    except BaseException:
        pass

def test_unmarked_is_as_before():
    assert "guarded" not in socket.getaddrinfo.__name__
"""
    )
    told, code = pytest(tmp_path)
    assert 1 == code
    assert "3 failed, 2 passed" in told, told
    assert "a connection to api.openai.com:443 was tried" in told
    assert "a connection to 203.0.113.7:80 was tried" in told


def test_a_script_that_is_too_short_fails_the_test(tmp_path: Path) -> None:
    """A request after the last scripted answer is an error, even where the application swallows it."""
    (tmp_path / "test_it.py").write_text(
        """
def test_it(llm_sync_client, llm_simulator):
    llm_simulator.script("only this")
    llm_sync_client.send("Hi")
    try:
        llm_sync_client.send("one more")
    except Exception:
        pass
"""
    )
    told, code = pytest(tmp_path)
    assert 1 == code
    assert "the script of the simulator has 1 answers, and one more request came" in told


def test_a_recording_is_made_once_and_replayed(tmp_path: Path) -> None:
    """Without a recording the test says how to make one; with the flag it asks; after that it needs no server."""
    (tmp_path / "test_it.py").write_text(
        """
import os
import pytest

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.llm_no_network
async def test_it(llm_recording):
    async with llm_recording.client(
        provider="openai", model="gpt-sim", base_url=os.environ["WHERE"], api_key="sk-test-1234567890123456"
    ) as client:
        assert (await client.send("What is 2+2?")).text == "4"
"""
    )
    with Simulator.in_thread() as simulator:
        where = simulator.url("openai")
        told, code = pytest(tmp_path, WHERE=where)
        assert 1 == code
        assert "run pytest with --llm-record=new" in told
        assert 0 == pytest(tmp_path, "--llm-record=new", WHERE=where)[1]
        assert 1 == simulator.count()
    told, code = pytest(tmp_path, WHERE=where)
    assert 0 == code, told
    stored = json.loads((tmp_path / "recordings" / "test_it" / "test_it_asyncio.json").read_text())
    assert 1 == len(stored["exchanges"])


def test_a_run_that_does_not_use_it_imports_nothing_more(tmp_path: Path) -> None:
    """The plugin is loaded in every run of every project, so it brings no module of the library but its own."""
    (tmp_path / "test_it.py").write_text(
        """
import sys

def test_it():
    ours = sorted(name for name in sys.modules if name.startswith("asyncllm"))
    assert ours == ["asyncllm", "asyncllm._version", "asyncllm.testing", "asyncllm.testing.pytest_plugin"]
"""
    )
    told, code = pytest(tmp_path)
    assert 0 == code, told
