"""The writer: one daemon thread that owns the store, so that no event loop ever waits for a disk.

Operations arrive in a queue that may be fed from anywhere, a finaliser too. Whatever arrived while the last
transaction ran becomes the next one: group commit, without a timer; ends of calls, for which nobody waits, let a few
milliseconds pass for company. Then everybody who waits is woken, one call for each event loop.

**Bad weather.** When the store fails, settlements stay in memory and are tried again every second, in their order;
calls that are about to begin are refused, or let go without an open row, as the policy says. Nobody waits for a store
that is known to fail. Memory is bounded by the room that every call took before it began.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from ..errors import AsyncLLMError, LedgerError
from .booking import Adjusting, Booked, EndedAttempt, Opening, Operation, Settling
from .budgets import Alert, OnError
from .columns import Settlement
from .export import LogFile
from .stores import Store
from .waiting import PendingAnswer, deliver

MOST_AT_ONCE = 512
RETRY_SECONDS = 1.0
LINGER_SECONDS = 0.005
LAST_SECONDS = 2.0

_log = logging.getLogger("asyncllm.ledger")

Appraise = Callable[[Opening], Settlement]
"""What an attempt whose process died is booked at."""


class Flushing:
    """The operation that is over when everything before it is committed."""

    __slots__ = ("done", "error", "last", "waiter")

    def __init__(self, waiter: PendingAnswer | None, *, last: bool = False) -> None:
        self.waiter = waiter
        self.last = last
        self.done = threading.Event()
        self.error: LedgerError | None = None


class LedgerThread:
    """The thread, its queue and its store. Everything but `put` and `end` runs on the thread.

    Args:
        store: where records go.
        appraise: prices what dead processes left open.
        on_error: ``"error"`` or ``"warn"``, for calls under no hard budget.
        mirror: the log file.
        on_alert: called for each alert of a budget, on the writer's thread.
        on_room: told how many calls are over for good.
        on_trouble: told that the store fails.
    """

    def __init__(
        self,
        store: Store,
        *,
        appraise: Appraise,
        on_error: OnError,
        mirror: LogFile | None,
        on_alert: Callable[[Alert], None] | None,
        on_room: Callable[[int], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        self.store = store
        self.trouble: LedgerError | None = None
        self._queue: SimpleQueue[Operation | Flushing] = SimpleQueue()
        self._backlog: list[Settling] = []
        self._appraise = appraise
        self._on_error = on_error
        self._mirror = mirror
        self._on_alert = on_alert
        self._on_room = on_room
        self._on_trouble = on_trouble
        self.ended = True
        self._connected = False
        self._recovered = False
        self._retry_at = 0.0
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self.put: Callable[[Operation | Flushing], None] = self._queue.put

    def start(self) -> None:
        """Starts the thread if it does not run. A finaliser may call it: it never waits for the lock."""
        if not self._starting.acquire(blocking=False):
            return  # somebody is at it
        try:
            if self.ended:
                self._thread = threading.Thread(target=self._run, name="asyncllm ledger", daemon=True)
                self.ended = False
                self._thread.start()
                atexit.register(self.end)
        finally:
            self._starting.release()

    @property
    def running(self) -> bool:
        """Whether there is a thread that reads the queue."""
        return self._thread is not None and self._thread.is_alive()

    def end(self, seconds: float = LAST_SECONDS) -> LedgerError | None:
        """Commits what is there and stops; blocking. What went wrong, if something did."""
        atexit.unregister(self.end)
        if self.ended or not self.running or self._pid != os.getpid():
            return None
        last = Flushing(None, last=True)
        self.put(last)
        if not last.done.wait(seconds):
            return LedgerError(f"the ledger did not finish within {seconds:g} s")
        return last.error

    def leave(self) -> None:
        """Lets the thread end when it has written what is there; never waits. For a ledger that nobody closed."""
        if not self.ended:
            self.put(Flushing(None, last=True))

    def full(self) -> str:
        """What those are told who find no room while the store fails."""
        return f"{_sentence(self.trouble)}; the memory for records that wait to be written is full"

    # The thread

    def _run(self) -> None:
        while True:
            batch, flushes = self._collect()
            try:
                self._handle(batch)
            except Exception:  # noqa: BLE001  # a thread that dies would hang everybody who waits for it
                _log.exception("the ledger met something nobody foresaw; its operations are tried one by one")
                self._one_by_one(batch)
            if self._finish(flushes):
                return

    def _collect(self) -> tuple[list[Operation], list[Flushing]]:
        timeout = max(0.0, self._retry_at - time.monotonic()) if self._backlog else None
        operations: list[Operation] = []
        flushes: list[Flushing] = []
        lingered = False
        while not flushes and len(operations) < MOST_AT_ONCE:
            try:
                found = self._queue.get(timeout=timeout)
            except Empty:
                if lingered or not operations or any(type(one) is not Settling for one in operations):
                    break
                lingered, timeout = True, LINGER_SECONDS  # nobody waits: the next call's opening may come along
                continue
            if isinstance(found, Flushing):
                flushes.append(found)
            else:
                operations.append(found)
            timeout = 0.0
        return operations, flushes

    def _finish(self, flushes: Sequence[Flushing]) -> bool:
        last = False
        for flush in flushes:
            if self._backlog or not self._recovered:  # asked for by name: it is tried now, whatever the clock says
                self._retry_at = 0.0
                self._handle([])
            left = sum(one.settlement is not None for one in self._backlog)
            if left:
                flush.error = LedgerError(f"{left} records are not written: {_sentence(self.trouble)}")
            if flush.last:
                last = True
                self._close(flush)
            flush.done.set()
        deliver([(flush.waiter, flush.error) for flush in flushes if flush.waiter is not None])
        return last

    def _close(self, flush: Flushing) -> None:
        if flush.error is not None:
            _log.error("%s; they are lost with this process", flush.error)
        if self._mirror is not None:
            self._mirror.close()
        self._connected = False
        self.ended = True
        try:
            self.store.close()
        except LedgerError as error:
            _log.warning("%s", error)

    def _ensure_connected(self) -> None:
        if not self._connected:
            self.store.connect(hurried=self.trouble is not None)
            self._connected = True
        if not self._recovered:
            self._recover()
            self._recovered = True

    def _recover(self) -> None:
        """Books what dead processes left open."""
        openings = self.store.abandoned()
        for start in range(0, len(openings), MOST_AT_ONCE):
            part = openings[start : start + MOST_AT_ONCE]
            self._after(self.store.write([Settling(opening, self._appraise(opening)) for opening in part]))
        if openings:
            _log.warning("%d attempts of processes that died are booked at their estimates", len(openings))

    def _handle(self, batch: list[Operation]) -> None:
        if self.trouble is not None and time.monotonic() < self._retry_at:
            self._set_aside(batch, doubtful=False)
            return
        if not self._backlog and not batch and self._recovered:
            return
        whole: list[Operation] = [*self._backlog, *batch]
        try:
            self._ensure_connected()
            booked = self.store.write(whole)
        except LedgerError as error:
            self._begin_trouble(error)
            self._set_aside(batch, doubtful=True)
            return
        self._backlog = []
        if self.trouble is not None:
            _log.warning("the ledger can be written again; what was kept in memory is in it")
            self.trouble = None
            self._connected = False  # in no hurry any more
        self._after(booked)
        self._free([*booked.refused, *(one.opening for one in whole if isinstance(one, Settling))])

    def _one_by_one(self, batch: Sequence[Operation]) -> None:
        whole, self._backlog = [*self._backlog, *batch], []
        for operation in whole:
            try:
                self._handle([operation])
            except Exception:  # noqa: BLE001  # it is this one
                _log.exception("an operation of the ledger cannot be carried out and is left out")
                self._backlog = []
                refused = self._refuse([operation], "the ledger failed; its log says how", always=True)
                self._free([operation.opening] if isinstance(operation, Settling) else refused)

    def _free(self, openings: Iterable[Opening]) -> None:
        """Gives back the room of attempts that are over, once each."""
        count = 0
        for opening in openings:
            if opening.has_room:
                opening.has_room = False
                count += 1
        if count:
            self._on_room(count)

    def _after(self, booked: Booked) -> None:
        """What follows a commit."""
        for opening in booked.refused:
            opening.refused = True
        if booked.answers:
            deliver(booked.answers)
        if self._mirror is not None and booked.entries:
            self._mirror.write(booked.entries)
        for alert in booked.alerts:
            self._give(alert)

    def _give(self, alert: Alert) -> None:
        _log.warning("%s", alert)
        if self._on_alert is not None:
            try:
                self._on_alert(alert)
            except Exception:  # noqa: BLE001  # the user's code, not ours
                _log.exception("the alert callback failed")

    def _begin_trouble(self, error: LedgerError) -> None:
        if self.trouble is None:
            _log.warning("%s; records are kept in memory until it can be written again", error)
        self.trouble = error
        self._connected = False
        self._retry_at = time.monotonic() + RETRY_SECONDS
        self._on_trouble(self.full())

    def _set_aside(self, batch: Sequence[Operation], *, doubtful: bool) -> None:
        """Keeps what is over in memory, and answers those who wait as the policy says.

        Args:
            batch: operations that could not be written.
            doubtful: the store failed in the middle, so a commit may have gone through before its answer was lost: the
                row of a call that is refused must be taken back.
        """
        settlings = [one for one in batch if isinstance(one, Settling) and not one.opening.refused]
        self._backlog += settlings
        if self._mirror is not None:
            ended = [EndedAttempt(one.opening, one.settlement, None) for one in settlings if one.settlement is not None]
            self._mirror.write(ended)
        refused = self._refuse(batch, _sentence(self.trouble))
        if doubtful:
            self._backlog += [Settling(opening, None) for opening in refused]
        else:
            self._free(refused)

    def _refuse(self, batch: Sequence[Operation], sentence: str, *, always: bool = False) -> list[Opening]:
        answers: list[tuple[PendingAnswer, Any]] = []
        refused: list[Opening] = []
        for operation in batch:
            if isinstance(operation, Adjusting):
                answers.append((operation.waiter, LedgerError(sentence)))
            elif isinstance(operation, Opening):
                error: AsyncLLMError | None = None
                if not operation.forced and (always or self._policy(operation) == "error"):
                    error = LedgerError(sentence)
                    refused.append(operation)
                if operation.waiter is not None:
                    answers.append((operation.waiter, error))
        deliver(answers)
        return refused

    def _policy(self, opening: Opening) -> OnError:
        by_budget = None if opening.hold is None else opening.hold.on_error
        return by_budget or self._on_error


def _sentence(trouble: LedgerError | None) -> str:
    return "the ledger cannot be written" if trouble is None else trouble.message
