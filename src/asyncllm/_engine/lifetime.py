"""Which process and which event loop a client belongs to.

A client belongs to the process and the loop of its first call. When that loop is gone and a new one calls, the client
drops its connections and goes on there; two living loops, a forked child and a closed client get a sentence instead
of a hang.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from ..errors import ClientStateError
from .background import Background, current_loop, is_alive
from .exchange import Engine


class Lifetime:
    """Gives the engine of the running loop.

    Args:
        build: makes the engine for a loop, given the background tasks of that loop.
    """

    def __init__(self, build: Callable[[Background], Engine]) -> None:
        self._build = build
        self._engine: Engine | None = None
        self._loop: object = None
        self._process: int | None = None
        self._closed = False

    def engine(self) -> Engine:
        """The engine of the running loop.

        Raises:
            ClientStateError: the client is closed, in a forked process, or in use by another running loop.
        """
        if self._closed:
            raise ClientStateError("this client is closed; make a new one")
        process = os.getpid()
        if self._process not in (None, process):
            raise ClientStateError(
                "this client was used before the process was forked, so its connections belong to the parent; "
                "make the client in the child process"
            )
        loop = current_loop()
        if self._engine is not None:
            if loop is self._loop:
                return self._engine
            if is_alive(self._loop):
                raise ClientStateError(
                    "this client is in use by another running event loop; "
                    "make one client for each loop, or use SyncClient"
                )
            self._engine.transport.forget()
        self._process, self._loop = process, loop
        self._engine = self._build(Background())
        return self._engine

    async def aclose(self) -> None:
        """Ends it: no call is possible after this. Closing twice is fine."""
        self._closed = True
        engine, self._engine = self._engine, None
        if engine is None or self._process != os.getpid():
            return
        if current_loop() is self._loop:
            await engine.transport.aclose()
            engine.background.stop()
        else:
            engine.transport.forget()
