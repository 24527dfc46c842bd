"""The non-public parts of aiohttp and httpx-aiohttp that we use: names of exceptions.

Seen in aiohttp 3.11 to 3.13 with httpx-aiohttp 0.1.8 to 0.2.0. A test runs against the installed versions and fails
when one of these is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..errors import (
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    ConnectTimeoutError,
    IdleTimeoutError,
    ProtocolError,
    TransportError,
)
from .httpx_internals import Row

# httpx-aiohttp calls nearly every failure of a connection a ConnectTimeout; the cause below it is right.
ROWS: Mapping[str, Row] = MappingProxyType(
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
