"""Builds the HTTP library's request objects.

Three things differ from what the library would build by itself: the header list is exactly ours (no cookies, no
``user-agent`` of the library, a ``host`` computed once an address); its repr shows names only, because the library
hides ``authorization`` but not ``x-api-key``; and the body is sent in blocks, so that the write timeout bounds a
block and not an upload. The body's iterator is a plain object: an async generator that a cancellation leaves half-way
would be noticed by trio's garbage-collection hook.
"""

from __future__ import annotations

from typing import Any

from ..errors import ConfigurationError
from .base import Headers, TransportRequest
from .decompress import ACCEPT_ENCODING

BLOCK_BYTES = 256 * 1024

ACCEPTED = ((b"Accept-Encoding", ACCEPT_ENCODING.encode()),)

_FIXED = (*ACCEPTED, (b"Connection", b"keep-alive"))
_WITH_BODY = ("POST", "PUT", "PATCH")


class Blocks:
    """A request body as an async iterator of blocks."""

    __slots__ = ("_at", "_body")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def __aiter__(self) -> Blocks:
        return self

    async def __anext__(self) -> bytes:
        start = self._at
        if start >= len(self._body):
            raise StopAsyncIteration
        self._at = start + BLOCK_BYTES
        return self._body if len(self._body) <= BLOCK_BYTES else self._body[start : self._at]


class OutgoingRequests:
    """Makes requests of one library.

    Args:
        module: httpx or httpx2.
        whole_bodies: the transport wants small bodies as bytes (httpx-aiohttp does).

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

            def __aiter__(self) -> Blocks:
                return Blocks(self._body)

        self.headers: Any = NamesOnly
        self._body = Body

    def build(self, request: TransportRequest, url: Any, host: bytes, extensions: dict[str, Any]) -> Any:
        """The library's request.

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
        if self._whole_bodies and len(request.body) <= BLOCK_BYTES:
            built = self._request(request.method, url, stream=self._whole(request.body), extensions=extensions)
            built.read()
        else:
            built = self._request(request.method, url, stream=self._body(request.body), extensions=extensions)
        built.headers = self.headers(raw, "ascii")
        return built


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
