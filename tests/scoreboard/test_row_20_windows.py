"""Windows of budgets across every change of the clock, and a million amounts that add up to the nano-dollar."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from asyncllm._ledger.booking import Opening, Settling, book
from asyncllm._ledger.budgets import Alert, Budget, Budgets, Hold, Period, Window, window_of
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores.memory import MemoryStore
from asyncllm._ledger.units import to_microseconds
from ledger_books import DONE, HEAD, hold

UTC = timezone.utc
MINUTE = 60_000_000
Record = Callable[[str, str, str], None]

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/Sao_Paulo", "Asia/Beirut", "Pacific/Apia")
YEARS = (2011, 2018, 2026)  # the year in which Samoa had no 30th of December, and one in which midnights were skipped


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES)
def test_every_moment_is_in_one_window(zone: str, full: bool, record: Record) -> None:
    """Windows meet without a gap or an overlap, and begin when the local clock says so."""
    here = ZoneInfo(zone)
    step = timedelta(minutes=30 if full else 367)
    checked = 0
    for year in YEARS:
        moment, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
        while moment < end:
            now = to_microseconds(moment)
            for period in ("hour", "day", "week", "month"):
                _check(period, here, now)
                checked += 1
            moment += step
    if full and zone == ZONES[-1]:
        record("windows wrong around changes of the clock", f"0 of {checked * len(ZONES)}", "0")


def _check(period: Period, zone: ZoneInfo, now: int) -> None:
    start, end = window_of(period, zone, now)
    assert end is not None
    assert start <= now < end
    assert (start, end) == window_of(period, zone, start)
    assert (start, end) == window_of(period, zone, end - 1)
    assert end == window_of(period, zone, end)[0]


@pytest.mark.parametrize(
    ("period", "zone", "moment", "start", "end"),
    [
        ("day", "UTC", "2026-11-21T23:59:59.999999+00:00", "2026-11-21T00:00+00:00", "2026-11-22T00:00+00:00"),
        ("day", "Europe/Berlin", "2026-03-29T12:00+02:00", "2026-03-28T23:00+00:00", "2026-03-29T22:00+00:00"),
        ("day", "Europe/Berlin", "2026-10-25T12:00+01:00", "2026-10-24T22:00+00:00", "2026-10-25T23:00+00:00"),
        ("hour", "Europe/Berlin", "2026-10-25T00:30+00:00", "2026-10-25T00:00+00:00", "2026-10-25T01:00+00:00"),
        ("hour", "Asia/Kolkata", "2026-10-25T00:45+00:00", "2026-10-25T00:30+00:00", "2026-10-25T01:30+00:00"),
        ("week", "America/New_York", "2026-11-01T12:00-05:00", "2026-10-26T04:00+00:00", "2026-11-02T05:00+00:00"),
        ("month", "America/New_York", "2026-03-31T23:30-04:00", "2026-03-01T05:00+00:00", "2026-04-01T04:00+00:00"),
        ("month", "UTC", "2026-12-31T23:59+00:00", "2026-12-01T00:00+00:00", "2027-01-01T00:00+00:00"),
        ("month", "UTC", "2028-02-29T00:00+00:00", "2028-02-01T00:00+00:00", "2028-03-01T00:00+00:00"),
        # Beirut sets its clock at midnight: the day begins at one.
        ("day", "Asia/Beirut", "2026-03-29T12:00+03:00", "2026-03-28T22:00+00:00", "2026-03-29T21:00+00:00"),
    ],
)
def test_windows_begin_when_the_local_clock_says_so(
    period: Period, zone: str, moment: str, start: str, end: str
) -> None:
    """Days of 23 and 25 hours, hours that come twice, zones off by half an hour, ends of months."""
    found = window_of(period, ZoneInfo(zone), to_microseconds(_moment(moment)))
    assert (to_microseconds(_moment(start)), to_microseconds(_moment(end))) == found


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.anyio
async def test_one_alert_a_window_although_the_clock_goes_back(record: Record) -> None:
    """An hour back over midnight and on again: money lands in the window of its moment, and nobody is told twice."""
    now = datetime(2026, 11, 21, 23, 59, tzinfo=UTC)
    clock = [now.timestamp()]
    alerts: list[Alert] = []
    ledger = Ledger(
        MemoryStore(), budgets=[Budget(limit=1000, on_exceed="warn")], clock=lambda: clock[0], on_alert=alerts.append
    )

    async def spend(cost: int) -> None:
        ledger.settle(await ledger.open(HEAD, hold(ledger, 0)), DONE._replace(cost=cost))
        await ledger.flush()

    await spend(950)
    clock[0] += 120  # the next day
    await spend(910)
    clock[0] -= 3600  # and an hour back, into the day before
    await spend(40)
    await spend(20)
    spent = [status.spent for status in await ledger.budget_statuses()]
    assert [Decimal("0.00000101")] == spent
    clock[0] += 3600
    await spend(95)
    await spend(95)
    assert [Decimal("0.0000011")] == [status.spent for status in await ledger.budget_statuses()]
    await ledger.aclose()
    told = [(alert.level, alert.status.resets_at) for alert in alerts]
    first, second = datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)
    assert [(90, first), (90, second), (100, first), (100, second)] == told
    record("alerts a window and level with a clock that goes back", "1", "1")


@pytest.mark.slow
def test_a_million_sums(full: bool, record: Record) -> None:
    """Reservations, costs beyond them and unknown costs, in any order: the window is exact, nothing stays reserved."""
    count = 1_000_000 if full else 20_000
    chance = random.Random(20)
    budgets = Budgets([Budget(limit=10**18, per="total")])
    charges = budgets.charges(HEAD, int(time.time() * 1e6))
    windows = {charges[0].window: Window()}
    open_now: list[tuple[Opening, int | None, int]] = []
    spent = excess = 0
    for number in range(count):
        amount = chance.randrange(10**9)
        opening = Opening(str(number), 0, HEAD, Hold(amount, charges), None)
        book([opening], windows)
        cost = None if number % 97 == 0 else chance.randrange(2 * 10**9)
        open_now.append((opening, cost, amount))
        if len(open_now) > 50 or number == count - 1:
            chance.shuffle(open_now)
            keep = 0 if number == count - 1 else 25
            ended, open_now = open_now[keep:], open_now[:keep]
            book([Settling(one, DONE._replace(cost=cost)) for one, cost, _ in ended], windows)
            for _, known, reserved in ended:
                spent += reserved if known is None else known
                excess += max(0, (known or 0) - reserved)
    window = windows[charges[0].window]
    assert (spent, 0, excess) == (window.spent, window.reserved, window.excess)
    record(f"error of {count} sums", "0 nano-dollars", "0")
