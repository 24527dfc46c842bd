"""The one table that says which of our errors a foreign exception is.

Rules:

* The HTTP libraries are known by the names of their exceptions only (httpx and httpx2 have the same ones), so nothing
  is imported. The most specific name in the exception's ancestry wins.
* The exception is read, never kept: its frames hold headers. The caller raises what `translate` returned after its
  ``except`` block has ended, so that nothing foreign becomes its context.
* The sentence names the host, never a URL. Of the foreign text only an operating system's or a TLS library's reason
  is kept.
* What is no failure of the network (a bug, an assertion in somebody's mock) is not disguised as one: `translate`
  gives None.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from ..errors import (
    AsyncLLMError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    ConnectTimeoutError,
    IdleTimeoutError,
    ProtocolError,
    TransportError,
    WriteTimeoutError,
)

Row = tuple[Callable[[str], AsyncLLMError], str]
_LIBRARIES = ("httpx", "httpx2", "httpcore", "httpcore2")
_RUNTIMES = ("anyio", "trio", "h11")
_FOREIGN = (*_LIBRARIES, *_RUNTIMES, "aiohttp")
_DEEPEST = 12  # exceptions in a chain

_CLOSED_WORDS = ("closed connection", "disconnected")  # h11's and httpcore's way to say that the peer went away

HTTPX_ROWS: Mapping[str, Row] = MappingProxyType(
    {
        "HTTPError": (TransportError, "The request to {host} failed."),
        "RequestError": (TransportError, "The request to {host} failed."),
        "TransportError": (TransportError, "The connection to {host} failed."),
        "TimeoutException": (IdleTimeoutError, "{host} was silent for too long."),
        "ConnectTimeout": (ConnectTimeoutError, "{host} did not accept a connection in time."),
        "ReadTimeout": (IdleTimeoutError, "{host} was silent for too long."),
        "WriteTimeout": (WriteTimeoutError, "{host} stopped reading the request."),
        "PoolTimeout": (ConnectTimeoutError, "No connection to {host} became free in time."),
        "NetworkError": (ConnectionLostError, "The connection to {host} was lost."),
        "ConnectError": (ConnectError, "Could not connect to {host}{reason}."),
        "ReadError": (ConnectionLostError, "The connection to {host} was lost{reason}."),
        "WriteError": (ConnectionLostError, "The connection to {host} was lost{reason}."),
        "CloseError": (ConnectionLostError, "The connection to {host} was lost."),
        "ProxyError": (ConnectError, "The proxy refused to connect to {host}."),
        "UnsupportedProtocol": (ConfigurationError, "The address of {host} must begin with http:// or https://."),
        "ProtocolError": (ProtocolError, "{host} does not speak HTTP/1.1 correctly."),
        "LocalProtocolError": (ConfigurationError, "The request to {host} is not legal HTTP; check the extra headers."),
        "RemoteProtocolError": (ProtocolError, "{host} does not speak HTTP/1.1 correctly."),
        "DecodingError": (ProtocolError, "The body that {host} sent is damaged."),
        "TooManyRedirects": (ProtocolError, "{host} redirected the request; redirects are not followed."),
        "HTTPStatusError": (ProtocolError, "{host} answered with an error that a hook of the HTTP client raised."),
        "InvalidURL": (ConfigurationError, "The address of {host} is not a legal URL."),
        "StreamError": (ConnectionLostError, "The stream from {host} was already closed."),
        "StreamConsumed": (ConnectionLostError, "The stream from {host} was already closed."),
        "StreamClosed": (ConnectionLostError, "The stream from {host} was already closed."),
        "ResponseNotRead": (ConnectionLostError, "The stream from {host} was already closed."),
        "RequestNotRead": (ConnectionLostError, "The request to {host} could not be sent again."),
        "CookieConflict": (ProtocolError, "{host} sent contradictory cookies."),
    }
)

# httpx-aiohttp calls nearly every failure of a connection a ConnectTimeout; the cause below it is right.
AIOHTTP_ROWS: Mapping[str, Row] = MappingProxyType(
    {
        "ClientError": (TransportError, "The request to {host} failed."),
        "ClientConnectionError": (ConnectionLostError, "The connection to {host} was lost."),
        "ClientOSError": (ConnectionLostError, "The connection to {host} was lost{reason}."),
        "ClientConnectorError": (ConnectError, "Could not connect to {host}{reason}."),
        "ClientProxyConnectionError": (ConnectError, "Could not connect to the proxy for {host}{reason}."),
        "ClientHttpProxyError": (ConnectError, "The proxy refused to connect to {host}."),
        "ServerConnectionError": (ConnectionLostError, "The connection to {host} was lost."),
        "ServerDisconnectedError": (ConnectionLostError, "The connection to {host} was lost."),
        "ServerTimeoutError": (IdleTimeoutError, "{host} was silent for too long."),
        "ConnectionTimeoutError": (ConnectTimeoutError, "{host} did not accept a connection in time."),
        "SocketTimeoutError": (IdleTimeoutError, "{host} was silent for too long."),
        "ClientPayloadError": (ConnectionLostError, "The connection to {host} was lost."),
        "ClientResponseError": (ProtocolError, "{host} does not speak HTTP/1.1 correctly."),
        "InvalidURL": (ConfigurationError, "The address of {host} is not a legal URL."),
        "HttpProcessingError": (ProtocolError, "{host} does not speak HTTP/1.1 correctly."),
        "TransferEncodingError": (ConnectionLostError, "The connection to {host} was lost."),
        "ContentLengthError": (ConnectionLostError, "The connection to {host} was lost."),
    }
)


def translate(error: BaseException, host: str) -> AsyncLLMError | None:
    """Our error for a foreign one; None where it is no failure of the network (a cancellation, a bug)."""
    if isinstance(error, AsyncLLMError):
        return error
    if not isinstance(error, Exception):
        return None
    chain = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in chain):
        return ConnectError(f"The certificate of {host} was refused{_reason(chain)}.", certificate=True)
    row = next((row for cause in chain if (row := _aiohttp_row(cause))), None) or _httpx_row(error)
    if row is None:
        return _other(error, host, chain)
    kind, sentence = row
    if kind is ProtocolError and any(word in str(error) for word in _CLOSED_WORDS):
        kind, sentence = HTTPX_ROWS["NetworkError"]
    return kind(sentence.format(host=host, reason=_reason(chain)))


def surfaced(error: BaseException, host: str) -> BaseException:
    """What to raise: our error, or (for a cancellation or a bug) the same exception without the library's frames.

    To be raised after the ``except`` block has ended.
    """
    return translate(error, host) or error.with_traceback(None)


def _other(error: Exception, host: str, chain: list[BaseException]) -> AsyncLLMError | None:
    """Failures that passed through the library as they were."""
    if isinstance(error, UnicodeError):
        return ConfigurationError(f"The address of {host} is not a legal host name.")
    if isinstance(error, TimeoutError):
        return IdleTimeoutError(f"{host} was silent for too long.")
    if isinstance(error, (OSError, EOFError)) or _package(error) in _RUNTIMES:
        return ConnectionLostError(f"The connection to {host} was lost{_reason(chain)}.")
    return None


def _httpx_row(error: BaseException) -> Row | None:
    for kind in type(error).__mro__:
        if kind.__module__.split(".")[0] in _LIBRARIES and (row := HTTPX_ROWS.get(kind.__name__)):
            return row
    return None


def _aiohttp_row(error: BaseException) -> Row | None:
    for kind in type(error).__mro__:
        if kind.__module__.split(".")[0] == "aiohttp" and (row := AIOHTTP_ROWS.get(kind.__name__)):
            return row
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and what it was raised from, outermost first.

    httpcore cuts its causes off (``from None``), so that the libraries' contexts count too; anybody else's may be what
    the caller was just handling.
    """
    seen: BaseException | None = error
    for _ in range(_DEEPEST):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or (seen.__context__ if _package(seen) in _FOREIGN else None)


def _package(error: BaseException) -> str:
    return type(error).__module__.partition(".")[0]


def _reason(chain: list[BaseException]) -> str:
    for cause in reversed(chain):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f": {cause.verify_message}"
        if isinstance(cause, ssl.SSLError) and cause.reason:
            return f": TLS says {cause.reason}"
        if isinstance(cause, OSError) and cause.strerror:
            return f": {cause.strerror}"
    return ""
