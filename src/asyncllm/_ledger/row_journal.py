"""The row journal of bulk jobs, in the ledger's database: job and key -> answer.

Whoever works on a job looks here before it asks for a row, and writes the answer here before it gives it on. So a key
with an answer is never asked for again, whatever engine spreads the work and however often it repeats itself.

The rules:

* A row is claimed before it is asked for, by one worker at a time. Others that come to it look again a little later.
* A worker shows every `BEAT` seconds that it lives. The claims of one that has been silent for `DEAD` seconds are free.
* Only answers end a row. A failure is noted and the row is asked for again by the next run.
* A connection to PostgreSQL that was lost is made anew, for up to `PATIENCE` seconds: an answer that was paid for is
  not thrown away because the server was restarted. Every statement may be repeated.

Every method blocks; call them in a thread. One journal may be used by many threads.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..errors import BadRequestError, ConfigurationError, LedgerError
from .sqlite_file import open_shared
from .units import to_dollars

BEAT, DEAD = 2.0, 12.0  # seconds
PATIENCE = 30.0  # seconds, with a server that is away
_MOST_KEY = 1000  # bytes; PostgreSQL's indexes hold no more than 2704
_BETWEEN_TRIES = 0.25
_TABLES = (
    "CREATE TABLE IF NOT EXISTS bulk_jobs (name TEXT PRIMARY KEY, total BIGINT)",
    "CREATE TABLE IF NOT EXISTS bulk_workers (worker TEXT PRIMARY KEY, job TEXT NOT NULL, seen DOUBLE PRECISION)",
    """CREATE TABLE IF NOT EXISTS bulk_rows (
        job TEXT NOT NULL, key TEXT NOT NULL, worker TEXT, reply TEXT, cost BIGINT, error TEXT,
        PRIMARY KEY (job, key))""",
)


def check_key(key: Any) -> str:
    """Returns the key of a row.

    Raises:
        BadRequestError: it is none that both databases can hold.
    """
    if not isinstance(key, str) or not key:
        raise BadRequestError(f"key must give a text that is not empty, not {key!r}")
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        size = _MOST_KEY + 1
    if size > _MOST_KEY or "\0" in key:
        raise BadRequestError(
            f"a key is a text of at most {_MOST_KEY} bytes without NUL, and {key[:40]!r} is none; give a function that "
            "makes a shorter one, such as a hash"
        )
    return key


class RowTakenError(Exception):
    """Another living worker asks for the row just now; raised and caught by bulk jobs only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkStatus:
    """How far a job is, over all of its workers.

    Attributes:
        name: of the job.
        total: its rows; None where nobody has counted them.
        done: rows with an answer.
        failed: rows that failed when they were asked for last.
        running: rows that a living worker asks for now.
        workers: workers that showed a moment ago that they live.
        cost: US dollars of the answers, without what has no known cost.
        unpriced: answers that have no known cost.
    """

    name: str
    total: int | None
    done: int
    failed: int
    running: int
    workers: int
    cost: Decimal
    unpriced: int

    @property
    def complete(self) -> bool:
        """Whether every row has an answer."""
        return self.total is not None and self.done >= self.total


class RowJournal:
    """The rows of one job.

    Args:
        url: ``cost_tracking.database``: ``sqlite:///path`` or ``postgresql://...``.
        job: its name.

    Raises:
        ConfigurationError: the ledger is in memory.
    """

    def __init__(self, url: str, job: str) -> None:
        if not url.startswith(("sqlite:///", "postgresql://", "postgres://")) or url == "sqlite:///:memory:":
            raise ConfigurationError(
                "a bulk job keeps its answers in the ledger's database: set cost_tracking.database to sqlite:///path "
                "or postgresql://..."
            )
        self.job = job
        self.worker: str = uuid.uuid4().hex
        self.url = url
        self._lock = threading.Lock()
        self._db: Any = None

    def open(self) -> None:
        """Connects, and makes the tables where they are not there.

        Raises:
            ConfigurationError: the database cannot be used.
        """
        with self._lock:
            if self._db is not None:
                return
            problem = ""
            try:
                self._db = self._connect()
                self._make_tables()
            except ConfigurationError:
                raise
            except Exception as error:  # noqa: BLE001  # of either driver
                from .stores.postgres import told

                problem = f"the row journal of {self.job!r} cannot be opened: {told(error)}"
                if self._db is not None:
                    self._db.close()
                    self._db = None
            if problem:  # outside: the driver's frames, which hold the password, are not in its context
                raise ConfigurationError(problem)
        self.beat()

    def _make_tables(self) -> None:
        if self.url.startswith("sqlite"):
            for table in _TABLES:
                self._execute(table)
            return
        with self._db.transaction():  # two that make a table at the same moment would fail
            self._execute("SELECT pg_advisory_xact_lock(7236458120331)")
            for table in _TABLES:
                self._execute(table)

    def _connect(self) -> Any:
        if self.url.startswith("sqlite:///"):
            return open_shared(self.url.removeprefix("sqlite:///"), patience=30)
        from .stores.postgres import NO_URL, find_driver, is_url

        driver = find_driver()
        if not is_url(driver, self.url):
            raise ConfigurationError(NO_URL)
        return driver.connect(self.url, autocommit=True, prepare_threshold=None)

    def _execute(self, sql: str, values: tuple[Any, ...] = ()) -> Any:
        problem, give_up_at = "", time.monotonic() + PATIENCE
        while True:
            try:
                return self._run(sql, values)
            except Exception as error:  # noqa: BLE001  # of either driver
                from .stores.postgres import told

                problem = told(error)
            if not getattr(self._db, "closed", False) or time.monotonic() >= give_up_at:
                break
            time.sleep(_BETWEEN_TRIES)
        # Outside: the driver's frames, which hold the password, are not in its context.
        raise LedgerError(f"the row journal of {self.job!r} failed: {problem}")

    def _run(self, sql: str, values: tuple[Any, ...]) -> Any:
        if self.url.startswith("sqlite"):
            return self._db.execute(sql, values)
        if self._db.closed:  # the connection was lost
            self._db = self._connect()
        return self._db.execute(sql.replace("?", "%s"), values)

    def close(self) -> None:
        """Frees the claims of this worker and disconnects."""
        with self._lock:
            db = self._db
            if db is not None:
                self._execute("DELETE FROM bulk_workers WHERE worker = ?", (self.worker,))
                self._execute(
                    "UPDATE bulk_rows SET worker = NULL WHERE job = ? AND worker = ?", (self.job, self.worker)
                )
                self._db = None
                db.close()

    def beat(self) -> None:
        """Shows that this worker lives."""
        with self._lock:
            if self._db is not None:
                self._execute(
                    "INSERT INTO bulk_workers (worker, job, seen) VALUES (?, ?, ?) "
                    "ON CONFLICT (worker) DO UPDATE SET seen = excluded.seen",
                    (self.worker, self.job, time.time()),
                )

    def count_rows(self, total: int) -> None:
        """Notes how many rows the job has."""
        with self._lock:
            self._execute(
                """INSERT INTO bulk_jobs (name, total) VALUES (?, ?)
                ON CONFLICT (name) DO UPDATE SET total = excluded.total""",
                (self.job, total),
            )

    def claim(self, key: str) -> str | None:
        """The answer of a row; without one the row is this worker's to ask for.

        Raises:
            RowTakenError: another living worker asks for it.
        """
        with self._lock:
            row = self._execute("SELECT reply FROM bulk_rows WHERE job = ? AND key = ?", (self.job, key)).fetchone()
            if row is not None and row[0] is not None:
                return str(row[0])
            changed = self._execute(
                """INSERT INTO bulk_rows (job, key, worker) VALUES (?, ?, ?)
                ON CONFLICT (job, key) DO UPDATE SET worker = excluded.worker
                WHERE bulk_rows.reply IS NULL
                AND (bulk_rows.worker IS NULL OR bulk_rows.worker = excluded.worker OR NOT EXISTS (
                    SELECT 1 FROM bulk_workers
                    WHERE bulk_workers.worker = bulk_rows.worker AND bulk_workers.seen > ?))""",
                (self.job, key, self.worker, time.time() - DEAD),
            ).rowcount
        if changed != 1:
            raise RowTakenError
        return None

    def answered(self) -> set[str]:
        """The keys that have an answer."""
        with self._lock:
            found = self._execute("SELECT key FROM bulk_rows WHERE job = ? AND reply IS NOT NULL", (self.job,))
            return {str(row[0]) for row in found.fetchall()}

    def failures(self) -> dict[str, str]:
        """The keys of the rows that failed when they were asked for last, with the error."""
        with self._lock:
            found = self._execute(
                "SELECT key, error FROM bulk_rows WHERE job = ? AND reply IS NULL AND error IS NOT NULL", (self.job,)
            )
            return {str(key): str(error) for key, error in found.fetchall()}

    def living(self) -> set[str]:
        """The workers of the job that showed a moment ago that they live, this one included."""
        with self._lock:
            found = self._execute(
                "SELECT worker FROM bulk_workers WHERE job = ? AND seen > ?", (self.job, time.time() - DEAD)
            )
            return {str(row[0]) for row in found.fetchall()} | {self.worker}

    @contextmanager
    def exclusive(self) -> Iterator[bool]:
        """Gives whether this worker alone is inside, of all workers of the job; PostgreSQL only.

        The lock is that of a transaction, on a connection of its own: a pooler has no locks of sessions.
        """
        with self._connect() as db, db.transaction():
            yield bool(
                db.execute("SELECT pg_try_advisory_xact_lock(72364581, hashtext(%s))", (self.job,)).fetchone()[0]
            )

    def record(self, key: str, reply: str, cost: int | None) -> None:
        """Commits an answer; the first one stays."""
        with self._lock:
            self._execute(
                """INSERT INTO bulk_rows (job, key, reply, cost) VALUES (?, ?, ?, ?) ON CONFLICT (job, key) DO UPDATE
                SET reply = excluded.reply, cost = excluded.cost, error = NULL, worker = NULL
                WHERE bulk_rows.reply IS NULL""",
                (self.job, key, reply, cost),
            )

    def fail(self, key: str, error: str) -> None:
        """Notes a failure; the row is free again."""
        with self._lock:
            self._execute(
                "UPDATE bulk_rows SET error = ?, worker = NULL WHERE job = ? AND key = ? AND reply IS NULL",
                (error[:500], self.job, key),
            )

    def status(self) -> BulkStatus:
        """How far the job is, over all of its workers."""
        alive = time.time() - DEAD
        with self._lock:
            total = self._execute("SELECT total FROM bulk_jobs WHERE name = ?", (self.job,)).fetchone()
            done, cost, unpriced, failed, running = self._execute(
                "SELECT count(reply), sum(cost), sum(CASE WHEN reply IS NOT NULL AND cost IS NULL THEN 1 ELSE 0 END), "
                "sum(CASE WHEN reply IS NULL AND error IS NOT NULL THEN 1 ELSE 0 END), "
                "sum(CASE WHEN reply IS NULL AND EXISTS (SELECT 1 FROM bulk_workers WHERE bulk_workers.worker = "
                "bulk_rows.worker AND seen > ?) THEN 1 ELSE 0 END) FROM bulk_rows WHERE job = ?",
                (alive, self.job),
            ).fetchone()
            workers = self._execute(
                "SELECT count(*) FROM bulk_workers WHERE job = ? AND seen > ?", (self.job, alive)
            ).fetchone()[0]
        return BulkStatus(
            name=self.job,
            total=None if total is None else total[0],
            done=int(done or 0),
            failed=int(failed or 0),
            running=int(running or 0),
            workers=int(workers),
            cost=to_dollars(int(cost or 0)),
            unpriced=int(unpriced or 0),
        )

    def answers(self) -> Iterator[tuple[str, str]]:
        """Every key with its answer, by key."""
        last = ""
        while True:
            with self._lock:
                rows = self._execute(
                    "SELECT key, reply FROM bulk_rows WHERE job = ? AND key > ? AND reply IS NOT NULL "
                    "ORDER BY key LIMIT 500",
                    (self.job, last),
                ).fetchall()
            if not rows:
                return
            for key, reply in rows:
                yield str(key), str(reply)
            last = str(rows[-1][0])

    def forget(self) -> None:
        """Removes the job with all its answers."""
        with self._lock:
            for table, column in (("bulk_rows", "job"), ("bulk_jobs", "name"), ("bulk_workers", "job")):
                self._execute(f"DELETE FROM {table} WHERE {column} = ?", (self.job,))  # noqa: S608  # our own names
