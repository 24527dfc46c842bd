"""The small parts: ids, money, windows, scopes, rows, exports."""

from __future__ import annotations

import copy
import csv
import json
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm._assembly import ledger_of
from asyncllm._config import load
from asyncllm._ledger.budgets import Alert, Budget, Budgets, BudgetStatus, Scope
from asyncllm._ledger.columns import bucket_of, latency_of
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores import store_of
from asyncllm._ledger.stores.memory import MemoryStore
from asyncllm._ledger.stores.sqlite import SQLiteStore
from asyncllm._ledger.units import Ulids, first_ulid, new_ulid, to_dollars, to_microseconds, to_moment, to_nano
from asyncllm.errors import ConfigurationError
from ledger_books import DONE, HEAD, PlainPrices


def milliseconds_of(ulid: str) -> int:
    """What the first ten letters of an id say."""
    return sum(
        "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(letter) << 5 * (9 - place) for place, letter in enumerate(ulid[:10])
    )


@given(st.integers(0, (1 << 48) - 1), st.binary(min_size=16, max_size=16))
def test_a_ulid_says_its_time(milliseconds: int, randomness: bytes) -> None:
    """26 letters that sort by time, none before the first of its millisecond."""
    made = new_ulid(milliseconds, randomness)
    assert 26 == len(made)
    assert milliseconds == milliseconds_of(made)
    assert first_ulid(milliseconds) <= made < first_ulid(milliseconds + 1) or milliseconds == (1 << 48) - 1


def test_the_ulid_of_the_specification() -> None:
    """The example of the format's own page: 01ARZ3NDEKTSV4RRFFQ69G5FAV is of 1469922850259."""
    assert 1469922850259 == milliseconds_of("01ARZ3NDEKTSV4RRFFQ69G5FAV")
    randomness = bytes("0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(letter) for letter in "TSV4RRFFQ69G5FAV")
    assert "01ARZ3NDEKTSV4RRFFQ69G5FAV" == new_ulid(1469922850259, randomness)


def test_a_clock_out_of_range_still_gives_an_id() -> None:
    """The ends of the format stand in for what is beyond them."""
    assert first_ulid(0) == first_ulid(-5)
    assert 26 == len(first_ulid(1 << 60))


@given(st.integers(-(10**24), 10**24))
def test_money_comes_back(nano: int) -> None:
    """Nano-dollars to dollars and back is the same amount, and reads like money."""
    dollars = to_dollars(nano)
    assert nano == to_nano(dollars)
    assert Decimal(nano) / 10**9 == dollars or abs(nano) > 10**20
    assert "E" not in f"{dollars:f}"


def test_money_is_finite() -> None:
    """Infinity is no amount; what is below a nano-dollar is rounded half to even."""
    with pytest.raises(ValueError, match="no amount"):
        to_nano(Decimal("inf"))
    assert [2, 2, -1] == [to_nano(Decimal(text)) for text in ("0.0000000015", "0.0000000025", "-0.0000000009")]
    assert ["0.00", "10.00", "-0.000000001"] == [f"{to_dollars(nano):f}" for nano in (0, 10**10, -1)]


@given(st.datetimes(datetime(1980, 1, 1), datetime(2200, 1, 1)))
def test_moments_come_back(moment: datetime) -> None:
    """Microseconds and moments are the same; a moment without a zone is local time."""
    aware = moment.replace(tzinfo=timezone.utc)
    assert aware == to_moment(to_microseconds(aware))
    assert moment.astimezone() == to_moment(to_microseconds(moment))


@given(st.integers(1, 10**12))
def test_a_bucket_is_within_one_per_cent(microseconds: int) -> None:
    """What reports say of a latency is within one per cent of it."""
    assert microseconds / 1e6 == pytest.approx(latency_of(bucket_of(microseconds)), rel=0.0101)


def test_budgets_have_names() -> None:
    """What people read of a budget says its window, its zone and its scope."""
    budget = Budget(limit=10**10, per="month", timezone="Europe/Berlin", scope=Scope(user="ann", tags={"t": "x"}))
    assert "$10.00 for month (Europe/Berlin): user=ann, tag:t=x" == str(budget)
    assert "all calls" == str(Scope())
    assert not Budgets()
    assert [budget] == list(Budgets([budget]))


def test_an_alert_reads_like_a_sentence() -> None:
    """Name, level, amounts; and the end of the window where there is one."""
    status = BudgetStatus(
        name="b",
        scope={},
        limit=Decimal("1.00"),
        spent=Decimal("0.95"),
        reserved=Decimal(0),
        excess=Decimal(0),
        resets_at=None,
    )
    assert "budget 'b' has reached 90%: $0.95 of $1.00 spent" == str(Alert(level=90, status=status))


def test_windows_move_with_the_clock() -> None:
    """The remembered window is left when the clock leaves it, in either direction."""
    budgets = Budgets([Budget(limit=1, per="hour")])
    hour = 3_600_000_000
    starts = [budgets.charges(HEAD, moment)[0].start for moment in (10 * hour, 10 * hour + 5, 11 * hour, 10 * hour)]
    assert [10 * hour, 10 * hour, 11 * hour, 10 * hour] == starts


@pytest.mark.parametrize("url", [":memory:", "sqlite://", "sqlite:///:memory:"])
def test_memory_has_several_names(url: str) -> None:
    """As in the configuration."""
    assert isinstance(store_of(url), MemoryStore)


def test_a_url_names_its_store(tmp_path: Path) -> None:
    """Three kinds; anything else is refused with the list of them."""
    store = store_of(f"sqlite:///{tmp_path}/x.db")
    assert isinstance(store, SQLiteStore)
    assert tmp_path / "x.db" == store.path
    assert "x.db" in repr(store)
    assert "MemoryStore()" == repr(MemoryStore())
    for url in ("mysql://x", "sqlite:///", "x.db"):
        with pytest.raises(ConfigurationError, match="sqlite:///path, postgresql"):
            store_of(url)


def test_a_configuration_describes_its_ledger(tmp_path: Path) -> None:
    """Budgets, zones, scopes and policies arrive as they were written."""
    settings = load(
        {
            "active_provider": "openai",
            "providers": {"openai": {"api_key": "sk-x", "fallback_models": ["m"]}},
            "cost_tracking": {"on_error": "error", "log_path": str(tmp_path / "log")},
            "budgets": [
                {
                    "limit": "1.5",
                    "per": "session",
                    "timezone": "Europe/Berlin",
                    "scope": {"user": "*", "tags": {"team": "x"}},
                    "on_exceed": "warn",
                    "on_error": "warn",
                    "name": "mine",
                },
                {"limit": 2},
            ],
        },
        environ={},
    )
    ledger = ledger_of(settings, PlainPrices())
    first, second = ledger.budgets
    assert (1_500_000_000, "session", "Europe/Berlin", False, "warn", "mine") == (
        first.limit,
        first.per,
        str(first.zone),
        first.hard,
        first.on_error,
        first.name,
    )
    assert Scope(user="*", tags={"team": "x"}) == first.scope
    assert (2_000_000_000, "day", True, "error", timezone.utc) == (
        second.limit,
        second.per,
        second.hard,
        second.on_error,
        second.zone,
    )


def test_an_unknown_time_zone_is_refused() -> None:
    """The sentence names it."""
    with pytest.raises(ConfigurationError, match="'Mars/Olympus' is no known time zone"):
        load(
            {
                "active_provider": "openai",
                "providers": {"openai": {"api_key": "sk-x", "fallback_models": ["m"]}},
                "budgets": [{"limit": 1, "timezone": "Mars/Olympus"}],
            },
            environ={},
        )


@pytest.mark.anyio
async def test_exports(tmp_path: Path) -> None:
    """CSV that no spreadsheet takes for formulas, JSON lines, Parquet: the same records, complete or not at all."""
    ledger = Ledger(MemoryStore())
    evil = HEAD._replace(user='=HYPERLINK("http://x")', agent="+1", variant="@x", tags={"a": "b"})
    ledger.settle(await ledger.open(evil), DONE._replace(cost=-5, latency=1.5))
    ledger.settle(await ledger.open(HEAD), DONE._replace(cost=None, latency=None))
    assert 2 == await ledger.export_csv(tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="") as file:  # a test may wait for a small file
        rows = sorted(csv.DictReader(file), key=lambda row: row["agent"], reverse=True)
    assert ('\'=HYPERLINK("http://x")', "'+1", "'@x") == (rows[0]["user"], rows[0]["agent"], rows[0]["variant"])
    assert ("-0.000000005", "1.500000", '{"a": "b"}') == (rows[0]["cost"], rows[0]["latency"], rows[0]["tags"])
    assert ("", "", "ann") == (rows[1]["cost"], rows[1]["latency"], rows[1]["user"])
    assert 2 == await ledger.export_jsonl(tmp_path / "x.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert {"-0.000000005", None} == {line["cost"] for line in lines}
    parquet = pytest.importorskip("pyarrow.parquet")
    assert 2 == await ledger.export_parquet(tmp_path / "x.parquet")
    table = parquet.read_table(tmp_path / "x.parquet").to_pylist()
    assert {-5, None} == {row["cost"] for row in table}
    assert {record.time async for record in ledger.records()} == {row["time"] for row in table}
    assert {"x.csv", "x.jsonl", "x.parquet"} == {path.name for path in tmp_path.iterdir()}  # noqa: ASYNC240
    await ledger.aclose()


def test_ids_are_made_from_random_letters_that_were_drawn_before() -> None:
    """No two are equal, not even of a parent and its fork that had drawn the same before; each has its time."""
    source = Ulids()
    before = {source.make(0, 0) for _ in range(200)}
    child = copy.copy(source)
    made = [*before, *(source.make(0, 0) for _ in range(200)), *(child.make(0, 1) for _ in range(200))]
    assert 600 == len(set(made))
    assert {26} == set(map(len, made))


@given(st.lists(st.integers(min_value=-5, max_value=(1 << 48) + 5) | st.integers(min_value=0, max_value=5000)))
def test_ids_that_are_made_one_after_another_have_the_time_of_each(moments: list[int]) -> None:
    """Also where the clock jumps, or is out of the format's range."""
    source = Ulids()
    for moment in moments:
        assert new_ulid(moment, bytes(16))[:10] == source.make(moment, 0)[:10]
