"""A bulk job: rows in, an answer for each, kept in the ledger's database (`asyncllm._ledger.row_journal`).

An engine spreads the work: ``local`` is a `MapStream` in this process, ``ray`` is Ray Data, where each actor runs one,
``dbos`` is a queue in PostgreSQL, from which each process feeds one.
What is ours is the journal, which all of them look at before a row is asked for.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any, Generic, Literal, get_args

import anyio
from anyio import to_thread
from typing_extensions import TypeVar

from ._ledger.row_journal import BEAT, BulkStatus, RowJournal, check_key
from ._map.checkpoint import whole_reply
from ._map.crew import GRACE
from ._map.item import Item
from ._row_files import is_missing, read_rows
from ._schema.response import Response
from ._schema.stored import load_response, stored_response, to_text
from .bulk import MapStream
from .errors import BadRequestError, ConfigurationError

if TYPE_CHECKING:
    from .runs import Run

T = TypeVar("T", default=Any)
Engine = Literal["local", "ray", "dbos"]
_log = logging.getLogger("asyncllm")


def prompt_of(prompt: Any) -> Callable[[Mapping[str, Any]], Any]:
    """A function from a row to what is asked: of a template with the names of columns in braces, or the user's own.

    Raises:
        BadRequestError: neither.
    """
    if callable(prompt):
        return prompt  # type: ignore[no-any-return]
    if not isinstance(prompt, str) or not prompt:
        raise BadRequestError(
            "prompt must be a text with columns in braces, such as 'Summarize: {text}', or a function"
        )
    try:
        parts = list(Formatter().parse(prompt))
    except ValueError as error:
        raise BadRequestError(f"prompt cannot be read: {error}; {_BRACES}") from None

    def filled(row: Mapping[str, Any]) -> str:
        said = []
        for text, name, form, conversion in parts:
            said.append(text)
            if name is not None:
                said.append(_value_of(row, name, form or "", conversion))
        return "".join(said)

    return filled


_BRACES = "for a brace that is text, write two"


def _value_of(row: Mapping[str, Any], name: str, form: str, conversion: str | None) -> str:
    """The value of a column as text."""
    if name not in row:
        raise BadRequestError(f"the row has no column {name!r}, which the prompt names; {_BRACES}")
    value = row[name]
    if is_missing(value):
        raise BadRequestError(
            f"the row has no value in the column {name!r}, which the prompt names; where it may be empty, give a "
            "function from a row to a prompt"
        )
    try:
        return format(Formatter().convert_field(value, conversion), form)
    except (TypeError, ValueError) as error:
        raise BadRequestError(f"the column {name!r} cannot be written as the prompt says: {error}") from None


def key_of(key: Any) -> Callable[[Mapping[str, Any]], str]:
    """A function from a row to its key: the text of a column, or the user's own.

    Raises:
        BadRequestError: neither.
    """
    if callable(key):
        return key  # type: ignore[no-any-return]
    if not isinstance(key, str) or not key:
        raise BadRequestError(
            "key must be the name of a column whose values differ, or a function from a row to a text"
        )

    def column(row: Mapping[str, Any]) -> str:
        if is_missing(row.get(key)):
            raise BadRequestError(f"the row has no value in the column {key!r}, which is its key")
        return str(row[key])

    return column


class JobAnswers:
    """The journal of a job as a map's checkpoint."""

    def __init__(self, journal: RowJournal) -> None:
        self.journal = journal
        self.path: str = f"the job {journal.job!r}"

    def open(self) -> None:
        """Opens the journal."""
        self.journal.open()

    def close(self) -> None:
        """Closes the journal."""
        self.journal.close()

    def key_of(self, said: Any, own: Callable[[Any], str] | None) -> str:
        """The key of a row."""
        return check_key("" if own is None else own(said))

    def find(self, key: str) -> Mapping[str, Any] | None:
        """The stored reply of a row; without one the row is claimed.

        Raises:
            RowTakenError: another living worker asks for it.
        """
        text = self.journal.claim(key)
        found: Mapping[str, Any] | None = None if text is None else json.loads(text)
        return found

    def record(self, key: str, reply: Response[Any] | Run[Any] | None) -> None:
        """Commits an answer."""
        response = None if reply is None else whole_reply(reply)
        if response is not None:
            cost = None if response.cost is None else int(response.cost.scaleb(9))
            self.journal.record(key, to_text(stored_response(response)), cost)

    def fail(self, key: str, error: Exception) -> None:
        """Notes a failure."""
        self.journal.fail(key, f"{type(error).__name__}: {error}")


class BulkJob(Generic[T]):
    """A job over many rows. Iterate it for the items, or `run` it; the same job in another process joins.

    Attributes:
        name: of the job; its answers stand under it in the ledger's database.
        url: of that database.
        key: a function from a row to its key.
    """

    def __init__(
        self,
        name: str,
        rows: Any,
        *,
        url: str,
        key: Any,
        prompt: Any,
        engine: Engine,
        start: Callable[[Iterable[Any], JobAnswers, Callable[[Any], str], Callable[[Any], Any]], MapStream[T]],
        spread: Callable[[Any, BulkJob[T]], Awaitable[None]] | None,
        spawn: Callable[[Callable[[], Any]], None],
    ) -> None:
        if not isinstance(name, str) or not name:
            raise BadRequestError("name must be a text that is not empty: the answers are kept under it")
        if engine not in get_args(Engine):
            raise BadRequestError(f"engine must be 'local', 'ray' or 'dbos', not {engine!r}")
        self.name = name
        self.url = url
        self.key: Callable[[Mapping[str, Any]], str] = key_of(key)
        self._rows = rows
        self._prompt = prompt_of(prompt)
        self._start = start
        self._spread = spread
        self._spawn = spawn
        self._ended = False
        self._items: MapStream[T] | None = None
        self._over: anyio.Event | None = None  # of `run`
        RowJournal(url, name)  # a ledger in memory is told at once

    async def run(self) -> BulkStatus:
        """Works until every row has been asked for or found, and says how it went."""
        over = self._over = anyio.Event()
        try:
            if self._spread is not None:
                await self._spread(self._rows, self)
            else:
                async for _ in self:
                    pass
        finally:
            over.set()
        return await self.status()

    def begin(self, rows: Any, answers: JobAnswers) -> MapStream[T]:
        """Starts the map over some rows, whose answers go to the journal."""
        items = self._items = self._start(rows, answers, self.key, self._prompt)
        return items

    def __aiter__(self) -> AsyncIterator[Item[T]]:
        return self._each()

    async def _each(self) -> AsyncIterator[Item[T]]:
        if self._spread is not None:
            raise ConfigurationError("a job on Ray or DBOS is run as a whole: await job.run(), then read job.answers()")
        journal = RowJournal(self.url, self.name)
        rows = await to_thread.run_sync(read_rows, self._rows)
        await to_thread.run_sync(journal.open)
        if isinstance(rows, Collection):
            number = number_of(rows, self.key)
            if number < len(rows):
                warn_of_same_keys(self.name, len(rows), number)
            await to_thread.run_sync(journal.count_rows, number)
        items = self.begin(rows, JobAnswers(journal))
        self._ended = False
        self._spawn(partial(self._live, journal))
        try:
            async for item in items:
                yield item
        finally:
            self._ended = True
            await items.aclose()

    async def _live(self, journal: RowJournal) -> None:
        while not self._ended:
            await anyio.sleep(BEAT)
            await to_thread.run_sync(journal.beat)

    async def aclose(self) -> None:
        """Ends the work of this process: nothing new is asked, and calls under way may end."""
        if self._items is not None:
            await self._items.aclose()
            if self._over is not None:
                with anyio.move_on_after(GRACE):
                    await self._over.wait()

    def note_total(self, rows: Collection[Mapping[str, Any]]) -> None:
        """Notes how many rows the job has. Blocks."""
        journal = RowJournal(self.url, self.name)
        journal.open()
        try:
            journal.count_rows(number_of(rows, self.key))
        finally:
            journal.close()

    async def status(self) -> BulkStatus:
        """How far the job is, over all processes that work on it."""
        return await to_thread.run_sync(read_status, self.url, self.name)

    async def answers(self) -> AsyncIterator[tuple[str, Response[Any]]]:
        """Every key with its answer, in the order of the keys."""
        journal = RowJournal(self.url, self.name)
        await to_thread.run_sync(journal.open)
        found = journal.answers()
        try:
            while (row := await to_thread.run_sync(next, found, None)) is not None:
                yield row[0], load_response(json.loads(row[1]))
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(journal.close)


def number_of(rows: Collection[Any], key: Callable[[Any], str]) -> int:
    """How many rows a job has: two rows with the same key are one, with one answer."""
    try:
        return len({key(row) for row in rows})
    except Exception:  # noqa: BLE001  # a row without a key is told when it is its turn
        return len(rows)


def warn_of_same_keys(job: str, rows: int, keys: int) -> None:
    """Says that rows share an answer: the column may not be the key that was meant."""
    _log.warning(
        "the job %r has %d rows and %d keys: rows with the same key are asked once and share the answer",
        job,
        rows,
        keys,
        extra={"event": "bulk_same_keys"},
    )


def read_status(url: str, name: str) -> BulkStatus:
    """How far a job is. Blocks.

    Raises:
        ConfigurationError: the ledger is in memory, or cannot be opened.
    """
    journal = RowJournal(url, name)
    journal.open()
    try:
        status = journal.status()
    finally:
        journal.close()
    return replace(status, workers=max(0, status.workers - 1))  # this look is no worker


ANSWER_COLUMNS = ("answer", "error", "cost", "recorded")


def answer_columns(item: Item[Any]) -> dict[str, Any]:
    """The columns that an answer adds to its row."""
    return {
        "answer": None if item.reply is None else item.text,
        "error": None if item.error is None else f"{type(item.error).__name__}: {item.error}",
        "cost": _dollars(item.reply),
        "recorded": item.recorded,
    }


def _dollars(reply: Response[Any] | Run[Any] | None) -> str | None:
    """Returns the cost as decimal text, exact in every kind of file; None where it is not known."""
    return None if reply is None or reply.cost is None else f"{reply.cost:f}"


def is_path(rows: Any) -> bool:
    """Whether rows are given as the path of a file."""
    return isinstance(rows, (str, Path))


async def answer_rows(job: BulkJob[Any], rows: Iterable[Mapping[str, Any]], key: Any) -> list[dict[str, Any]]:
    """The rows of a job with the columns of `FILE_COLUMNS`, which are empty where there is no answer."""
    name = key_of(key)
    found = {known: reply async for known, reply in job.answers()}
    failures = await to_thread.run_sync(read_failures, job.url, job.name)
    told = []
    for row in rows:
        reply, error = found.get(name(row)), failures.get(name(row))
        text, reason = (None, None) if reply is None else (reply.text, reply.finish_reason)
        told.append({**row, "answer": text, "finish_reason": reason, "cost": _dollars(reply), "error": error})
    return told


FILE_COLUMNS = ("answer", "finish_reason", "cost", "error")
"""What a file of answers has beside the columns of the rows."""


def refuse_taken(rows: Iterable[Mapping[str, Any]]) -> None:
    """Raises BadRequestError if the rows have a column that the file of answers would replace."""
    taken = {name for row in rows for name in FILE_COLUMNS if name in row}
    if taken:
        raise BadRequestError(f"the rows have a column {min(taken)!r}, which the answers would replace: rename it")


def read_failures(url: str, name: str) -> dict[str, str]:
    """The rows of a job that failed when they were asked for last: key -> error. Blocks."""
    journal = RowJournal(url, name)
    journal.open()
    try:
        return journal.failures()
    finally:
        journal.close()
