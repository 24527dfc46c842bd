"""One connection of the HTTP library, the requests sent on it and the replies read from it.

A `Slot` is a transport of the library that is limited to a single connection. The library's own pool never has more
than this one connection to look after, so what it costs, and what it loses when it is cancelled, stays here: a slot
that was cancelled, or failed, is closed and never used again.

`OutgoingRequests` builds the library's request objects. Three things differ from what the library would build by
itself. The header list is exactly ours (no cookies, no ``user-agent`` of the library, a ``host`` computed once an
address). Its repr shows names only, because the library hides ``authorization`` but not ``x-api-key``. And the body is
sent in blocks, so that the write timeout bounds a block and not an upload (aiohttp has none of its own: `WriteWatch` is
it). The body's iterator is a plain object: trio's garbage-collection hook would notice an async generator that a
cancellation leaves half-way.

An `HTTPExchange` is an answer whose head has come. It is *open* until the body has ended, was released, aborted or
lost; after that the connection is the pool's business and nothing here touches it again. `HTTPExchange.release` before
the end of the body leaves the exchange *draining*: what is left is read in the background, up to `DRAIN_BYTES` or for
`DRAIN_SECONDS`, because a stream's own end (``[DONE]``) comes a few bytes before the end of its body, and a connection
is worth those.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, Protocol

import anyio

from ..errors import ConfigurationError, ConnectionLostError, ProtocolError, ResponseTooLargeError
from .anyio_internals import abandon
from .base import Headers, HTTPReply, TransportRequest
from .decompress import ACCEPT_ENCODING, Inflater, inflater
from .failures import Closing, stuck, surfaced
from .httpx_internals import opened_socket

DRAIN_SECONDS = 0.05
DRAIN_BYTES = 64 * 1024
BLOCK_BYTES = 256 * 1024
ACCEPTED = ((b"Accept-Encoding", ACCEPT_ENCODING.encode()),)
MOST_WHOLE = 64 * 1024  # aiohttp writes so much without waiting for the peer
_FIXED = (*ACCEPTED, (b"Connection", b"keep-alive"))
_WITH_BODY = ("POST", "PUT", "PATCH")
_MOST_UNWINDING = 1.0  # seconds
_MOST_UNWOUND = 10_000  # pieces

Work = Callable[[], Coroutine[Any, Any, None]]
Background = Callable[[Work], None]
"""Starts background work."""


class Slot:
    """A `pool.Connection` over a transport of httpx, httpx2 or httpx-aiohttp.

    Attributes:
        transport: the library's transport.
        network: the library's network stream, as soon as there is one (the aiohttp lane never has).
        reused: whether it has carried a request before.
        leftover: what is still to be done for an answer that was given up, once the connection is closed.
    """

    __slots__ = ("_background", "_closed", "born", "idle_since", "leftover", "network", "reused", "transport")

    def __init__(self, transport: Any, *, born: float, background: Background):
        self.transport = transport
        self.born = self.idle_since = born
        self.network: Any = None
        self.reused = False
        self.leftover: Work | None = None
        self._background = background
        self._closed = False

    def alive(self) -> bool:
        """Whether the connection can be used: an idle one with something to read was closed by the peer."""
        if self.network is None:
            return True
        try:
            return not self.network.get_extra_info("is_readable")
        except (OSError, ValueError, RuntimeError):  # the socket is closed already
            return False

    def close(self) -> None:
        """Closes the connection in the background. A waiting read fails at once."""
        if not self._closed:
            self._closed = True
            self._background(self.aclose)

    async def aclose(self) -> None:
        """Closes the connection."""
        self._closed = True
        leftover, self.leftover = self.leftover, None
        try:
            if self.network is not None:
                with Closing():
                    await self.network.aclose()
            with Closing():
                await self.transport.aclose()
        finally:
            if leftover is not None:
                await leftover()

    async def watch(self, event: str, info: dict[str, Any]) -> None:
        """The library's ``trace`` hook: keeps the socket before the first reply, to be able to close it."""
        self.network = opened_socket(event, info) or self.network

    def forget(self) -> None:
        """Closes the socket without its event loop, which has ended."""
        self._closed = True
        with Closing():
            if self.network is not None:
                abandon(self.network)
        # Closing aiohttp's needs no loop up to its first wait, and httpx's has nothing left to close.
        closing = self.transport.aclose()
        with Closing():
            try:
                closing.send(None)
            except StopIteration:
                return
        with Closing():
            closing.close()


def merge_pieces(connection: Any) -> None:
    """Lets an h11 connection give all of a body that it holds as one piece.

    A server that streams writes an HTTP chunk for each event, and a read often holds many of them. Each one by itself
    costs its way through eight coroutines and generators of the library, which is more than everything else.

    Args:
        connection: an `h11.Connection`.
    """
    from h11 import NEED_DATA, SEND_RESPONSE, Data, RemoteProtocolError

    following, this = type(connection).next_event, weakref.ref(connection)  # no cycle is left behind
    held: list[Any] = []

    def next_event() -> Any:
        connection: Any = this()
        if held:
            event = held.pop()
            if connection.their_state is not SEND_RESPONSE:
                return event  # the end of this answer, and not of one that was given up
        event = following(connection)
        if type(event) is not Data:
            return event
        pieces = [event.data]
        try:
            while type(event := following(connection)) is Data:
                pieces.append(event.data)
        except RemoteProtocolError:
            event = NEED_DATA  # it is raised again by the next call
        if event is not NEED_DATA:
            held.append(event)
        return Data(data=b"".join(pieces))

    connection.next_event = next_event


class OutgoingRequests:
    """Makes requests of one library.

    Args:
        module: httpx or httpx2.
        whole_bodies: the transport wants small bodies as bytes, and has no write timeout (httpx-aiohttp).

    Attributes:
        headers: the library's header type, with a repr that shows names only.
    """

    def __init__(self, module: Any, *, whole_bodies: bool = False) -> None:
        self._request = module.Request
        self._whole_bodies = whole_bodies
        self._whole = module.ByteStream

        class NamesOnly(module.Headers):  # type: ignore[misc]  # the class depends on the library
            def __repr__(self) -> str:
                return f"Headers({', '.join(name.decode('ascii') for name, _ in self.raw)})"

        class Body(module.AsyncByteStream):  # type: ignore[misc]  # the class depends on the library
            def __init__(self, body: bytes) -> None:
                self._body = body
                self._at = 0
                self.watch: WriteWatch | None = None

            def __aiter__(self) -> Any:
                self._at = 0
                return self

            async def __anext__(self) -> bytes:
                start = self._at
                if self.watch is not None:
                    self.watch.progress(ended=start >= len(self._body))
                if start >= len(self._body):
                    raise StopAsyncIteration
                self._at = start + BLOCK_BYTES
                return self._body if len(self._body) <= BLOCK_BYTES else self._body[start : self._at]

        self.headers: Any = NamesOnly
        self._body = Body

    def build(self, request: TransportRequest, url: Any, host: bytes, extensions: dict[str, Any]) -> Any:
        """Returns the library's request object.

        Args:
            request: ours.
            url: the library's URL object.
            host: the value of the ``host`` header.
            extensions: what else the library is told.

        Raises:
            ConfigurationError: a header that HTTP does not allow.
        """
        extensions["timeout"] = {
            "connect": request.connect_timeout,
            "write": request.write_timeout,
            "read": request.head_timeout,
            "pool": None,
        }
        raw = [(b"Host", host), *encoded(request.headers), *_FIXED]
        if request.body or request.method in _WITH_BODY:
            raw.append((b"Content-Length", b"%d" % len(request.body)))
        if self._whole_bodies and len(request.body) <= MOST_WHOLE:
            built = self._request(request.method, url, stream=self._whole(request.body), extensions=extensions)
            built.read()
        else:
            built = self._request(request.method, url, stream=self._body(request.body), extensions=extensions)
        built.headers = self.headers(raw, "ascii")
        return built


class WriteWatch:
    """The write timeout of a library that has none: cancels a request whose body is stuck.

    Args:
        seconds: for each block of the body; None for ever.
    """

    __slots__ = ("_scope", "_seconds")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = math.inf if seconds is None else seconds
        self._scope = anyio.CancelScope()

    def progress(self, *, ended: bool) -> None:
        """The body's next block is asked for, so those before it are written; or all of them are."""
        self._scope.deadline = math.inf if ended else anyio.current_time() + self._seconds

    async def send(self, transport: Any, outgoing: Any, host: str) -> Any:
        """Sends a request of the library and returns its response.

        Raises:
            WriteTimeoutError: a block was not written in time.
        """
        outgoing.stream.watch = self
        with self._scope:
            return await transport.handle_async_request(outgoing)
        raise stuck(host)


def encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Header names and values as bytes.

    Raises:
        ConfigurationError: a value that HTTP does not allow; it is not repeated in the message.
    """
    raw = []
    for name, value in headers:
        if not (value.isascii() and value.isprintable() and value.strip() == value):
            raise ConfigurationError(
                f"The value of the header {name!r} has a character that HTTP does not allow. "
                "If it is an API key, look for a line break or a space at its end."
            )
        raw.append((name.encode("ascii"), value.encode("ascii")))
    return raw


def received(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Response headers as a mapping: names in lower case, repeated ones joined by a comma."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


class Lease(Protocol):
    """How an exchange gives its connection back. Exactly one of the two methods is called, once."""

    def keep(self, exchange: HTTPExchange) -> None:
        """Keeps the connection for the next request, as the reply was read to its end."""
        ...

    def drop(self, exchange: HTTPExchange, leftover: Work) -> None:
        """Closes the connection in the background and then does the leftover work."""
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
        """Returns the next bytes, never empty, or None at the end of the body."""
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
        """Reads the rest of the body, at most ``limit`` bytes, and releases the exchange."""
        pieces, left = [], limit
        while left > 0 and (piece := await self.receive()) is not None:
            pieces.append(piece[:left])
            left -= len(piece)
        self.release()
        return b"".join(pieces)

    def release(self) -> None:
        """Ends the exchange. The connection is kept after a short drain in the background, or closed."""
        if self._lease is None or self._next is _released:
            return
        self._next = _released
        if self._reusable:
            self._background(self._drain)
        else:
            self._lose()

    def abort(self) -> None:
        """Closes the connection in the background. A waiting `receive` fails at once."""
        self._lose()

    def too_large(self, most: int) -> ResponseTooLargeError:
        """The error for a body of more than ``most`` bytes."""
        return ResponseTooLargeError(f"The answer of {self._host} is larger than {most} bytes.", status=self.status)

    async def _drain(self) -> None:
        left = DRAIN_BYTES
        try:
            with Closing(), anyio.move_on_after(DRAIN_SECONDS):
                async for data in self._body:
                    left -= len(data)
                    if left < 0:
                        return
                await self._end()
        finally:
            self._lose()

    async def _end(self) -> None:
        """Lets the library prepare its connection for the next request, after the body was read to its end."""
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
        with Closing(), anyio.move_on_after(_MOST_UNWINDING):
            try:
                for _ in range(_MOST_UNWOUND):
                    await self._body.__anext__()
            except StopAsyncIteration:
                pass
        with Closing():
            await self._response.aclose()


class InflatedExchange(HTTPExchange):
    """An exchange with a compressed body. One read may decode to at most ``most`` bytes."""

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


async def whole(exchange: HTTPExchange, most: int) -> HTTPReply:
    """Reads the whole reply.

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
    return HTTPReply(status=exchange.status, headers=exchange.headers, body=b"".join(pieces))


async def _released() -> bytes:
    raise ConnectionLostError("The answer was given up, so there is nothing more to read.")


async def _ended() -> bytes:
    raise StopAsyncIteration
