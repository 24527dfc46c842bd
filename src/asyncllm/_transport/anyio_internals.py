"""The non-public parts of anyio, asyncio and trio that we use: closing a socket without its event loop.

Seen in anyio 4.5 to 4.16 and CPython 3.10 to 3.14. A test runs against the installed versions and fails when one of
these is gone.
"""

from __future__ import annotations

import importlib.util
import os
from typing import Any

ASYNCIO_BACKEND = "anyio._backends._asyncio"
RUNTIMES = ("anyio", "trio", "h11")
"""The packages whose exceptions, where they come through the HTTP library as they are, mean a lost connection."""


def load_backend() -> None:
    """Imports anyio's part for asyncio now, which anyio itself does at its first use on the event loop."""
    if importlib.util.find_spec(ASYNCIO_BACKEND) is not None:
        importlib.import_module(ASYNCIO_BACKEND)


def abandon(network: Any) -> None:
    """Closes the socket of a network stream whose event loop has ended.

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
