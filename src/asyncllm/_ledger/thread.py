"""The ledger's thread: one daemon thread that owns the store, so that no event loop waits for a disk.

Two things arrive. Operations come in a queue that may be fed from anywhere, a finaliser too: attempts under hard
budgets, and all attempts of a store without a journal. Whatever arrived while the last transaction ran becomes the
next one: group commit, without a timer; ends of calls, for which nobody waits, let a few milliseconds pass for
company. Then everybody who waits is woken, one call for each event loop. Frames come in the store's journal; they are
folded a quarter of a second after the first one, or when there are 256, and before any operation of the queue that
came after them. Each fold costs as much as five rows, and takes the interpreter's lock a dozen times: folding five
times as often costs a call 4% more.

**Bad weather.** When the store fails, ends of attempts of the queue stay in memory and are tried again every second,
in their order. The journal goes on for a minute, or until it has 64 MB that are not folded. Then, and for a store
without one, calls that are about to begin are refused, or let go without an open row, as the policy says. Nobody
waits for a store that is known to fail. Memory is bounded by the room that every call took before it began.

**Room in budgets.** A call that would fit into its hard budgets but for the reservations in flight waits in line; it
is tried again whenever an attempt of this process has ended, and every 250 ms for those of others. Before a call
waits or is refused, what dead processes had reserved is given back.

**Forks.** No transaction is under way while the process forks. The child begins anew: with a thread, a queue, a lock
and a journal of its own, and what was open belongs to the parent.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from ..errors import AsyncLLMError, LedgerError
from .booking import Adjusting, Booked, EndedAttempt, Opening, Operation, Settling
from .budgets import Alert, OnError
from .columns import Settlement
from .export import LogFile
from .journal import MOST_UNFOLDED, Journal
from .stores import Store
from .upkeep import Upkeep
from .waiting import Flushing, PendingAnswer, Room, Written, deliver

MOST_AT_ONCE = 512
RETRY_SECONDS = 1.0
LINGER_SECONDS = 0.005
FOLD_SECONDS = 0.25
LAST_SECONDS = 2.0
PATIENCE_WITH_FOLDING = 60.0
LOOK_SECONDS = 0.25
_FORK_SECONDS = 1.0
_MOST_SLICES = 10_000
_NEVER = math.inf

_log = logging.getLogger("asyncllm.ledger")

Appraise = Callable[[Opening], Settlement]
"""What an attempt whose process died is booked at."""


Write = Callable[[Sequence[Operation]], Booked]


class Chore:
    """Work with the store besides operations: for the rows of jobs.

    Args:
        action: gets the store, and a function that books operations in one transaction.
    """

    __slots__ = ("action", "waiter")

    def __init__(self, action: Callable[[Store, Write], None], waiter: PendingAnswer) -> None:
        self.action = action
        self.waiter = waiter


class LedgerThread:
    """The thread, its queue and its store. Everything but `put`, `journal` and `end` is used on the thread.

    Attributes:
        journal: where attempts under no hard budget are opened at once; None while that is not possible.
        generation: how often the process was forked since it made this.
        trouble: why the store fails; None while it does not.

    Args:
        store: where records go.
        appraise: prices what dead processes left open.
        on_error: ``"error"`` or ``"warn"``, for calls under no hard budget.
        mirror: the log file.
        on_alert: called for each alert of a budget, on the writer's thread.
        room: where places of calls are given back, and where nobody waits while the store fails.
        keep: how many microseconds records are kept; None for ever.
    """

    def __init__(
        self,
        store: Store,
        *,
        appraise: Appraise,
        on_error: OnError,
        mirror: LogFile | None,
        on_alert: Callable[[Alert], None] | None,
        room: Room,
        keep: int | None = None,
    ) -> None:
        self.store = store
        self.trouble: LedgerError | None = None
        self.journal: Journal | None = None
        self.generation = 0
        self._queue: SimpleQueue[Operation | Flushing | Chore | Written | bool] = SimpleQueue()
        self._backlog: list[Settling] = []
        self._appraise = appraise
        self._on_error = on_error
        self._mirror = mirror
        self._held = False
        self._on_alert = on_alert
        self._room = room
        self.ended = True
        self._connected = False
        self._recovered = False
        self._retry_at = 0.0
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._journal: Journal | None = None
        self._fold_at = self._renew_at = _NEVER
        self._failing_since = _NEVER
        self._line: list[Opening] = []
        self._looked_at = 0.0
        self._busy = threading.Lock()
        self._upkeep = Upkeep(store, keep)
        self.put: Callable[[Operation | Flushing | Chore | Written | bool], None] = self._queue.put
        if hasattr(os, "register_at_fork"):
            me = weakref.ref(self)
            os.register_at_fork(
                before=lambda: _for(me, LedgerThread._before_fork),
                after_in_parent=lambda: _for(me, LedgerThread._after_fork),
                after_in_child=lambda: _for(me, LedgerThread._begin_anew),
            )

    def _before_fork(self) -> None:
        self._held = self._busy.acquire(timeout=_FORK_SECONDS)

    def _after_fork(self) -> None:
        if self._held:
            self._busy.release()

    def _begin_anew(self) -> None:
        """Called in a forked child: begins with an empty state, as everything belongs to the parent."""
        self.generation += 1
        self._queue = SimpleQueue()
        self.put = self._queue.put
        self._backlog, self._line = [], []
        self._busy, self._starting = threading.Lock(), threading.Lock()
        self._thread, self.ended = None, True
        self._connected = self._recovered = False
        self.trouble, self._failing_since, self._fold_at, self._renew_at = None, _NEVER, _NEVER, _NEVER
        journal, self.journal, self._journal = self._journal, None, None
        if journal is not None:
            journal.leave_to_parent()
        self.store.after_fork()
        self._room.begin_anew()
        self._upkeep.begin_anew()
        if self._mirror is not None:
            self._mirror.close()

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
        """Commits what is there and stops the thread; blocking. Returns the error, if there was one."""
        atexit.unregister(self.end)
        if self.ended or not self.running:
            return None
        last = Flushing(None, last=True)
        self.put(last)
        if not last.done.wait(seconds):
            return LedgerError(f"the ledger did not finish within {seconds:g} s")
        return last.error

    def leave(self) -> None:
        """Ends the thread after it has written what is there. Never waits. For a ledger that was not closed."""
        if not self.ended:
            self.put(Flushing(None, last=True))

    def full(self) -> str:
        """Returns the error for callers that find no room while the store fails."""
        return f"{_sentence(self.trouble)}; the memory for records that wait to be written is full"

    # The thread

    def _run(self) -> None:
        while True:
            batch, flushes = self._collect()
            with self._busy:  # nobody forks in the middle
                try:
                    self._handle(batch)
                except Exception:  # noqa: BLE001  # a thread that dies would hang everybody who waits for it
                    _log.exception(
                        "the ledger met something nobody foresaw; its operations are tried one by one",
                        extra={"event": "ledger"},
                    )
                    self._one_by_one(batch)
                if self._finish(flushes):
                    return

    def _collect(self) -> tuple[list[Operation], list[Flushing | Chore]]:
        operations: list[Operation] = []
        flushes: list[Flushing | Chore] = []
        lingered = False
        timeout = self._until_due()
        while not flushes and len(operations) < MOST_AT_ONCE:
            try:
                found = self._queue.get(timeout=timeout)
            except Empty:
                if lingered or not operations or any(type(one) is not Settling for one in operations):
                    break
                lingered, timeout = True, LINGER_SECONDS  # nobody waits: the next call's opening may come along
                continue
            if isinstance(found, bool):
                self._fold_at = 0.0 if found else min(self._fold_at, time.monotonic() + FOLD_SECONDS)
                timeout = 0.0 if operations else self._until_due()
                continue
            if isinstance(found, Written):
                self._free([found.opening])
                self._fold_at = 0.0
                timeout = 0.0 if operations else LINGER_SECONDS
                continue
            if isinstance(found, (Flushing, Chore)):
                flushes.append(found)
            else:
                operations.append(found)
            timeout = 0.0
        return operations, flushes

    def _until_due(self) -> float | None:
        """Returns the seconds until the next work that nobody asks for, or None."""
        due = min(self._fold_at, self._retry_at if self._backlog else _NEVER, self._renew_at, self._upkeep.due)
        if self._line:
            due = min(due, self._looked_at + LOOK_SECONDS)
        if self.trouble is not None:
            due = max(due, self._retry_at)
        return None if due == _NEVER else max(0.0, due - time.monotonic())

    def _do(self, chore: Chore) -> None:
        error: AsyncLLMError | None = None

        def write(operations: Sequence[Operation]) -> Booked:
            booked = self.store.write(operations)
            self._after(booked)
            return booked

        try:
            self._retry_at = 0.0
            self._ensure_connected()
            chore.action(self.store, write)
        except AsyncLLMError as found:
            error = found
        except Exception:  # noqa: BLE001  # the thread goes on, and nobody waits for ever
            _log.exception("the ledger met something nobody foresaw", extra={"event": "ledger"})
            error = LedgerError("the ledger failed; its log says how")
        deliver([(chore.waiter, error)])

    def _finish(self, found: Sequence[Flushing | Chore]) -> bool:
        last = False
        flushes: list[Flushing] = []
        for flush in found:
            if isinstance(flush, Chore):
                self._do(flush)
                continue
            flushes.append(flush)
            self._retry_at = 0.0  # asked for by name: it is tried now, whatever the clock says
            try:
                self._fold_everything()
                if flush.look and self.trouble is None:
                    self._look_for_dead()
            except Exception:  # noqa: BLE001  # the thread goes on, and nobody waits for ever
                _log.exception("the ledger met something nobody foresaw", extra={"event": "ledger"})
                flush.error = LedgerError("the ledger failed; its log says how")
            left = sum(one.settlement is not None for one in self._backlog)
            if left:
                flush.error = LedgerError(f"{left} records are not written: {_sentence(self.trouble)}")
            elif self.trouble is not None and self._journal is not None:
                flush.error = LedgerError(f"the journal is not in the database yet: {_sentence(self.trouble)}")
            if flush.last:
                last = True
                self._close(flush)
            flush.done.set()
        deliver([(flush.waiter, flush.error) for flush in flushes if flush.waiter is not None])
        return last

    def _fold_everything(self) -> None:
        """Writes everything: all frames, and what waits in memory."""
        for _ in range(_MOST_SLICES):
            if self._connected and self._recovered and not self._backlog and self._journal is None:
                return
            self._fold_at = 0.0
            self._handle([])
            if self.trouble is not None or not self.store.more:
                return

    def _close(self, flush: Flushing) -> None:
        self.journal = None
        self._free(self._refuse(self._line, "the ledger was closed", always=True))
        self._line = []
        if self._journal is not None:
            self._journal.end()
            self._fold_everything()  # what came in the meantime
            self._journal = None
        if self._backlog and flush.error is not None:
            _log.error("%s; they are lost with this process", flush.error, extra={"event": "ledger"})
        if self._mirror is not None:
            self._mirror.close()
        self._connected = False
        self._renew_at = _NEVER
        self._upkeep.stop()
        self.ended = True
        try:
            self.store.close()
        except LedgerError as error:
            _log.warning("%s", error, extra={"event": "ledger"})

    def _ensure_connected(self) -> None:
        if not self._connected:
            self.store.connect(hurried=self.trouble is not None)
            self._connected = True
            self._renew_at = self._next_renewal()
            self._upkeep.begin()
        elif time.monotonic() >= self._renew_at:
            self.store.renew()
            self._renew_at = self._next_renewal()
        if not self._recovered:
            self._recover()
            self._recovered = True
        if self._journal is None:
            self._journal = self.store.journal(self.put)  # a bool in the queue: there are frames to fold

    def _next_renewal(self) -> float:
        every = self.store.renew_every
        return _NEVER if every is None else time.monotonic() + every

    def _look_for_dead(self) -> None:
        try:
            self._recover()
        except LedgerError as error:
            self._begin_trouble(error)

    def _recover(self) -> bool:
        """Books the journals and the open rows of dead processes. Returns whether there was anything."""
        self.store.adopt()
        found = self.store.more
        while self.store.more:
            self._after(self.store.write([]))
        openings = self.store.abandoned()
        for start in range(0, len(openings), MOST_AT_ONCE):
            part = openings[start : start + MOST_AT_ONCE]
            self._after(self.store.write([Settling(opening, self._appraise(opening)) for opening in part]))
        if openings:
            _log.warning(
                "%d attempts of processes that died are booked at their estimates",
                len(openings),
                extra={"event": "ledger"},
            )
        return found or bool(openings)

    def _handle(self, batch: list[Operation]) -> None:
        if self.trouble is not None and time.monotonic() < self._retry_at:
            self._set_aside(self._with_those_in_line(batch), doubtful=False)
            self._line = []
            return
        now = time.monotonic()
        if self._connected:
            self._upkeep.look()
        idle = not self._backlog and not self._line and not batch and self._recovered
        if idle and self._fold_at > now and self._renew_at > now:
            return
        whole = [*self._backlog, *self._with_those_in_line(batch)]
        try:
            self._ensure_connected()
            booked = self.store.write(whole)
            if booked.refused and now >= self._looked_at + LOOK_SECONDS:
                self._looked_at = now
                if self._recover():
                    booked = self._once_more(booked)
        except LedgerError as error:
            self._begin_trouble(error)
            self._set_aside(self._with_those_in_line(batch), doubtful=True)
            self._line = []
            return
        self._backlog = []
        self._fold_at = 0.0 if self.store.more else _NEVER
        self._failing_since = _NEVER
        if self._journal is not None:
            self._journal.mend()
        self._offer_journal()
        if self.trouble is not None:
            _log.warning("the ledger can be written again; what was kept in memory is in it", extra={"event": "ledger"})
            self.trouble = None
            self._connected = False  # in no hurry any more
        self._put_in_line(booked, now)
        self._after(booked)
        self._free([*booked.refused, *(one.opening for one in whole if isinstance(one, Settling))])

    def _with_those_in_line(self, batch: Sequence[Operation]) -> list[Operation]:
        """Returns a batch with the calls that wait for a budget: after the operations that may make room, before the
        new ones.
        """
        if not self._line:
            return list(batch)
        left = {opening.id for opening in self._line if opening.settled}  # cancelled: they leave nothing
        self._free(opening for opening in self._line if opening.settled)
        self._line = [opening for opening in self._line if not opening.settled]
        new = {one.id for one in batch if isinstance(one, Opening)}
        first: list[Operation] = []
        then: list[Operation] = []
        for one in batch:
            if isinstance(one, Settling) and one.opening.id in left:
                continue
            late = isinstance(one, Opening) or (isinstance(one, Settling) and one.opening.id in new)
            (then if late else first).append(one)
        return [*first, *self._line, *then]

    def _once_more(self, booked: Booked) -> Booked:
        """Tries the refused calls again, as there is more room now. The rest of the first booking stays."""
        again = self.store.write(booked.refused)
        tried = {opening.waiter for opening in booked.refused}
        again.answers += [answer for answer in booked.answers if answer[0] not in tried]
        again.entries += booked.entries
        again.alerts += booked.alerts
        return again

    def _put_in_line(self, booked: Booked, now: float) -> None:
        """Puts refused calls that may wait into the line. They get no answer yet."""
        self._line = []
        for opening in booked.refused:
            patience = booked.patience.get(opening.id, 0)
            if patience and opening.give_up_at is None:
                opening.give_up_at = now + patience
            if patience and now < (opening.give_up_at or 0):
                self._line.append(opening)
        if self._line:
            waiting = {opening.waiter for opening in self._line}
            booked.answers = [answer for answer in booked.answers if answer[0] not in waiting]
            booked.refused = [opening for opening in booked.refused if opening.waiter not in waiting]

    def _offer_journal(self) -> None:
        """Allows calls to use the journal while it can be written and the store is not too far behind."""
        journal = self._journal
        if journal is not None:
            late = time.monotonic() - self._failing_since > PATIENCE_WITH_FOLDING
            if late or not journal.works or journal.size > MOST_UNFOLDED:
                journal = None
        self.journal = journal

    def _one_by_one(self, batch: Sequence[Operation]) -> None:
        whole, self._backlog = [*self._backlog, *batch], []
        for operation in whole:
            try:
                self._handle([operation])
            except Exception:  # noqa: BLE001  # it is this one
                _log.exception(
                    "an operation of the ledger cannot be carried out and is left out", extra={"event": "ledger"}
                )
                self._backlog = []
                refused = self._refuse([operation], "the ledger failed; its log says how", always=True)
                self._free([operation.opening] if isinstance(operation, Settling) else refused)

    def _free(self, openings: Iterable[Opening]) -> None:
        """Gives back the room of ended attempts, once each."""
        count = 0
        for opening in openings:
            if opening.has_room:
                opening.has_room = False
                count += 1
        if count:
            self._room.give(count)

    def _after(self, booked: Booked) -> None:
        """Does what follows a commit: answers, alerts and the log file."""
        for opening in booked.refused:
            opening.refused = True
        if booked.answers:
            deliver(booked.answers)
        if self._mirror is not None and booked.entries:
            self._mirror.write(booked.entries)
        for alert in booked.alerts:
            self._give(alert)
        if booked.refused and (refusals := booked.refusals()):  # a call has its answer before they are counted
            try:
                self.store.count_refusals(refusals)
            except LedgerError as error:
                _log.warning("refusals could not be counted: %s", error, extra={"event": "ledger"})

    def _give(self, alert: Alert) -> None:
        _log.warning("%s", alert, extra={"event": "alert", **alert.facts()})
        if self._on_alert is not None:
            try:
                self._on_alert(alert)
            except Exception:  # noqa: BLE001  # the user's code, not ours
                _log.exception("the alert callback failed", extra={"event": "alert"})

    def _begin_trouble(self, error: LedgerError) -> None:
        if self.trouble is None:
            _log.warning(
                "%s; records are kept in memory until it can be written again", error, extra={"event": "ledger"}
            )
        self.trouble = error
        self._connected = False
        self._retry_at = time.monotonic() + RETRY_SECONDS
        self._failing_since = min(self._failing_since, time.monotonic())
        self._fold_at = min(self._fold_at, self._retry_at)
        self._offer_journal()
        self._room.refuse(self.full())

    def _set_aside(self, batch: Sequence[Operation], *, doubtful: bool) -> None:
        """Keeps settlements in memory after a failed write, and answers the waiting callers by the policy.

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


def _for(me: weakref.ref[LedgerThread], action: Callable[[LedgerThread], None]) -> None:
    thread = me()
    if thread is not None:
        action(thread)


def _sentence(trouble: LedgerError | None) -> str:
    return "the ledger cannot be written" if trouble is None else trouble.message
