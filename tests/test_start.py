"""What is imported when: `import asyncllm`, the first client, its first call."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

START = """
import asyncio, json, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
modules = [set(sys.modules)]
import asyncllm
modules.append(set(sys.modules))
url = f"http://127.0.0.1:{server.server_port}/v1"
entry = {"api_key": "sk-x", "base_url": url, "fallback_models": ["m"]}
client = asyncllm.Client({"active_provider": "openai", "providers": {"openai": entry}}, environ={})
modules.append(set(sys.modules))
loop_time = []

async def main():
    for _ in range(4):
        began = time.thread_time()
        assert (await client.send("hi")).text == "hi"
        loop_time.append(time.thread_time() - began)
        modules.append(set(sys.modules))
    await client.aclose()

asyncio.run(main())
found = [sorted(later - earlier) for earlier, later in zip(modules, modules[1:])]
names = ("import", "client", "call", "second")
print(json.dumps(dict(zip(names, found)) | {"loop_time": loop_time}))
"""
# What the first call of a client may import of ours; everything else was there, or is never needed for it.
FIRST_CALL = {
    "_models.price_data",
    "_transport.aiohttp_internals",
    "_transport.anyio_internals",
    "_transport.connection",
    "_transport.decompress",
    "_transport.failures",
    "_transport.http",
    "_transport.httpx_internals",
    "_transport.pool",
    "_transport.proxy",
    "_transport.proxy_words",
    "_transport.tls",
}
# What no client of OpenAI needs before its first call; the last four not even then.
LATER = {"httpx", "httpcore", "h11", "certifi", "pydantic_core", "trio"}
NEVER = {"pydantic", "botocore", "google", "aiohttp"}
FOREIGN_WIRES = ("_protocols.anthropic", "_protocols.gemini", "_protocols.converse", "_protocols.invoke")


@pytest.fixture(scope="module")
def start() -> dict[str, Any]:
    """The modules that each step imported, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def ours(modules: list[str]) -> set[str]:
    return {name.removeprefix("asyncllm.") for name in modules if name.startswith("asyncllm.")}


def tops(modules: list[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_importing_the_package_imports_nearly_nothing(start: dict[str, Any]) -> None:
    """`import asyncllm` gives names; what is behind them is imported when it is used."""
    assert {"_version"} >= ours(start["import"])


def test_a_client_imports_no_library_of_calls(start: dict[str, Any]) -> None:
    """Making a client imports neither an HTTP library nor a JSON parser nor a cloud's library."""
    assert set() == tops(start["client"]) & (LATER | NEVER)


def test_a_client_imports_only_the_wires_it_speaks(start: dict[str, Any]) -> None:
    """A client of OpenAI loads no other wire format, and no data of prices."""
    assert [] == [name for name in ours(start["client"]) if name.startswith(FOREIGN_WIRES)]
    assert "_models.price_data" not in ours(start["client"])


def test_the_first_call_imports_what_is_listed(start: dict[str, Any]) -> None:
    """A module that the first call newly needs is added to the list above, or imported earlier, or not at all."""
    assert set() == ours(start["call"]) - FIRST_CALL
    assert set() == tops(start["call"]) & NEVER
    assert set() == ours(start["second"])


DEADLINE = """
import asyncio, socket, threading, time
import asyncllm
deaf = socket.create_server(("127.0.0.1", 0))
arrived = []
threading.Thread(target=lambda: arrived.append((deaf.accept(), time.monotonic())), daemon=True).start()
url = f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"
entry = {"api_key": "sk-x", "base_url": url, "fallback_models": ["m"]}

async def main():
    client = asyncllm.Client({"active_provider": "openai", "providers": {"openai": entry}}, environ={})
    began = time.monotonic()
    try:
        if STREAMED:
            async for _ in client.stream("hi", timeout=3.0):
                pass
        else:
            await client.send("hi", timeout=3.0)
    except asyncllm.errors.DeadlineExceededError:
        print(time.monotonic() - began, arrived[0][1] - began if arrived else 3.0)
    await client.aclose()

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("streamed", [False, True])
def test_the_first_deadline_counts_the_imports(streamed: bool) -> None:
    """Without ``async with`` the first call imports what calls need: that time is a part of its deadline."""
    program = DEADLINE.replace("STREAMED", str(streamed))
    late = 0.0
    for _ in range(3):  # a busy machine wakes everybody late
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        ended, arrived = map(float, done.stdout.split())
        late = ended - 3.0
        if late < 0.1:
            return
        if arrived > 2.5:
            pytest.skip("the imports alone take as long as the deadline here")
    pytest.fail(f"the deadline was {late:.3f} s late")


@pytest.mark.slow
def test_the_first_call_leaves_the_event_loop_free(start: dict[str, Any]) -> None:
    """The loop's thread spends little more on the first call than on the second: imports happen in another thread."""
    first, *later = start["loop_time"]
    assert 0.015 > first - min(later)
