"""What is sent and received, in the log: only for ``ASYNCLLM_LOG=debug``, the one switch that logs content.

The rules:

* No key. Of headers only those of a list are shown with their values. Whatever a header held that is not shown is taken
  out of every text, also where a server echoes it. What looks like a key, and JSON fields that are named like one, go
  out of bodies.
* No media. Long base64 text, in a data URL or a field, is cut to its length.
* A stream is shown read by read. Bytes that are no text are told by their number.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping

from .._schema.redaction import redact_all, without
from .base import Exchange, HTTPReply, Transport, TransportRequest

_log = logging.getLogger("asyncllm.wire")
_SHOWN = frozenset(
    {
        "accept",
        "anthropic-beta",
        "anthropic-version",
        "content-type",
        "content-length",
        "date",
        "retry-after",
        "server",
        "traceparent",
        "user-agent",
        "x-request-id",
        "request-id",
        "x-amzn-requestid",
        "x-should-retry",
    }
)
_BASE64 = re.compile(r"(data:[\w.+/-]+;base64,)?[A-Za-z0-9+/_-]{200,}={0,2}")
_FIELDS = re.compile(
    r'("(?:[\w-]*(?:api[_-]?key|authorization|secret|password)[\w-]*|(?:\w+_)?token|x-[\w-]*key)"\s*:\s*)"(?:[^"\\]|\\.)*"',
    re.IGNORECASE,
)
_MOST = 20_000  # letters of one body
_SHORTEST = 6  # a shorter value may stand in a text by chance


class LoggedTransport:
    """A transport whose requests and answers are logged.

    Args:
        inner: does the work.
    """

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    async def send(self, request: TransportRequest) -> HTTPReply:
        """As the inner transport."""
        secrets = _tell_request(request)
        reply = await self._inner.send(request)
        _tell_head(request, reply.status, reply.headers, secrets)
        _tell("received", reply.body, secrets)
        return reply

    async def stream(self, request: TransportRequest) -> Exchange:
        """As the inner transport."""
        secrets = _tell_request(request)
        exchange = await self._inner.stream(request)
        _tell_head(request, exchange.status, exchange.headers, secrets)
        return LoggedExchange(exchange, secrets)

    async def aclose(self) -> None:
        """Closes the inner transport."""
        await self._inner.aclose()

    def forget(self) -> None:
        """As the inner transport."""
        self._inner.forget()


class LoggedExchange:
    """A streamed answer whose reads are logged."""

    def __init__(self, inner: Exchange, secrets: tuple[str, ...]) -> None:
        self._inner = inner
        self._secrets = secrets
        self.status = inner.status
        self.headers = inner.headers

    async def receive(self) -> bytes | None:
        """As the inner exchange."""
        data = await self._inner.receive()
        _tell("received", b"[end]" if data is None else data, self._secrets)
        return data

    async def read(self, limit: int) -> bytes:
        """As the inner exchange."""
        data = await self._inner.read(limit)
        _tell("received", data, self._secrets)
        return data

    def release(self) -> None:
        """As the inner exchange."""
        self._inner.release()

    def abort(self) -> None:
        """As the inner exchange."""
        self._inner.abort()


def _tell_request(request: TransportRequest) -> tuple[str, ...]:
    """Logs a request; gives what must be in no text."""
    hidden = [value for name, value in request.headers if name.lower() not in _SHOWN]
    secrets = tuple({part for value in hidden for part in (value, value.rpartition(" ")[2]) if len(part) >= _SHORTEST})
    _log.debug(
        "%s %s %s",
        request.method,
        clean(request.url, secrets),
        _headers(request.headers, secrets),
        extra={"event": "request"},
    )
    _tell("sent", request.body, secrets)
    return secrets


def _tell_head(request: TransportRequest, status: int, headers: Mapping[str, str], secrets: tuple[str, ...]) -> None:
    _log.debug(
        "status %s for %s %s %s",
        status,
        request.method,
        clean(request.url.partition("?")[0], secrets),
        _headers(headers.items(), secrets),
        extra={"event": "response", "status": status},
    )


def _tell(what: str, body: bytes, secrets: tuple[str, ...]) -> None:
    if body:
        _log.debug("%s: %s", what, _text(body, secrets), extra={"event": what})


def _headers(headers: Iterable[tuple[str, str]], secrets: tuple[str, ...]) -> str:
    shown = [f"{name}: {clean(value, secrets) if name.lower() in _SHOWN else '[not shown]'}" for name, value in headers]
    return "; ".join(shown)


def _text(body: bytes, secrets: tuple[str, ...]) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = body.decode("utf-8", "replace")
        if text.count("\ufffd") > len(body) // 4:
            return f"[{len(body)} bytes]"
    text = "".join([letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in text])
    found = clean(text, secrets)
    return found if len(found) <= _MOST else f"{found[:_MOST]}... [{len(found)} letters]"


def clean(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without keys and without long base64."""
    for secret in secrets:
        text = without(secret, text)
    text = _BASE64.sub(lambda found: f"{found[1] or ''}[{len(found[0])} letters of base64]", text)
    return redact_all(_FIELDS.sub(r'\1"[redacted]"', text))
