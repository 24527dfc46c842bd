"""Processes and loops of others: preforking servers, green threads, frozen programs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from answering_server import serving
from asyncllm._pyinstaller import get_hook_dirs

CHAT = {
    "id": "c",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
}
BEGIN = """
import os, sys
import asyncio
import asyncllm
url, database = sys.argv[1:]
config = {
    "active_provider": "p",
    "providers": {"p": {"kind": "openai_compatible", "base_url": url + "/v1", "fallback_models": ["m"]}},
    "cost_tracking": {"database": "sqlite:///" + database},
}
"""
PRELOADED = """
blocking, client = asyncllm.SyncClient(config), asyncllm.Client(config)  # as `gunicorn --preload` imports a module
for _ in range(2):
    if os.fork() == 0:
        print(blocking.send("hi").text, asyncio.run(client.send("hi")).text, flush=True)
        os._exit(0)
    os.wait()
"""
USED = """
client = asyncllm.SyncClient(config)
client.send("hi")
if os.fork() == 0:
    try:
        client.send("hi")
    except asyncllm.errors.ClientStateError as error:
        print(error, flush=True)
    os._exit(0)
os.wait()
"""
LOOPS = """
client = asyncllm.Client(config)
for _ in range(3):  # as AWS Lambda and scripts do
    print(asyncio.run(client.send("hi")).text)
"""
GREEN = (
    """
from gevent import monkey
monkey.patch_all()
import gevent, time
"""
    + BEGIN
    + """
client, ticks = asyncllm.SyncClient(config), []
client.send("hi")

def tick():
    while True:
        ticks.append(time.monotonic())
        gevent.sleep(0.01)

ticking = gevent.spawn(tick)
jobs = [gevent.spawn(client.send, "hi") for _ in range(10)]
print([job.get().text for job in jobs].count("ok"), len(ticks) > 5)
client.close()
"""
)


def output(program: str, folder: Path, pause: float = 0.0) -> list[str]:
    """The lines that a program prints, beside a server that answers it."""
    with serving(CHAT, pause=pause) as server:
        command = [sys.executable, "-c", program, server.url, str(folder / "ledger.db")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert 0 == done.returncode, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_client_made_before_a_fork_works_in_each_child(tmp_path: Path) -> None:
    """What a preforking server imports once, and does not use, each of its workers may use."""
    assert ["ok ok", "ok ok"] == output(BEGIN + PRELOADED, tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_client_used_before_a_fork_says_so_in_the_child(tmp_path: Path) -> None:
    """A sentence instead of a wait without end."""
    (line,) = output(BEGIN + USED, tmp_path)
    assert "before the process was forked" in line


def test_a_client_goes_from_one_event_loop_to_the_next(tmp_path: Path) -> None:
    """Each ``asyncio.run`` has a loop of its own, and the client outlives it."""
    assert ["ok"] * 3 == output(BEGIN + LOOPS, tmp_path)


def test_green_threads_share_a_client(tmp_path: Path) -> None:
    """Under gevent ten calls run at the same time, and other greenlets go on meanwhile."""
    pytest.importorskip("gevent")
    assert ["10 True"] == output(GREEN, tmp_path, pause=0.2)


def test_pyinstaller_finds_its_hook() -> None:
    """The folder that the entry point gives holds the hook, which names data files and modules."""
    (folder,) = get_hook_dirs()
    hook = (Path(folder) / "hook-asyncllm.py").read_text(encoding="utf8")
    assert "collect_data_files" in hook
    assert "collect_submodules" in hook


def test_a_frozen_program_runs(tmp_path: Path) -> None:
    """A program that PyInstaller packed knows prices and makes calls."""
    pytest.importorskip("PyInstaller")
    program = tmp_path / "program.py"
    program.write_text(BEGIN + "print(asyncllm.SyncClient(config).send('hi').text)\n", encoding="utf8")
    build = [
        sys.executable,
        "-m",
        "PyInstaller",
        "--onedir",
        "--distpath",
        "dist",
        "--workpath",
        "w",
        "--specpath",
        "s",
    ]
    hooks = ["--additional-hooks-dir", *get_hook_dirs()]
    subprocess.run([*build, *hooks, str(program)], cwd=tmp_path, check=True, capture_output=True, timeout=400)
    with serving(CHAT) as server:
        command = [str(tmp_path / "dist" / "program" / "program"), server.url, str(tmp_path / "ledger.db")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ("ok\n", 0) == (done.stdout, done.returncode), done.stderr
