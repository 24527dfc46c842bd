"""Decides what a batch of operations changes, in one place for every store.

A store reads the windows that a batch touches, under its lock, and calls `book`: pure arithmetic, so a transaction that
failed is simply decided again. The store then writes what it is told, commits, and only then does anybody learn of it.

A row is *open* from before the first byte until it is settled, voided (nothing was sent) or recovered (its process
died). Who removes the open row, releases its hold: exactly once, whoever comes second finds it missing. A settlement
that finds its row recovered replaces the recovered record, and the windows are charged the difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from .._schema.values import dataclass
from ..errors import AsyncLLMError, BudgetExceededError
from .budgets import Alert, Budget, Charge, Hold, RefusalKey, Window, exceeded, refusal_key, status_of
from .columns import Head, Settlement, end_facts
from .journal import Journal
from .waiting import PendingAnswer

WindowId = tuple[str, int]
_LEVELS = (90, 100)


@dataclass(slots=True, eq=False, repr=False)
class Opening:
    """The operation that opens an attempt; also the attempt's handle until it is settled.

    Attributes:
        id: a ULID.
        time: microseconds since 1970.
        head: what is known before.
        hold: what it reserves; None without a budget.
        waiter: who waits for the commit; None in a recovery.
        refused: it was refused or given up, so there is nothing to settle.
        recovered: its process died.
        settled: its end is in the queue.
        mirrored: its line in the log file is written.
        has_room: it takes room in the queue.
        give_up_at: when it stops waiting for room in a budget; None before it waits.
        forced: it reserves whether there is room or not, and nobody can refuse it.
        owner: whose it is, where it is not the process that writes it into the database.
        refusal: why it was refused.
        once: it may be settled by several, and who comes first counts.
        journal: where it was opened, if not by the queue; its end goes there as well.
        generation: counts the forks of the process that opened it; a child leaves its parent's attempts alone.
    """

    id: str
    time: int
    head: Head
    hold: Hold | None
    waiter: PendingAnswer | None
    refused: bool = False
    recovered: bool = False
    settled: bool = False
    mirrored: bool = False
    has_room: bool = False
    forced: bool = False
    give_up_at: float | None = None
    owner: str = ""
    once: bool = False
    refusal: AsyncLLMError | None = None
    journal: Journal | None = None
    generation: int = 0


@dataclass(slots=True)
class JournalledEnd:
    """The end of an attempt in the form of a journal: the cost in nano-dollars, and everything as one tuple."""

    cost: int | None
    facts: tuple[Any, ...]


@dataclass(slots=True, eq=False, repr=False)
class Settling:
    """The operation that ends an open attempt; without a settlement nothing was sent and the row is voided.

    Attributes:
        opening: the attempt.
        settlement: how it ended.
        whole: the operation that opened it would stand before it in the same batch, and was left out.
    """

    opening: Opening
    settlement: Settlement | JournalledEnd | None
    whole: bool = False


@dataclass(slots=True, eq=False, repr=False)
class Adjusting:
    """The operation that resets a window, or raises its limit."""

    charge: Charge
    raised: int | None
    waiter: PendingAnswer


Operation = Opening | Settling | Adjusting


@dataclass(slots=True)
class EndedAttempt:
    """A record to write: the two halves, and what windows were charged for it (None without any)."""

    opening: Opening
    settlement: Settlement | JournalledEnd
    charged: int | None

    @property
    def facts(self) -> tuple[Any, ...]:
        """What `record_columns` and `record_rows` take."""
        opening, hold, end = self.opening, self.opening.hold, self.settlement
        return (
            opening.id,
            opening.time,
            *opening.head,
            *(end.facts if isinstance(end, JournalledEnd) else end_facts(end)),
            None if hold is None else hold.amount,
            self.charged,
            opening.recovered,
        )


@dataclass(slots=True)
class Booked:
    """The changes that a batch makes.

    Attributes:
        opened: rows to add, by id.
        entries: records to add, or to put in the place of recovered ones.
        windows: windows to write.
        answers: the waiters of opened and refused calls and of adjustments, with the refusal.
        refused: openings that got no row.
        patience: of refused openings that may wait for room: id -> seconds.
        alerts: to be given after the commit.
    """

    windows: dict[WindowId, Window]
    opened: dict[str, Opening] = field(default_factory=dict)
    entries: list[EndedAttempt] = field(default_factory=list)
    answers: list[tuple[PendingAnswer, AsyncLLMError | None]] = field(default_factory=list)
    refused: list[Opening] = field(default_factory=list)
    patience: dict[str, float] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)

    def refusals(self) -> dict[RefusalKey, int]:
        """The openings that budgets turned away, counted."""
        errors = {waiter: error for waiter, error in self.answers if isinstance(error, BudgetExceededError)}
        counted: dict[RefusalKey, int] = {}
        for opening in self.refused:
            error = None if opening.waiter is None else errors.get(opening.waiter)
            if error is not None:
                key = refusal_key(opening.head, opening.time, error)
                counted[key] = counted.get(key, 0) + 1
        return counted


def touched(batch: Iterable[Operation]) -> dict[WindowId, Charge]:
    """Returns the windows that a batch needs, in the order in which stores lock them."""
    charges: dict[WindowId, Charge] = {}
    for operation in batch:
        if isinstance(operation, Adjusting):
            charges[operation.charge.window] = operation.charge
        else:
            opening = operation.opening if isinstance(operation, Settling) else operation
            if opening.hold is not None:
                charges.update({charge.window: charge for charge in opening.hold.charges})
    return dict(sorted(charges.items())) if len(charges) > 1 else charges


def settled_ids(batch: Iterable[Operation]) -> list[str]:
    """The open rows that a batch ends, without those that it opens itself, in the order in which stores lock them."""
    new = {operation.id for operation in batch if isinstance(operation, Opening)}
    return sorted(
        operation.opening.id
        for operation in batch
        if isinstance(operation, Settling)
        and not operation.whole
        and operation.opening.id not in new
        and not operation.opening.refused
    )


def book(
    batch: Iterable[Operation], windows: dict[WindowId, Window], missing: Mapping[str, int | None] | None = None
) -> Booked:
    """Decides what a batch changes.

    Args:
        batch: operations, in order.
        windows: as they are in the store; changed in place.
        missing: ids that the batch settles and that are not open: -> what the record that stands in their place was
            charged, None where there is no record.
    """
    booked = Booked(windows=windows)
    refused: set[str] = set()
    for operation in batch:
        if isinstance(operation, Opening):
            refusal = _reserve(operation, booked)
            if refusal is None:
                booked.opened[operation.id] = operation
            else:
                refused.add(operation.id)
                operation.refusal = refusal
                booked.refused.append(operation)
            if operation.waiter is not None:
                booked.answers.append((operation.waiter, refusal))
        elif isinstance(operation, Settling):
            if not operation.opening.refused and operation.opening.id not in refused:
                _settle(operation, booked, missing or {})
        else:
            _adjust(operation, booked)
    return booked


def _reserve(opening: Opening, booked: Booked) -> AsyncLLMError | None:
    hold = opening.hold
    if hold is None or hold.amount == 0:  # what is free is never refused, not even when all is spent
        return None
    for charge in hold.charges:
        budget, window = charge.budget, booked.windows[charge.window]
        if budget is None or not budget.hard or opening.forced:
            continue
        limit = budget.limit + window.raised
        if hold.amount is None or window.counted + window.reserved + hold.amount > limit:
            full = hold.amount is not None and window.counted + hold.amount > limit
            if full and window.alerted >= _LEVELS[0]:  # nearly all is spent, and what is left is too little
                _alert(charge, budget, window, booked, _LEVELS[1])
            booked.patience[opening.id] = hold.patience(booked.windows)
            return exceeded(charge, budget, window, hold.amount, opening.head)
    for charge in hold.charges:
        booked.windows[charge.window].reserved += hold.amount or 0
    return None


def _settle(operation: Settling, booked: Booked, missing: Mapping[str, int | None]) -> None:
    opening, settlement = operation.opening, operation.settlement
    hold = opening.hold
    already = 0
    held = hold.amount or 0 if hold is not None else 0
    released = held
    if opening.id in booked.opened:
        del booked.opened[opening.id]
    elif opening.id in missing:
        if opening.recovered or opening.once or settlement is None:
            return  # somebody else was first
        already, released = missing[opening.id] or 0, 0
    charged = None
    if hold is not None:
        charged = 0
        if settlement is not None:
            charged = held if settlement.cost is None else settlement.cost
        for charge in hold.charges:
            window = booked.windows[charge.window]
            window.reserved -= released
            window.spent += charged - already
            window.excess += max(0, charged - held) - max(0, already - held)
            if charge.budget is not None:
                _alert(charge, charge.budget, window, booked)
    if settlement is not None:
        booked.entries.append(EndedAttempt(opening, settlement, charged))


def _adjust(operation: Adjusting, booked: Booked) -> None:
    window, budget = booked.windows[operation.charge.window], operation.charge.budget
    if operation.raised is None:
        window.forgiven = window.spent
        window.raised = 0
    else:
        window.raised += operation.raised
    window.alerted = 0 if budget is None else max((n for n in _LEVELS if _reached(n, budget, window)), default=0)
    booked.answers.append((operation.waiter, None))


def _reached(level: int, budget: Budget, window: Window) -> bool:
    return window.counted * 100 >= (budget.limit + window.raised) * level


def _alert(charge: Charge, budget: Budget, window: Window, booked: Booked, at_least: int = 0) -> None:
    for level in _LEVELS:
        if window.alerted < level and (level <= at_least or _reached(level, budget, window)):
            window.alerted = level
            booked.alerts.append(Alert(level=level, status=status_of(charge, budget, window)))
