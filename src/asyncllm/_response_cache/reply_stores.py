"""Where replies are kept: in memory, in an SQLite file, on a Redis server. A key and a text, for so many seconds.

A store that fails raises `KeepingError`; a call never fails because of it.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Protocol

from anyio import to_thread

from .._ledger.sqlite_file import open_shared

MOST_BYTES = 64 * 1024 * 1024  # of replies in memory
_BETWEEN_SWEEPS = 500  # writes


class KeepingError(Exception):
    """The store cannot be used now; raised and caught in this package only."""


class ReplyStore(Protocol):
    """Keeps texts by key."""

    async def find(self, key: str) -> str | None:
        """The text of a key; None where there is none, or it is too old.

        Raises:
            KeepingError: the store cannot be used now.
        """
        ...

    async def keep(self, key: str, text: str, seconds: float) -> None:
        """Keeps a text.

        Raises:
            KeepingError: the store cannot be used now.
        """
        ...

    async def aclose(self) -> None:
        """Ends what it holds."""
        ...


class MemoryReplies:
    """In this client; those not used for the longest time go first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._bytes = 0

    async def find(self, key: str) -> str | None:
        """See `ReplyStore`."""
        found = self._kept.get(key)
        if found is None or found[0] < time.monotonic():
            return None
        self._kept.move_to_end(key)
        return found[1]

    async def keep(self, key: str, text: str, seconds: float) -> None:
        """See `ReplyStore`."""
        former = self._kept.pop(key, None)
        self._bytes += len(text) - (0 if former is None else len(former[1]))
        self._kept[key] = time.monotonic() + seconds, text
        while self._bytes > MOST_BYTES and self._kept:
            self._bytes -= len(self._kept.popitem(last=False)[1][1])

    async def aclose(self) -> None:
        """See `ReplyStore`."""


class SQLiteReplies:
    """In a file that processes of one machine may share.

    Args:
        path: the file; made when it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._writes = 0

    async def find(self, key: str) -> str | None:
        """See `ReplyStore`."""
        return await to_thread.run_sync(self._find, key)

    async def keep(self, key: str, text: str, seconds: float) -> None:
        """See `ReplyStore`."""
        await to_thread.run_sync(self._keep, key, text, seconds)

    async def aclose(self) -> None:
        """See `ReplyStore`."""
        await to_thread.run_sync(self._close)

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            db = open_shared(self._path, patience=5, private=True)
            db.execute(
                "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, until REAL NOT NULL, text TEXT NOT NULL) "
                "WITHOUT ROWID"
            )
            self._db = db
        return self._db

    def _find(self, key: str) -> str | None:
        with self._lock:
            try:
                row = (
                    self._opened()
                    .execute("SELECT text FROM replies WHERE key = ? AND until > ?", (key, time.time()))
                    .fetchone()
                )
            except sqlite3.Error as error:
                raise KeepingError(str(error)) from None
        return None if row is None else str(row[0])

    def _keep(self, key: str, text: str, seconds: float) -> None:
        with self._lock:
            try:
                db = self._opened()
                db.execute("INSERT OR REPLACE INTO replies VALUES (?, ?, ?)", (key, time.time() + seconds, text))
                if self._writes % _BETWEEN_SWEEPS == 0:
                    db.execute("DELETE FROM replies WHERE until <= ?", (time.time(),))
                self._writes += 1
            except sqlite3.Error as error:
                raise KeepingError(str(error)) from None

    def _close(self) -> None:
        with self._lock:
            db, self._db = self._db, None
            if db is not None:
                db.close()


class RedisReplies:
    """On a Redis or Valkey server, for all machines.

    Args:
        url: of the server.
        prefix: what the names of its keys begin with.

    Raises:
        ConfigurationError: redis-py is not installed.
    """

    def __init__(self, url: str, prefix: str) -> None:
        from .._shared.redis_connection import RedisConnection, StoreGoneError

        self._connection = RedisConnection(url)
        self._prefix = prefix
        self._gone = StoreGoneError

    async def find(self, key: str) -> str | None:
        """See `ReplyStore`."""
        try:
            found = await self._connection.command("GET", f"{self._prefix}:reply:{key}")
        except self._gone as error:
            raise KeepingError(str(error)) from None
        return None if found is None else bytes(found).decode()

    async def keep(self, key: str, text: str, seconds: float) -> None:
        """See `ReplyStore`."""
        name = f"{self._prefix}:reply:{key}"
        try:
            await self._connection.command("SET", name, text, "PX", max(1, round(seconds * 1000)))
        except self._gone as error:
            raise KeepingError(str(error)) from None

    async def aclose(self) -> None:
        """See `ReplyStore`."""
        await self._connection.aclose()
