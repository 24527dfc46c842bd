"""The answers of a map in an SQLite file, so that none is asked for again."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Protocol, get_origin

from .._ledger.locks import FileLock, is_free
from .._ledger.row_journal import RowTakenError
from .._ledger.sqlite_file import open_shared
from .._ledger.units import new_ulid
from .._options import KEYWORDS
from .._schema.response import Response
from .._schema.stored import stored_response, to_text
from ..errors import BadRequestError, ConfigurationError
from ..runs import Run

__all__ = ["Answers", "Checkpoint", "salt_of", "whole_reply"]


class Answers(Protocol):
    """Where a map keeps its answers: a checkpoint, or the journal of a bulk job. Its methods block."""

    @property
    def path(self) -> object:
        """What the log calls it."""
        ...

    def open(self) -> None:
        """Opens it."""
        ...

    def close(self) -> None:
        """Closes it."""
        ...

    def key_of(self, said: Any, own: Callable[[Any], str] | None) -> str:
        """The key of an input."""
        ...

    def find(self, key: str) -> Mapping[str, Any] | None:
        """The stored reply of a key. Raises `RowTakenError` while another process asks for it."""
        ...

    def record(self, key: str, reply: Response[Any] | Run[Any] | None) -> None:
        """Commits an answer."""
        ...

    def fail(self, key: str, error: Exception) -> None:
        """Notes a failure."""
        ...


_TRIES = 5  # to make the file that shows that this map lives


class Checkpoint:
    """The answers of a map in an SQLite file: key -> reply. Its methods block; call them in a thread.

    Several maps and processes may use one file at once. Who asks for a key claims it first, and the others wait for
    the answer. A claim holds as long as its owner lives: it has a file beside the checkpoint whose lock the operating
    system releases when its process ends, however it ends.

    Args:
        path: the file; made when it is not there.
        salt: what else an answer depends on: the keywords of the calls. Other keywords are other answers.
    """

    def __init__(self, path: Path, salt: str) -> None:
        self.path = path
        self._salt = salt.encode()
        self._mutex = threading.Lock()  # a transaction has several statements, and comes from any thread
        self._db: sqlite3.Connection | None = None
        self._owner = ""
        self._alive: FileLock | None = None

    def open(self) -> None:
        """Opens the file.

        Raises:
            ConfigurationError: it cannot be opened, or is no checkpoint.
        """
        try:
            db = open_shared(self.path, patience=30, private=True)
            db.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, reply TEXT NOT NULL) WITHOUT ROWID")
            db.execute("CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL) WITHOUT ROWID")
            # How often each input came; in a file of its own that ends with the connection: there may be millions.
            db.execute("CREATE TEMP TABLE seen (digest BLOB PRIMARY KEY, times INTEGER NOT NULL) WITHOUT ROWID")
            self._forget_dead(db)
            self._show_life()
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(f"the checkpoint {self.path} cannot be used: {error}") from None
        self._db = db

    def _show_life(self) -> None:
        if str(self.path) == ":memory:":
            return
        for left in range(_TRIES, 0, -1):
            self._owner = new_ulid(int(time.time() * 1000), os.urandom(16))
            try:
                self._alive = FileLock(self._lock_of(self._owner))
            except OSError:  # another process looked at it just now
                if left == 1:
                    raise
            else:
                return

    def _lock_of(self, owner: str) -> Path:
        return self.path.with_name(f"{self.path.name}-{owner}.lock")

    def _forget_dead(self, db: sqlite3.Connection) -> None:
        for (owner,) in db.execute("SELECT DISTINCT owner FROM claims").fetchall():
            lock = self._lock_of(owner)
            if is_free(lock):
                db.execute("DELETE FROM claims WHERE owner = ?", (owner,))
                lock.unlink(missing_ok=True)

    def close(self) -> None:
        """Frees the claims and closes the file."""
        with self._mutex:
            db, self._db = self._db, None
            if db is not None:
                db.execute("DELETE FROM claims WHERE owner = ?", (self._owner,))
                db.close()
            alive, self._alive = self._alive, None
            if alive is not None:
                alive.release()

    def key_of(self, said: Any, own: Callable[[Any], str] | None) -> str:
        """Returns the key of an input: the user's own, or one made of its content, the keywords and its count."""
        if own is not None:
            key = own(said)
            if not isinstance(key, str) or not key:
                raise BadRequestError(f"key must give a text that is not empty, not {key!r}")
            return f"k:{key}"
        digest = hashlib.blake2b(self._salt + b"\0" + _content(said), digest_size=16).digest()
        with self._mutex:
            return f"c:{digest.hex()}:{0 if self._db is None else _count(self._db, digest)}"

    def find(self, key: str) -> Mapping[str, Any] | None:
        """The stored reply of a key; without one the key is claimed.

        Raises:
            RowTakenError: another living map asks for it.
        """
        with self._mutex:
            db = self._db
            if db is None:
                return None
            found = _stored(db, key)
            if found is not None:
                return found
            if db.execute("INSERT OR IGNORE INTO claims (key, owner) VALUES (?, ?)", (key, self._owner)).rowcount == 0:
                self._take_over(db, key)
            return _stored(db, key)  # its owner may have answered between the two looks

    def _take_over(self, db: sqlite3.Connection, key: str) -> None:
        row = db.execute("SELECT owner FROM claims WHERE key = ?", (key,)).fetchone()
        if row is not None and row[0] == self._owner:
            return
        if row is None or not is_free(self._lock_of(row[0])):
            raise RowTakenError
        taken = db.execute(
            "UPDATE claims SET owner = ? WHERE key = ? AND owner = ?", (self._owner, key, row[0])
        ).rowcount
        if taken == 0:
            raise RowTakenError

    def record(self, key: str, reply: Response[Any] | Run[Any] | None) -> None:
        """Commits an answer."""
        response = None if reply is None else whole_reply(reply)
        text = None if response is None else to_text(stored_response(response))
        with self._mutex:
            if self._db is None:
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                if text is not None:
                    self._db.execute("INSERT OR REPLACE INTO answers (key, reply) VALUES (?, ?)", (key, text))
                self._db.execute("DELETE FROM claims WHERE key = ? AND owner = ?", (key, self._owner))
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def fail(self, key: str, error: Exception) -> None:
        """A failure is not kept: the input is asked for again by the next run."""
        with self._mutex:
            if self._db is not None:
                self._db.execute("DELETE FROM claims WHERE key = ? AND owner = ?", (key, self._owner))


def _count(db: sqlite3.Connection, digest: bytes) -> int:
    """How often an input has come before."""
    if db.execute("INSERT OR IGNORE INTO seen (digest, times) VALUES (?, 1)", (digest,)).rowcount == 1:
        return 0
    db.execute("UPDATE seen SET times = times + 1 WHERE digest = ?", (digest,))
    return int(db.execute("SELECT times FROM seen WHERE digest = ?", (digest,)).fetchone()[0]) - 1


def _stored(db: sqlite3.Connection, key: str) -> Mapping[str, Any] | None:
    row = db.execute("SELECT reply FROM answers WHERE key = ?", (key,)).fetchone()
    found: Mapping[str, Any] | None = None if row is None else json.loads(row[0])
    return found


def whole_reply(reply: Response[Any] | Run[Any]) -> Response[Any] | None:
    """Returns the reply to store. For a run this is its last reply, with the usage and cost of the whole run."""
    if isinstance(reply, Response):
        return reply
    if not reply.steps or reply.pending:
        return None
    return replace(reply.steps[-1].reply, usage=reply.usage, cost=None if reply.unpriced else reply.cost)


def _content(said: Any) -> bytes:
    """An input as bytes that are the same for the same input."""
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json(json.loads(to_json(said, bytes_mode="base64", inf_nan_mode="constants")))
    except (PydanticSerializationError, ValueError):
        raise BadRequestError(
            f"an input of type {type(said).__name__} cannot name its answer in the checkpoint; give key="
        ) from None


_SHAPING = frozenset({"what", "escape hatch"})
_NOT_SHAPING = frozenset({"validation_retries", "cache", "provider", "model"})  # the last two are the place


def salt_of(options: Mapping[str, Any], place: str) -> str:
    """Returns what the answers of a map depend on besides its inputs, as text that is the same in every process.

    Deadlines, priorities, and for whom a call is made change no answer, so they do not count.

    Args:
        options: the keywords of its calls.
        place: the provider and model that are asked.
    """
    rows = KEYWORDS
    named = sorted(
        name
        for name in options
        if name == "response_format" or (name in rows and rows[name].about in _SHAPING and name not in _NOT_SHAPING)
    )
    task = options.get("task")
    return json.dumps([place, task, *[[name, _said(options[name])] for name in named]], ensure_ascii=False)


def _said(value: Any) -> Any:
    """A keyword's value as JSON that does not change from one process to the next: no address, no order of a set."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, Mapping):
        return {str(name): _said(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_said(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted(json.dumps(_said(one)) for one in value)
    definition = getattr(value, "definition", value)  # of a FunctionTool
    if is_dataclass(definition) and not isinstance(definition, type):
        return {field.name: _said(getattr(definition, field.name)) for field in fields(definition)}
    if isinstance(value, type) or get_origin(value) is not None:
        return [_name(value), _schema(value)]
    return _name(value) if callable(value) else _ADDRESS.sub("", repr(value))


_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def _name(value: Any) -> str:
    name = getattr(value, "__qualname__", None)
    return f"{getattr(value, '__module__', '')}.{name}" if name else _ADDRESS.sub("", repr(value))


def _schema(value: Any) -> Any:
    """The schema of a type: another one asks for another answer."""
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        return TypeAdapter(value).json_schema()
    except (PydanticUserError, TypeError, ValueError):
        return None
