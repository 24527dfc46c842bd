"""The simulator as a server: its lifetime, and clients that are not polite."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator

import anyio
import httpx
import pytest

from asyncllm.testing import Simulator

pytestmark = pytest.mark.anyio

HI = {"model": "gpt-sim", "messages": [{"role": "user", "content": "What is 2+2?"}]}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=5) as client:
        yield client


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator() as running:
        yield running


def chat(sim: Simulator) -> str:
    return f"{sim.url('openai')}/chat/completions"


async def test_lifetime(http: httpx.AsyncClient) -> None:
    """It is closed for certain: the port is free, stalled answers end, and it can be opened again."""
    sim = Simulator()
    with pytest.raises(RuntimeError, match="not running"):
        sim.url("openai")
    async with sim:
        port = sim.port
        with pytest.raises(RuntimeError, match="already running"):
            await sim.__aenter__()
        await http.post(chat(sim), json=HI)
        assert 1 == sim.open_connections
    assert 0 == sim.open_connections
    with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.1", port), timeout=1):
        pass
    async with sim:
        assert 200 == (await http.post(chat(sim), json=HI)).status_code


async def test_a_taken_port_is_an_error() -> None:
    """A port that somebody else has is an OSError where the simulator is opened."""
    async with Simulator() as sim:
        with pytest.raises(OSError, match="in use"):
            async with Simulator(port=sim.port):
                pass


async def test_serve_forever() -> None:
    """serve_forever serves until it is cancelled."""
    sim = Simulator()
    async with anyio.create_task_group() as tasks:
        started = anyio.Event()
        tasks.start_soon(sim.serve_forever, started.set)
        await started.wait()
        async with httpx.AsyncClient() as http:
            assert 200 == (await http.post(chat(sim), json=HI)).status_code
        tasks.cancel_scope.cancel()
    assert 0 == sim.port


async def test_what_is_not_http(sim: Simulator) -> None:
    """Garbage gets a 400 and a closed connection."""
    async with await anyio.connect_tcp("127.0.0.1", sim.port) as stream:
        await stream.send(b"\x00garbage\r\n\r\n")
        assert (await stream.receive()).startswith(b"HTTP/1.1 400")


async def test_expect_continue(sim: Simulator) -> None:
    """A client that waits for 100-continue gets it."""
    body = json.dumps(HI).encode()
    head = (
        f"POST /openai/v1/chat/completions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {len(body)}"
    )
    async with await anyio.connect_tcp("127.0.0.1", sim.port) as stream:
        await stream.send(head.encode() + b"\r\n\r\n")
        assert (await stream.receive()).startswith(b"HTTP/1.1 100")
        await stream.send(body)
        assert (await stream.receive()).startswith(b"HTTP/1.1 200")


async def test_requests_over_the_bound(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, http: httpx.AsyncClient
) -> None:
    """A body over the bound is the provider's 413."""
    monkeypatch.setattr("asyncllm._testing.server.MAX_BODY", 10)
    for url in (chat(sim), f"{sim.url('anthropic')}/v1/messages"):
        answer = await http.post(url, json=HI, headers={"anthropic-version": "2026-10-21"})
        assert 413 == answer.status_code


async def test_a_client_that_asks_to_close(sim: Simulator, http: httpx.AsyncClient) -> None:
    """The connection is closed after the answer when the client says so."""
    answer = await http.post(chat(sim), json=HI, headers={"connection": "close"})
    assert 200 == answer.status_code
    with anyio.fail_after(10):
        while sim.open_connections:
            await anyio.sleep(0.001)


@pytest.mark.slow
async def test_a_client_that_speaks_during_a_pause(sim: Simulator) -> None:
    """A second request on the wire before the first is answered waits for its turn."""
    sim.behave("*", latency=0.15)
    body = json.dumps(HI).encode()
    head = f"POST /openai/v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    async with await anyio.connect_tcp("127.0.0.1", sim.port) as stream:
        await stream.send(head + body)
        await anyio.sleep(0.02)
        await stream.send(head + body)
        got = b""
        with anyio.fail_after(10):
            while got.count(b"HTTP/1.1 200") < 2:
                got += await stream.receive()
