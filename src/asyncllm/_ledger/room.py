"""Room in the ledger's queue: every call takes one place before it begins and gives it back when its record is written.

So the end of a call never has to wait, nothing is ever dropped, and whoever is too many waits at the beginning, first
come, first served.
"""

from __future__ import annotations

import threading
from collections import deque

from ..errors import LedgerError
from .waiting import Waiter, deliver, new_waiter


class Room:
    """So many places. Thread-safe; a finaliser never touches it."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._lock = threading.Lock()
        self._waiting: deque[Waiter] = deque()

    @property
    def free(self) -> int:
        """Places nobody has taken."""
        return self._free

    async def take(self) -> None:
        """Takes a place, when there is one.

        Raises:
            LedgerError: `refuse` was called in the meantime.
        """
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return
            waiter = new_waiter()
            self._waiting.append(waiter)
        try:
            error = await waiter.wait()
        except BaseException:
            with self._lock:
                given = waiter not in self._waiting
                if not given:
                    self._waiting.remove(waiter)
            if given:
                self.give(1)
            raise
        if error is not None:
            raise error

    def give(self, places: int) -> None:
        """Gives places back, to those first who wait."""
        with self._lock:
            woken = [self._waiting.popleft() for _ in range(min(places, len(self._waiting)))]
            self._free += places - len(woken)
        deliver([(waiter, None) for waiter in woken])

    def refuse(self, sentence: str) -> None:
        """Sends everybody away who waits: no place will be free for some time."""
        with self._lock:
            woken, self._waiting = self._waiting, deque()
        deliver([(waiter, LedgerError(sentence)) for waiter in woken])
