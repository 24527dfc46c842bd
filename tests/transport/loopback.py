"""A scripted HTTP/1.1 server on the loopback interface, and what the tests of the network share.

The server speaks raw bytes, so that it can also speak wrongly. A script is called once for every request of a
connection; when it returns False the connection is closed.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.streams.tls
import sniffio
import trio

from asyncllm._config.rules import SecretStr
from asyncllm._config.sections import HTTPSettings
from asyncllm._transport.base import Headers, TransportRequest
from asyncllm._transport.http import HTTPTransport

SECRET = "canary-5f1d0c"
LIBRARIES = ("httpx", "httpx2", "aiohttp")


@dataclass
class Visit:
    """One request as the server saw it."""

    connection: int
    head: bytes
    body: bytes


@dataclass
class Peer:
    """The server's end of one connection."""

    number: int
    stream: anyio.abc.ByteStream
    buffer: bytes = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send(data)

    async def more(self) -> None:
        self.buffer += await self.stream.receive()

    async def hang(self) -> None:
        """Says nothing until the client hangs up."""
        while True:
            await self.more()

    async def next_request(self) -> Visit:
        while b"\r\n\r\n" not in self.buffer:
            await self.more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        size = int(length[1]) if length else 0
        while len(self.buffer) < size:
            await self.more()
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return Visit(self.number, head, body)


Script = Callable[[Peer, Visit], Awaitable[Any]]


@dataclass
class Server:
    """What the tests look at."""

    script: Script
    greet: Callable[[Peer], Awaitable[Any]] | None = None
    port: int = 0
    tls: bool = False
    connections: int = 0
    handshakes: int = 0
    open: int = 0
    visits: list[Visit] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/v1/chat"

    async def serve(self, stream: anyio.abc.ByteStream) -> None:
        self.connections += 1
        self.open += 1
        peer = Peer(self.connections, stream)
        try:
            async with stream:
                if self.greet is not None:
                    await self.greet(peer)
                    return
                while True:
                    visit = await peer.next_request()
                    self.visits.append(visit)
                    if await self.script(peer, visit) is False:
                        return
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        finally:
            self.open -= 1


@asynccontextmanager
async def serving(script: Script, *, context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Runs a server for the length of the block."""
    server = Server(script, tls=context is not None)

    async def accept(stream: anyio.abc.SocketStream) -> None:
        if context is None:
            await server.serve(stream)
            return
        try:
            wrapped = await anyio.streams.tls.TLSStream.wrap(
                stream, server_side=True, ssl_context=context, standard_compatible=False
            )
        except (ssl.SSLError, anyio.EndOfStream, anyio.BrokenResourceError):
            await stream.aclose()
            return
        server.handshakes += 1
        await server.serve(wrapped)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    server.port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, accept)
        yield server
        tasks.cancel_scope.cancel()


class Spawner:
    """Background tasks as the engine has them: out of reach of the caller's cancellations."""

    def __init__(self) -> None:
        self.tasks: set[Any] = set()
        self.started = 0

    def __call__(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.started += 1
        if sniffio.current_async_library() == "trio":
            trio.lowlevel.spawn_system_task(work)
            return
        task = asyncio.get_running_loop().create_task(work())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


@asynccontextmanager
async def opened(library: str = "httpx", **options: Any) -> AsyncIterator[HTTPTransport]:
    """A transport for the length of the block."""
    own = {name: options.pop(name) for name in ("max_age", "environ") if name in options}
    if "proxy" in options:
        options["proxy"] = SecretStr(options["proxy"])
    transport = HTTPTransport(HTTPSettings(library=library, **options), spawn=Spawner(), **own)  # type: ignore[arg-type]
    try:
        yield transport
    finally:
        await transport.aclose()


def ask(url: str, body: bytes = b"{}", **options: Any) -> TransportRequest:
    """A POST with a secret in its headers."""
    headers = Headers(
        (("x-api-key", SECRET), ("authorization", f"Bearer {SECRET}"), ("content-type", "application/json"))
    )
    return TransportRequest(method=options.pop("method", "POST"), url=url, headers=headers, body=body, **options)


def answer(body: bytes = b"hello", *headers: str, status: str = "200 OK") -> bytes:
    """A whole answer with a content-length."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(*headers: str) -> bytes:
    """The head of a chunked answer."""
    return "\r\n".join(["HTTP/1.1 200 OK", "transfer-encoding: chunked", *headers]).encode() + b"\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """One chunk of it; an empty one is the end."""
    return b"%x\r\n%s\r\n" % (len(data), data)


async def hello(peer: Peer, visit: Visit) -> None:
    """The simplest script."""
    await peer.send(answer())


async def until(condition: Callable[[], bool], seconds: float = 2.0) -> None:
    """Waits until something has happened."""
    for _ in range(int(seconds / 0.005)):
        if condition():
            break
        await anyio.sleep(0.005)
    assert condition()


def close_waits(port: int) -> int:
    """Sockets of this machine that the server at this port has closed and the client has not."""
    if sys.platform != "linux":
        return 0
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[2].split(":")[1], 16) == port and row[3] == "08" for row in rows)
