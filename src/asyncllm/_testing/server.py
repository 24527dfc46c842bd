"""One connection of the simulator: reads HTTP/1.1 requests with h11 and performs scripts.

Rules: nothing blocks; a client that leaves is noticed at the next write or during a long pause; the socket is closed on
every way out. A reset is a true TCP reset without a FIN before it, which clients report differently from a close.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate

import anyio
import h11
from anyio.abc import SocketAttribute, SocketStream

from .record import Received
from .script import HangUp, Pause, Script

MAX_BODY = 64 * 1024 * 1024
MAX_HEAD = 128 * 1024
WATCHED_PAUSE = 0.1  # seconds; shorter pauses do not look whether the client is still there


@dataclass(frozen=True, slots=True)
class RawRequest:
    """Holds a request as it came: header names in lower case; ``body`` is None if it was over the bound."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes | None


class GoneError(Exception):
    """Tells that the client has left."""


class HungUpError(Exception):
    """Tells that the script ended the connection."""


class ServerConnection:
    """Serves a connection from its first request to its end.

    Args:
        socket_stream: the accepted connection.
        respond: called with each request; it performs scripts by `perform`.
    """

    def __init__(
        self, socket_stream: SocketStream, respond: Callable[[ServerConnection, RawRequest], Awaitable[None]]
    ) -> None:
        self._stream = socket_stream
        self._respond = respond
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)

    async def run(self) -> None:
        """Serves requests until either side ends the connection."""
        try:
            while (request := await self._next_request()) is not None:
                await self._respond(self, request)
                if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                    break
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            await self._refuse(error)
        except (GoneError, HungUpError):
            pass
        finally:
            with anyio.CancelScope(shield=True):
                await self._stream.aclose()

    async def perform(self, script: Script, record: Received, ended: Callable[[], None]) -> None:
        """Sends an answer.

        Args:
            script: the answer.
            record: where the writes of the body are counted.
            ended: called just before the last write, so that a client which has read the answer finds it settled.

        Raises:
            GoneError: the client left before the end.
            HungUpError: the script ended the connection.
        """
        for step in script.before:
            await self._silent(step)
        pending = self._head(script)
        if not script.joined:
            await self._write(pending)
            pending = b""
        left = script.length
        for step in script.steps:
            if not isinstance(step, bytes):
                await self._silent(step)
                continue
            record.writes += 1
            if left is not None:
                left -= len(step)
                if not left:
                    ended()
            await self._write(pending + (self._http.send(h11.Data(step)) or b""))
            pending = b""
        end = self._http.send(h11.EndOfMessage())
        if end:
            ended()
            await self._write(end)
        if script.after != "keep":
            if script.after == "late":
                await self._watch(None)
            raise HungUpError

    async def relay(self, status: int, headers: Sequence[tuple[str, str]], chunks: AsyncIterator[bytes]) -> None:
        """Sends somebody else's answer on, piece by piece.

        Raises:
            GoneError: the client left before the end.
        """
        head = h11.Response(status_code=status, headers=[*headers, ("transfer-encoding", "chunked")])
        await self._write(self._http.send(head) or b"")
        async for chunk in chunks:
            await self._write(self._http.send(h11.Data(chunk)) or b"")
        await self._write(self._http.send(h11.EndOfMessage()) or b"")

    def _head(self, script: Script) -> bytes:
        framing = ("transfer-encoding", "chunked") if script.length is None else ("content-length", str(script.length))
        headers = [("date", formatdate(usegmt=True)), *script.headers, framing]
        return self._http.send(h11.Response(status_code=script.status, headers=headers)) or b""

    async def _next_request(self) -> RawRequest | None:
        head: h11.Request | None = None
        body: list[bytes] = []
        size = 0
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    await self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
                self._http.receive_data(await self._receive())
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                size += len(event.data)
                if size <= MAX_BODY:
                    body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
                whole = b"".join(body) if size <= MAX_BODY else None
                return RawRequest(head.method.decode("ascii"), head.target.decode("ascii"), headers, whole)
            else:
                return None

    async def _receive(self) -> bytes:
        try:
            return await self._stream.receive()
        except anyio.EndOfStream:
            return b""
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise GoneError from None

    async def _write(self, data: bytes) -> None:
        try:
            await self._stream.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise GoneError from None

    async def _silent(self, step: Pause | HangUp | bytes) -> None:
        if isinstance(step, HangUp):
            if step.reset:
                reset(self._stream)
            raise HungUpError
        if isinstance(step, Pause):
            if step.seconds is not None and step.seconds < WATCHED_PAUSE:
                await anyio.sleep(step.seconds)
            else:
                await self._watch(step.seconds)

    async def _watch(self, seconds: float | None) -> None:
        """Waits, but no longer than the client stays; without a time also no longer than until it speaks."""
        with anyio.move_on_after(seconds):
            while True:
                data = await self._receive()
                if not data:
                    raise GoneError
                self._http.receive_data(data)
                if seconds is None:
                    return

    async def _refuse(self, error: h11.RemoteProtocolError) -> None:
        """Answers what is not HTTP, where it still can be answered."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        body = f"not an HTTP request: {error}\n".encode()
        headers = [("content-length", str(len(body))), ("connection", "close"), ("content-type", "text/plain")]
        head = self._http.send(h11.Response(status_code=error.error_status_hint, headers=headers)) or b""
        with suppress(GoneError):
            await self._write(head + body)


def reset(stream: SocketStream) -> None:
    """Resets the TCP connection at once.

    A stream may be closed with a FIN before the reset, which clients take for a close. Putting an unconnected socket in
    the place of its descriptor closes the connection in the kernel, and without linger that is an RST and nothing else.
    Where descriptors cannot be replaced so (Windows), the close that follows has to do.
    """
    raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - anyio's extra, not Django's
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if os.name == "posix":
        with socket.socket() as other:
            os.dup2(other.fileno(), raw.fileno(), inheritable=False)
