"""The command line as real processes: signals, pipes and exit codes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from asyncllm import __version__
from asyncllm.testing import Simulator

pytestmark = pytest.mark.slow
ASYNCLLM = [sys.executable, "-W", "error", "-m", "asyncllm"]


@contextmanager
def started(*arguments: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """The command as a process, ended for certain."""
    process = subprocess.Popen(
        [*ASYNCLLM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_module_runs(tmp_path: Path) -> None:
    """``python -m asyncllm`` is the command line."""
    done = subprocess.run([*ASYNCLLM, "--version"], capture_output=True, text=True, cwd=tmp_path)
    assert (0, f"asyncllm {__version__}\n", "") == (done.returncode, done.stdout, done.stderr)


def test_a_question_through_a_pipe(folder: Path) -> None:
    """A question piped in is answered on stdout."""
    done = subprocess.run([*ASYNCLLM, "chat"], input="What is 2+2?", capture_output=True, text=True, cwd=folder)
    assert (0, "4\n") == (done.returncode, done.stdout)


def test_ctrl_c_ends_an_answer_quietly(folder: Path, simulator: Simulator) -> None:
    """An interrupt in the middle of an answer exits with 130, without a traceback."""
    simulator.behave("*", chunk_delay=0.05)
    try:
        with started("chat", "Count to 999", cwd=folder) as process:
            assert process.stdout is not None
            process.stdout.read(1)
            process.send_signal(signal.SIGINT)
            _, complaint = process.communicate(timeout=180)
    finally:
        simulator.behave("*", chunk_delay=0.0)
    assert (130, "") == (process.returncode, complaint)


def test_a_reader_that_goes_away_ends_the_answer(folder: Path, simulator: Simulator) -> None:
    """``asyncllm chat ... | head`` ends without a traceback, with the code of a broken pipe."""
    simulator.behave("*", chunk_delay=0.01)
    try:
        with started("chat", "Count to 999", cwd=folder) as process:
            assert process.stdout is not None
            process.stdout.read(1)
            process.stdout.close()
            assert process.stderr is not None
            complaint = process.stderr.read()
            process.wait(timeout=180)
            process.stdout = None
    finally:
        simulator.behave("*", chunk_delay=0.0)
    assert (141, "") == (process.returncode, complaint)


def test_the_simulator_serves_until_interrupted(tmp_path: Path) -> None:
    """`asyncllm simulate` prints a base URL a provider, answers there, and Ctrl-C ends it well."""
    with started("simulate", "--port", "0", cwd=tmp_path) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        found = next(filter(None, (re.match(r"openai +base_url (\S+)", line) for line in lines)))
        with urllib.request.urlopen(f"{found[1]}/models", timeout=10) as answer:
            assert 200 == answer.status
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=180)
    assert (0, "") == (process.returncode, complaint.strip())


def test_the_installed_command_is_there() -> None:
    """Installing the package puts ``asyncllm`` beside the interpreter."""
    command = Path(sys.executable).with_name("asyncllm")
    if not command.exists():
        pytest.skip("the package is used from its source folder here")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, env={"PATH": os.defpath})
    assert (0, f"asyncllm {__version__}\n") == (done.returncode, done.stdout)
