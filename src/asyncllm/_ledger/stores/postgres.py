"""The ledger in PostgreSQL, for many machines on one set of books (``asyncllm-client[postgres]``).

The same tables as in SQLite. Budget windows are locked row by row, always in the same order, so writers on different
budgets do not wait for each other. The lock of a process is an advisory lock of its connection, keyed by the ULID that
its rows name: the server lets it go when the connection dies.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...errors import ConfigurationError, LedgerError
from ..booking import WindowId
from ..columns import POSTGRES, VERSION, statements
from ..units import new_ulid
from .sql import Execute, Rows, SQLStore, too_new

if TYPE_CHECKING:
    from types import ModuleType

    import psycopg

PATIENCE = 5.0
_HURRIED = 0.5
_MIGRATING = 0x61736C6C6D  # one process at a time makes the tables
_TRIES = 4


class PostgresStore(SQLStore):
    """A ledger in a PostgreSQL database.

    Args:
        url: ``postgresql://user:password@host/database``; never shown.
        patience: seconds to wait for a connection and for other writers.

    Raises:
        ConfigurationError: psycopg is not installed.
    """

    _tags_join = " LEFT JOIN LATERAL jsonb_each_text(records.tags::jsonb) AS tag ON true"
    _one_tag = "(tags::jsonb ->> ?)"
    _lock_rows = " FOR UPDATE"

    def __init__(self, url: str, *, patience: float = PATIENCE) -> None:
        super().__init__()
        self._url = url
        self.patience = patience
        self._driver = _driver()
        self._connection: psycopg.Connection[Any] | None = None
        self._tried = 0

    def __repr__(self) -> str:
        return "PostgresStore()"

    def _is_url(self) -> bool:
        try:
            self._driver.conninfo.conninfo_to_dict(self._url)
        except self._driver.ProgrammingError:  # its text, and so its traceback, quotes the URL with the password
            return False
        return True

    def connect(self, *, hurried: bool = False) -> None:
        """Connects, makes the tables where they are missing, and takes the lock."""
        self._translated(lambda: self._connect(_HURRIED if hurried else self.patience))

    def _connect(self, patience: float) -> None:
        self._disconnect()
        connection = self._open(patience)
        try:
            _migrate(connection)
            if not self.owner:
                self.owner = new_ulid(time.time_ns() // 1_000_000, os.urandom(16))
            connection.execute("SELECT pg_advisory_lock(%s)", (_lock_key(self.owner),))
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _open(self, patience: float) -> psycopg.Connection[Any]:
        if not self._is_url():
            raise LedgerError(
                "cost_tracking.database is no URL of a PostgreSQL database: postgresql://user:password@host/database"
            )
        milliseconds = round(patience * 1000)
        return self._driver.connect(  # type: ignore[no-any-return]  # the driver is found at run time
            self._url,
            autocommit=True,
            connect_timeout=max(2, round(patience)),
            options=f"-c lock_timeout={milliseconds} -c synchronous_commit=on",
            prepare_threshold=2,
        )

    def after_fork(self) -> None:
        """Forgets the connection; it is the parent's, and psycopg closes it in no other process."""
        self._connection = None
        self.owner = ""

    def close(self) -> None:
        """Ends the connection, and with it the lock."""
        self._disconnect()
        self.owner = ""

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _write(self, batch: Sequence[Any]) -> Any:
        for _ in range(_TRIES - 1):
            try:
                return super()._write(batch)
            except self._driver.errors.DeadlockDetected:
                continue
        return super()._write(batch)

    def _execute(self, sql: str, values: Sequence[Any] = ()) -> tuple[Rows, int]:
        if self._connection is None:
            self._connect(self.patience)
        cursor = self._connection.execute(sql.replace("?", "%s"), values)  # type: ignore[union-attr]  # connected above
        return cursor.fetchall() if cursor.description else [], cursor.rowcount

    def _begin(self) -> None:
        self._execute("BEGIN")

    def _commit(self) -> None:
        self._execute("COMMIT")

    def _rollback(self) -> None:
        connection = self._connection
        if connection is None:
            return
        if connection.broken or connection.closed:
            self._disconnect()
        elif connection.info.transaction_status != self._driver.pq.TransactionStatus.IDLE:
            connection.execute("ROLLBACK")

    def _lock_windows(self, keys: Sequence[WindowId]) -> None:
        for key in keys:
            self._execute("INSERT INTO windows (key, start) VALUES (?, ?) ON CONFLICT DO NOTHING", key)
            self._execute("SELECT 1 FROM windows WHERE key = ? AND start = ? FOR UPDATE", key)

    def _is_dead(self, owner: str) -> bool:
        key = _lock_key(owner)
        rows, _ = self._execute("SELECT pg_try_advisory_lock(?)", (key,))
        if rows[0][0]:
            self._execute("SELECT pg_advisory_unlock(?)", (key,))
        return bool(rows[0][0])

    @contextmanager
    def _reading(self) -> Iterator[Execute]:
        with self._open(self.patience) as connection:
            yield lambda sql, values: connection.execute(sql.replace("?", "%s"), values).fetchall()

    def _translated(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except self._driver.Error as error:
            if isinstance(error, (self._driver.ProgrammingError, self._driver.InterfaceError)):
                raise
            sentence = f"the ledger's PostgreSQL database cannot be used: {_said(error)}"
        raise LedgerError(sentence)  # outside: the driver's frames, which hold the password, are not in its context


def _driver() -> ModuleType:
    try:
        import psycopg
    except ImportError as error:
        raise ConfigurationError(
            "a ledger in PostgreSQL needs psycopg: python -m pip install 'asyncllm-client[postgres]'"
        ) from error
    return psycopg


def _migrate(connection: psycopg.Connection[Any]) -> None:
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATING,))
        connection.execute("CREATE TABLE IF NOT EXISTS asyncllm_version (version INTEGER NOT NULL)")
        row = connection.execute("SELECT version FROM asyncllm_version").fetchone()
        version = row[0] if row else 0
        if version > VERSION:
            raise too_new(version)
        if row is None:
            connection.execute("INSERT INTO asyncllm_version VALUES (0)")
        for number in range(version + 1, VERSION + 1):
            for statement in statements(number, POSTGRES):
                connection.execute(statement.encode())
        connection.execute("UPDATE asyncllm_version SET version = %s", (VERSION,))


def _lock_key(owner: str) -> int:
    """63 of the id's 80 random bits."""
    value = 0
    for letter in owner[-13:]:
        value = value << 5 | "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(letter)
    return value & ((1 << 63) - 1)


def _said(error: Exception) -> str:
    """What the driver says, in one line and without a password."""
    text = " ".join(str(error).split())
    return re.sub(r"(?i)(password\s*=\s*|://[^:/@\s]*:)[^\s@]+", r"\1[redacted]", text) or type(error).__name__
