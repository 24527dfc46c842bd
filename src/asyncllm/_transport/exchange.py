"""An answer whose head has come, and the connection it is read from.

The life of an exchange: *open* until the body has ended, was released, aborted or lost; after that the connection is
the pool's business and nothing here touches it again. `HTTPExchange.release` before the end of the body leaves the
exchange *draining*: what is left is read in the background, up to `DRAIN_BYTES` or for `DRAIN_SECONDS`, because a
stream's own end (``[DONE]``) comes a few bytes before the end of its body, and a connection is worth those.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

import anyio

from ..errors import ConnectionLostError, ProtocolError, ResponseTooLargeError
from .base import Reply, TransportRequest
from .decompress import Inflater, inflater
from .failures import surfaced
from .outgoing import received
from .slot import Background, Work

DRAIN_SECONDS = 0.05
DRAIN_BYTES = 64 * 1024


_MOST_UNWINDING = 1.0  # seconds
_MOST_UNWOUND = 10_000  # pieces


class Lease(Protocol):
    """How an exchange gives its connection back; exactly one of the two is called, once."""

    def keep(self, exchange: HTTPExchange) -> None:
        """The answer was read to its end: the connection can be used again."""
        ...

    def drop(self, exchange: HTTPExchange, leftover: Work) -> None:
        """The connection has to be closed, and after that the leftover work done, all in the background."""
        ...


class HTTPExchange:
    """Implements `base.Exchange` over a response of httpx or httpx2.

    Attributes:
        status: the HTTP status.
        headers: names in lower case, repeated ones joined by a comma.
    """

    __slots__ = (
        "__weakref__",
        "_background",
        "_body",
        "_host",
        "_lease",
        "_next",
        "_response",
        "_reusable",
        "headers",
        "status",
    )

    def __init__(
        self,
        response: Any,
        headers: Mapping[str, str],
        *,
        host: str,
        lease: Lease,
        background: Background,
    ) -> None:
        self.status: int = response.status_code
        self.headers = headers
        self._response = response
        self._body: AsyncIterator[bytes] = response.stream.__aiter__()
        self._next: Callable[[], Awaitable[bytes]] = self._body.__anext__
        self._host = host
        self._lease: Lease | None = lease
        self._background = background
        self._reusable = (
            "connection" not in headers or "close" not in headers["connection"].lower()
        ) and response.extensions.get("http_version") != b"HTTP/1.0"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status} from {self._host}>"

    async def receive(self) -> bytes | None:
        """The next bytes, never empty; None at the end of the body."""
        try:
            while True:
                if data := await self._next():
                    return data
        except StopAsyncIteration:
            failure = None
        except BaseException as error:  # noqa: BLE001  # raised below, outside of this block
            self._lose()
            failure = surfaced(error, self._host)
        if failure is not None:
            raise failure
        await self._end()
        return None

    async def read(self, limit: int) -> bytes:
        """The rest of the body, at most ``limit`` bytes of it; the exchange is released after it."""
        pieces, left = [], limit
        while left > 0 and (piece := await self.receive()) is not None:
            pieces.append(piece[:left])
            left -= len(piece)
        self.release()
        return b"".join(pieces)

    def release(self) -> None:
        """The answer is over: the connection is kept after a short drain in the background, or closed."""
        if self._lease is None or self._next is _released:
            return
        self._next = _released
        if self._reusable:
            self._background(self._drain)
        else:
            self._lose()

    def abort(self) -> None:
        """Closes the connection in the background; a `receive` that waits elsewhere fails at once."""
        self._lose()

    def too_large(self, most: int) -> ResponseTooLargeError:
        """The error for a body of more than ``most`` bytes."""
        return ResponseTooLargeError(f"The answer of {self._host} is larger than {most} bytes.", status=self.status)

    async def _drain(self) -> None:
        left = DRAIN_BYTES
        try:
            with suppress(Exception), anyio.move_on_after(DRAIN_SECONDS):
                async for data in self._body:
                    left -= len(data)
                    if left < 0:
                        return
                await self._end()
        finally:
            self._lose()

    async def _end(self) -> None:
        """The body was read to its end: the library makes its connection ready for the next request."""
        if self._lease is None:
            return
        failure = None
        try:
            await self._response.aclose()
        except BaseException as error:  # noqa: BLE001  # raised below, outside of this block
            self._lose()
            failure = surfaced(error, self._host)
        if failure is not None:
            raise failure
        lease, self._lease = self._lease, None
        self._next = _ended
        if lease is None:
            return
        if self._reusable:
            lease.keep(self)
        else:
            lease.drop(self, self._unwind)

    def _lose(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            self._next = _released
            lease.drop(self, self._unwind)

    async def _unwind(self) -> None:
        """Reads a body whose connection is closed until it fails.

        The library's body is a chain of async generators. Closing the outermost leaves the inner ones to the garbage
        collector, which trio warns about; an exception from the innermost ends them all.
        """
        with suppress(Exception), anyio.move_on_after(_MOST_UNWINDING):
            for _ in range(_MOST_UNWOUND):
                await self._body.__anext__()
        with suppress(Exception):
            await self._response.aclose()


class InflatedExchange(HTTPExchange):
    """The same for a compressed body; what came in one read may decode to at most ``most`` bytes."""

    __slots__ = ("_decoded", "_inflater", "_most")

    def __init__(self, *args: Any, most: int, **named: Any) -> None:
        super().__init__(*args, **named)
        self._inflater: Inflater | None = None
        self._most = most
        self._decoded = 0

    def decode(self, encoding: str) -> None:
        """Chooses the decoder.

        Raises:
            ProtocolError: there is none; the exchange is aborted.
        """
        try:
            self._inflater = inflater(encoding)
        except ProtocolError:
            self.abort()
            raise

    async def receive(self) -> bytes | None:
        """The next decoded bytes, never empty; None at the end of the body."""
        if self._inflater is None:
            return await super().receive()
        try:
            while not (piece := self._inflater.pull()):
                self._decoded = 0
                data = await super().receive()
                if data is None:
                    self._inflater.close()
                    return None
                self._inflater.feed(data)
        except (ProtocolError, ConnectionLostError):
            self.abort()
            raise
        self._decoded += len(piece)
        if self._decoded > self._most:
            self.abort()
            raise self.too_large(self._most)
        return piece


def open_exchange(
    response: Any, request: TransportRequest, *, host: str, lease: Lease, background: Background
) -> HTTPExchange:
    """The exchange for a response of the HTTP library, decoding where the server encoded.

    Raises:
        ProtocolError: the server used an encoding that it was not offered; the connection is given up.
    """
    headers = received(response.headers.raw)
    encoding = headers.get("content-encoding")
    if encoding is None:
        return HTTPExchange(response, headers, host=host, lease=lease, background=background)
    exchange = InflatedExchange(response, headers, host=host, lease=lease, background=background, most=request.max_body)
    exchange.decode(encoding)
    return exchange


async def whole(exchange: HTTPExchange, most: int) -> Reply:
    """The whole answer.

    Raises:
        ResponseTooLargeError: the body is longer than ``most`` bytes.
    """
    pieces, size = [], 0
    while (piece := await exchange.receive()) is not None:
        size += len(piece)
        if size > most:
            exchange.abort()
            raise exchange.too_large(most)
        pieces.append(piece)
    return Reply(status=exchange.status, headers=exchange.headers, body=b"".join(pieces))


async def _released() -> bytes:
    raise ConnectionLostError("The answer was given up, so there is nothing more to read.")


async def _ended() -> bytes:
    raise StopAsyncIteration
