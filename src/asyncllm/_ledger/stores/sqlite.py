"""The ledger in an SQLite file: the embedded default, safe with several processes on one file.

WAL and ``synchronous=NORMAL``: what is committed survives the death of the process, not of the power supply. A
transaction takes the write lock when it begins, so it never fails half way because somebody else wrote; whoever must
wait, waits for ``patience`` seconds. Reports read on connections of their own and block nobody.

The lock of a process is a file in ``<database>.locks``, named in its open rows.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from ...errors import LedgerError
from ..booking import Opening, WindowId
from ..columns import SQLITE, VERSION, statements
from ..locks import FileLock, is_free
from ..sqlite_file import write_ahead
from ..units import new_ulid
from .folding import JournalledStore
from .rolling import Dialect, Rows, Run
from .sql import Execute, too_new

PATIENCE = 5.0
_HURRIED = 0.05
_STATEMENTS = 256
_OLD = 3600.0  # seconds after which the lock of a process that left nothing is tidied up
# What sqlite3 says -> what to tell, and what to do. The first fit counts; the names are SQLite's own.
_SENTENCES: tuple[tuple[str, str], ...] = (
    ("locked", "is locked by another program; end it, or give each program a database of its own"),
    ("readonly", "cannot be written: the file or its folder is read-only; change its permissions or its place"),
    ("full", "cannot be written: the disk is full; make room"),
    ("disk i/o", "cannot be read or written: the disk fails or is full; make room, or check the disk"),
    ("unable to open", "cannot be opened; the folder must be there and be writable"),
    ("not a database", "is not a ledger: the file is no SQLite database; name another file, or move this one away"),
    ("malformed", "is damaged; move the file away, or restore it from a backup"),
    ("no such table", "is not a ledger: its tables are missing; name another file"),
)


class SQLiteStore(JournalledStore):
    """A ledger in a file.

    Args:
        path: the file; made where it is missing.
        patience: seconds to wait for another process that writes.
    """

    _tags_join = " LEFT JOIN json_each({}.tags) AS tag"
    _one_tag = "json_extract(tags, ?)"
    _dialect = Dialect(
        begin="BEGIN IMMEDIATE",
        begin_slice="BEGIN IMMEDIATE",
        barrier="",
        joined="group_concat({}, '')",
        letter="char({})",
    )

    def __init__(self, path: str | os.PathLike[str], *, patience: float = PATIENCE) -> None:
        super().__init__()
        self.path: Path = Path(path)
        self.patience = patience
        self._connection: sqlite3.Connection | None = None
        self._inherited: list[sqlite3.Connection | None] = []

    def __repr__(self) -> str:
        return f"SQLiteStore({str(self.path)!r})"

    def connect(self, *, hurried: bool = False) -> None:
        """Opens or makes the file, and takes the lock."""
        self._translated(lambda: self._connect(_HURRIED if hurried else self.patience))

    def _connect(self, patience: float) -> None:
        self._disconnect()
        connection = self._open(patience)
        try:
            write_ahead(connection, patience)
            connection.execute("PRAGMA synchronous = NORMAL")
            _migrate(connection)
            if self._lock is None:
                self.owner: str = new_ulid(time.time_ns() // 1_000_000, os.urandom(16))
                self._lock = FileLock(self._lock_path(self.owner))
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _open(self, patience: float) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=ro" if self.read_only else self.path,
            uri=self.read_only,
            timeout=patience,
            isolation_level=None,  # transactions begin and end where we say
            check_same_thread=False,  # closed by whoever closes the ledger
            cached_statements=_STATEMENTS,
        )

    def _abandoned(self) -> list[Opening]:
        self._sweep()
        return super()._abandoned()

    def _sweep(self) -> None:
        """Removes the fold positions of files that are gone."""
        for owner, n in self._execute("SELECT owner, n FROM journals")[0]:
            if not (self._journals / f"{owner}.{n}").exists():
                self._execute("DELETE FROM journals WHERE owner = ? AND n = ?", (owner, n))
        named = {row[0] for row in self._execute("SELECT owner FROM opened UNION SELECT owner FROM journals")[0]}
        for path in self._lock_path("").parent.glob("*.lock"):
            owner = path.stem
            # A young one may be about to be taken.
            with suppress(FileNotFoundError):
                if owner not in named and time.time() - path.stat().st_mtime > _OLD and is_free(path):
                    path.unlink()

    def backup(self, path: Path) -> None:
        """Writes a whole copy while others go on writing; `VACUUM INTO` reads one moment of the database."""
        self._translated(lambda: self._change("VACUUM INTO ?", (str(path),)))

    def after_fork(self) -> None:
        """Leaves the connection to the parent, as only its process may close it."""
        self._inherited.append(self._connection)
        self._connection = None
        self._leave_to_parent()

    @property
    def _journals(self) -> Path:
        return self.path.with_name(f"{self.path.name}.journal")

    def _lock_path(self, owner: str) -> Path:
        return self.path.with_name(f"{self.path.name}.locks") / f"{owner}.lock"

    def close(self) -> None:
        """Closes the file and lets go of the lock."""
        if self._connection is not None and self._journal is not None:
            with suppress(LedgerError):  # who comes next does it
                self._translated(self._sweep)
        self._disconnect()
        self._let_go()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _execute(self, sql: str, values: Sequence[Any] = ()) -> tuple[Rows, int]:
        if self._connection is None:
            self._connect(self.patience)
        cursor = self._connection.execute(sql, values)  # type: ignore[union-attr]  # connected above
        return cursor.fetchall(), cursor.rowcount

    def _begin(self) -> None:
        self._execute("BEGIN IMMEDIATE")

    def _commit(self) -> None:
        self._execute("COMMIT")

    def _rollback(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _lock_windows(self, keys: Sequence[WindowId]) -> None:
        """Does nothing, as the write lock is taken already."""

    def _tag_path(self, tag: str) -> str:
        return f'$."{tag}"'

    def _is_dead(self, owner: str) -> bool:
        path = self._lock_path(owner)
        if not is_free(path):
            return False
        path.unlink(missing_ok=True)
        return True

    @contextmanager
    def _reading(self) -> Iterator[Execute]:
        with closing(self._open(self.patience)) as connection:
            connection.execute("PRAGMA query_only = 1")
            if self.read_only and _version(connection) != VERSION:
                raise too_new(_version(connection)) if _version(connection) > VERSION else too_old(self.path)
            connection.execute("BEGIN")  # marks, sums and records are of one moment
            yield lambda sql, values: connection.execute(sql, values).fetchall()

    @contextmanager
    def _connected(self) -> Iterator[Run]:
        with closing(self._open(self.patience)) as connection:
            connection.execute("PRAGMA synchronous = NORMAL")

            def run(sql: str, values: Sequence[Any]) -> tuple[Rows, int]:
                cursor = connection.execute(sql, values)
                return cursor.fetchall(), cursor.rowcount

            yield run

    def _change(self, sql: str, values: Sequence[Any]) -> int:
        with closing(self._open(self.patience)) as connection:
            return connection.execute(sql, values).rowcount

    def _translated(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, (sqlite3.InterfaceError, sqlite3.ProgrammingError)):
                raise  # a mistake of ours, not of the weather
            sentence = f"the ledger {self.path} {_reason(error)}"
        raise LedgerError(sentence)


def too_old(path: Path) -> LedgerError:
    """The error for a database that only looking at does not bring to this version."""
    return LedgerError(
        f"the ledger {path} was made by an earlier version, or is empty; open it once for writing, with asyncllm costs"
    )


def _migrate(connection: sqlite3.Connection) -> None:
    """Brings a database to the newest version; safe while other processes do the same. The number is ``user_version``.

    Raises:
        LedgerError: a later version of this library made it.
    """
    if _version(connection) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)  # under the lock: somebody may have been faster
        if version > VERSION:
            raise too_new(version)
        for number in range(version + 1, VERSION + 1):
            for statement in statements(number, SQLITE):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _reason(error: Exception) -> str:
    text = str(error)
    for word, sentence in _SENTENCES:
        if word in text.lower():
            return f"{sentence} ({text})"
    return f"cannot be read or written ({text})"
