"""Forbids connections to other machines, for tests that must not reach a provider.

Loopback addresses and Unix sockets are allowed. What is watched are the functions of Python's ``socket`` module, which
asyncio, trio and the blocking libraries use. Libraries with sockets of their own in C, and asyncio's proactor loop on
Windows, connect without them; there only the look-up of host names is caught.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain", ""})


class NetworkForbiddenError(AssertionError):
    """Tells that a test that must not use the network tried to connect to another machine."""


@contextmanager
def network_forbidden() -> Iterator[None]:
    """Lets every connection to another machine fail while the block runs, in all threads.

    Raises:
        NetworkForbiddenError: at the connection, and again at the end of the block if something caught it there.
    """
    tried: list[str] = []
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def refuse(host: object, port: object) -> None:
        if not _is_local(host):
            name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
            tried.append(f"{name}:{port}")
            raise NetworkForbiddenError(_sentence(tried))

    def check(address: Any) -> None:
        if isinstance(address, tuple):  # a Unix socket's address is a text
            refuse(address[0], address[1])

    def guarded_connect(self: socket.socket, address: Any) -> None:
        check(address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        check(address)
        return connect_ex(self, address)

    def guarded_look_up(host: Any, port: Any, *rest: Any, **named: Any) -> Any:
        if host is not None:
            refuse(host, port)
        return look_up(host, port, *rest, **named)

    socket.socket.connect = guarded_connect  # type: ignore[assignment, method-assign]
    socket.socket.connect_ex = guarded_connect_ex  # type: ignore[assignment, method-assign]
    socket.getaddrinfo = guarded_look_up
    try:
        yield
    finally:
        socket.socket.connect = connect  # type: ignore[method-assign]
        socket.socket.connect_ex = connect_ex  # type: ignore[method-assign]
        socket.getaddrinfo = look_up
    if tried:
        raise NetworkForbiddenError(_sentence(tried))


def _sentence(tried: list[str]) -> str:
    return (
        f"this test forbids the network, and a connection to {', '.join(dict.fromkeys(tried))} was tried. "
        "Use the fixture llm_simulator or llm_recording, or remove the marker llm_no_network."
    )


def _is_local(host: object) -> bool:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    if name.lower() in _LOCAL_NAMES:
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
