"""The versions of the SQLite database, oldest first: a function each, run once, in one transaction with its number.

A function that has been released is never changed; what is wrong with it is put right by the next one. The number is
SQLite's ``user_version``. A database of a later version than these is refused, not guessed at.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from ..errors import LedgerError

_V1_COUNTS = (
    "input_tokens INTEGER, output_tokens INTEGER, total_tokens INTEGER, cache_read_tokens INTEGER, "
    "cache_write_tokens INTEGER, reasoning_tokens INTEGER, input_audio_tokens INTEGER, output_audio_tokens INTEGER, "
    "input_image_tokens INTEGER, output_image_tokens INTEGER"
)


def m001_tables(connection: sqlite3.Connection) -> None:
    """Records, open attempts, and budget windows."""
    connection.execute(
        "CREATE TABLE records (id TEXT PRIMARY KEY, time INTEGER NOT NULL, session TEXT NOT NULL, call TEXT NOT NULL, "
        "attempt INTEGER NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, requested_model TEXT NOT NULL, "
        f"status TEXT NOT NULL, error TEXT, http_status INTEGER, {_V1_COUNTS}, usage_details TEXT, "
        "usage_source TEXT NOT NULL, cost INTEGER, reserved INTEGER, charged INTEGER, price_version TEXT, "
        "latency INTEGER, first_token_latency INTEGER, waited INTEGER, latency_bucket INTEGER, request_id TEXT, "
        '"user" TEXT, agent TEXT, tags TEXT, variant TEXT, recovered INTEGER NOT NULL) WITHOUT ROWID'
    )
    connection.execute(
        "CREATE TABLE opened (id TEXT PRIMARY KEY, owner TEXT NOT NULL, time INTEGER NOT NULL, head TEXT NOT NULL, "
        "amount INTEGER, charges TEXT) WITHOUT ROWID"
    )
    connection.execute(
        "CREATE TABLE windows (key TEXT NOT NULL, start INTEGER NOT NULL, spent INTEGER NOT NULL, "
        "reserved INTEGER NOT NULL, excess INTEGER NOT NULL, raised INTEGER NOT NULL, forgiven INTEGER NOT NULL, "
        "alerted INTEGER NOT NULL, PRIMARY KEY (key, start)) WITHOUT ROWID"
    )


def m002_reports_by_model(connection: sqlite3.Connection) -> None:
    """An index that holds all a report by provider and model reads, in the order in which it groups."""
    connection.execute(
        "CREATE INDEX records_by_model ON records (provider, model, latency_bucket, id, time, status, cost, "
        "input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, input_audio_tokens, "
        "output_audio_tokens, input_image_tokens, output_image_tokens)"
    )


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (m001_tables, m002_reports_by_model)


def migrate(connection: sqlite3.Connection) -> None:
    """Brings a database to the newest version; safe while other processes do the same.

    Raises:
        LedgerError: a later version of this library made it.
    """
    if _version(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)  # under the lock: somebody may have been faster
        if version > len(MIGRATIONS):
            raise LedgerError(
                f"the ledger has version {version} and this asyncllm knows up to {len(MIGRATIONS)}; "
                "upgrade asyncllm, or use another database"
            )
        for number in range(version, len(MIGRATIONS)):
            MIGRATIONS[number](connection)
            connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
