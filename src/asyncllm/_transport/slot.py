"""One connection: a transport of the HTTP library that is limited to a single connection, and the socket under it.

The library's own pool never has more than this one connection to look after, so what it costs and what it loses when
it is cancelled stays here: a slot that was cancelled, or failed, is closed and never used again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

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
        """An idle connection with something to read was closed by the peer."""
        if self.network is None:
            return True
        try:
            return not self.network.get_extra_info("is_readable")
        except (OSError, ValueError, RuntimeError):  # the socket is closed already
            return False

    def close(self) -> None:
        """Closes the connection in the background; a read that waits on it fails at once."""
        if not self._closed:
            self._closed = True
            self._background(self.aclose)

    async def aclose(self) -> None:
        """Closes the connection."""
        self._closed = True
        leftover, self.leftover = self.leftover, None
        try:
            if self.network is not None:
                with suppress(Exception):
                    await self.network.aclose()
            with suppress(Exception):
                await self.transport.aclose()
        finally:
            if leftover is not None:
                await leftover()

    async def watch(self, event: str, info: dict[str, Any]) -> None:
        """The library's ``trace`` hook: takes hold of the socket before the first answer, to be able to close it."""
        opened = info.get("return_value")
        if event.endswith(("connect_tcp.complete", "start_tls.complete")) and hasattr(opened, "aclose"):
            self.network = opened

    def forget(self) -> None:
        """Closes the socket without its event loop, which is gone."""
        self._closed = True
        with suppress(Exception):
            if self.network is not None:
                abandon(self.network)
        # Closing aiohttp's needs no loop up to its first wait, and httpx's has nothing left to close.
        closing = self.transport.aclose()
        with suppress(Exception):
            closing.send(None)
        with suppress(Exception):
            closing.close()


def abandon(network: Any) -> None:
    """Closes the socket of a network stream whose event loop does not run any more.

    trio's sockets give up their descriptor. asyncio's transports do so only through their loop, so that theirs is taken
    the way the loop itself would have taken it, which also spares the warning about an unclosed transport.
    """
    stream: Any = getattr(network, "_stream", None)
    while hasattr(stream, "transport_stream"):
        stream = stream.transport_stream
    transport: Any = getattr(stream, "_transport", None)
    if transport is None:
        sock = network.get_extra_info("socket")
        if sock.fileno() >= 0:
            os.close(sock.detach())
        return
    try:
        transport.abort()
    except RuntimeError:  # the event loop is closed
        transport._call_connection_lost(None)  # noqa: SLF001  # what the loop itself would have called
