"""Conversations in a database, each under an id of the application's: ``client.conversations("sqlite:///chats.db")``.

A conversation that was opened here is written after every exchange. Several processes may use one database. A row has
a version: whoever writes must have read the last one. So two that go on with the same conversation at the same time do
not overwrite each other; the second gets `ConversationConflictError`, in most cases before anything is sent.

A database of your own is an object with the methods of `ConversationStore`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TypeVar

from anyio import to_thread
from typing_extensions import Unpack

from ._conversation_rules import Compact, Keep
from ._ledger.sqlite_file import open_shared
from ._run_options import RunOptions
from .conversation import Conversation
from .errors import BadRequestError, ConfigurationError, ConversationConflictError

if TYPE_CHECKING:
    from .client import Client

__all__ = ["ConversationStore", "ConversationSummary", "Conversations", "SQLiteConversations"]

_FORMAT = 1
_PATIENCE = 30.0
_LONGEST_TITLE = 80
_LONGEST_ID = 512
_SQLITE = "sqlite:///"
_MEMORY = frozenset({":memory:", "sqlite://", "sqlite:///:memory:"})
_TABLE = """CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY, version INTEGER NOT NULL, created REAL NOT NULL, updated REAL NOT NULL, provider TEXT NOT NULL,
    model TEXT, messages INTEGER NOT NULL, cost TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL)"""
_INDEX = "CREATE INDEX IF NOT EXISTS conversations_by_time ON conversations (updated)"
_WRITE = """INSERT INTO conversations
    (id, version, created, updated, provider, model, messages, cost, title, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET version = excluded.version, updated = excluded.updated, provider = excluded.provider,
    model = excluded.model, messages = excluded.messages, cost = excluded.cost, title = excluded.title,
    text = excluded.text"""
_LIST = """SELECT id, version, created, updated, provider, model, messages, cost, title FROM conversations
    WHERE substr(id, 1, length(?1)) = ?1 ORDER BY updated DESC, id LIMIT ?2 OFFSET ?3"""
Row = tuple[str, int, float, float, str, "str | None", int, str, str]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationSummary:
    """What is known of a stored conversation without reading it.

    Attributes:
        id: the application's id.
        version: how often it was written.
        created: when it was written first.
        updated: when it was written last.
        provider: the provider that it stays with.
        model: its model.
        messages: how many messages it has.
        cost: US dollars of it, without what has no known price.
        title: the beginning of the user's first message.
    """

    id: str
    version: int
    created: datetime
    updated: datetime
    provider: str
    model: str | None
    messages: int
    cost: Decimal
    title: str


class ConversationStore(Protocol):
    """A place for conversations. Write one for a database of your own; `SQLiteConversations` is the one for SQLite."""

    async def load(self, id: str) -> tuple[str, int] | None:
        """The text and the version of a conversation; None where there is none."""
        ...

    async def version(self, id: str) -> int:
        """The version of a conversation; 0 where there is none."""
        ...

    async def save(self, summary: ConversationSummary, text: str) -> bool:
        """Writes a conversation, if the stored version is the one before ``summary.version``.

        Args:
            summary: its id, the version that it gets, and what `list` tells of it. ``created`` counts for a new one.
            text: all of it, as `Conversation.to_json` gives it.

        Returns:
            False where the stored version is another one; then nothing was written. The check and the write must be
            one step for everybody who uses the database.
        """
        ...

    async def list(self, *, prefix: str, limit: int, offset: int) -> Sequence[ConversationSummary]:
        """The conversations whose id begins with ``prefix``, the one that was written last first."""
        ...

    async def delete(self, id: str) -> bool:
        """Removes a conversation; says whether it was there."""
        ...

    async def aclose(self) -> None:
        """Closes what is open."""
        ...


class SQLiteConversations:
    """Conversations in an SQLite file, for any number of processes on one machine.

    What was written survives the death of the process. A new file can be read by its owner only.

    Args:
        path: the file; made when it is not there. ``":memory:"`` keeps them in this process.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._process = 0

    def __repr__(self) -> str:
        return f"SQLiteConversations({self._path!r})"

    async def load(self, id: str) -> tuple[str, int] | None:
        """The text and the version of a conversation; None where there is none."""

        def read(db: sqlite3.Connection) -> tuple[str, int] | None:
            row = db.execute("SELECT text, version FROM conversations WHERE id = ?", (id,)).fetchone()
            return None if row is None else (row[0], row[1])

        return await self._run(read)

    async def version(self, id: str) -> int:
        """The version of a conversation; 0 where there is none."""
        return await self._run(lambda db: _version(db, id))

    async def save(self, summary: ConversationSummary, text: str) -> bool:
        """Writes a conversation, if the stored version is the one before ``summary.version``."""

        def write(db: sqlite3.Connection) -> bool:
            db.execute("BEGIN IMMEDIATE")
            try:
                fits = _version(db, summary.id) == summary.version - 1
                if fits:
                    db.execute(_WRITE, (*_row(summary), text))
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")
            return fits

        return await self._run(write)

    async def list(self, *, prefix: str, limit: int, offset: int) -> Sequence[ConversationSummary]:
        """The conversations whose id begins with ``prefix``, the one that was written last first."""

        def read(db: sqlite3.Connection) -> Sequence[ConversationSummary]:
            return [_summary(row) for row in db.execute(_LIST, (prefix, limit, offset))]

        return await self._run(read)

    async def delete(self, id: str) -> bool:
        """Removes a conversation; says whether it was there."""
        return await self._run(lambda db: db.execute("DELETE FROM conversations WHERE id = ?", (id,)).rowcount > 0)

    async def aclose(self) -> None:
        """Closes the file. The next call opens it again."""
        await to_thread.run_sync(self._close)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await to_thread.run_sync(partial(self._locked, work))

    def _locked(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            try:
                if self._db is None or self._process != os.getpid():
                    self._process, self._db = os.getpid(), self._open()
                return work(self._db)
            except sqlite3.Error as error:
                raise ConfigurationError(
                    f"the conversations in {self._path} cannot be read or written: {error}; "
                    "check that the folder is there, that the file can be written, and that the disk has room"
                ) from None

    def _open(self) -> sqlite3.Connection:
        db = open_shared(self._path, _PATIENCE, private=True)
        try:
            (stored,) = db.execute("PRAGMA user_version").fetchone()
            if stored > _FORMAT:
                raise ConfigurationError(
                    f"the conversations in {self._path} were stored by a later version; update asyncllm"
                )
            db.execute(_TABLE)
            db.execute(_INDEX)
            db.execute(f"PRAGMA user_version = {_FORMAT}")
        except BaseException:
            db.close()
            raise
        return db

    def _close(self) -> None:
        with self._lock:
            db, self._db = self._db, None
            if db is not None and self._process == os.getpid():
                with closing(db):
                    pass


def _version(db: sqlite3.Connection, id: str) -> int:
    row = db.execute("SELECT version FROM conversations WHERE id = ?", (id,)).fetchone()
    return 0 if row is None else int(row[0])


def _row(summary: ConversationSummary) -> tuple[object, ...]:
    """The values of ``_WRITE``, without the text."""
    times = (summary.created.timestamp(), summary.updated.timestamp())
    about = (summary.provider, summary.model, summary.messages, str(summary.cost), summary.title)
    return (summary.id, summary.version, *times, *about)


def _summary(row: Row) -> ConversationSummary:
    ident, version, created, updated, provider, model, messages, cost, title = row
    return ConversationSummary(
        id=ident,
        version=version,
        created=datetime.fromtimestamp(created, timezone.utc),
        updated=datetime.fromtimestamp(updated, timezone.utc),
        provider=provider,
        model=model,
        messages=messages,
        cost=Decimal(cost),
        title=title,
    )


class Conversations:
    """Conversations in a database. Made by `Client.conversations`."""

    def __init__(self, client: Client, store: str | ConversationStore) -> None:
        self._client = client
        self._store = store_of(store) if isinstance(store, str) else store

    async def open(
        self,
        id: str,
        *,
        system: str | None = None,
        keep: Keep | None = None,
        compact: Compact | None = None,
        **options: Unpack[RunOptions],
    ) -> Conversation:
        """The conversation of an id: the stored one, or a new one. It is written after every exchange.

        Args:
            id: the application's own, such as ``"user-7/chat-3"``.
            system: instructions to the model, for a new one.
            keep: as for `Client.conversation`.
            compact: as for `Client.conversation`.
            **options: as for `Client.conversation`. ``provider`` and ``model`` are the stored ones by default.

        Raises:
            ConfigurationError: the database cannot be used, or there is no such provider.
            BadRequestError: the id is none, or what is stored cannot be read.
        """
        found = await self._store.load(_id(id))
        if found is None:
            talk = self._client.conversation(system=system, keep=keep, compact=compact, **options)
        else:
            talk = self._client.conversation(saved=found[0], keep=keep, compact=compact, **options)
        talk.keeper = _Keeper(self._store, id, 0 if found is None else found[1])
        return talk

    async def put(self, id: str, talk: Conversation) -> None:
        """Writes a conversation under a new id, such as a `Conversation.fork`; from then on it is written by itself.

        Args:
            id: an id that is not used yet.
            talk: the conversation.

        Raises:
            ConversationConflictError: there is a conversation of this id.
        """
        keeper = _Keeper(self._store, _id(id), 0)
        await keeper.write(talk)
        talk.keeper = keeper

    async def list(self, *, prefix: str = "", limit: int = 100, offset: int = 0) -> Sequence[ConversationSummary]:
        """The stored conversations, the one that was written last first.

        Args:
            prefix: only ids that begin so, such as ``"user-7/"``.
            limit: the most of them.
            offset: how many are passed over.
        """
        return await self._store.list(prefix=prefix, limit=limit, offset=offset)

    async def delete(self, id: str) -> bool:
        """Removes a conversation; says whether it was there."""
        return await self._store.delete(_id(id))

    async def aclose(self) -> None:
        """Closes the database. Conversations that are open can still be used, and open it again."""
        await self._store.aclose()

    async def __aenter__(self) -> Conversations:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class _Keeper:
    """Writes one conversation; see `Conversation.keeper`."""

    def __init__(self, store: ConversationStore, id: str, version: int) -> None:
        self.id = id
        self._store = store
        self._version = version

    async def check(self) -> None:
        """Looks whether somebody else has written the conversation.

        Raises:
            ConversationConflictError: somebody has.
        """
        if await self._store.version(self.id) != self._version:
            raise self._conflict("nothing was sent")

    async def write(self, talk: Conversation) -> None:
        """Writes the conversation as it is now.

        Raises:
            ConversationConflictError: somebody else has written it.
        """
        now = datetime.fromtimestamp(time.time(), timezone.utc)
        first = next((message.text for message in talk.messages if message.role == "user"), "")
        summary = ConversationSummary(
            id=self.id,
            version=self._version + 1,
            created=now,
            updated=now,
            provider=talk.provider,
            model=talk.model,
            messages=len(talk.messages),
            cost=talk.cost,
            title=" ".join(first.split())[:_LONGEST_TITLE],
        )
        if not await self._store.save(summary, talk.to_json()):
            raise self._conflict("what was said now is in this object only")
        self._version = summary.version

    def _conflict(self, state: str) -> ConversationConflictError:
        return ConversationConflictError(
            f"the conversation {self.id!r} was written or deleted by somebody else since it was opened; {state}. "
            "Open it again and go on from there"
        )


def _id(id: str) -> str:
    if not isinstance(id, str) or not 0 < len(id) <= _LONGEST_ID:
        raise BadRequestError(
            f"the id of a conversation must be a string of 1 to {_LONGEST_ID} letters, not {id!r:.80}"
        )
    return id


def store_of(url: str) -> ConversationStore:
    """The store of a URL.

    Raises:
        ConfigurationError: it is no URL of a store.
    """
    if url in _MEMORY:
        return SQLiteConversations(":memory:")
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        return SQLiteConversations(url[len(_SQLITE) :])
    raise ConfigurationError(
        "conversations must be sqlite:///path, :memory:, or an object with load, save, list, delete"
    )
