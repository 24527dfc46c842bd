"""The non-public parts of httpx, httpx2 and httpcore that we use: names of exceptions and of trace events, and where
a transport keeps the h11 connection that reads its answers.

Seen in httpx 0.28.0 and 0.28.1 with httpcore 1.0.0 to 1.0.9, and in httpx2 2.0 to 2.16 with httpcore2. A test runs
against the installed versions and fails when one of these is gone.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

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
"""Our error for an exception, and its sentence."""

PACKAGES = ("httpx", "httpx2", "httpcore", "httpcore2")
CORES: Mapping[str, str] = MappingProxyType({"httpx": "httpcore", "httpx2": "httpcore2"})
OPENED_EVENTS = ("connect_tcp.complete", "start_tls.complete")
"""The ends of the trace events whose ``return_value`` is the network stream of a new connection."""
CLOSED_WORDS = ("closed connection", "disconnected")
"""In the text of a RemoteProtocolError these say that the peer went away: h11's and httpcore's way to say it."""

ROWS: Mapping[str, Row] = MappingProxyType(
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


def load_core(package: str) -> None:
    """Imports the library's core now, which the library itself does at its first connection."""
    importlib.import_module(CORES[package])


def opened_socket(event: str, info: Mapping[str, Any]) -> Any:
    """Returns the network stream in a trace event, or None for every other event."""
    return info["return_value"] if event.endswith(OPENED_EVENTS) else None


def h11_connection(transport: Any) -> Any:
    """Returns what reads the answers of a transport that has one connection; None where it is not found.

    A connection through a proxy is one inside another.
    """
    inner = next(iter(getattr(getattr(transport, "_pool", None), "connections", ())), None)
    while inner is not None and not hasattr(inner, "_h11_state"):
        inner = getattr(inner, "_connection", None)
    return None if inner is None else inner._h11_state  # noqa: SLF001  # that is what this file is for
