"""Watches open streams for what no single read can keep cheaply: silence, heartbeats without content, a deadline.

A cancel scope cannot stay open across the yields of a stream, and one for each read would cost as much as the read.
So one task looks at all open streams of a client, exactly when the earliest of them may be due, and aborts the
connection of one that is: the read that waits on it fails at once, and the stream raises the timeout instead.
"""

from __future__ import annotations

import math
import weakref
from typing import Protocol

import anyio

from .background import Background


class Watched(Protocol):
    """A stream as the watch sees it."""

    def due(self, now: float) -> float:
        """The earliest moment at which it may time out; later than ``now`` while it waits for nothing."""
        ...

    def expire(self) -> None:
        """It has timed out: fail the read that waits."""
        ...


class Watch:
    """The watch over the streams of one client.

    Args:
        background: starts the task, and knows the clock.
    """

    def __init__(self, background: Background) -> None:
        self._background = background
        self._clock = background.clock
        self._streams: weakref.WeakSet[Watched] = weakref.WeakSet()  # an abandoned stream must be collected
        self._running = False
        self._sleeping_until = math.inf
        self._wake = anyio.Event()

    def add(self, stream: Watched) -> None:
        """Watches a stream until it expires or is removed."""
        self._streams.add(stream)
        if not self._running:
            self._running = True
            self._background.spawn(self._run)
        elif stream.due(self._clock()) < self._sleeping_until:
            self._wake.set()

    def remove(self, stream: Watched) -> None:
        """Forgets a stream; one that is not watched is fine."""
        self._streams.discard(stream)

    def look(self) -> float:
        """Expires what is due, and tells when to look again."""
        now = self._clock()
        earliest = math.inf
        for stream in tuple(self._streams):
            due = stream.due(now)
            if due <= now:
                self._streams.discard(stream)
                stream.expire()
            else:
                earliest = min(earliest, due)
        return earliest

    async def _run(self) -> None:
        try:
            while self._streams:
                self._sleeping_until = self.look()
                self._wake = anyio.Event()
                with anyio.move_on_at(self._sleeping_until):
                    await self._wake.wait()
        finally:
            self._running = False
            self._sleeping_until = math.inf
