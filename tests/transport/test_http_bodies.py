"""Bodies: whole and in pieces, compressed, cut, damaged, and larger than is good for anybody."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import anyio
import pytest
from loopback import Peer, Visit, answer, ask, chunk, chunked, hello, opened, serving

from asyncllm._transport.base import TransportRequest
from asyncllm.errors import (
    AsyncLLMError,
    ConnectionLostError,
    IdleTimeoutError,
    ProtocolError,
    ResponseTooLargeError,
    WriteTimeoutError,
)

pytestmark = pytest.mark.anyio

TEXT = b"data: {}\n\n" * 20_000


def raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(data) + engine.flush()


def sends(*pieces: bytes, then_close: bool = False) -> object:
    """A script that sends these bytes."""

    async def script(peer: Peer, visit: Visit) -> bool:
        for piece in pieces:
            await peer.send(piece)
            await anyio.sleep(0.001)
        return not then_close

    return script


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("identity", TEXT),
        ("gzip", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:50]) + gzip.compress(TEXT[50:])),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
    ],
)
async def test_encoded_bodies_are_decoded(library: str, encoding: str, body: bytes) -> None:
    """Gzip and deflate, in one piece or streamed, come out as what was put in."""
    header = f"content-encoding: {encoding}"
    whole, streamed = sends(answer(body, header)), sends(chunked(header), chunk(body[:1]), chunk(body[1:]), chunk(b""))
    async with serving(whole) as server, opened(library) as transport:  # type: ignore[arg-type]
        assert TEXT == (await transport.send(ask(server.url))).body
        server.script = streamed  # type: ignore[assignment]
        exchange = await transport.stream(ask(server.url))
        pieces = []
        while (piece := await exchange.receive()) is not None:
            assert piece
            pieces.append(piece)
        assert TEXT == b"".join(pieces)
        assert 1 == server.connections


@pytest.mark.parametrize(
    ("encoding", "body", "expected"),
    [
        ("br", b"whatever", ProtocolError),
        ("gzip, gzip", b"whatever", ProtocolError),
        ("gzip", b"this is no gzip", ProtocolError),
        ("gzip", gzip.compress(TEXT) + b"garbage", ProtocolError),
        ("gzip", gzip.compress(TEXT)[:-9], ConnectionLostError),
        ("gzip", b"", ConnectionLostError),
        ("deflate", b"x", ConnectionLostError),
        ("deflate", zlib.compress(TEXT)[:-3], ConnectionLostError),
    ],
)
async def test_damaged_bodies_are_errors(
    library: str, encoding: str, body: bytes, expected: type[AsyncLLMError]
) -> None:
    """An encoding nobody asked for, a broken, a cut and a longer one are refused, and cost the connection."""
    script = sends(answer(body, f"content-encoding: {encoding}"))
    async with serving(script) as server, opened(library, max_connections=1) as transport:  # type: ignore[arg-type]
        with pytest.raises(expected):
            await transport.send(ask(server.url))
        server.script = hello
        assert b"hello" == (await transport.send(ask(server.url))).body


@pytest.mark.slow
@pytest.mark.parametrize("whole", [True, False])
async def test_a_bomb_is_refused_before_it_bursts(library: str, whole: bool) -> None:
    """A small body that decodes to 200 MB is an error that costs little more memory than the limit."""
    limit, megabyte = 8 * 1024 * 1024, 1024 * 1024
    bomb = gzip.compress(b"\0" * (200 * megabyte), 9)
    script = sends(answer(bomb, "content-encoding: gzip"))
    async with serving(script) as server, opened(library) as transport:  # type: ignore[arg-type]

        async def read_through(request: TransportRequest) -> None:
            exchange = await transport.stream(request)
            while (piece := await exchange.receive()) is not None:
                assert len(piece) <= megabyte

        tracemalloc.start()
        try:
            with pytest.raises(ResponseTooLargeError):
                await (transport.send if whole else read_through)(ask(server.url, max_body=limit))
            assert tracemalloc.get_traced_memory()[1] < limit + 32 * megabyte
        finally:
            tracemalloc.stop()


async def test_a_plain_body_over_the_limit_is_refused(library: str) -> None:
    """The limit holds for bodies that are not compressed as well."""
    async with serving(sends(answer(b"x" * 1000))) as server, opened(library) as transport:  # type: ignore[arg-type]
        assert 1000 == len((await transport.send(ask(server.url, max_body=1000))).body)
        with pytest.raises(ResponseTooLargeError, match="999 bytes"):
            await transport.send(ask(server.url, max_body=999))


async def test_an_error_body_is_read_up_to_a_limit(library: str) -> None:
    """``read`` gives the rest of the body, no more than asked for, and ends the exchange."""
    async with serving(sends(answer(b"x" * 1000))) as server, opened(library) as transport:  # type: ignore[arg-type]
        assert b"x" * 1000 == await (await transport.stream(ask(server.url))).read(5000)
        assert b"x" * 10 == await (await transport.stream(ask(server.url))).read(10)
        await anyio.sleep(0.02)
        assert not transport._exchanges


@pytest.mark.parametrize(
    "wire",
    [answer(b"x" * 100)[:-1], chunked() + chunk(b"x" * 100), chunked() + b"64\r\nxxx"],
    ids=["length", "end", "chunk"],
)
async def test_a_body_that_is_cut_is_lost(library: str, wire: bytes) -> None:
    """A connection that ends in the middle of a body is a lost connection."""
    async with serving(sends(wire, then_close=True)) as server, opened(library) as transport:  # type: ignore[arg-type]
        with pytest.raises(ConnectionLostError):
            await transport.send(ask(server.url))


@pytest.mark.parametrize(
    "wire",
    [
        b"this is not HTTP\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        chunked() + b"zz\r\nhello",
    ],
    ids=["words", "status", "header", "chunk"],
)
async def test_what_is_not_http_is_a_protocol_error(library: str, wire: bytes) -> None:
    """A server that does not speak HTTP is told apart from one that went away."""
    async with serving(sends(wire, then_close=True)) as server, opened(library) as transport:  # type: ignore[arg-type]
        with pytest.raises((ProtocolError, ConnectionLostError) if library == "aiohttp" else ProtocolError):
            await transport.send(ask(server.url))


async def test_endless_headers_are_refused(library: str) -> None:
    """A head that never ends is cut off after a bounded number of bytes."""

    async def script(peer: Peer, visit: Visit) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await peer.send(b"x-more: " + b"x" * 4000 + b"\r\n")

    async with serving(script) as server, opened(library) as transport:
        with pytest.raises(ProtocolError), anyio.fail_after(10):
            await transport.send(ask(server.url))


async def test_a_silent_server_is_an_idle_timeout(library: str) -> None:
    """Both a head and a body that do not come in time are named so."""

    async def script(peer: Peer, visit: Visit) -> None:
        if visit.body == b"head":
            await peer.send(chunked() + chunk(b"first"))
        await anyio.sleep(60)

    async with serving(script) as server, opened(library) as transport:
        with pytest.raises(IdleTimeoutError, match=r"127\.0\.0\.1"):
            await transport.send(ask(server.url, head_timeout=0.02))
        if library != "aiohttp":  # its one timeout for reads is settled when the request is sent
            exchange = await transport.stream(ask(server.url, b"head", head_timeout=5, read_timeout=0.02))
            assert b"first" == await exchange.receive()
            with pytest.raises(IdleTimeoutError):
                await exchange.receive()


async def test_a_slow_head_is_no_silence(library: str) -> None:
    """A model may think for longer before its head than it may pause in its body."""

    async def script(peer: Peer, visit: Visit) -> None:
        await anyio.sleep(0.06)
        await hello(peer, visit)

    async with serving(script) as server, opened(library) as transport:
        reply = await transport.send(ask(server.url, read_timeout=0.02))
    assert b"hello" == reply.body


async def test_a_server_that_stops_reading_is_a_write_timeout(library: str) -> None:
    """A request that cannot be written is given up after ``write_timeout`` seconds without progress."""

    async def deaf(peer: Peer) -> None:
        await peer.more()
        await anyio.sleep(5)

    async with serving(hello) as server, opened(library) as transport:
        server.greet = deaf
        with pytest.raises(WriteTimeoutError):
            await transport.send(ask(server.url, b"x" * 32_000_000, write_timeout=0.05))


async def test_an_answer_that_comes_before_the_request_is_read_counts(library: str) -> None:
    """A server that refuses a large body with an error and closes is heard."""
    if library == "aiohttp":
        pytest.skip("aiohttp reports the broken pipe instead")

    async def refusing(peer: Peer) -> None:
        await peer.more()
        await peer.send(answer(b"too large", "connection: close", status="413 Too Large"))
        await anyio.sleep(0.05)

    async with serving(hello) as server, opened(library) as transport:
        server.greet = refusing
        assert 413 == (await transport.send(ask(server.url, b"x" * 50_000))).status
