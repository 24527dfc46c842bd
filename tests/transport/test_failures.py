"""The table of foreign exceptions."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from asyncllm._transport import aiohttp_internals, httpx_internals
from asyncllm._transport.failures import surfaced, translate
from asyncllm.errors import (
    AsyncLLMError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    ConnectTimeoutError,
    IdleTimeoutError,
    ProtocolError,
    TransportError,
)


def tree(kind: type[BaseException], package: str) -> Iterator[type[BaseException]]:
    """A class and all below it that the package defines."""
    if kind.__module__.split(".")[0] == package:
        yield kind
    for below in kind.__subclasses__():
        yield from tree(below, package)


def made(kind: type[Any]) -> BaseException:
    """An exception without the ceremony of its constructor."""
    error: BaseException = kind.__new__(kind)
    error.args = ("https://host/?key=canary",)
    return error


@pytest.mark.parametrize("package", ["httpx", "httpx2", "httpcore", "httpcore2"])
def test_every_exception_of_httpx_has_a_row(package: str) -> None:
    """Each exception that the library can raise is translated by a row of its own, and says nothing of its text."""
    pytest.importorskip(package)
    kinds = [kind for kind in tree(Exception, package) if not issubclass(kind, Warning)]
    assert len(kinds) > 10
    known = {"ConnectionNotAvailable", "ServerDisconnected"}
    for kind in kinds:
        if not kind.__name__.startswith(("WebSocket", "SSE")) and kind.__name__ not in known:
            assert kind.__name__ in httpx_internals.ROWS, kind
        error = translate(made(kind), "host")
        assert isinstance(error, AsyncLLMError) or kind.__name__ in known, kind
        assert "canary" not in str(error)


def test_every_exception_of_aiohttp_has_a_row() -> None:
    """Each exception of aiohttp's client is translated, most by a row above it."""
    pytest.importorskip("httpx_aiohttp")
    import aiohttp
    from aiohttp.http_exceptions import HttpProcessingError

    for root in (aiohttp.ClientError, HttpProcessingError):
        for kind in tree(root, "aiohttp"):
            assert any(base.__name__ in aiohttp_internals.ROWS for base in kind.__mro__), kind


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UnicodeError("label too long"), ConfigurationError),
        (TimeoutError(), IdleTimeoutError),
        (ConnectionResetError(104, "reset"), ConnectionLostError),
        (EOFError(), ConnectionLostError),
        (KeyError("bug"), None),
        (AssertionError("not mocked"), None),
        (asyncio.CancelledError(), None),
        (KeyboardInterrupt(), None),
        (ConnectTimeoutError("ours"), ConnectTimeoutError),
    ],
)
def test_what_passes_through_the_library(error: BaseException, expected: type[AsyncLLMError] | None) -> None:
    """Failures of the system are translated; cancellations, bugs and mocks' complaints are not."""
    found = translate(error, "host")
    assert (expected or type(None)) is type(found)
    assert (found or error) is not None
    if found is None:
        assert error is surfaced(error, "host")


@pytest.mark.parametrize("package", ["httpx", "httpx2"])
def test_reasons_come_from_the_system(package: str) -> None:
    """The operating system's and the TLS library's words are kept, and a certificate is recognised below anything."""
    module = pytest.importorskip(package)

    def raised(cause: BaseException) -> BaseException:
        try:
            raise module.ConnectError("foreign text") from cause
        except module.ConnectError as error:
            return error

    refused = translate(raised(ConnectionRefusedError(111, "Connection refused")), "host")
    assert "Could not connect to host: Connection refused." == str(refused)
    bad = ssl.SSLCertVerificationError(1, "certificate verify failed")
    bad.verify_message = "self-signed certificate"
    found = translate(raised(bad), "host")
    assert isinstance(found, ConnectError)
    assert (True, "The certificate of host was refused: self-signed certificate.") == (found.certificate, str(found))
    other = ssl.SSLError(1, "nonsense")
    other.reason = "WRONG_VERSION_NUMBER"
    assert "TLS says WRONG_VERSION_NUMBER" in str(translate(raised(other), "host"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Server disconnected without sending a response.", ConnectionLostError),
        ("peer closed connection without sending complete message body (incomplete chunked read)", ConnectionLostError),
        ("illegal status line: bytearray(b'x')", ProtocolError),
        ("Receive buffer too long", ProtocolError),
    ],
)
@pytest.mark.parametrize("package", ["httpx", "httpx2"])
def test_a_peer_that_went_away_is_told_from_one_that_speaks_nonsense(
    package: str, text: str, expected: type[AsyncLLMError]
) -> None:
    """Httpx calls both RemoteProtocolError; h11's words tell which it is."""
    module = pytest.importorskip(package)
    assert expected is type(translate(module.RemoteProtocolError(text), "host"))


def test_the_rows_advise() -> None:
    """Every row leads to an error of the network, of the protocol or of the configuration."""
    for kind, sentence in [*httpx_internals.ROWS.values(), *aiohttp_internals.ROWS.values()]:
        assert issubclass(kind, (TransportError, ProtocolError, ConfigurationError))  # type: ignore[arg-type]
        assert "{host}" in sentence


@pytest.mark.parametrize("package", ["httpx", "httpx2"])
def test_what_the_caller_was_handling_is_no_reason(package: str) -> None:
    """A failure during the handling of another one does not inherit its reason."""
    module = pytest.importorskip(package)
    before = ConnectError("The certificate was refused.", certificate=True)
    before.__context__ = ssl.SSLCertVerificationError(1, "certificate verify failed")
    after = module.ConnectError("foreign text")
    after.__context__ = before
    found = translate(after, "host")
    assert isinstance(found, ConnectError)
    assert not found.certificate
