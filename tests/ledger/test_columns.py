"""The columns of the ledger: databases of earlier versions on both stores, and what follows from one row."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from asyncllm._ledger.budgets import Scope
from asyncllm._ledger.columns import (
    _DETAILS,
    COLUMNS,
    DIMENSIONS,
    EXPORTED,
    POSTGRES,
    SQLITE,
    VERSION,
    Head,
    Record,
    Settlement,
    statements,
)
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores import Store, store_of
from asyncllm._ledger.stores.memory import MemoryStore
from asyncllm._ledger.stores.sqlite import SQLiteStore
from asyncllm._schema.usage import Usage
from ledger_books import DONE, HEAD
from postgres_server import new_database

pytestmark = pytest.mark.anyio

# The tables as the version before made them, in the words that it used. They never change.
SQLITE_2 = (
    (
        "CREATE TABLE records (id TEXT PRIMARY KEY, time INTEGER NOT NULL, session TEXT NOT NULL, call TEXT NOT NULL, "
        "attempt INTEGER NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, requested_model TEXT NOT NULL, "
        "status TEXT NOT NULL, error TEXT, http_status INTEGER, input_tokens INTEGER, output_tokens INTEGER, "
        "total_tokens INTEGER, cache_read_tokens INTEGER, cache_write_tokens INTEGER, reasoning_tokens INTEGER, "
        "input_audio_tokens INTEGER, output_audio_tokens INTEGER, input_image_tokens INTEGER, "
        "output_image_tokens INTEGER, "
        "usage_details TEXT, usage_source TEXT NOT NULL, cost INTEGER, reserved INTEGER, charged INTEGER, "
        "price_version TEXT, latency INTEGER, first_token_latency INTEGER, waited INTEGER, latency_bucket INTEGER, "
        'request_id TEXT, "user" TEXT, agent TEXT, tags TEXT, variant TEXT, recovered INTEGER NOT NULL) WITHOUT ROWID'
    ),
    (
        "CREATE TABLE opened (id TEXT PRIMARY KEY, owner TEXT NOT NULL, time INTEGER NOT NULL, head TEXT NOT NULL, "
        "amount INTEGER, charges TEXT) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE windows (key TEXT NOT NULL, start INTEGER NOT NULL, spent INTEGER NOT NULL, "
        "reserved INTEGER NOT NULL, excess INTEGER NOT NULL, raised INTEGER NOT NULL, forgiven INTEGER NOT NULL, "
        "alerted INTEGER NOT NULL, PRIMARY KEY (key, start)) WITHOUT ROWID"
    ),
    (
        "CREATE INDEX records_by_model ON records (provider, model, latency_bucket, id, time, status, cost, "
        "input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, input_audio_tokens, "
        "output_audio_tokens, input_image_tokens, output_image_tokens)"
    ),
    "PRAGMA user_version = 2",
)
POSTGRES_1 = (
    (
        'CREATE TABLE records ("id" TEXT COLLATE "C" PRIMARY KEY, "time" BIGINT, "session" TEXT COLLATE "C", '
        '"call" TEXT COLLATE "C", "attempt" BIGINT, "provider" TEXT COLLATE "C", "model" TEXT COLLATE "C", '
        '"requested_model" TEXT COLLATE "C", "status" TEXT COLLATE "C", "error" TEXT COLLATE "C", '
        '"http_status" BIGINT, '
        '"input_tokens" BIGINT, "output_tokens" BIGINT, "total_tokens" BIGINT, "cache_read_tokens" BIGINT, '
        '"cache_write_tokens" BIGINT, "reasoning_tokens" BIGINT, "input_audio_tokens" BIGINT, '
        '"output_audio_tokens" BIGINT, "input_image_tokens" BIGINT, "output_image_tokens" BIGINT, '
        '"usage_details" TEXT COLLATE "C", "usage_source" TEXT COLLATE "C", "cost" BIGINT, "reserved" BIGINT, '
        '"charged" BIGINT, "price_version" TEXT COLLATE "C", "latency" BIGINT, "first_token_latency" BIGINT, '
        '"waited" BIGINT, "latency_bucket" BIGINT, "request_id" TEXT COLLATE "C", "user" TEXT COLLATE "C", '
        '"agent" TEXT COLLATE "C", "tags" TEXT COLLATE "C", "variant" TEXT COLLATE "C", "recovered" BIGINT)'
    ),
    (
        'CREATE TABLE opened (id TEXT COLLATE "C" PRIMARY KEY, owner TEXT NOT NULL, time BIGINT NOT NULL, '
        "head TEXT NOT NULL, amount BIGINT, charges TEXT)"
    ),
    (
        "CREATE TABLE windows (key TEXT NOT NULL, start BIGINT NOT NULL, spent BIGINT, reserved BIGINT, excess BIGINT, "
        "raised BIGINT, forgiven BIGINT, alerted BIGINT, PRIMARY KEY (key, start))"
    ),
    "CREATE TABLE asyncllm_version (version INTEGER NOT NULL)",
    "INSERT INTO asyncllm_version VALUES (1)",
)
ROWS = (
    (
        "INSERT INTO records (id, time, session, call, attempt, provider, model, requested_model, status, "
        "usage_details, "
        "usage_source, cost, latency, latency_bucket, recovered) VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FAV', "
        "1469922850259000, "
        "'', 'c', 1, 'p', 'm', 'm', 'ok', '{\"service_tier\": \"flex\"}', 'unknown', 1500, 2000000, 733, 0)"
    ),
    (
        "INSERT INTO opened (id, owner, time, head) VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FAW', "
        "'01ARZ3NDEKTSV4RRFFQ69G5FAX', "
        '1469922850260000, \'{"provider": "p", "model": "m", "kind": "k", "attempt": 1}\')'
    ),
)


async def is_brought_up(store: Store) -> None:
    """An old database keeps what it has, and takes everything that is new."""
    ledger = Ledger(store)
    new = HEAD._replace(operation="embed", deployment="eu", model="n")
    end = DONE._replace(cost=None, cost_source=None, unpriced_reason="the price is unknown", status="cached")
    ledger.settle(await ledger.open(new), end)
    old, opened, added = sorted([one async for one in ledger.records()], key=lambda record: record.time)
    assert datetime(2016, 7, 30, 23, 54, 10, 259000, tzinfo=timezone.utc) == old.time
    assert ("chat", None, "flex", Decimal("0.0000015")) == (
        old.operation,
        old.deployment,
        old.usage.service_tier,
        old.cost,
    )
    assert ("unknown", True, "chat") == (opened.status, opened.recovered, opened.operation)
    assert ("embed", "eu", "cached", "the price is unknown") == (
        added.operation,
        added.deployment,
        added.status,
        added.unpriced_reason,
    )
    by_model = await ledger.report(by=["model"])
    assert {"m": 2, "n": 1} == {row.group["model"]: row.requests for row in by_model}
    assert {"embed": 1, "chat": 2} == {
        row.group["operation"]: row.requests for row in await ledger.report(by=["operation"])
    }
    await ledger.aclose()


async def test_an_old_file_is_brought_to_the_newest_version(tmp_path: Path) -> None:
    """SQLite, from the tables of the version before."""
    path = tmp_path / "ledger.db"
    old = sqlite3.connect(path, isolation_level=None)
    for statement in (*SQLITE_2, *ROWS):
        old.execute(statement)
    old.close()
    await is_brought_up(SQLiteStore(path))
    new = sqlite3.connect(path)
    assert [(VERSION,)] == new.execute("PRAGMA user_version").fetchall()
    assert [("wal",)] == new.execute("PRAGMA journal_mode").fetchall()
    new.close()


@pytest.mark.slow
async def test_an_old_server_is_brought_to_the_newest_version(postgres: str) -> None:
    """PostgreSQL, from the tables of its first version."""
    import psycopg

    url = new_database(postgres)
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in (*POSTGRES_1, *ROWS):
            connection.execute(statement.encode())
    await is_brought_up(store_of(url))
    with psycopg.connect(url, autocommit=True) as connection:
        assert (VERSION,) == connection.execute("SELECT version FROM asyncllm_version").fetchone()


def shape(sentences: Sequence[str]) -> list[tuple[object, ...]]:
    """The columns of the tables that statements make: their names and types."""
    connection = sqlite3.connect(":memory:")
    for sentence in sentences:
        connection.execute(sentence)
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    found = [
        (table, *row[1:3])
        for table in tables
        for row in connection.execute(f"SELECT * FROM pragma_table_info('{table}')")
    ]
    connection.close()
    return sorted(found)


def test_a_released_version_stays_as_it_is() -> None:
    """What the rows say of an old version is what that version made, in both databases."""
    assert shape(SQLITE_2) == shape([*statements(1, SQLITE), *statements(2, SQLITE)])
    assert [] == list(statements(2, POSTGRES))
    spoken = [sentence.replace(' COLLATE "C"', "") for sentence in POSTGRES_1[:3]]
    written = [sentence.replace(' COLLATE "C"', "") for sentence in statements(1, POSTGRES)]
    assert shape(spoken) == shape(written)


def test_every_fact_of_an_attempt_has_a_column() -> None:
    """A field that no row names would be lost; one that is in the rows and nowhere else is a mistake."""
    names = {column.name for column in COLUMNS}
    facts = {*Head._fields, *Settlement._fields}
    assert {"kind", "input_estimate", "output_estimate", "usage"} == facts - names
    used = {*(column.of or column.name for column in COLUMNS), *_DETAILS}
    assert {"stated_cost"} == {field.name for field in fields(Usage)} - used  # that one is the cost
    kept = {column.name if column.field == "" else column.field for column in EXPORTED}
    assert {"usage"} == {field.name for field in fields(Record)} - kept


def test_budgets_and_reports_follow_the_columns() -> None:
    """A key that is marked in its row can be grouped by and limited to; any other is refused by name."""
    assert "provider=p, deployment=eu, user=*" == str(Scope(user="*", deployment="eu", provider="p"))
    assert (("deployment", "eu"),) == Scope(deployment="eu").values(HEAD._replace(deployment="eu"))
    assert None is Scope(deployment="eu").values(HEAD)
    assert {"operation", "deployment", "service_tier", "cost_source", "unpriced_reason"} <= set(DIMENSIONS)
    with pytest.raises(TypeError, match="cannot be limited to a 'colour'; choose from provider, deployment, model"):
        Scope(colour="red")


async def test_reports_leave_out_what_generates_nothing(store: Store) -> None:
    """Listing, counting and validating count where they cost something, or where somebody asks for them."""
    ledger = Ledger(store)
    for operation, cost in (("chat", 5), ("count", 0), ("list", 0), ("validate", 7), ("validate", None)):
        ledger.settle(await ledger.open(HEAD._replace(operation=operation)), DONE._replace(cost=cost))
    (row,) = await ledger.report()
    assert (3, 1, Decimal("0.000000012")) == (row.requests, row.unpriced, row.cost)
    assert {"chat": 1, "count": 1, "list": 1, "validate": 2} == {
        row.group["operation"]: row.requests for row in await ledger.report(by=["operation"])
    }
    assert [1] == [row.requests for row in await ledger.report(where={"operation": "list"})]
    assert 5 == len([one async for one in ledger.records()])
    await ledger.aclose()


async def test_new_columns_are_in_every_export(tmp_path: Path) -> None:
    """CSV and JSON lines have them without being told."""
    ledger = Ledger(MemoryStore())
    ledger.settle(await ledger.open(HEAD._replace(deployment="=eu")), DONE._replace(cost_source="table"))
    await ledger.export_csv(tmp_path / "x.csv")
    await ledger.export_jsonl(tmp_path / "x.jsonl")
    await ledger.aclose()
    heading, cells = (tmp_path / "x.csv").read_text().splitlines()  # a small file
    assert [column.name for column in EXPORTED] == heading.split(",")
    assert {"chat", "'=eu", "table"} <= set(cells.split(","))
    line = json.loads((tmp_path / "x.jsonl").read_text())  # a small file
    assert ("chat", "=eu", "table") == (line["operation"], line["deployment"], line["cost_source"])


async def test_records_with_other_facts_than_those_before(store: Store) -> None:
    """A batch may know what no batch before it knew, and the other way round; each record has what its attempt had."""
    ledger = Ledger(store)
    plain = DONE._replace(latency=None, price_version=None, usage=Usage(input_tokens=1, output_tokens=2))
    rich = DONE._replace(
        status="error",
        error="RateLimitError",
        http_status=429,
        first_token_latency=0.25,
        request_id="r\0\ud800",
        usage=Usage(input_tokens=1 << 70, output_tokens=0, cache_read_tokens=0, speed="fast", service_tier="flex"),
    )
    wanted = {}
    for end, head in ((plain, HEAD), (rich, HEAD._replace(tags={"a": "b"}, user=None)), (plain, HEAD)):
        for _ in range(3):
            opening = await ledger.open(head)
            ledger.settle(opening, end)
            wanted[opening.id] = (end, head)
        await ledger.flush()
    found = {record.id: record async for record in ledger.records()}
    assert wanted.keys() == found.keys()
    for key, (end, head) in wanted.items():
        record = found[key]
        assert (end.error, end.http_status, end.latency) == (record.error, record.http_status, record.latency)
        assert (end.first_token_latency, head.user, head.tags) == (
            record.first_token_latency,
            record.user,
            record.tags,
        )
        assert (end.usage.cache_read_tokens, end.usage.speed, end.usage.service_tier) == (
            record.usage.cache_read_tokens,
            record.usage.speed,
            record.usage.service_tier,
        )
        assert (None if end is rich else 1, end.usage.output_tokens) == (
            record.usage.input_tokens,
            record.usage.output_tokens,
        )
        assert ("r\ufffd?" if end is rich else None) == record.request_id
    await ledger.aclose()
