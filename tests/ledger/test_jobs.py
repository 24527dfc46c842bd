"""Jobs in the books, on every store: their rows outlive processes, their lines belong to no process."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal

import pytest

from asyncllm import errors
from asyncllm._ledger.booking import Opening
from asyncllm._ledger.budgets import Budget, Hold
from asyncllm._ledger.columns import Settlement
from asyncllm._ledger.jobs import JobRow, line_id
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores import Store
from asyncllm._ledger.stores.memory import MemoryStore
from ledger_books import DOLLAR, DONE, HEAD

pytestmark = pytest.mark.anyio
BUDGET = Budget(limit=DOLLAR, per="total", name="all")


def row(ledger: Ledger, id: str = "nightly", expires_at: int | None = None) -> JobRow:
    return JobRow(id=id, created=ledger.now(), expires_at=expires_at, state="creating", data='{"what?": "a % b"}')


def lines(ledger: Ledger, job: JobRow, count: int, amount: int) -> list[tuple[str, object, Hold]]:
    charges = ledger.budgets.charges(HEAD, ledger.now())
    return [(line_id(job.created, "MARK", n), HEAD, Hold(amount, charges)) for n in range(count)]


async def test_a_job_is_kept_changed_and_listed(store: Store) -> None:
    """What was written is read back; the newest stands first."""
    ledger = Ledger(store)
    first = row(ledger, "first")
    await ledger.open_job(first, [])
    second = JobRow(
        **{**{name: getattr(first, name) for name in first.__slots__}, "id": "second", "created": 2 + first.created}
    )
    await ledger.save_job(second)
    assert [second, first] == await ledger.jobs()
    changed = JobRow(id="first", created=first.created, expires_at=7, state="ended", data="{}")
    await ledger.save_job(changed)
    assert [changed] == await ledger.jobs("first")
    assert [] == await ledger.jobs("third")
    await ledger.aclose()


async def test_all_lines_are_reserved_or_none(store: Store) -> None:
    """A budget that has no room for all lines refuses the job, and reserves nothing."""
    ledger = Ledger(store, budgets=[BUDGET])
    job = row(ledger)
    with pytest.raises(errors.BudgetExceededError):
        await ledger.open_job(job, lines(ledger, job, 11, DOLLAR // 10))
    (status,) = await ledger.budget_statuses()
    assert Decimal(0) == status.reserved
    assert [] == await ledger.jobs()
    assert [] == await ledger.lines_of("nightly")
    await ledger.open_job(job, lines(ledger, job, 10, DOLLAR // 10))
    (status,) = await ledger.budget_statuses()
    assert Decimal(1) == status.reserved
    assert 10 == len(await ledger.lines_of("nightly"))
    await ledger.aclose()


async def test_a_line_is_settled_once_by_whoever_comes_first(store: Store) -> None:
    """Two readers settle the same line: one record, one cost, one release."""
    ledger = Ledger(store, budgets=[BUDGET])
    job = row(ledger)
    await ledger.open_job(job, lines(ledger, job, 2, 1000))
    mine, theirs = await ledger.lines_of("nightly"), await ledger.lines_of("nightly")
    other = DONE._replace(cost=77)
    for opening in sorted(mine, key=lambda one: one.id):
        ledger.settle(opening, DONE)
    await ledger.flush()
    for opening in theirs:
        ledger.settle(opening, other)
    await ledger.flush()
    records = [record async for record in ledger.records()]
    (status,) = await ledger.budget_statuses()
    assert [30, 30] == [record.nano_cost for record in records]
    assert [False, False] == [record.recovered for record in records]
    assert [1000, 1000] == [record.nano_reserved for record in records]
    assert (Decimal(0), Decimal(60) / 10**9) == (status.reserved, status.spent)
    assert [] == await ledger.lines_of("nightly")
    await ledger.aclose()


async def test_no_recovery_touches_a_living_job(new_store: Callable[[], Store]) -> None:
    """The process that made the job ends; its lines stay open for others, until the answers are gone."""
    store = new_store()
    if isinstance(store, MemoryStore):
        pytest.skip("nothing here survives the process")

    def unknown(opening: Opening) -> Settlement:
        return Settlement(status="unknown", cost=None if opening.hold is None else opening.hold.amount)

    maker = Ledger(store, budgets=[BUDGET], appraise=unknown)
    job = row(maker, expires_at=None)
    await maker.open_job(job, lines(maker, job, 3, 1000))
    await maker.aclose()
    reader = Ledger(new_store(), budgets=[BUDGET], appraise=unknown)
    assert 3 == len(await reader.lines_of("nightly"))
    assert [] == [record async for record in reader.records()]
    ended = JobRow(id=job.id, created=job.created, expires_at=time.time_ns() // 1000 - 1, state="ended", data="{}")
    await reader.save_job(ended)
    records = [record async for record in reader.records()]
    (status,) = await reader.budget_statuses()
    assert ["unknown"] * 3 == [record.status for record in records]
    assert (Decimal(0), Decimal(3000) / 10**9) == (status.reserved, status.spent)
    await reader.aclose()
