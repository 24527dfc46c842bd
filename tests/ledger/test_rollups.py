"""Roll-ups: the answer from them is the answer from the records, whatever was written, deleted and rated meanwhile."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncllm._ledger import upkeep
from asyncllm._ledger.booking import Opening, Settling
from asyncllm._ledger.columns import Head, Settlement
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.reports import merge, spans, step_of, zone_of_days
from asyncllm._ledger.rollups import DAY, HOUR, KEPT, ROLLED, Mark, counted, pieces, written
from asyncllm._ledger.stores import Query, Store
from asyncllm._ledger.stores.memory import MemoryStore
from asyncllm._ledger.stores.sqlite import SQLiteStore
from asyncllm._ledger.units import new_ulid
from asyncllm._schema.messages import Message
from asyncllm._schema.response import Response
from asyncllm._schema.usage import Usage
from postgres_server import new_database

pytestmark = pytest.mark.anyio

NOON = int(datetime(2026, 3, 29, 12, tzinfo=timezone.utc).timestamp() * 1e6)  # the clocks of Europe change on this day
NOW = NOON + 3 * DAY
ASKED: tuple[tuple[tuple[str, ...], dict[str, str]], ...] = (
    ((), {}),
    (("day", "provider", "model"), {}),
    (("hour",), {}),
    (("week", "agent"), {"provider": "p0"}),
    (("month", "tag"), {}),
    (("user",), {}),
    (("user",), {"model": "m1"}),
    (("user", "day"), {"tag:team": "t1"}),
    (("day", "tag:team"), {"provider": "p1"}),
    (("agent",), {"user": "u1"}),
    (("status", "error", "unpriced_reason"), {}),
    (("operation",), {}),
    (("variant", "service_tier"), {"status": "error"}),
    (("session",), {}),
    (("user", "agent", "tag"), {}),
    (("requested_model",), {"user": "u2", "agent": "a1"}),
)


def settling(chance: random.Random, moment: int) -> list[Opening | Settling]:
    """An attempt of a moment, with everything at random."""
    number = chance.randrange(4)
    head = Head(
        provider=f"p{number % 2}",
        model=f"m{number}",
        requested_model=f"m{chance.randrange(2)}",
        operation=chance.choice(["chat", "chat", "chat", "embed", "count"]),
        session=f"s{chance.randrange(3)}",
        attempt=chance.choice([1, 1, 2]),
        user=chance.choice([None, "u0", "u1", "u2"]),
        agent=chance.choice([None, "a0", "a1"]),
        tags=chance.choice([None, {"team": "t1"}, {"team": "t2", "x": "ü"}]),
        variant=chance.choice([None, "A", "B"]),
    )
    opening = Opening(new_ulid(moment // 1000, chance.randbytes(16)), moment, head, None, None)
    ok = chance.random() < 0.8
    cost = chance.choice([None, 0, chance.randrange(10_000_000)])
    end = Settlement(
        status="ok" if ok else chance.choice(["error", "cancelled", "unknown"]),
        error=None if ok else "ServerError",
        cost=cost,
        saved=chance.choice([None, -5, 70]),
        unpriced_reason="no price" if cost is None else None,
        latency=chance.choice([None, chance.lognormvariate(0, 2)]),
        usage=Usage(
            input_tokens=chance.choice([None, chance.randrange(5000)]),
            output_tokens=chance.randrange(500),
            service_tier=chance.choice([None, "flex"]),
        ),
    )
    return [opening, Settling(opening, end)]


def some(chance: random.Random, count: int, first: int = NOON - 3 * DAY, last: int = NOW) -> list[Any]:
    """Attempts between two moments."""
    return [one for _ in range(count) for one in settling(chance, chance.randrange(first, last))]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def sql_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store that rolls up."""
    if request.param == "sqlite":
        store: Store = SQLiteStore(tmp_path / "ledger.db")
    else:
        from asyncllm._ledger.stores.postgres import PostgresStore

        store = PostgresStore(new_database(request.getfixturevalue("postgres")))
    store.connect()
    yield store
    store.close()


def answers(store: Store, chance: random.Random) -> list[Any]:
    """Many reports of a store, over times that begin anywhere, in zones of every kind."""
    found = []
    for by, where in ASKED:
        name = chance.choice(("UTC", "Europe/Berlin", "Asia/Kolkata"))
        start, end = sorted(chance.randrange(NOON - 4 * DAY, NOW + DAY) for _ in range(2))
        if chance.random() < 0.5:
            start, end = start // HOUR * HOUR, end // HOUR * HOUR
        bounds = chance.choice(((None, None), (start, end)))
        found.append(asked(store, by, where, name, bounds))
    return found


def asked(
    store: Store, by: Sequence[str], where: dict[str, str], name: str, bounds: tuple[int | None, int | None]
) -> list[Any]:
    """One report."""
    from zoneinfo import ZoneInfo

    zone = timezone.utc if name == "UTC" else ZoneInfo(name)
    step = step_of(by, zone)
    billed = "operation" not in by and "operation" not in where
    days = zone_of_days(by, zone)
    query = Query(start=bounds[0], end=bounds[1], where=where, billed=billed, step=step, zone=days)
    rows = merge(by, store.report(query, by), zone, step)
    return [(by, where, name, bounds), sorted(rows, key=lambda row: str(row.group))]


def same(store: Store, records: Store, seed: int) -> None:
    """Both give the same answer to every question."""
    for found, expected in zip(answers(store, random.Random(seed)), answers(records, random.Random(seed)), strict=True):
        assert expected == found


def tended(store: Store, now: int = NOW, keep: int | None = None) -> int:
    """Rolls everything up that is over."""
    return store.tend(now, keep, lambda: False)


def test_the_answer_is_that_of_the_records(sql_store: Store) -> None:
    """Before, after and between roll-ups, with records that come late, that are rated, and that are deleted."""
    records = MemoryStore()
    chance = random.Random(7)
    for round_number in range(2):
        batch = some(chance, 150)
        for store in (sql_store, records):
            store.write(batch)
        same(sql_store, records, 10 + round_number)
        assert 0 < tended(sql_store)
        same(sql_store, records, 20 + round_number)
        rated = next(one for one in batch if isinstance(one, Settling)).opening.id
        assert [1, 1] == [store.rate(rated, 500_000 * round_number, "so so") for store in (sql_store, records)]
        same(sql_store, records, round_number)
    assert 0 < tended(sql_store)
    assert 0 == tended(sql_store)
    gone = [store.delete(Query(where={"user": "u1"})) for store in (sql_store, records)]
    assert gone[0] == gone[1] > 0
    same(sql_store, records, 3)
    tended(sql_store)
    same(sql_store, records, 3)
    before = NOON - DAY - 12345
    assert 1 == len({store.delete(Query(end=before)) for store in (sql_store, records)})
    same(sql_store, records, 4)


def test_old_records_go_and_their_sums_stay(sql_store: Store) -> None:
    """By whole days: the sums of days that no records are left of are what they were, by model, user, agent and tag;
    what a roll-up does not know is None; a record that comes late to such a day counts as well.
    """
    chance = random.Random(11)
    batch = some(chance, 300)
    records = MemoryStore()
    for store in (sql_store, records):
        store.write(batch)
    tended(sql_store)
    keep = NOW - (NOON // DAY * DAY)
    tended(sql_store, keep=keep)
    left = [row for page in sql_store.pages(Query(), 1000) for row in page]
    assert 0 < len(left) < 300
    assert min(row[1] for row in left) >= NOON // DAY * DAY
    late = some(chance, 20, NOON - 2 * DAY, NOON - DAY)
    for store in (sql_store, records):
        store.write(late)
    for _ in range(2):
        for by, where in ASKED:
            if "session" in by or by == ("user", "agent", "tag") or "requested_model" in by or "user" in where:
                continue
            if "day" in by and "user" in by:
                continue
            for name in ("UTC", "Europe/Berlin") if not {"agent", "tag", "tag:team"} & {*by} else ("UTC",):
                assert asked(records, by, where, name, (None, None)) == asked(sql_store, by, where, name, (None, None))
        assert 320 == sum(
            row.requests for row in asked(sql_store, ("session", "operation"), {}, "UTC", (None, None))[1]
        )
        tended(sql_store, keep=keep)
    assert len(left) == len([row for page in sql_store.pages(Query(), 1000) for row in page])
    sql_store.delete(Query(where={"user": "u1"}))
    users = {row.group["user"] for row in asked(sql_store, ("user",), {}, "UTC", (None, None))[1]}
    assert {None, "u0", "u2"} == users
    sql_store.delete(Query(end=NOW + DAY))
    assert [] == asked(sql_store, (), {}, "UTC", (None, None))[1]


def test_a_record_that_comes_while_its_day_is_added_up(sql_store: Store) -> None:
    """The day has no mark then, and its records are read."""
    chance = random.Random(3)
    records = MemoryStore()
    batch = some(chance, 50)
    for store in (sql_store, records):
        store.write(batch)
    rolling = sql_store._rolling  # type: ignore[attr-defined]
    added = rolling._added
    units: list[int] = []

    def meanwhile(run: Any, level: int, start: int, ids: Any) -> Any:
        found = added(run, level, start, ids)
        units.append(start)
        if len(units) in (1, 3):
            late = some(chance, 2, start, start + level)
            for store in (sql_store, records):
                store.write(late)
        return found

    rolling._added = meanwhile
    assert 0 < tended(sql_store)
    same(sql_store, records, 1)
    rolling._added = added
    assert 0 < tended(sql_store)
    same(sql_store, records, 1)


def test_what_stops_leaves_a_whole_number_of_units(sql_store: Store) -> None:
    """Upkeep ends between two units, and goes on there."""
    sql_store.write(some(random.Random(5), 60))
    asked_for = iter([False, False, True])
    assert 2 == sql_store.tend(NOW, None, lambda: next(asked_for))
    assert 0 < tended(sql_store)
    assert 0 == tended(sql_store)


@given(st.dictionaries(st.integers(0, 1100), st.integers(1, 120_000), max_size=20))
@settings(max_examples=50, deadline=None)
def test_latencies_are_read_as_they_were_written(buckets: dict[int, int]) -> None:
    """However often one occurs."""
    singles, runs = written(Counter(buckets))
    assert buckets == counted(singles or "", runs or "")


@given(
    st.sets(st.integers(0, 6)),
    st.sets(st.integers(0, 6)),
    st.one_of(st.none(), st.integers(0, 7 * 24)),
    st.one_of(st.none(), st.integers(0, 7 * 24)),
    st.sampled_from([HOUR // 4, HOUR, DAY]),
    st.sampled_from([None, 0, 3]),
)
@settings(max_examples=300, deadline=None)
def test_the_time_of_a_report_is_divided_once(
    days: set[int], hours: set[int], start: int | None, end: int | None, step: int, kind: int | None
) -> None:
    """Each hour of it is in one piece, none is in two, and no piece is outside."""
    begin, close = (None if one is None else one * HOUR + 1 for one in (start, end))
    if begin is not None and close is not None and begin > close:
        begin, close = close, begin
    marks = [Mark(DAY, day * DAY, ROLLED) for day in days] + [Mark(HOUR, 7 * DAY + one * HOUR, ROLLED) for one in hours]
    found = pieces(marks, begin, close, step=step, kind=kind)
    at = begin
    for piece in found:
        assert (piece.start, piece.kept) == (at, False) and (piece.end is None or at is None or piece.end > at)
        at = piece.end
    assert at == close or begin == close
    kept = pieces([replace_state(mark) for mark in marks], begin, close, step=step, kind=kind)
    assert [0] == [piece.level for piece in kept if not piece.kept] or begin == close


def replace_state(mark: Mark) -> Mark:
    """The mark of a unit whose records are gone."""
    return mark._replace(state=KEPT)


async def test_it_happens_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Soon after the ledger was opened, on a thread of its own; old records go, and `roll_up` does the same at once."""
    monkeypatch.setattr(upkeep, "_FIRST", 0.0)
    store = SQLiteStore(tmp_path / "ledger.db")
    store.connect()
    store.write(some(random.Random(1), 40))
    ledger = Ledger(store, keep=timedelta(days=1))
    with anyio.fail_after(10):
        while [one async for one in ledger.records()]:
            await ledger.flush()
            await anyio.sleep(0.02)
    (total,) = await ledger.report(where={"operation": "chat"})
    assert 0 < total.requests
    await ledger.aclose()
    monkeypatch.setattr(upkeep, "_FIRST", 60.0)
    store = SQLiteStore(tmp_path / "other.db")
    store.connect()
    store.write(some(random.Random(2), 40))
    other = Ledger(store)
    assert 0 < await other.roll_up()
    assert 0 == await other.roll_up()
    await other.aclose()


async def test_an_answer_is_rated(sql_store: Store) -> None:
    """The score is in the record, in exports and in reports; a later one replaces it; nonsense is refused."""
    ledger = Ledger(sql_store)
    head = Head(provider="p", model="m", requested_model="m", variant="A")
    first = await ledger.open(head)
    ledger.settle(first, Settlement(status="error"))
    second = await ledger.open(head._replace(call=first.id, attempt=2))
    ledger.settle(second, Settlement(status="ok"))
    await ledger.rate(first.id, 0)
    await ledger.rate(first.id, 1)
    await ledger.rate(first.id, 0.5, note="=better")
    assert [(None, None), (0.5, "=better")] == [(one.score, one.note) async for one in ledger.records()]
    (row,) = await ledger.report(by=["model", "variant"])
    assert (1, 0.5, "A") == (row.rated, row.score, row.group["variant"])
    text = "".join([part async for part, _ in ledger.lines("csv")])
    assert "0.500000,'=better" in text
    for wrong in (float("nan"), True, 1e10, "good"):
        with pytest.raises(ValueError, match="a score must be a number"):
            await ledger.rate(first.id, wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the ledger has no call 'x'"):
        await ledger.rate("x", 1)
    with pytest.raises(ValueError, match="has no call_id"):
        await ledger.rate(Response(message=Message("assistant", ()), finish_reason="stop"), 1)
    await ledger.aclose()


def test_time_is_divided_where_clocks_are_changed() -> None:
    """Each part has one distance from UTC; together they are the whole, also where they end within a change's hour."""
    from zoneinfo import ZoneInfo

    hour = HOUR
    change = int(datetime(2026, 3, 29, 1, tzinfo=timezone.utc).timestamp() * 1e6)
    berlin = ZoneInfo("Europe/Berlin")
    found = list(spans(change - 40 * DAY - 5, change + 40 * DAY, berlin))
    assert [(change - 40 * DAY - 5, change, hour), (change, change + 40 * DAY, 2 * hour)] == found
    assert [(change - hour, change, hour)] == list(spans(change - hour, change, berlin))
    assert [(change, change + 5, 2 * hour)] == list(spans(change, change + 5, berlin))
    assert [(0, DAY, 11 * hour // 2)] == list(spans(0, DAY, ZoneInfo("Asia/Kolkata")))
    year = list(spans(change, change + 366 * DAY, berlin))
    assert [2 * hour, hour, 2 * hour] == [offset for _, _, offset in year]
    assert [begin for begin, _, _ in year[1:]] == [end for _, end, _ in year[:-1]]
