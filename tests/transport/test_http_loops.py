"""One transport over several event loops, and what is left when a loop ends."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio
from loopback import Peer, Spawner, Visit, ask, chunk, chunked, hello, serving

from asyncllm._config.sections import HTTPSettings
from asyncllm._transport.http import HTTPTransport
from versions import closes_at_once

RUNS = 5


def abrupt(work: Callable[[], Awaitable[None]]) -> None:
    """Runs a loop and closes it without cancelling what it still has to do."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(work())
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
    finally:
        loop.close()


@pytest.fixture
def lane(library: str, anyio_backend: str) -> tuple[str, Callable[[Any], None]]:
    return library, (lambda work: asyncio.run(work())) if anyio_backend == "asyncio" else trio.run


def hold_warnings_to_account() -> None:
    """Whatever was dropped is finalised here, where a warning is an error of this test."""
    for _ in range(3):
        gc.collect()


@closes_at_once
def test_five_loops_in_a_row(lane: tuple[str, Callable[[Any], None]], caplog: pytest.LogCaptureFixture) -> None:
    """A transport goes on in a new loop after ``forget``, and an ended loop leaves no warning behind."""
    library, run = lane
    transport = HTTPTransport(HTTPSettings(library=library), spawn=Spawner())  # type: ignore[arg-type]

    async def script(peer: Peer, visit: Visit) -> None:
        if visit.body == b"stream":
            await peer.send(chunked() + chunk(b"first"))
            await peer.hang()
        await hello(peer, visit)

    async def use() -> None:
        transport.forget()
        async with serving(script) as server:
            for _ in range(2):
                assert b"hello" == (await transport.send(ask(server.url))).body
            assert 1 == server.connections
            exchange = await transport.stream(ask(server.url, b"stream"))
            assert b"first" == await exchange.receive()
            await transport.send(ask(server.url))
            assert (2, 1) == (server.connections, next(iter(transport._pools.values())).idle)
            await transport.stream(ask(server.url))
            half_read = await transport.stream(ask(server.url))
            assert b"hello" == await half_read.receive()

    for _ in range(RUNS):
        run(use)
    hold_warnings_to_account()
    transport.forget()
    hold_warnings_to_account()
    assert [] == [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_a_loop_that_ends_abruptly(library: str) -> None:
    """``forget`` closes the sockets of a loop that was closed without being wound up."""
    transport = HTTPTransport(HTTPSettings(library=library), spawn=Spawner())  # type: ignore[arg-type]
    left: list[int] = []

    async def use() -> None:
        async with serving(hello) as server:
            await transport.send(ask(server.url))
            pools = list(transport._pools.values())
            left.extend(slot.network.get_extra_info("socket").fileno() for slot in pools[0]._idle)

    abrupt(use)
    assert 1 == len(left)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transport.forget()
        hold_warnings_to_account()


@pytest.mark.anyio
async def test_forget_in_a_living_loop_closes_the_sockets(library: str) -> None:
    """Connections dropped in the middle of everything are closed all the same."""
    from loopback import opened, until

    async with serving(hello) as server, opened(library) as transport:
        await transport.send(ask(server.url))
        transport.forget()
        if library != "aiohttp":
            await until(lambda: server.open == 0)
        await transport.send(ask(server.url))
        assert 2 == server.connections
        await anyio.lowlevel.checkpoint()
