"""Cancellation at every moment of a call: no connection, no permit and no warning is left behind."""

from __future__ import annotations

import anyio
import pytest
from cancelling import HEALTHY, Cancel, healthy, native, scope, slowly
from loopback import Peer, Visit, answer, ask, chunk, chunked, hello, opened, serving, until

from asyncllm._transport.http import HTTPTransport
from asyncllm.errors import ConnectionLostError
from versions import closes_at_once

pytestmark = pytest.mark.anyio

CANCELS, SLOTS = 300, 10


async def sweep_of_cancels(transport: HTTPTransport, url: str, cancelled: Cancel) -> None:
    """Cancels calls after delays that sweep over the whole of a call, thirty at a time on ten slots."""

    async def streamed() -> None:
        exchange = await transport.stream(ask(url))
        try:
            while await exchange.receive() is not None:
                pass
        finally:
            exchange.abort()

    for start in range(0, CANCELS, 30):
        async with anyio.create_task_group() as tasks:
            for number in range(start, start + 30):
                call = streamed if number % 2 else lambda: transport.send(ask(url))
                tasks.start_soon(cancelled, call, 0.008 * number / CANCELS)


@closes_at_once
@pytest.mark.slow
@pytest.mark.parametrize("how", [native, scope])
async def test_cancelled_calls_lose_no_connection(library: str, anyio_backend: str, how: Cancel) -> None:
    """After hundreds of cancelled calls every slot works, and only live connections are open."""
    if anyio_backend == "trio" and how is native:
        pytest.skip("trio cancels by scopes only")
    async with serving(slowly) as server, opened(library, max_connections=SLOTS) as transport:

        async def whole() -> bytes:
            return (await transport.send(ask(server.url))).body

        await sweep_of_cancels(transport, server.url, how)
        assert HEALTHY == await healthy(whole)
        await until(lambda: server.open <= SLOTS)


async def test_the_permit_of_a_cancelled_call_is_free_at_once(library: str) -> None:
    """A call that waited behind a cancelled one goes on at once, on a connection of its own."""
    silent = anyio.Event()

    async def script(peer: Peer, visit: Visit) -> None:
        if visit.body == b"silent":
            silent.set()
            await peer.hang()
        await peer.send(answer())

    async with serving(script) as server, opened(library, max_connections=1) as transport:
        async with anyio.create_task_group() as tasks:
            scope = anyio.CancelScope()

            async def cancelled() -> None:
                with scope:
                    await transport.send(ask(server.url, b"silent"))

            tasks.start_soon(cancelled)
            await silent.wait()
            tasks.start_soon(transport.send, ask(server.url))
            await anyio.sleep(0.005)
            scope.cancel()
        assert [1, 2] == [visit.connection for visit in server.visits]


async def test_abort_wakes_a_pending_receive(library: str) -> None:
    """A read that waits in another task fails at once when the exchange is aborted."""

    async def script(peer: Peer, visit: Visit) -> None:
        await peer.send(chunked() + chunk(b"first"))
        await peer.hang()

    async with serving(script) as server, opened(library) as transport:
        exchange = await transport.stream(ask(server.url))
        assert b"first" == await exchange.receive()

        async def read_on() -> None:
            with pytest.raises(ConnectionLostError):
                await exchange.receive()

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read_on)
                await anyio.sleep(0.005)
                exchange.abort()
                exchange.abort()
        await until(lambda: not transport._exchanges)


async def test_a_forgotten_stream_is_held_until_the_transport_closes(library: str) -> None:
    """Nothing of an exchange that its reader lost is left to the garbage collector."""

    async def script(peer: Peer, visit: Visit) -> None:
        await peer.send(chunked() + chunk(b"first"))
        await peer.hang()

    async with serving(script) as server:
        async with opened(library) as transport:
            await (await transport.stream(ask(server.url))).receive()
            await transport.stream(ask(server.url))
            assert 2 == len(transport._exchanges)
        await until(lambda: server.open == 0)


async def test_release_while_another_task_reads_is_an_abort(library: str) -> None:
    """An exchange that is given up under a reader does not go back to the pool half-read."""

    async def script(peer: Peer, visit: Visit) -> None:
        await peer.send(chunked() + chunk(b"first"))
        await peer.hang()

    async with serving(script) as server, opened(library) as transport:
        exchange = await transport.stream(ask(server.url))
        await exchange.receive()

        async def read_on() -> None:
            with pytest.raises(ConnectionLostError):
                await exchange.receive()

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read_on)
                await anyio.sleep(0.005)
                exchange.release()
        server.script = hello
        await transport.send(ask(server.url))
        assert 2 == server.connections
