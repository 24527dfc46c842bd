"""The interface between the engine and the network.

``send`` gives a whole answer; ``stream`` gives its head, and an `Exchange` to read on from. Neither follows redirects,
retries (but for one thing: a reused connection that the server had already closed), or interprets a status.

Rules an implementation keeps:

* Every exception is one of `asyncllm.errors`, raised without a foreign cause: frames of the HTTP library hold headers.
* The caller's cancellation passes through untouched, and the connection it hit is closed, never reused.
* `Exchange.abort` and `Exchange.release` never block and never await: they can be called from anywhere on the loop's
  thread, also from a finaliser, and are idempotent.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import field
from typing import Any, Protocol

from .._config.sections import Timeouts as Timeouts
from .._schema.values import dataclass

MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_ERROR_BODY_BYTES = 64 * 1024

Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]
"""Starts a coroutine function as a background task that no cancellation of the caller reaches."""


class Headers(tuple[tuple[str, str], ...]):
    """Request headers: an immutable sequence of (name, value), whose repr shows names only."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Headers({', '.join(name for name, _ in self)})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportRequest:
    """One HTTP request, complete and signed.

    Attributes:
        url: the whole URL, percent-encoded.
        headers: everything but ``host``, ``content-length``, ``accept-encoding`` and ``connection``.
        connect_timeout: seconds to connect.
        write_timeout: seconds for each block written.
        head_timeout: seconds until the first byte of the answer; None leaves it to the caller's own deadline.
        read_timeout: seconds for each read after that (aiohttp knows one timeout for both: ``head_timeout``).
        max_body: the most bytes of a decoded body that are taken.
    """

    method: str
    url: str
    headers: Headers
    body: bytes = field(default=b"", repr=False)
    connect_timeout: float | None = 5.0
    write_timeout: float | None = 30.0
    head_timeout: float | None = None
    read_timeout: float | None = 60.0
    max_body: int = MAX_BODY_BYTES
    on_reconnect: Callable[[], None] | None = field(default=None, compare=False)
    """Called when a stale connection made one immediate second try necessary: that is an attempt of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPReply:
    """A whole reply: status, headers with lower-case names (repeated ones joined by ``, ``), decoded body.

    Its repr is the status alone: it stands in the frames of errors, and a server may echo the key in the rest.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Exchange(Protocol):
    """A streamed reply whose headers have come."""

    status: int
    headers: Mapping[str, str]

    async def receive(self) -> bytes | None:
        """Returns the next decoded bytes, never empty, or None at the end of the body.

        Raises:
            ConnectionLostError: the connection broke in the middle of the body.
            IdleTimeoutError: nothing came for ``read_timeout`` seconds.
            ResponseTooLargeError: a read decoded to more than the bound (a compression bomb).
            ProtocolError: the bytes are not HTTP.
        """
        ...

    async def read(self, limit: int) -> bytes:
        """Reads the rest of the body, at most ``limit`` bytes (for error bodies), and releases the exchange."""
        ...

    def release(self) -> None:
        """Ends the exchange. The connection goes back to the pool after a bounded drain in the background, or is
        closed.
        """
        ...

    def abort(self) -> None:
        """Closes the connection now, in the background. A waiting ``receive`` fails at once."""
        ...


class Transport(Protocol):
    """A pool of connections."""

    async def send(self, request: TransportRequest) -> HTTPReply:
        """Sends a request and returns the whole reply.

        Raises:
            ConnectError, ConnectTimeoutError, WriteTimeoutError, ConnectionLostError, IdleTimeoutError: the network.
            ResponseTooLargeError: the decoded body is over ``max_body``.
            ProtocolError: the answer is not HTTP.
        """
        ...

    async def stream(self, request: TransportRequest) -> Exchange:
        """Sends a request and returns when the headers of the reply have come. Raises as `send` does."""
        ...

    async def aclose(self) -> None:
        """Closes every connection."""
        ...

    def forget(self) -> None:
        """Drops every connection without awaiting, as their event loop has ended."""
        ...
