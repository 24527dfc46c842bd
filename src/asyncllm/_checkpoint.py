"""The answers of a map in an SQLite file, so that none is asked for again."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from ._ledger.sqlite_file import open_shared
from ._schema.response import Response
from ._schema.stored import stored_response, to_text
from .errors import BadRequestError, ConfigurationError
from .runs import Run

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


class Checkpoint:
    """The answers of a map in an SQLite file: key -> reply. Its methods block; call them in a thread.

    Args:
        path: the file; made when it is not there.
        salt: what else an answer depends on: the keywords of the calls. Other keywords are other answers.
    """

    def __init__(self, path: Path, salt: str) -> None:
        self.path = path
        self._salt = salt.encode()
        self._seen: dict[bytes, int] = {}
        self._db: sqlite3.Connection | None = None

    def open(self) -> None:
        """Opens the file.

        Raises:
            ConfigurationError: it cannot be opened, or is no checkpoint.
        """
        try:
            db = open_shared(self.path, patience=30, private=True)
            db.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, reply TEXT NOT NULL) WITHOUT ROWID")
        except sqlite3.Error as error:
            raise ConfigurationError(f"the checkpoint {self.path} cannot be used: {error}") from None
        self._db = db

    def close(self) -> None:
        """Closes the file."""
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def key_of(self, said: Any, own: Callable[[Any], str] | None) -> str:
        """Returns the key of an input: the user's own, or one made of its content, the keywords and its count."""
        if own is not None:
            key = own(said)
            if not isinstance(key, str) or not key:
                raise BadRequestError(f"key must give a text that is not empty, not {key!r}")
            return f"k:{key}"
        digest = hashlib.blake2b(self._salt + b"\0" + _content(said), digest_size=16).digest()
        count = self._seen.get(digest, 0)
        self._seen[digest] = count + 1
        return f"c:{digest.hex()}:{count}"

    def find(self, key: str) -> Mapping[str, Any] | None:
        """The stored reply of a key."""
        if self._db is None:
            return None
        row = self._db.execute("SELECT reply FROM answers WHERE key = ?", (key,)).fetchone()
        found: Mapping[str, Any] | None = None if row is None else json.loads(row[0])
        return found

    def record(self, key: str, reply: Response[Any] | Run[Any] | None) -> None:
        """Commits an answer."""
        if self._db is None or reply is None:
            return
        response = whole_reply(reply)
        if response is not None:
            text = to_text(stored_response(response))
            self._db.execute("INSERT OR REPLACE INTO answers (key, reply) VALUES (?, ?)", (key, text))

    def fail(self, key: str, error: Exception) -> None:
        """A failure is not kept: the input is asked for again by the next run."""


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


def salt_of(options: Mapping[str, Any]) -> str:
    """Returns the keywords of a map as text, for the keys of its checkpoint."""
    parts = []
    for name, value in sorted(options.items()):
        shown = value
        if isinstance(value, type) or callable(value):
            shown = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', value)}"
        parts.append(f"{name}={shown!r}")
    return ";".join(parts)
