"""What the transport uses of foreign libraries without a promise of theirs is still there, in the installed versions.

Each test fails when a release takes something away, and names the file that has to follow.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import ssl
from typing import Any

import anyio
import anyio.lowlevel
import h11
import pytest
import trustme
from loopback import hello, serving

from asyncllm._transport import aiohttp_internals, httpx_internals
from asyncllm._transport.anyio_internals import ASYNCIO_BACKEND, abandon

pytestmark = pytest.mark.anyio
LIBRARIES = [name for name in ("httpx", "httpx2") if importlib.util.find_spec(name) is not None]


def named(package: str) -> set[str]:
    """The exceptions that a package shows."""
    module = importlib.import_module(package)
    return {name for name in dir(module) if isinstance(getattr(module, name), type)}


@pytest.mark.parametrize("package", LIBRARIES)
def test_the_exceptions_are_there(package: str) -> None:
    """Every exception that httpx_internals names exists in the library."""
    assert set() == set(httpx_internals.ROWS) - named(package)


@pytest.mark.skipif(importlib.util.find_spec("aiohttp") is None, reason="aiohttp is not installed")
def test_the_exceptions_of_aiohttp_are_there() -> None:
    """Every exception that aiohttp_internals names exists in aiohttp."""
    found = named("aiohttp") | named("aiohttp.http_exceptions")
    assert set() == set(aiohttp_internals.ROWS) - found


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("library", LIBRARIES)
async def test_the_trace_tells_of_the_connection(library: str, encrypted: bool) -> None:
    """A new connection is told by trace events with the names that httpx_internals knows, TLS included."""
    module = importlib.import_module(library)
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    context, serverside = ssl.create_default_context(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.configure_trust(context)
    authority.issue_cert("127.0.0.1", key_type=trustme.KeyType.ECDSA).configure_cert(serverside)
    opened: list[Any] = []

    async def trace(event: str, info: dict[str, Any]) -> None:
        found = httpx_internals.opened_socket(event, info)
        if found is not None:
            opened.append(found)

    async with serving(hello, context=serverside if encrypted else None) as server:
        transport = module.AsyncHTTPTransport(verify=context)
        request = module.Request("GET", server.url, extensions={"trace": trace})
        response = await transport.handle_async_request(request)
        await response.aread()
        await response.aclose()
        stream = response.extensions["network_stream"]
        assert callable(stream.get_extra_info)
        await transport.aclose()
    assert (2 if encrypted else 1) == len(opened)
    assert all(callable(found.aclose) and callable(found.get_extra_info) for found in opened)


@pytest.mark.parametrize("library", LIBRARIES)
async def test_the_connection_that_reads_answers_is_found(library: str) -> None:
    """httpx_internals finds the h11 connection of a transport: without it a chunk costs twice as much."""
    module = importlib.import_module(library)
    async with serving(hello) as server:
        transport = module.AsyncHTTPTransport()
        assert httpx_internals.h11_connection(transport) is None
        response = await transport.handle_async_request(module.Request("GET", server.url))
        found = httpx_internals.h11_connection(transport)
        assert h11.Connection is type(found)
        assert h11.CLIENT is found.our_role
        await response.aread()
        await response.aclose()
        await transport.aclose()
    assert httpx_internals.h11_connection(module.AsyncHTTPTransport) is None


@pytest.mark.parametrize("library", LIBRARIES)
async def test_a_socket_can_be_closed_without_its_loop(library: str) -> None:
    """anyio_internals closes the descriptor of a connection of asyncio and of trio."""
    module = importlib.import_module(library)
    async with serving(hello) as server:
        transport = module.AsyncHTTPTransport()
        response = await transport.handle_async_request(module.Request("GET", server.url))
        await response.aread()
        stream = response.extensions["network_stream"]
        sock = stream.get_extra_info("socket")
        assert sock.fileno() >= 0
        abandon(stream)
        await anyio.lowlevel.checkpoint()
        await anyio.sleep(0.01)
        assert sock.fileno() < 0


def test_the_modules_that_are_imported_ahead_are_there() -> None:
    """What is imported in a thread before the first call is what the first call would import."""
    assert importlib.util.find_spec(ASYNCIO_BACKEND) is not None
    for package in LIBRARIES:
        assert importlib.util.find_spec(httpx_internals.CORES[package]) is not None


def test_asyncios_transports_can_be_ended_without_their_loop() -> None:
    """The method that anyio_internals calls where the loop is closed belongs to every transport of a socket."""
    base = importlib.import_module("asyncio.selector_events")._SelectorTransport
    assert callable(base._call_connection_lost)
    assert issubclass(base, asyncio.Transport) or callable(base.abort)
