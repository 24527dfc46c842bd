"""The upkeep of a ledger: hours and days that are over are rolled up, and records that are too old are deleted.

It runs on a thread of its own, which is started when there may be something to do: two seconds after the store was
opened, then a minute after every full hour, and again after five seconds while there is much to do. No call and no
budget waits for it. Several processes may do it at once; a unit is done by one of them.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time

from ..errors import LedgerError
from .stores import Store

_FIRST, _AGAIN = 2.0, 5.0
_HOUR, _AFTER = 3600.0, 60.0
_STOP_SECONDS = 1.0
_log = logging.getLogger("asyncllm.ledger")


class Upkeep:
    """Starts the thread when it is time; used on the ledger's thread.

    Args:
        store: what is looked after.
        keep: how many microseconds records are kept; None for ever.

    Attributes:
        due: when there may be something to do, on the monotonic clock.
    """

    def __init__(self, store: Store, keep: int | None) -> None:
        self._store = store
        self._keep = keep
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self.due: float = math.inf

    def begin(self) -> None:
        """The store was opened."""
        self._stopped = threading.Event()
        self.due = time.monotonic() + _FIRST

    def look(self) -> None:
        """Starts the thread if it is time."""
        if time.monotonic() < self.due:
            return
        if self._thread is not None and self._thread.is_alive():
            self.due = time.monotonic() + _AGAIN
            return
        left = _HOUR - time.time() % _HOUR
        # Not all processes at once. The numbers of `random` itself are the program's: it may have seeded them.
        self.due = time.monotonic() + left + _AFTER + random.SystemRandom().uniform(0, _AFTER)
        self._thread = threading.Thread(target=self._run, args=(self._stopped,), name="asyncllm roll-ups", daemon=True)
        self._thread.start()

    def _run(self, stopped: threading.Event) -> None:
        try:
            while not stopped.is_set() and self._store.tend(int(time.time() * 1e6), self._keep, stopped.is_set):
                stopped.wait(_AGAIN)
        except LedgerError as error:  # somebody else is at it, or the weather is bad: the next hour will do
            _log.debug("the ledger was not rolled up: %s", error, extra={"event": "ledger"})
        except Exception:  # noqa: BLE001  # reports read the records then
            _log.exception("the ledger could not be rolled up", extra={"event": "ledger"})

    def stop(self) -> None:
        """Ends it after the unit that it is at, and waits for that for a moment."""
        self.due = math.inf
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def begin_anew(self) -> None:
        """Called in a forked child, which has no thread yet."""
        self._thread, self.due = None, math.inf
