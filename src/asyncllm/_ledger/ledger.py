"""`Ledger`: the record of every HTTP attempt, and what it cost.

`open` is awaited before the first byte leaves: when it returns, the attempt has a row that survives the death of this
process, and whatever budgets ask for is reserved, in the same transaction. `settle` ends it: synchronous, never waits,
counts once however often it is called, and may be called by a finaliser. All writing is done by one thread (`writer`);
the loop pays for two queue operations and one wake-up.

A ledger may be used from several event loops and threads. A row that is settled twice is written once; a row that is
never settled belongs to its process, and is booked as unknown when that is dead.
"""

from __future__ import annotations

import logging
import os
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from anyio import to_thread

from .._schema.response import Response
from ..errors import AsyncLLMError, ConfigurationError, LedgerError
from .booking import Adjusting, Opening, Settling
from .budgets import Alert, Budget, BudgetRefusal, Budgets, BudgetStatus, Hold, OnError, status_of, zone_of
from .columns import Head, Record, Settlement, record_of, usage_facts
from .export import LogFile
from .exporting import PAGE, LedgerExports, query_of
from .jobs import OWNER, JobRow, reserve
from .journal import OPEN, SETTLE, VOID, Journal
from .reports import ReportRow, check_dimensions, merge, step_of, zone_of_days
from .stores import NOTHING, Store
from .thread import LAST_SECONDS, Appraise, Chore, LedgerThread, Write
from .units import MICROSECONDS, Ulids, new_ulid, to_dollars, to_microseconds, to_nano
from .waiting import Flushing, Room, Written, new_waiter

PLACES = 65_536
_MOST_SCORE = 1e9
_T = TypeVar("_T")
_log = logging.getLogger("asyncllm.ledger")


_NO_HOLD = (None, None)


def charge_what_was_reserved(opening: Opening) -> Settlement:
    """Returns the cost of a dead process's attempt without a price: what it had reserved, else unknown."""
    return Settlement(status="unknown", cost=None if opening.hold is None else opening.hold.amount)


class Ledger(LedgerExports):
    """The record of every attempt.

    Args:
        store: where records are kept.
        budgets: limits on what calls may cost.
        session: the id of this ledger's session; made when left out.
        on_error: what happens to a call under no hard budget when the store cannot be written: ``"warn"`` lets it go
            and keeps its record in memory, ``"error"`` refuses it.
        log_path: a file that gets a JSON line for each settled attempt.
        on_alert: called when a budget reaches 90% and 100%, once a window, on the ledger's own thread.
        appraise: prices attempts whose process died.
        places: the most attempts that are under way or not yet written; more wait before they begin.
        keep: how long records are kept; None for ever. The sums of their hours and days stay.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        *,
        budgets: Sequence[Budget] = (),
        session: str = "",
        on_error: OnError = "warn",
        log_path: str | os.PathLike[str] | None = None,
        on_alert: Callable[[Alert], None] | None = None,
        appraise: Appraise = charge_what_was_reserved,
        places: int = PLACES,
        keep: timedelta | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.session: str = session or new_ulid(time.time_ns() // 1_000_000, os.urandom(16))
        self.budgets: Budgets = Budgets(budgets)
        self._store = store
        self._clock = clock
        self._room = Room(places)
        store.budgets = tuple(budgets)
        self._thread = LedgerThread(
            store,
            appraise=appraise,
            on_error=on_error,
            mirror=None if log_path is None else LogFile(Path(log_path)),
            on_alert=on_alert,
            room=self._room,
            keep=None if keep is None else keep // timedelta(microseconds=1),
        )
        self._keep = keep
        weakref.finalize(self, self._thread.leave).atexit = False  # at exit the thread itself waits, for a while
        self._session_cost = 0
        self._session_unpriced = 0
        self._ulids = Ulids()

    def now(self) -> int:
        """Microseconds since 1970."""
        return int(self._clock() * 1e6)

    async def open(self, head: Head, hold: Hold | None = None) -> Opening:
        """Opens the row of an attempt and reserves what its budgets need. After it returns, the row survives the
        process.

        Cancelled while it waits, it leaves nothing behind.

        Args:
            head: what is known before.
            hold: what to reserve, in which windows; from `Budgets.charges`.

        Returns:
            What `settle` ends.

        Raises:
            BudgetExceededError: a hard budget has no room; nothing was opened.
            LedgerError: it cannot be written, and the policy is to refuse.
        """
        journal = self._thread.journal
        if journal is not None and (hold is None or not hold.hard):
            opening = self._open_in(journal, head, hold)
            if opening is not None:
                return opening
        return await self._open_by_queue(head, hold)

    def _open_in(self, journal: Journal, head: Head, hold: Hold | None) -> Opening | None:
        """Opens an attempt by one write to the journal. Returns None if that fails."""
        now = int(self._clock() * 1e6)
        opening = Opening(self._ulids.make(now // 1000, self._thread.generation), now, head, hold, None)
        reserved = _NO_HOLD if hold is None else hold.written()
        if not journal.append(OPEN, (opening.id, now, tuple(head), *reserved)):
            return None
        opening.journal, opening.generation = journal, self._thread.generation
        return opening

    async def _open_by_queue(self, head: Head, hold: Hold | None) -> Opening:
        """Opens an attempt in a transaction of the ledger's thread, and waits for it."""
        thread, room = self._thread, self._room
        if thread.ended:
            thread.start()
        if thread.trouble is not None and room.free == 0:
            raise LedgerError(thread.full())
        await room.take()
        waiter = new_waiter()
        now = int(self._clock() * 1e6)
        opening = Opening(self._ulids.make(now // 1000, self._thread.generation), now, head, hold, waiter)
        opening.generation, opening.has_room = thread.generation, True
        thread.put(opening)
        try:
            refusal = await waiter.wait()
        except BaseException:
            opening.settled = True
            thread.put(Settling(opening, None))
            raise
        if refusal is not None:
            opening.settled = True
            raise refusal
        return opening

    def open_at_once(self, head: Head, hold: Hold | None = None) -> Opening:
        """Opens the row of an attempt without waiting for a commit, and takes over a reservation that has just ended.

        For an attempt that follows another one in the same breath: no budget is asked again, no room is waited for.
        """
        thread = self._thread
        if thread.journal is not None and (hold is None or not hold.hard):
            written = self._open_in(thread.journal, head, hold)
            if written is not None:
                return written
        now = int(self._clock() * 1e6)
        opening = Opening(self._ulids.make(now // 1000, self._thread.generation), now, head, hold, None)
        opening.generation, opening.forced = thread.generation, True
        thread.put(opening)
        if thread.ended:
            thread.start()
        return opening

    def settle(self, opening: Opening, settlement: Settlement | None) -> None:
        """Settles an attempt. Never waits; a second time does nothing.

        Args:
            opening: from `open`. One that a process had opened before this one was forked from it is left alone.
            settlement: how it ended; None when no byte was sent after all, which leaves no record.
        """
        thread = self._thread
        journal = None if opening.once else opening.journal or thread.journal
        if opening.settled or opening.generation != thread.generation:
            return
        opening.settled = True
        if settlement is not None:
            if settlement.cost is None:
                self._session_unpriced += 1
            else:
                self._session_cost += settlement.cost
        if journal is not None:
            hold = opening.hold
            reserved = _NO_HOLD if hold is None else hold.written()
            if settlement is None:
                written = journal.append(VOID, (opening.id, opening.time, (), *reserved))
            else:
                ended = settlement[:-1] + usage_facts(settlement[-1])  # `end_facts`, without a call
                values = (opening.id, opening.time, tuple(opening.head), *reserved, ended)
                written = journal.append(SETTLE, values)
            if written:
                if opening.has_room:
                    thread.put(Written(opening))
                return
        thread.put(Settling(opening, settlement))
        if thread.ended:
            thread.start()

    # Jobs at a provider

    async def open_job(self, job: JobRow, lines: Sequence[tuple[str, Head, Hold | None]]) -> None:
        """Keeps a job and opens all of its lines; it survives this process when this returns.

        Args:
            job: the job.
            lines: the id, the head and the reservation of each.

        Raises:
            BudgetExceededError: a hard budget has no room for all of them; nothing was opened.
            LedgerError: it cannot be written.
        """
        openings = []
        for key, head, hold in lines:
            opening = Opening(key, job.created, head, hold, None)
            opening.owner = OWNER + job.id
            openings.append(opening)
        refusals: list[AsyncLLMError | None] = []

        def work(store: Store, write: Write) -> None:
            refusal = reserve(openings, write)
            if refusal is None:
                store.save_job(job)
            refusals.append(refusal)

        await self._chore(work)
        if refusals[0] is not None:
            raise refusals[0]

    async def save_job(self, job: JobRow) -> None:
        """Writes what has changed of a job.

        Raises:
            LedgerError: it cannot be written.
        """
        await self._chore(lambda store, write: store.save_job(job))

    async def jobs(self, id: str | None = None) -> list[JobRow]:
        """The job of this id, or all of them, the newest first.

        Raises:
            LedgerError: it cannot be read.
        """
        found: list[JobRow] = []
        await self._chore(lambda store, write: found.extend(store.jobs(id)))
        return found

    async def lines_of(self, job: str) -> list[Opening]:
        """The lines of a job that nobody has settled.

        Raises:
            LedgerError: it cannot be read.
        """
        found: list[Opening] = []
        await self._chore(lambda store, write: found.extend(store.lines_of(job)))
        for opening in found:
            opening.recovered, opening.once, opening.waiter = False, True, None
            opening.generation = self._thread.generation
        return found

    async def _chore(self, action: Callable[[Store, Write], None]) -> None:
        waiter = new_waiter()
        if self._thread.ended:
            self._thread.start()
        self._thread.put(Chore(action, waiter))
        error = await waiter.wait()
        if error is not None:
            raise error

    def session_cost(self) -> Decimal:
        """Returns the US dollars of everything settled through this object, without what has no known cost."""
        return to_dollars(self._session_cost)

    def session_unpriced(self) -> int:
        """How many attempts settled through this object have no known cost."""
        return self._session_unpriced

    async def flush(self) -> None:
        """Waits until everything settled so far is committed.

        Raises:
            LedgerError: it cannot be written; it is kept and tried again.
        """
        if not self._thread.ended:
            await self._flush()

    async def _flush(self, *, look: bool = False) -> None:
        waiter = new_waiter()
        self._thread.put(Flushing(waiter, look=look))
        error = await waiter.wait()
        if error is not None:
            raise error

    async def aclose(self) -> None:
        """Commits what is there and closes the store. The next use opens it again."""
        await to_thread.run_sync(self.close)

    def close(self, seconds: float = LAST_SECONDS) -> None:
        """Closes the ledger, blocking for at most so many seconds. What cannot be written is logged."""
        self._thread.end(seconds)

    # Reading

    async def report(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        by: Sequence[str] = (),
        *,
        where: Mapping[str, str] = NOTHING,
        timezone: str = "UTC",
    ) -> list[ReportRow]:
        """Returns sums of usage and cost.

        Args:
            start: the first moment, local time where it has no time zone; None from the beginning.
            end: the first moment after it.
            by: what to group by: ``provider``, ``deployment``, ``model``, ``requested_model``, ``operation``,
                ``session``, ``user``, ``agent``, ``tag``, ``tag:NAME``, ``variant``, ``status``, ``error``,
                ``service_tier``, ``cost_source``, ``unpriced_reason``, ``hour``, ``day``, ``week`` (from Monday),
                ``month``. An attempt with several tags counts in each group of ``tag``.
            where: column (or ``tag:NAME``) -> the value it must have.
            timezone: whose clock begins hours, days, weeks and months, as ``"Europe/Berlin"``.

        Listing, counting and validating models generate nothing: they are left out where they cost nothing, unless
        ``by`` or ``where`` names the ``operation``.

        Returns:
            A row for each group, the dearest first; one row for everything without ``by``; none without records.

        Raises:
            ValueError: an unknown dimension or time zone.
            LedgerError: the store cannot be read.
        """
        check_dimensions(by)
        zone = zone_of(timezone)
        step = step_of(by, zone)
        query = query_of(start, end, where, billed="operation" not in by and "operation" not in where, step=step)
        query = replace(query, zone=zone_of_days(by, zone))
        return await self._read(lambda: merge(by, self._store.report(query, by), zone, step))

    async def records(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        where: Mapping[str, str] = NOTHING,
        newest: bool = False,
        after: str | None = None,
        page: int = PAGE,
    ) -> AsyncGenerator[Record, None]:
        """Every record between two moments, oldest first, read in pages.

        Args:
            start: as for `report`.
            end: as for `report`.
            where: as for `report`.
            newest: newest first.
            after: the id of the record to go on after.
            page: how many are read at once.

        Raises:
            LedgerError: the store cannot be read.
        """
        query = replace(query_of(start, end, where), newest=newest, after=after)
        pages = await self._read(partial(self._store.pages, query, page))
        while True:
            rows = await to_thread.run_sync(_next_page, pages)
            if rows is None:
                return
            for row in rows:
                yield record_of(row)

    async def rate(self, call: Response[Any] | str, score: float, *, note: str | None = None) -> None:
        """Writes beside the answer of a call how good it was; reports show the mean of such scores.

        Args:
            call: the reply, or its ``call_id``.
            score: any number, such as 1 for a thumb up and 0 for a thumb down. A later one replaces it.
            note: what was said of it. It is kept with the record; no report shows it.

        Raises:
            ValueError: the score is no number, or the ledger has no such call.
            LedgerError: the store cannot be written.
        """
        name = call if isinstance(call, str) else call.call_id
        if isinstance(score, bool) or not isinstance(score, (int, float)) or not abs(score) <= _MOST_SCORE:
            raise ValueError(f"a score must be a number from {-_MOST_SCORE:g} to {_MOST_SCORE:g}")
        if name is None:
            raise ValueError("this reply has no call_id: it was not made by a client with a ledger")
        millionths = round(score * MICROSECONDS)
        if not await self._read(lambda: self._store.rate(name, millionths, note)):
            raise ValueError(f"the ledger has no call {name!r}")

    async def roll_up(self) -> int:
        """Rolls up hours and days that are over, and deletes records that are older than ``keep``, now.

        The ledger does so by itself, soon after it was opened and after every full hour. This is for programs that run
        for a moment only.

        Returns:
            How much there was to do; 0 for nothing.

        Raises:
            LedgerError: the store cannot be written.
        """
        keep = None if self._keep is None else self._keep // timedelta(microseconds=1)
        return await self._read(lambda: self._store.tend(self.now(), keep, lambda: False))

    async def delete(self, *, before: datetime | None = None, user: str | None = None) -> int:
        """Deletes records for good, and returns how many; what budgets have counted stays.

        The roll-ups go with them. Of days whose records are gone already (``keep``), the whole days before the moment
        go; of a user, the name is taken out of their sums.

        Args:
            before: only those opened before this moment; local time where it has no time zone.
            user: only those of this user.

        Raises:
            ValueError: neither is given: everything would go.
            LedgerError: the store cannot be written.
        """
        if before is None and user is None:
            raise ValueError("say what to delete: before=, user=, or both")
        query = query_of(None, before, NOTHING if user is None else {"user": user})
        return await self._read(lambda: self._store.delete(query))

    async def backup(self, path: str | os.PathLike[str]) -> None:
        """Writes a whole copy of an SQLite ledger while it is used; the copy can be opened as a ledger.

        Args:
            path: a file that is not there yet.

        Raises:
            ConfigurationError: the ledger is not in SQLite, or the file is there already.
            LedgerError: it cannot be read, or the copy cannot be written.
        """
        from .stores.sqlite import SQLiteStore

        store, target = self._store, Path(path)
        if not isinstance(store, SQLiteStore):
            raise ConfigurationError(
                "only a ledger in SQLite is copied so; for PostgreSQL use pg_dump, see docs/costs.md"
            )
        if await to_thread.run_sync(target.exists):
            raise ConfigurationError(f"{target} is there already; name a new file")
        await self._read(partial(store.backup, target))

    async def _read(self, action: Callable[[], _T]) -> _T:
        """Runs a reading action in a thread, after everything settled by this ledger is in the store."""
        if self._thread.ended:
            self._thread.start()
        try:
            await self._flush(look=True)
        except LedgerError as error:
            _log.warning("%s; they are missing in what is read now", error, extra={"event": "ledger"})
        return await to_thread.run_sync(action)

    # Budgets

    async def budget_statuses(self, head: Head | None = None) -> list[BudgetStatus]:
        """Returns the current state of the budgets.

        Args:
            head: of a call, to see the windows that it would be charged to; without it every budget whose scope has no
                ``"*"``.

        Raises:
            LedgerError: the store cannot be read.
        """
        if head is not None:
            charges = list(self.budgets.charges(head, self.now()))
        else:
            charges = [
                self.budgets.current(budget, self.session, self.now())
                for budget in self.budgets
                if not budget.scope.is_each
            ]
        windows = await self._read(lambda: self._store.windows(charges))
        return [
            status_of(charge, charge.budget, window)
            for charge, window in zip(charges, windows, strict=True)
            if charge.budget is not None
        ]

    async def refusals(self, start: datetime | None = None, end: datetime | None = None) -> list[BudgetRefusal]:
        """The calls that hard budgets turned away, counted by hour, budget, provider, model and user.

        Args:
            start: the first hour is the one with this moment; None from the beginning. Local time without a time zone.
            end: the first moment after it.

        Raises:
            LedgerError: the store cannot be read.
        """
        bounds = [None if moment is None else to_microseconds(moment) for moment in (start, end)]
        rows = await self._read(lambda: self._store.refusals(*bounds))
        return [BudgetRefusal.of(row) for row in rows]

    async def reset_budget(self, name: str, head: Head | None = None) -> None:
        """Resets the current window: what was spent and what was raised do not count any more.

        Args:
            name: of the budget.
            head: of a call, for a budget that has a window for each value.

        Raises:
            ValueError: there is no such budget, or it has a window for each value and ``head`` is in none.
            LedgerError: the store cannot be written.
        """
        await self._adjust(name, head, None)

    async def raise_budget(self, name: str, dollars: Decimal, head: Head | None = None) -> None:
        """Adds to the limit for the current window only. Arguments and errors as `reset_budget`."""
        await self._adjust(name, head, to_nano(dollars))

    async def _adjust(self, name: str, head: Head | None, raised: int | None) -> None:
        charge = self.budgets.window(self.budgets.named(name), head, self.session, self.now())
        if self._thread.ended:
            self._thread.start()
        waiter = new_waiter()
        self._thread.put(Adjusting(charge, raised, waiter))
        error = await waiter.wait()
        if error is not None:
            raise error


def _next_page(pages: Iterator[list[Sequence[Any]]]) -> list[Sequence[Any]] | None:
    return next(pages, None)
