"""The ledger in an SQLite file: the embedded default, safe with several processes on one file.

WAL and ``synchronous=NORMAL``: what is committed survives the death of the process, not of the power supply. A
transaction takes the write lock when it begins, so it never fails half way because somebody else wrote; whoever must
wait, waits for ``patience`` seconds. Reports read on connections of their own and block nobody.

The lock of a process is a file in ``<database>.locks``, named in its open rows.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from ...errors import LedgerError
from ..booking import Booked, JournalledEnd, Opening, Operation, Settling, WindowId
from ..budgets import Charge, Hold
from ..columns import FACTS, SQLITE, VERSION, Head, in_this_order, statements
from ..journal import OPEN, VOID, Found, Journal, JournalFile, left_behind, read_frames
from ..locks import FileLock, is_free
from ..sqlite_file import write_ahead
from ..units import new_ulid
from .rolling import Dialect, Rows, Run
from .sql import Execute, SQLStore, too_new

PATIENCE = 5.0
_HURRIED = 0.05
_STATEMENTS = 256
_OLD = 3600.0  # seconds after which the lock of a process that left nothing is tidied up
MOST_SLICE = 1 << 20  # bytes of journals that are folded in one transaction
_NOBODY = Head(provider="", model="")
_COST = FACTS[1].index("cost")
_log = logging.getLogger("asyncllm.ledger")

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


class SQLiteStore(SQLStore):
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
        self._lock: FileLock | None = None
        self._journal: Journal | None = None
        self._adopted: list[JournalFile] = []
        self._done: list[JournalFile] = []
        self._moves: dict[int, int] = {}
        self._folded_to: dict[int, int] = {}
        self._left_alone: set[Path] = set()
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

    def journal(self, wake: Callable[[bool], None]) -> Journal | None:
        """The journal of this process, in the folder beside the file."""
        self._translated(lambda: self._begin_journal(wake))
        return self._journal

    def _begin_journal(self, wake: Callable[[bool], None]) -> None:
        if self._journal is not None:
            return
        database, self._folded_to = self._database_id(), {}
        try:
            self._journal = Journal(self._journals, owner=self.owner, database=database, facts=FACTS, wake=wake)
        except OSError as error:
            if self._journals not in self._left_alone:
                self._left_alone.add(self._journals)
                _log.warning(
                    "the ledger has no journal (%s); attempts wait for its thread instead",
                    error,
                    extra={"event": "ledger_journal"},
                )

    @property
    def _journals(self) -> Path:
        return self.path.with_name(f"{self.path.name}.journal")

    def _database_id(self) -> str:
        made = new_ulid(time.time_ns() // 1_000_000, os.urandom(16))
        self._execute("INSERT OR IGNORE INTO about VALUES ('id', ?)", (made,))
        return str(self._execute("SELECT value FROM about WHERE name = 'id'")[0][0][0])

    def adopt(self) -> None:
        """Finds the journals of processes that are dead."""
        self._translated(self._adopt)

    def _adopt(self) -> None:
        if not self._journals.is_dir():
            return
        known = {file.path for file in self._adopted}
        database = ""
        for path in sorted(self._journals.iterdir()):
            owner = path.name.partition(".")[0]
            if path in known or path in self._left_alone or owner == self.owner or not is_free(self._lock_path(owner)):
                continue
            database = database or self._database_id()
            try:
                found = left_behind(path, database)
            except LedgerError as error:
                self._left_alone.add(path)
                _log.warning("%s", error, extra={"event": "ledger_journal"})
            except FileNotFoundError:
                continue  # somebody else was faster
            except OSError as error:
                self._left_alone.add(path)
                _log.warning(
                    "the journal %s cannot be read and is left alone: %s",
                    path,
                    error,
                    extra={"event": "ledger_journal"},
                )
            else:
                if found is None:
                    path.unlink(missing_ok=True)
                else:
                    self._adopted.append(found)
        self._adopted.sort(key=lambda file: (file.owner, file.n))
        self.more: bool = bool(self._adopted)

    def _folded(self) -> list[Operation]:
        own = [] if self._journal is None else self._journal.files()
        operations: list[Operation] = []
        self._done, self._moves, room, self.more = [], {}, MOST_SLICE, False
        for file in (*self._adopted, *own):
            if room <= 0:
                self.more = True
                break
            offset = max(self._offset(file), self._folded_to.get(file.n, 0) if file.owner == self.owner else 0)
            try:
                found = read_frames(file, offset, room) if offset < file.size else Found([], offset, True)
            except FileNotFoundError:
                self._done.append(file)  # somebody else was faster
                continue
            if found.offset != offset:
                self._execute(
                    "INSERT INTO journals VALUES (?, ?, ?) "
                    "ON CONFLICT (owner, n) DO UPDATE SET folded = excluded.folded",
                    (file.owner, file.n, found.offset),
                )
            operations += [self._operation(file, kind, values) for kind, values in found.frames]
            room -= found.offset - offset
            if file.owner == self.owner:
                self._moves[file.n] = found.offset
            if not found.whole:
                self.more = True
                break
            if file.ended:
                self._done.append(file)
        return operations

    def _offset(self, file: JournalFile) -> int:
        rows, _ = self._execute("SELECT folded FROM journals WHERE owner = ? AND n = ?", (file.owner, file.n))
        return int(rows[0][0]) if rows else 0

    def _operation(self, file: JournalFile, kind: int, values: Any) -> Operation:
        key, moment, head, amount, charges, *end = values
        if kind == VOID:
            head = _NOBODY
        elif file.facts is not None:
            head = in_this_order(head, file.facts[0], FACTS[0])
        opening = Opening(key, moment, Head._make(head), self._hold(file, amount, charges), None)
        opening.owner = file.owner
        if kind == OPEN:
            return opening
        if kind == VOID:
            return Settling(opening, None)
        facts = end[0] if file.facts is None else in_this_order(end[0], file.facts[1], FACTS[1])
        return Settling(opening, JournalledEnd(facts[_COST], facts))

    def _hold(self, file: JournalFile, amount: int | None, charges: Any) -> Hold | None:
        if charges is None:
            return None
        mine = self.budgets if file.facts is None else ()
        return Hold(
            amount,
            tuple(
                Charge(key=key, start=start, end=end, scope=scope, budget=mine[place] if mine else None, place=place)
                for key, start, end, scope, place in charges
            ),
        )

    def _write(self, batch: Sequence[Operation]) -> Booked:
        if not batch and not self._adopted and (self._journal is None or not self._journal.has_more(self._folded_to)):
            self.more = False
            return Booked(windows={})
        booked = super()._write(batch)
        for file in self._done:  # after the commit: nobody reads it again
            file.path.unlink(missing_ok=True)
            if self._journal is not None and file.owner == self.owner:
                self._journal.forget(file.n)
        self._folded_to.update(self._moves)
        if self._done:
            self._adopted = [file for file in self._adopted if file not in self._done]
            for owner in {file.owner for file in self._done} - {file.owner for file in self._adopted} - {self.owner}:
                self._lock_path(owner).unlink(missing_ok=True)
            self._done = []
        return booked

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
        if self._lock is not None:
            self._lock.close()
        self._connection, self._lock, self._journal = None, None, None
        self._adopted, self._done = [], []
        self.owner = ""

    def _lock_path(self, owner: str) -> Path:
        return self.path.with_name(f"{self.path.name}.locks") / f"{owner}.lock"

    def close(self) -> None:
        """Closes the file and lets go of the lock."""
        if self._connection is not None and self._journal is not None:
            with suppress(LedgerError):  # who comes next does it
                self._translated(self._sweep)
        self._disconnect()
        self._journal = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

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
