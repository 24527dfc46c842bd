"""The ledger over every store: open, settle, report, budgets."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from asyncllm._ledger.budgets import Alert, Budget, Scope
from asyncllm._ledger.columns import Head, Record, Settlement
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores import Store
from asyncllm._ledger.stores.memory import MemoryStore
from asyncllm._schema.usage import Usage
from asyncllm.errors import BudgetExceededError, LedgerError
from ledger_books import DOLLAR, DONE, HEAD, hold

pytestmark = pytest.mark.anyio


async def read(ledger: Ledger) -> list[Record]:
    records = [record async for record in ledger.records()]
    return sorted(records, key=lambda record: record.time)  # ids of one millisecond are in no particular order


async def test_an_attempt_is_opened_and_settled(store: Store) -> None:
    """What was known before and what was known after are one record."""
    ledger = Ledger(store, session="S")
    usage = Usage(
        input_tokens=10,
        output_tokens=20,
        cache_write_tokens=5,
        cache_write_tokens_by_ttl={"1h": 5},
        provider_tool_requests={"web_search": 2},
        service_tier="priority",
    )
    head = HEAD._replace(tags={"team": "búsqueda"}, agent="planner", variant="b", requested_model="gpt-y")
    before = datetime.now(timezone.utc) - timedelta(seconds=1)
    opening = await ledger.open(head)
    end = Settlement(
        status="interrupted",
        error="StreamTruncatedError",
        http_status=200,
        usage=usage,
        cost=123,
        price_version="v",
        latency=1.5,
        first_token_latency=0.25,
        waited=0.125,
        request_id="req_1",
    )
    ledger.settle(opening, end)
    (record,) = await read(ledger)
    await ledger.aclose()
    assert before < record.time < datetime.now(timezone.utc) + timedelta(seconds=1)
    expected = Record(
        id=opening.id,
        time=record.time,
        session="S",
        call=opening.id,
        attempt=1,
        provider="openai",
        model="gpt-x",
        requested_model="gpt-y",
        status="interrupted",
        error="StreamTruncatedError",
        http_status=200,
        usage=usage,
        nano_cost=123,
        price_version="v",
        latency=1.5,
        first_token_latency=0.25,
        waited=0.125,
        request_id="req_1",
        user="ann",
        agent="planner",
        tags={"team": "búsqueda"},
        variant="b",
    )
    assert expected == record
    assert Decimal("0.000000123") == record.cost
    assert Decimal(0) == record.excess


async def test_a_second_settlement_changes_nothing(store: Store) -> None:
    """Clean-up may always settle: only the first time counts."""
    ledger = Ledger(store)
    opening = await ledger.open(HEAD)
    ledger.settle(opening, DONE)
    ledger.settle(opening, DONE._replace(status="error", cost=None))
    assert ["ok"] == [record.status for record in await read(ledger)]
    assert Decimal("0.00000003") == ledger.session_cost()
    assert 0 == ledger.session_unpriced()
    await ledger.aclose()


async def test_an_attempt_that_was_never_sent_leaves_nothing(store: Store) -> None:
    """Voided, it has no record and holds nothing."""
    ledger = Ledger(store, budgets=[Budget(wait=0, limit=DOLLAR)])
    ledger.settle(await ledger.open(HEAD, hold(ledger, 5)), None)
    assert [] == await read(ledger)
    assert [Decimal(0)] == [status.reserved for status in await ledger.budget_statuses()]
    await ledger.aclose()


async def test_a_cancelled_opening_leaves_nothing(store: Store) -> None:
    """Whoever is cancelled while the row is committed has sent nothing."""
    ledger = Ledger(store, budgets=[Budget(wait=0, limit=DOLLAR)])
    with anyio.CancelScope() as scope:
        scope.cancel()
        await ledger.open(HEAD, hold(ledger, 5))
    await ledger.flush()
    assert [] == await read(ledger)
    assert [Decimal(0)] == [status.reserved for status in await ledger.budget_statuses()]
    await ledger.aclose()


async def test_many_at_once(store: Store) -> None:
    """A hundred calls at once have a hundred records, each its own."""
    ledger = Ledger(store)

    async def call(number: int) -> None:
        opening = await ledger.open(HEAD._replace(user=f"u{number}"))
        await anyio.lowlevel.checkpoint()
        ledger.settle(opening, DONE._replace(cost=number))

    async with anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(call, number)
    records = await read(ledger)
    assert {f"u{number}": number for number in range(100)} == {record.user: record.nano_cost for record in records}
    await ledger.aclose()


async def test_what_nobody_can_store_is_made_storable(store: Store) -> None:
    """Lone surrogates, NUL and absurd numbers from callers and providers cost no record."""
    ledger = Ledger(store)
    head = HEAD._replace(user="a\0b", agent="\ud800", tags={"k\0": "\udfff"})
    usage = Usage(input_tokens=10**30, output_tokens=1, service_tier="x\0")
    ledger.settle(await ledger.open(head), DONE._replace(usage=usage, latency=float("inf"), cost=-(10**30)))
    (record,) = await read(ledger)
    assert ("a�b", "?", {"k�": "?"}) == (record.user, record.agent, record.tags)
    assert (None, 1, None, None) == (record.usage.input_tokens, record.usage.output_tokens, record.latency, record.cost)
    await ledger.aclose()


async def test_reports_group_and_add_up(store: Store) -> None:
    """Requests, failures, unpriced attempts, tokens, cost and percentiles, by whatever the attempts have in common."""
    ledger = Ledger(store)
    for number in range(100):
        head = HEAD._replace(model="a" if number % 4 else "b", tags={"team": "x", "n": str(number % 2)})
        status = "error" if number % 10 == 0 else "ok"
        cost = None if number % 5 == 1 else 1000
        ledger.settle(await ledger.open(head), DONE._replace(status=status, cost=cost, latency=(number + 1) / 100))
    (total,) = await ledger.report()
    assert (100, 10, 20, Decimal("0.00008"), 1000, 2000, None) == (
        total.requests,
        total.failures,
        total.unpriced,
        total.cost,
        total.input_tokens,
        total.output_tokens,
        total.reasoning_tokens,
    )
    assert 0.1 == total.failure_rate
    assert 0.5 == pytest.approx(total.latency_p50, rel=0.03)
    assert 0.95 == pytest.approx(total.latency_p95, rel=0.03)
    by_model = await ledger.report(by=["provider", "model"])
    assert [({"provider": "openai", "model": "a"}, 75), ({"provider": "openai", "model": "b"}, 25)] == [
        (row.group, row.requests) for row in by_model
    ]
    early = datetime(2020, 1, 1, microsecond=1)
    assert {("team=x", 100), ("n=0", 50), ("n=1", 50)} == {
        (row.group["tag"], row.requests) for row in await ledger.report(early, by=["tag"])
    }
    assert {("0", 50), ("1", 50)} == {(row.group["tag:n"], row.requests) for row in await ledger.report(by=["tag:n"])}
    assert [25] == [row.requests for row in await ledger.report(where={"model": "b"})]
    assert [50] == [row.requests for row in await ledger.report(where={"tag:n": "1"})]
    today = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    days = await ledger.report(by=["day"])
    assert today in {row.group["day"] for row in days}
    hours = await ledger.report(by=["hour", "status", "user"])
    assert {"ok", "error"} == {row.group["status"] for row in hours}
    await ledger.aclose()


async def test_reports_know_the_moment(store: Store) -> None:
    """The first moment counts, the last one does not, to the microsecond."""
    now = [1_800_000_000.000250]
    ledger = Ledger(store, clock=lambda: now[0])
    for _ in range(4):
        ledger.settle(await ledger.open(HEAD), DONE)
        now[0] += 0.000250
    times = [record.time for record in await read(ledger)]
    times.sort()
    assert 4 == len(times)
    assert [2] == [row.requests for row in await ledger.report(times[1], times[3])]
    assert [] == await ledger.report(times[3] + timedelta(seconds=1))
    found = [record.time async for record in ledger.records(times[1], times[2])]
    assert [times[1]] == found
    await ledger.aclose()


async def test_a_report_refuses_what_it_cannot_group_by(store: Store) -> None:
    """The sentence lists what there is."""
    ledger = Ledger(store)
    with pytest.raises(ValueError, match="cannot group by 'colour'; choose from session"):
        await ledger.report(by=["colour"])
    with pytest.raises(ValueError, match="once"):
        await ledger.report(by=["day", "day"])
    with pytest.raises(ValueError, match="cannot group by 'tag:'"):
        await ledger.report(by=["tag:"])


async def test_an_unused_ledger_has_an_empty_report(store: Store) -> None:
    """Nothing was asked yet, so there is nothing to tell, and that is no error."""
    ledger = Ledger(store)
    assert [] == await ledger.report(by=["model"])
    assert [] == await read(ledger)
    await ledger.flush()
    await ledger.aclose()


async def test_a_closed_ledger_may_be_used_again(store: Store) -> None:
    """A late settlement after the end is written, too."""
    ledger = Ledger(store)
    late = await ledger.open(HEAD)
    await ledger.aclose()
    ledger.settle(late, DONE)
    await ledger.flush()
    ledger.settle(await ledger.open(HEAD), DONE)
    assert 2 == len(await read(ledger))
    await ledger.aclose()
    assert 2 == len(await read(ledger))


# Budgets


async def test_a_hard_budget_refuses_what_does_not_fit(store: Store) -> None:
    """The refusal says which budget, its scope, limit, what is spent and reserved, and when the window ends."""
    now = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
    ledger = Ledger(
        store, budgets=[Budget(wait=0, limit=DOLLAR, scope=Scope(provider="openai"))], clock=now.timestamp, session="S"
    )
    first = await ledger.open(HEAD, hold(ledger, DOLLAR * 6 // 10))
    with pytest.raises(BudgetExceededError) as caught:
        await ledger.open(HEAD, hold(ledger, DOLLAR // 2))
    error = caught.value
    assert ({"provider": "openai"}, Decimal(1), Decimal(0), Decimal("0.6")) == (
        error.scope,
        error.limit,
        error.spent,
        error.reserved,
    )
    assert datetime(2026, 11, 22, tzinfo=timezone.utc) == error.resets_at
    assert "day: provider=openai" == error.budget
    assert "up to $0.50 needed, $0.00 spent and $0.60 reserved of $1.00" in str(error)
    ledger.settle(first, DONE._replace(cost=DOLLAR // 4))
    second = await ledger.open(HEAD, hold(ledger, DOLLAR // 2))
    ledger.settle(second, DONE._replace(cost=DOLLAR * 7 // 10))
    (status,) = await ledger.budget_statuses()
    assert (Decimal("0.95"), Decimal(0), Decimal("0.2")) == (status.spent, status.reserved, status.excess)
    assert [Decimal(0), Decimal("0.2")] == sorted(record.excess for record in await read(ledger))
    await ledger.aclose()


async def test_an_unpriced_model_under_a_hard_budget_is_refused(store: Store) -> None:
    """What cannot be counted cannot be limited; under a warning budget it goes."""
    ledger = Ledger(store, budgets=[Budget(wait=0, limit=DOLLAR)])
    with pytest.raises(BudgetExceededError, match=r"gpt-x of openai has no price.*catalog\.prices"):
        await ledger.open(HEAD, hold(ledger, None))
    await ledger.aclose()
    lenient = Ledger(store, budgets=[Budget(wait=0, limit=DOLLAR, on_exceed="warn")])
    lenient.settle(await lenient.open(HEAD, hold(lenient, None)), DONE._replace(cost=None))
    assert 1 == len(await read(lenient))
    await lenient.aclose()


async def test_an_unknown_cost_is_charged_what_was_reserved(store: Store) -> None:
    """A hard budget errs on the safe side."""
    ledger = Ledger(store, budgets=[Budget(wait=0, limit=DOLLAR)])
    ledger.settle(await ledger.open(HEAD, hold(ledger, 500)), DONE._replace(cost=None))
    (status,) = await ledger.budget_statuses()
    assert Decimal("0.0000005") == status.spent
    await ledger.aclose()


async def test_alerts_come_once_a_window(new_store: Callable[[], Store], caplog: pytest.LogCaptureFixture) -> None:
    """At 90% and at 100%, to the callback and the log, whichever process reaches them; never again in the window."""
    store = new_store()
    alerts: list[Alert] = []
    ledger = Ledger(store, budgets=[Budget(wait=0, limit=1000, on_exceed="warn")], on_alert=alerts.append)
    with caplog.at_level(logging.WARNING, "asyncllm.ledger"):
        for _ in range(15):
            ledger.settle(await ledger.open(HEAD, hold(ledger, 100)), DONE._replace(cost=100))
        await ledger.flush()
        await ledger.aclose()
        if not isinstance(store, MemoryStore):
            again = Ledger(new_store(), budgets=[Budget(wait=0, limit=1000, on_exceed="warn")], on_alert=alerts.append)
            again.settle(await again.open(HEAD, hold(again, 100)), DONE._replace(cost=100))
            await again.flush()
            await again.aclose()
    assert [90, 100] == [alert.level for alert in alerts]
    assert 2 == sum("budget 'day: all calls' has reached" in message for message in caplog.messages)


async def test_a_budget_that_is_nearly_spent_and_refuses_has_reached_its_end(store: Store) -> None:
    """A hard budget can never be spent to the last cent: the first refusal past 90% is its 100%."""
    alerts: list[Alert] = []

    def give(alert: Alert) -> None:
        alerts.append(alert)
        raise RuntimeError("a callback's own failure harms nobody")

    ledger = Ledger(store, budgets=[Budget(wait=0, limit=1000)], on_alert=give)
    ledger.settle(await ledger.open(HEAD, hold(ledger, 950)), DONE._replace(cost=950))
    for _ in range(3):
        with pytest.raises(BudgetExceededError):
            await ledger.open(HEAD, hold(ledger, 100))
    assert [90, 100] == [alert.level for alert in alerts]
    await ledger.aclose()


async def test_a_reset_and_a_raise(store: Store) -> None:
    """A raise holds for the window, a reset begins it anew; the records stay as they are."""
    budget = Budget(wait=0, limit=1000, per="month", name="mine")
    ledger = Ledger(store, budgets=[budget])
    ledger.settle(await ledger.open(HEAD, hold(ledger, 900)), DONE._replace(cost=900))
    with pytest.raises(BudgetExceededError):
        await ledger.open(HEAD, hold(ledger, 500))
    await ledger.raise_budget("mine", Decimal("0.000001"))
    ledger.settle(await ledger.open(HEAD, hold(ledger, 500)), DONE._replace(cost=500))
    assert [Decimal("0.000002")] == [status.limit for status in await ledger.budget_statuses()]
    await ledger.reset_budget("mine", HEAD)
    (status,) = await ledger.budget_statuses(HEAD)
    assert (Decimal(0), Decimal("0.000001")) == (status.spent, status.limit)
    assert Decimal("0.0000014") == (await ledger.report())[0].cost
    with pytest.raises(ValueError, match="no budget is called 'yours'; there are: mine"):
        await ledger.reset_budget("yours")
    await ledger.aclose()


async def test_each_value_may_have_a_budget_of_its_own(store: Store) -> None:
    """``*`` gives every user the same limit, and nobody somebody else's."""
    ledger = Ledger(store, budgets=[Budget(wait=0, limit=1000, scope=Scope(user="*", tags={"team": "*"}), name="each")])
    ann = HEAD._replace(tags={"team": "x"})
    bob = ann._replace(user="bob")
    await ledger.open(ann, hold(ledger, 900, ann))
    with pytest.raises(BudgetExceededError) as caught:
        await ledger.open(ann, hold(ledger, 900, ann))
    assert {"user": "ann", "tag:team": "x"} == caught.value.scope
    await ledger.open(bob, hold(ledger, 900, bob))
    assert () == ledger.budgets.charges(HEAD._replace(user=None, tags={"team": "x"}), 0)
    assert [] == await ledger.budget_statuses()
    assert [Decimal("0.0000009")] == [status.reserved for status in await ledger.budget_statuses(bob)]
    with pytest.raises(ValueError, match="for each value"):
        await ledger.reset_budget("each")
    with pytest.raises(ValueError, match="does not count such a call"):
        await ledger.reset_budget("each", HEAD._replace(user=None))
    await ledger.aclose()


async def test_budgets_that_look_alike_do_not_share_a_window(store: Store) -> None:
    """A warning at five, a stop at ten, and a second stop: each counts for itself, once."""
    budgets = [Budget(wait=0, limit=500, on_exceed="warn"), Budget(limit=1000), Budget(limit=900)]
    ledger = Ledger(store, budgets=budgets)
    ledger.settle(await ledger.open(HEAD, hold(ledger, 700)), DONE._replace(cost=600))
    statuses = await ledger.budget_statuses()
    assert [Decimal("0.0000006")] * 3 == [status.spent for status in statuses]
    assert [Decimal(0)] * 3 == [status.reserved for status in statuses]
    with pytest.raises(BudgetExceededError):
        await ledger.open(HEAD, hold(ledger, 350))
    await ledger.aclose()


async def test_a_new_budget_knows_what_was_spent_before_it(new_store: Callable[[], Store]) -> None:
    """Whoever writes a budget into the configuration in the afternoon means the whole day."""
    store = new_store()
    tagged = HEAD._replace(tags={"team": "x"})
    first = Ledger(store)
    first.settle(await first.open(tagged), DONE._replace(cost=800))
    first.settle(await first.open(HEAD._replace(user="bob")), DONE._replace(cost=100_000))
    await first.aclose()
    later = Ledger(store, budgets=[Budget(wait=0, limit=1000, scope=Scope(user="ann", tags={"team": "x"}))])
    assert [Decimal("0.0000008")] == [status.spent for status in await later.budget_statuses()]
    with pytest.raises(BudgetExceededError):
        await later.open(tagged, hold(later, 300, tagged))
    await later.aclose()


async def test_a_session_budget_ends_with_its_session(new_store: Callable[[], Store]) -> None:
    """Every client has it whole."""
    store = new_store()
    for session in ("one", "two"):
        head = HEAD._replace(session=session)
        ledger = Ledger(store, budgets=[Budget(wait=0, limit=1000, per="session")], session=session)
        ledger.settle(await ledger.open(head, hold(ledger, 900, head)), DONE._replace(cost=900))
        with pytest.raises(BudgetExceededError) as caught:
            await ledger.open(head, hold(ledger, 200, head))
        assert caught.value.resets_at is None
        await ledger.aclose()


async def test_a_call_that_follows_at_once_takes_the_reservation_over(store: Store) -> None:
    """The second attempt of a stale connection has a row of its own, and a full budget does not stop it half way."""
    ledger = Ledger(store, budgets=[Budget(wait=0, limit=1000)])
    first = await ledger.open(HEAD, hold(ledger, 1000))
    ledger.settle(first, DONE._replace(status="error", cost=0))
    second = ledger.open_at_once(HEAD._replace(attempt=2, call=first.id), first.hold)
    await ledger.flush()
    assert [Decimal("0.000001")] == [status.reserved for status in await ledger.budget_statuses()]
    ledger.settle(second, DONE._replace(cost=700))
    records = await read(ledger)
    assert {(1, first.id, "error"), (2, first.id, "ok")} == {(one.attempt, one.call, one.status) for one in records}
    assert [Decimal("0.0000007")] == [status.spent for status in await ledger.budget_statuses()]
    await ledger.aclose()


# Room, threads, finalisers


async def test_whoever_is_too_many_waits_at_the_beginning() -> None:
    """A full queue makes calls wait before they begin, first come, first served; the ends of calls never wait."""
    ledger = Ledger(MemoryStore(), places=2)
    first, second = await ledger.open(HEAD), await ledger.open(HEAD)
    order: list[int] = []

    async def call(number: int) -> None:
        opening = await ledger.open(HEAD)
        order.append(number)
        ledger.settle(opening, DONE)

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(call, number)
            await anyio.wait_all_tasks_blocked()
        with anyio.move_on_after(0.01):
            await ledger.open(HEAD)
        assert [] == order
        ledger.settle(first, DONE)
    ledger.settle(second, DONE)
    await ledger.flush()
    assert [0, 1, 2] == order
    assert 5 == len(await read(ledger))
    assert 2 == ledger._room.free
    await ledger.aclose()


async def test_memory_keeps_the_newest_records() -> None:
    """A service that runs for weeks does not fill its memory; sums of budgets stay exact."""
    store = MemoryStore(keep=10)
    ledger = Ledger(store, budgets=[Budget(wait=0, limit=DOLLAR, per="total")])
    for number in range(25):
        ledger.settle(await ledger.open(HEAD, hold(ledger, 50)), DONE._replace(cost=number))
    assert list(range(15, 25)) == sorted(record.nano_cost or 0 for record in await read(ledger))
    assert [Decimal("0.0000003")] == [status.spent for status in await ledger.budget_statuses()]
    await ledger.aclose()


async def test_a_finaliser_may_settle() -> None:
    """An abandoned stream is settled by its collection, in whatever thread that happens."""
    ledger = Ledger(MemoryStore())
    opening = await ledger.open(HEAD)

    class Holder:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            ledger.settle(opening, DONE._replace(status="cancelled"))

    Holder()
    thread = threading.Thread(target=gc.collect)
    thread.start()
    thread.join()
    assert ["cancelled"] == [record.status for record in await read(ledger)]
    await ledger.aclose()


async def test_the_log_file_has_a_line_for_each_settled_attempt(store: Store, tmp_path: Path) -> None:
    """One JSON object a line, ids unique, only what is known, and all there once the ledger is closed."""
    path = tmp_path / "costs.log"
    ledger = Ledger(store, log_path=path, budgets=[Budget(wait=0, limit=DOLLAR)])
    opening = await ledger.open(HEAD, hold(ledger, 10))
    ledger.settle(opening, DONE)
    for _ in range(4):
        ledger.settle(await ledger.open(HEAD), DONE._replace(cost=None, usage=Usage(source="unknown")))
    await ledger.aclose()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert 5 == len({line["id"] for line in lines})
    first = next(line for line in lines if line["id"] == opening.id)
    assert ("0.00000003", 10, 20, "ok", 0.5, "0.00000002") == (
        first["cost"],
        first["input_tokens"],
        first["output_tokens"],
        first["status"],
        first["latency"],
        first["excess"],
    )
    others = [line for line in lines if line["id"] != opening.id]
    assert {None} == {line["cost"] for line in others}
    assert not any("input_tokens" in line for line in others)


@pytest.mark.parametrize("how", ["moved", "deleted", "replaced"])
async def test_a_log_file_that_was_rotated_is_begun_anew(tmp_path: Path, how: str) -> None:
    """After logrotate has moved the file, lines go into a new one at the path; no line is lost or written twice."""
    path, old = tmp_path / "costs.log", tmp_path / "costs.log.1"
    ledger = Ledger(MemoryStore(), log_path=path)

    async def attempt() -> None:
        ledger.settle(await ledger.open(HEAD), DONE)
        await ledger.flush()

    await attempt()
    before = path.read_text()
    if how == "deleted":
        path.unlink()
    else:
        path.rename(old)
    if how == "replaced":
        path.touch()
    await attempt()
    await attempt()
    await ledger.aclose()
    assert 1 == len(before.splitlines())
    assert 2 == len(path.read_text().splitlines())
    assert how == "deleted" or before == old.read_text()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_ledger_in_memory_says_that_a_fork_has_a_copy(tmp_path: Path) -> None:
    """The child's first attempt warns that nobody sees what it books; the parent says nothing."""
    program = """
import anyio, os, sys
from asyncllm._ledger.columns import Head, Settlement
from asyncllm.ledger import Ledger, MemoryStore
ledger = Ledger(MemoryStore())
async def attempt():
    ledger.settle(await ledger.open(Head(provider="p", model="m")), Settlement(status="ok"))
    await ledger.flush()
anyio.run(attempt)
if (child := os.fork()) == 0:
    anyio.run(attempt)
    anyio.run(attempt)
    os._exit(0)
os.waitpid(child, 0)
print("parent", file=sys.stderr)
anyio.run(attempt)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=180)
    child, _, parent = done.stderr.partition("parent")
    assert 1 == child.count("after its process was forked")
    assert "forked" not in parent


async def test_a_log_file_that_cannot_be_written_harms_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One warning, and the ledger goes on."""
    ledger = Ledger(MemoryStore(), log_path=tmp_path / "nowhere" / "costs.log")
    with caplog.at_level(logging.WARNING, "asyncllm.ledger"):
        for _ in range(3):
            ledger.settle(await ledger.open(HEAD), DONE)
            await ledger.flush()
    assert 3 == len(await read(ledger))
    await ledger.aclose()
    assert 1 == sum("cannot be written" in message for message in caplog.messages)


def test_a_ledger_that_nobody_closed_lets_its_thread_go(tmp_path: Path) -> None:
    """Collected, it writes what is there and its thread ends."""
    from asyncllm._ledger.stores.sqlite import SQLiteStore

    async def use() -> None:
        ledger = Ledger(SQLiteStore(tmp_path / "x.db"))
        ledger.settle(await ledger.open(HEAD), DONE)

    before = {thread.ident for thread in threading.enumerate()}
    asyncio.run(use())
    gc.collect()
    for thread in threading.enumerate():
        if thread.name == "asyncllm ledger" and thread.ident not in before:
            thread.join(5)
            assert not thread.is_alive()

    async def count() -> int:
        return len([record async for record in Ledger(SQLiteStore(tmp_path / "x.db")).records()])

    assert 1 == asyncio.run(count())


def test_several_loops_may_share_a_ledger(tmp_path: Path) -> None:
    """One loop after the other, and threads with loops of their own."""
    from asyncllm._ledger.stores.sqlite import SQLiteStore

    ledger = Ledger(SQLiteStore(tmp_path / "x.db"))

    async def call() -> None:
        for _ in range(5):
            ledger.settle(await ledger.open(HEAD), DONE)

    for _ in range(3):
        asyncio.run(call())
    threads = [threading.Thread(target=asyncio.run, args=(call(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def count() -> int:
        return (await ledger.report())[0].requests

    assert 35 == asyncio.run(count())
    ledger.close()


async def test_no_room_and_no_store(tmp_path: Path) -> None:
    """When nothing can be written and memory is full of what waits, calls are refused with a sentence."""
    from asyncllm._ledger.stores.sqlite import SQLiteStore

    ledger = Ledger(SQLiteStore(tmp_path / "no" / "x.db"), places=2)
    for _ in range(2):
        ledger.settle(await ledger.open(HEAD), DONE)
    with pytest.raises(LedgerError, match="memory for records that wait to be written is full"):
        await ledger.open(HEAD)
    (tmp_path / "no").mkdir()
    await ledger.flush()
    assert 2 == len(await read(ledger))
    ledger.settle(await ledger.open(HEAD), DONE)
    await ledger.aclose()


def test_a_head_says_nothing_that_is_not_known() -> None:
    """Optional facts are None until somebody tells them."""
    assert Head(provider="p", model="m").user is None


async def test_a_call_waits_for_reservations_in_flight(store: Store) -> None:
    """What would fit without them waits in line, first come first served, and goes when an attempt ends."""
    ledger = Ledger(store, budgets=[Budget(limit=1000)])
    first = await ledger.open(HEAD, hold(ledger, 900))
    order: list[str] = []

    async def call(name: str, amount: int) -> None:
        opening = await ledger.open(HEAD, hold(ledger, amount))
        order.append(name)
        ledger.settle(opening, DONE._replace(cost=0))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(call, "large", 800)
            await anyio.sleep(0.05)
            group.start_soon(call, "small", 50)  # it fits beside the reservation
            await anyio.sleep(0.05)
            assert ["small"] == order
            ledger.settle(first, DONE._replace(cost=100))
    assert ["small", "large"] == order
    with pytest.raises(BudgetExceededError):
        await ledger.open(HEAD, hold(ledger, 950))  # what is spent leaves too little: nobody waits for that
    assert [Decimal(0)] == [status.reserved for status in await ledger.budget_statuses()]
    await ledger.aclose()


async def test_waiting_for_a_budget_has_an_end(store: Store) -> None:
    """After its ``wait`` a call is refused; cancelled before, it leaves nothing; a ledger that closes refuses it."""
    ledger = Ledger(store, budgets=[Budget(limit=1000, wait=0.1)], places=4)
    first = await ledger.open(HEAD, hold(ledger, 900))
    with anyio.fail_after(10), pytest.raises(BudgetExceededError, match="reserved"):
        await ledger.open(HEAD, hold(ledger, 500))
    with anyio.move_on_after(0.03) as scope:
        await ledger.open(HEAD, hold(ledger, 500))
    assert scope.cancelled_caught
    ledger.settle(first, None)
    await ledger.flush()
    assert [Decimal(0)] == [status.reserved for status in await ledger.budget_statuses()]
    assert 4 == ledger._room.free
    await ledger.open(HEAD, hold(ledger, 900))

    async def wait() -> None:
        with pytest.raises((LedgerError, BudgetExceededError)):
            await ledger.open(HEAD, hold(ledger, 500))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.sleep(0.02)
            await ledger.aclose()


async def test_the_room_of_a_dead_process_comes_back(new_store: Callable[[], Store]) -> None:
    """Nobody has to begin a new client: who is about to wait or to be refused looks for it."""
    store = new_store()
    if isinstance(store, MemoryStore):
        return
    budgets = [Budget(limit=1000, per="total", wait=5)]
    dead, living = Ledger(store, budgets=budgets), Ledger(new_store(), budgets=budgets)
    await dead.open(HEAD, hold(dead, 900))
    living.settle(await living.open(HEAD, hold(living, 50)), DONE._replace(cost=0))

    async def call() -> None:
        living.settle(await living.open(HEAD, hold(living, 100)), DONE._replace(cost=0))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await anyio.sleep(0.1)
            dead._thread.store.close()  # as if it had died: its lock is free, its row is open
    await living.flush()
    assert {"ok", "unknown"} == {one.status async for one in living.records()}
    await living.aclose()


async def test_reports_by_the_clock_of_a_zone(store: Store) -> None:
    """Hours, days, weeks and months begin where the zone's clock says, also on the day of 25 hours."""
    now = [0.0]
    ledger = Ledger(store, clock=lambda: now[0])
    for moment in ("2026-10-24T21:30", "2026-10-24T22:30", "2026-10-25T22:30", "2026-10-25T23:30", "2026-11-01T00:00"):
        now[0] = datetime.fromisoformat(f"{moment}+00:00").timestamp()
        ledger.settle(await ledger.open(HEAD), DONE)

    async def counted(by: str, timezone: str) -> dict[str, int]:
        rows = await ledger.report(by=[by], timezone=timezone)
        return {row.group[by].isoformat(): row.requests for row in rows}

    assert {
        "2026-10-24T00:00:00+02:00": 1,
        "2026-10-25T00:00:00+02:00": 2,
        "2026-10-26T00:00:00+01:00": 1,
        "2026-11-01T00:00:00+01:00": 1,
    } == await counted("day", "Europe/Berlin")
    assert {"2026-10-19T00:00:00+02:00": 3, "2026-10-26T00:00:00+01:00": 2} == await counted("week", "Europe/Berlin")
    assert {"2026-10-01T00:00:00+00:00": 4, "2026-11-01T00:00:00+00:00": 1} == await counted("month", "UTC")
    assert {"2026-10-24T00:00:00+00:00": 2, "2026-10-25T00:00:00+00:00": 2, "2026-11-01T00:00:00+00:00": 1} == (
        await counted("day", "UTC")
    )
    assert 5 == len(await counted("hour", "Asia/Kolkata"))
    with pytest.raises(ValueError, match="'Mars' is no known time zone"):
        await ledger.report(timezone="Mars")
    (total,) = await ledger.report()
    assert (5, 5, 30 * 5, "0.00000015") == (
        total.requests,
        total.calls,
        total.total_tokens,
        f"{total.as_dict()['cost']:f}",
    )
    assert 0.5 == total.latency_mean
    await ledger.aclose()


async def test_records_are_deleted_by_age_and_user(store: Store) -> None:
    """What is deleted is gone from reports; budgets remember what it cost."""
    now = [1_800_000_000.0]
    ledger = Ledger(store, budgets=[Budget(limit=DOLLAR, per="total")], clock=lambda: now[0])
    for user in ("ann", "bob", "ann"):
        head = HEAD._replace(user=user)
        ledger.settle(await ledger.open(head, hold(ledger, 100, head)), DONE)
        now[0] += 3600
    with pytest.raises(ValueError, match="say what to delete"):
        await ledger.delete()
    assert 1 == await ledger.delete(before=datetime.fromtimestamp(1_800_000_001), user="ann")
    assert ["bob", "ann"] == [record.user for record in await read(ledger)]
    assert 2 == await ledger.delete(before=datetime.fromtimestamp(now[0], timezone.utc))
    assert [] == await read(ledger)
    assert [Decimal("0.00000009")] == [status.spent for status in await ledger.budget_statuses()]
    await ledger.aclose()


async def test_exports_to_one_path_do_not_meet(tmp_path: Path) -> None:
    """Two at once write a file each, and the later one is what is left; nothing else is."""
    ledger = Ledger(MemoryStore())
    for _ in range(500):
        ledger.settle(await ledger.open(HEAD._replace(user=" =1+1", agent="＠x", variant="\nx")), DONE)
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(ledger.export_csv, tmp_path / "x.csv")
    text = (tmp_path / "x.csv").read_text()  # a small file
    assert 500 == text.count("' =1+1") == text.count("'＠x") == text.count("'\nx")
    assert ["x.csv"] == [path.name for path in tmp_path.iterdir()]  # noqa: ASYNC240
    await ledger.aclose()


async def test_refused_calls_are_counted_by_hour(store: Store) -> None:
    """Each refusal is counted once, with whose it was; what waited and passed is none; other hours are others."""
    now = [1_700_000_000.0]
    ledger = Ledger(store, budgets=[Budget(limit=DOLLAR, name="daily", wait=0)], clock=lambda: now[0])

    async def refused(user: str | None) -> None:
        with pytest.raises(BudgetExceededError):
            await ledger.open(HEAD._replace(user=user), hold(ledger, 2 * DOLLAR))

    await refused("ann")
    await refused("ann")
    await refused(None)
    now[0] += 3600
    await refused("ann")
    ledger.settle(await ledger.open(HEAD, hold(ledger, 10)), DONE)
    found = await ledger.refusals()
    first, *_ = sorted({one.hour for one in found})
    later = await ledger.refusals(start=first + timedelta(hours=1))
    await ledger.aclose()
    assert [(None, 1), ("ann", 2), ("ann", 1)] == [(one.user, one.count) for one in found]
    assert {("daily", HEAD.provider, HEAD.model)} == {(one.budget, one.provider, one.model) for one in found}
    assert datetime(2023, 11, 14, 22, tzinfo=timezone.utc) == first
    assert [1] == [one.count for one in later]
