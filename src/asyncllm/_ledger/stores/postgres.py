"""The ledger in PostgreSQL, for many machines on one set of books (``asyncllm-client[postgres]``).

The same tables as in SQLite. Budget windows are locked row by row, always in the same order, so writers on different
budgets do not wait for each other.

With a folder for journals (``durability: journal``), attempts under no hard budget are opened there, as in SQLite, and
folded by whoever runs on the same machine. What is not folded yet is lost with the machine.

Rules: it works behind a pooler in transaction mode, so there is no state of a session. No startup parameters, no
prepared statements, no session locks: what a transaction needs is set in it. A process is a row of ``owners`` that is
alive until a moment by the server's clock; it is renewed every ten seconds and dead after a minute. Whoever was taken
for dead and settles after all replaces the record that was recovered.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ConfigurationError, LedgerError
from ..booking import Opening, WindowId
from ..columns import POSTGRES, VERSION, statements
from ..journal import JournalFile
from ..locks import FileLock
from ..units import new_ulid
from .folding import JournalledStore
from .rolling import Dialect, Rows, Run
from .sql import Execute, too_new

if TYPE_CHECKING:
    from types import ModuleType

    import psycopg

PATIENCE = 5.0
_HURRIED = 0.5
_MIGRATING = 0x61736C6C6D  # one process at a time makes the tables
_TRIES = 4
RENEW_SECONDS = 10.0
NO_URL = "cost_tracking.database is no URL of a PostgreSQL database: postgresql://user:password@host/database"
_RENEW = (
    "INSERT INTO owners VALUES (%s, now() + interval '60 seconds') "
    "ON CONFLICT (owner) DO UPDATE SET alive_until = excluded.alive_until"
)


class PostgresStore(JournalledStore):
    """A ledger in a PostgreSQL database.

    Args:
        url: ``postgresql://user:password@host/database``; never shown.
        patience: seconds to wait for a connection and for other writers.
        journal_path: a folder on a local disk that outlives the process, for journals; None for none.

    Raises:
        ConfigurationError: psycopg is not installed.
    """

    _tags_join = " LEFT JOIN LATERAL jsonb_each_text({}.tags::jsonb) AS tag ON true"
    _one_tag = "(tags::jsonb ->> ?)"
    _lock_rows = " FOR UPDATE"
    _dialect = Dialect(
        begin="BEGIN",
        begin_slice="BEGIN ISOLATION LEVEL REPEATABLE READ",
        barrier="LOCK TABLE records IN SHARE MODE",
        joined="string_agg({}, '')",
        letter="chr(({})::integer)",
    )
    renew_every: float | None = RENEW_SECONDS

    def __init__(self, url: str, *, patience: float = PATIENCE, journal_path: Path | None = None) -> None:
        super().__init__()
        self._url = url
        self._folder = journal_path
        self.patience = patience
        self._driver = find_driver()
        self._connection: psycopg.Connection[Any] | None = None

    def __repr__(self) -> str:
        return "PostgresStore()"

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
            connection.execute(_RENEW, (self.owner,))
            self._take_lock()
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _open(self, patience: float) -> psycopg.Connection[Any]:
        if not is_url(self._driver, self._url):
            raise LedgerError(NO_URL)
        return self._driver.connect(  # type: ignore[no-any-return]  # the driver is found at run time
            self._url,
            autocommit=True,
            connect_timeout=max(2, round(patience)),
            prepare_threshold=None,
        )

    def _take_lock(self) -> None:
        """Takes the lock by which others on this machine tell that the journal is still written to."""
        folder = self._folder
        if folder is None or self._lock is not None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self._lock_path(self.owner))
        except OSError as error:
            self._tell_of(folder, error)

    @property
    def _journals(self) -> Path | None:
        return None if self._folder is None else self._folder / "journal"

    def _lock_path(self, owner: str) -> Path:
        return (self._folder or Path()) / "locks" / f"{owner}.lock"

    def _offset(self, file: JournalFile) -> int:
        if file.owner == self.owner:
            return super()._offset(file)
        key = (file.owner, file.n)  # several processes may fold what a dead one left
        self._execute("INSERT INTO journals VALUES (?, ?, 0) ON CONFLICT (owner, n) DO NOTHING", key)
        rows, _ = self._execute("SELECT folded FROM journals WHERE owner = ? AND n = ? FOR UPDATE", key)
        return int(rows[0][0]) if rows else 0  # none: it was folded to its end, and the file is gone

    def _forget(self, file: JournalFile) -> None:
        # Other machines have folders of their own, so nobody can tell from a missing file that an offset is in vain.
        self._execute("DELETE FROM journals WHERE owner = ? AND n = ?", (file.owner, file.n))

    def after_fork(self) -> None:
        """Forgets the connection, which belongs to the parent. psycopg closes it in no other process."""
        self._connection = None
        self._leave_to_parent()

    def close(self) -> None:
        """Closes the connection. Rows that are still open have no owner afterwards."""
        if self._connection is not None and self.owner:
            with suppress(self._driver.Error):  # after a minute it is dead anyway
                self._connection.execute("DELETE FROM owners WHERE owner = %s", (self.owner,))
        self._disconnect()
        self._let_go()
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

    def renew(self) -> None:
        """Says that this process is alive."""
        self._translated(lambda: self._execute(_RENEW.replace("%s", "?"), (self.owner,)))

    def _begin(self) -> None:
        self._execute(
            f"BEGIN; SET LOCAL lock_timeout = {round(self.patience * 1000)}; SET LOCAL synchronous_commit = on"
        )

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

    def _abandoned(self) -> list[Opening]:
        found = super()._abandoned()
        self._execute("DELETE FROM owners WHERE alive_until < now() - interval '1 day'")
        return found

    def _is_dead(self, owner: str) -> bool:
        rows, _ = self._execute("SELECT alive_until < now() FROM owners WHERE owner = ?", (owner,))
        return not rows or bool(rows[0][0])

    @contextmanager
    def _reading(self) -> Iterator[Execute]:
        with self._open(self.patience) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")  # one moment for all it reads
            yield lambda sql, values: connection.execute(sql.replace("?", "%s"), values).fetchall()

    @contextmanager
    def _connected(self) -> Iterator[Run]:
        with self._open(self.patience) as connection:

            def run(sql: str, values: Sequence[Any]) -> tuple[Rows, int]:
                cursor = connection.execute(sql.replace("?", "%s"), values)
                return cursor.fetchall() if cursor.description else [], cursor.rowcount

            yield run

    def _translated(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except self._driver.Error as error:
            sentence = f"the ledger's PostgreSQL database cannot be used: {told(error)}"
        raise LedgerError(sentence)  # outside: the driver's frames, which hold the password, are not in its context


def find_driver() -> ModuleType:
    """Imports psycopg.

    Raises:
        ConfigurationError: it is not installed.
    """
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


def is_url(driver: ModuleType, url: str) -> bool:
    """Returns whether the driver can read a URL. What it says of one that it cannot read quotes the password."""
    try:
        driver.conninfo.conninfo_to_dict(url)
    except driver.ProgrammingError:
        return False
    return True


def told(error: Exception) -> str:
    """Returns what the driver says, in one line and without a password."""
    text = " ".join(str(error).split())
    return re.sub(r"(?i)(password\s*=\s*|://[^:/@\s]*:)[^\s@]+", r"\1[redacted]", text) or type(error).__name__
