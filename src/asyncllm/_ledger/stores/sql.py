"""The tables of the ledger in SQL and the transaction that writes them. SQLite and PostgreSQL add what differs.

Records are written once, when an attempt is over, and never changed but for a recovered one that turns out to be alive;
open attempts are rows of a small table beside it. Ids sort by time, so a search by time is a range of ids.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

from ...errors import LedgerError
from ..booking import Booked, Opening, Operation, WindowId, book, settled_ids, touched
from ..budgets import Budget, Charge, Hold, RefusalKey, Window, hours_between
from ..columns import (
    DIMENSIONS,
    JOB_COLUMNS,
    NAMES,
    OPEN_COLUMNS,
    RATED,
    REFUSAL_KEYS,
    VERSION,
    WINDOW_COLUMNS,
    head_of,
    head_text,
    number,
    plain,
    record_columns,
)
from ..jobs import OWNER, JobRow
from ..journal import Journal
from ..reports import ONE_TAG, TAG, TIME_DIMENSIONS, spans
from ..rollups import BILLED, DAY, FIGURES, HOUR, SETS, Piece, nearest_set, pieces, set_for
from ..units import first_ulid, is_ulid, moment_of
from . import Query
from .rolling import FIGURES_SUMMED, RECORDS_SUMMED, Dialect, Rolling, Rows, Run, marks_taken, quoted

Execute = Callable[[str, Sequence[Any]], Rows]

# Rows of one statement: each statement gives the interpreter's lock away, and must wait to have it back.
_CHUNKS = (64, 16, 4, 1)
_AT_ONCE = 5000  # records that are deleted in one transaction
_KEPT_AS_IT_IS = ("id", *RATED)


class SQLStore(ABC):
    """What the SQL stores have in common; `Store` says what the methods do."""

    _tags_join: str
    _one_tag: str
    _dialect: Dialect
    renew_every: float | None = None
    _lock_rows = ""

    read_only = False

    def __init__(self) -> None:
        self._statements: dict[tuple[str, int], str] = {}
        self._filled: dict[str, set[str]] = {}
        self.owner = ""
        self.budgets: Sequence[Budget] = ()
        self.more: bool = False
        self._rolling = Rolling(self._connected, self._dialect)

    def journal(self, wake: Callable[[bool], None]) -> Journal | None:  # a store's own choice
        """Returns None, as this store has no journal."""
        return None

    def renew(self) -> None:  # noqa: B027  # a store's own choice
        """Does nothing, as a lock of the operating system needs no renewal."""

    def adopt(self) -> None:
        """Does nothing, as no process leaves a journal."""
        self.more = False

    # What a database does in its own way

    @abstractmethod
    def _execute(self, sql: str, values: Sequence[Any] = ()) -> tuple[Rows, int]:
        """Runs a statement on the writer's connection: the rows, and how many were changed."""

    @abstractmethod
    def _begin(self) -> None: ...

    @abstractmethod
    def _commit(self) -> None: ...

    @abstractmethod
    def _rollback(self) -> None: ...

    @abstractmethod
    def _translated(self, action: Callable[[], Any]) -> Any:
        """Runs an action. An error of the database becomes a `LedgerError`."""

    @abstractmethod
    def _is_dead(self, owner: str) -> bool:
        """Whether the process that holds this lock is gone."""

    @abstractmethod
    def _lock_windows(self, keys: Sequence[WindowId]) -> None:
        """Locks these windows until the commit."""

    @abstractmethod
    def _reading(self) -> Any:
        """A context manager that gives an `Execute` on a connection of the calling thread's own."""

    def _folded(self) -> list[Operation]:
        """Returns what the journals hold for this transaction, and moves their offsets."""
        return []

    # Writing

    def write(self, batch: Sequence[Operation]) -> Booked:
        """Books a batch in one transaction."""
        booked: Booked = self._translated(lambda: self._write(batch))
        return booked

    def _write(self, batch: Sequence[Operation]) -> Booked:
        booked = self._attempt(batch, careful=False)
        if booked is None:  # somebody recovered some of its open rows, or they were never written: find out which
            booked = self._attempt(batch, careful=True)
        return booked or Booked(windows={})

    def _attempt(self, batch: Sequence[Operation], *, careful: bool) -> Booked | None:
        self._begin()
        try:
            operations = [*self._folded(), *batch]
            ids = settled_ids(operations)
            charges = touched(operations)
            windows = self._load(charges) if charges else {}
            missing: Mapping[str, int | None] = self._find_missing(ids) if careful else {}
            if self._delete_opened(ids) != len(ids) and not careful:
                self._rollback()
                return None
            booked = book(operations, windows, missing)
            if booked.opened:
                rows = [open_row(found, self.owner) for found in booked.opened.values()]
                self._insert("opened", dict(zip(OPEN_COLUMNS, zip(*rows, strict=True), strict=True)))
            if booked.entries:
                self._insert("records", record_columns([entry.facts for entry in booked.entries]))
                hours = {moment_of(entry.opening.id) // HOUR * HOUR for entry in booked.entries}
                self._execute(marks_taken(sorted(hours)))  # after the records: see `rolling`
            if windows:
                self._save(windows)
            self._commit()
        except BaseException:
            self._rollback()
            raise
        return booked

    def _load(self, charges: Mapping[WindowId, Charge]) -> dict[WindowId, Window]:
        self._lock_windows(list(charges))
        return {key: self._load_one(charge) for key, charge in charges.items()}

    def _load_one(self, charge: Charge) -> Window:
        sql = f"SELECT {', '.join(WINDOW_COLUMNS)} FROM windows WHERE key = ? AND start = ?"  # noqa: S608  # names only
        rows, _ = self._execute(sql, charge.window)
        if rows and rows[0][0] is not None:
            return Window(*map(int, rows[0]))
        return Window(spent=self._spent_before(charge, lambda sql, values: self._execute(sql, values)[0]))

    def _spent_before(self, charge: Charge, execute: Execute) -> int:
        """What the records of a window cost before anybody had a budget for it."""
        if charge.scope is None:
            return 0
        query = Query(start=charge.start, end=charge.end, where=dict(charge.scope), step=DAY)
        cost = 2 + list(FIGURES).index("cost")
        return sum(int(row[cost] or 0) for row in self._sums(execute, query, ()))

    def _find_missing(self, ids: Sequence[str]) -> dict[str, int | None]:
        there: set[str] = set()
        charged: dict[str, int | None] = {}
        for part in _chunks(ids):
            marks = ", ".join("?" * len(part))
            sql = f"SELECT id FROM opened WHERE id IN ({marks}){self._lock_rows}"  # noqa: S608  # our own names
            there.update(row[0] for row in self._execute(sql, part)[0])
            rows, _ = self._execute(f"SELECT id, charged FROM records WHERE id IN ({marks})", part)  # noqa: S608
            charged.update((row[0], row[1]) for row in rows)
        return {one: charged.get(one) for one in ids if one not in there}

    def _delete_opened(self, ids: Sequence[str]) -> int:
        changed = 0
        for part in _chunks(ids):
            sql = self._statement("delete", len(part), lambda n: f"DELETE FROM opened WHERE id IN ({_marks(n)})")  # noqa: S608
            changed += self._execute(sql, part)[1]
        return changed

    def _insert(self, name: str, columns: Mapping[str, Sequence[Any]]) -> None:
        """Writes rows: column -> a value for each row.

        Columns that were always empty so far are left out, which is half of them: ``sqlite3`` takes longer to bind a
        None than anything else.
        """
        known = self._filled.setdefault(name, set())
        new = [one for one, values in columns.items() if one not in known and values.count(None) != len(values)]
        if new:
            known.update(new)
            self._statements.clear()
        rows = list(zip(*[values for one, values in columns.items() if one in known], strict=True))
        for part in _chunks(rows):
            sql = self._statement(name, len(part), lambda n: self._upsert(name, list(columns), n))
            self._execute(sql, part[0] if len(part) == 1 else tuple(chain.from_iterable(part)))

    def _statement(self, name: str, rows: int, make: Callable[[int], str]) -> str:
        found = self._statements.get((name, rows))
        if found is None:
            found = self._statements[name, rows] = make(rows)
        return found

    def _upsert(self, name: str, columns: Sequence[str], rows: int) -> str:
        written = [column for column in columns if column in self._filled[name]]
        values = ", ".join([f"({_marks(len(written))})"] * rows)
        changes = ", ".join(f'"{column}" = excluded."{column}"' for column in columns if column not in _KEPT_AS_IT_IS)
        return f"INSERT INTO {name} ({quoted(written)}) VALUES {values} ON CONFLICT (id) DO UPDATE SET {changes}"  # noqa: S608

    def _save(self, windows: Mapping[WindowId, Window]) -> None:
        columns = ("key", "start", *WINDOW_COLUMNS)
        changes = ", ".join(f"{column} = excluded.{column}" for column in WINDOW_COLUMNS)
        for (key, start), window in windows.items():
            self._execute(
                f"INSERT INTO windows ({', '.join(columns)}) VALUES ({_marks(len(columns))}) "  # noqa: S608
                f"ON CONFLICT (key, start) DO UPDATE SET {changes}",
                (key, start, *(getattr(window, column) for column in WINDOW_COLUMNS)),
            )

    # Jobs

    def save_job(self, job: JobRow) -> None:
        """Writes the row of a job."""
        changes = ", ".join(f"{name} = excluded.{name}" for name in JOB_COLUMNS[1:])
        sql = f"INSERT INTO jobs VALUES ({_marks(len(JOB_COLUMNS))}) ON CONFLICT (id) DO UPDATE SET {changes}"  # noqa: S608
        self._translated(lambda: self._execute(sql, job.written()))

    def jobs(self, id: str | None = None) -> list[JobRow]:
        """The rows of jobs, the newest first."""
        sql = f"SELECT {quoted(JOB_COLUMNS)} FROM jobs{'' if id is None else ' WHERE id = ?'} ORDER BY created DESC"  # noqa: S608
        rows, _ = self._translated(lambda: self._execute(sql, () if id is None else (id,)))
        return [JobRow(**dict(zip(JOB_COLUMNS, row, strict=True))) for row in rows]

    def lines_of(self, job: str) -> list[Opening]:
        """The open rows whose owner is the job."""
        sql = f"SELECT {quoted(OPEN_COLUMNS)} FROM opened WHERE owner = ?"  # noqa: S608  # names only
        rows, _ = self._translated(lambda: self._execute(sql, (OWNER + job,)))
        return [opening_of(row) for row in rows]

    def _is_over(self, owner: str) -> bool:
        """Whether whoever owns open rows is gone: a process that died, or a job whose answers are deleted."""
        if not owner.startswith(OWNER):
            return self._is_dead(owner)
        sql = "SELECT 1 FROM jobs WHERE id = ? AND expires_at < ?"
        return bool(self._execute(sql, (owner[len(OWNER) :], time.time_ns() // 1000))[0])

    # Refusals

    def count_refusals(self, refusals: Mapping[RefusalKey, int]) -> None:
        """Adds calls that budgets turned away."""
        self._translated(lambda: self._count_refusals(refusals))

    def _count_refusals(self, refusals: Mapping[RefusalKey, int]) -> None:
        columns = ("hour", *REFUSAL_KEYS, "count")
        sql = (
            f"INSERT INTO refusals ({quoted(columns)}) VALUES ({_marks(len(columns))}) "  # noqa: S608  # our own names
            f"ON CONFLICT ({quoted(columns[:-1])}) DO UPDATE SET count = refusals.count + excluded.count"
        )
        self._begin()
        try:
            for (hour, *words), count in sorted(refusals.items()):
                self._execute(sql, (hour, *(plain(str(word)) for word in words), count))
            self._commit()
        except BaseException:
            self._rollback()
            raise

    def refusals(self, start: int | None, end: int | None) -> list[Sequence[Any]]:
        """The values of a key and a count each."""
        sql = (
            f"SELECT {quoted(('hour', *REFUSAL_KEYS, 'count'))} FROM refusals "  # noqa: S608  # our own names
            f"WHERE hour >= ? AND hour < ? ORDER BY {quoted(('hour', *REFUSAL_KEYS))}"
        )

        def read() -> Rows:
            with self._reading() as execute:
                rows: Rows = execute(sql, hours_between(start, end))
                return rows

        found: Rows = self._translated(read)
        return found

    # Recovery

    def abandoned(self) -> list[Opening]:
        """The open rows of processes whose locks are free."""
        found: list[Opening] = self._translated(self._abandoned)
        return found

    def _abandoned(self) -> list[Opening]:
        owners = self._execute("SELECT DISTINCT owner FROM opened WHERE owner <> ?", (self.owner,))[0]
        openings = []
        for (owner,) in owners:
            if self._is_over(owner):
                sql = f"SELECT {quoted(OPEN_COLUMNS)} FROM opened WHERE owner = ? ORDER BY id"  # noqa: S608  # names only
                openings += [opening_of(row) for row in self._execute(sql, (owner,))[0]]
        return openings

    # Reading

    def windows(self, charges: Sequence[Charge]) -> list[Window]:
        """Where budget windows stand."""
        found: list[Window] = self._translated(lambda: self._windows(charges))
        return found

    def _windows(self, charges: Sequence[Charge]) -> list[Window]:
        sql = f"SELECT {', '.join(WINDOW_COLUMNS)} FROM windows WHERE key = ? AND start = ?"  # noqa: S608  # names only
        with self._reading() as execute:
            found = []
            for charge in charges:
                rows = execute(sql, charge.window)
                known = bool(rows) and rows[0][0] is not None
                found.append(Window(*map(int, rows[0])) if known else Window(spent=self._spent_before(charge, execute)))
            return found

    def report(self, query: Query, dimensions: Sequence[str]) -> Iterator[Sequence[Any]]:
        """Sums by dimensions, from roll-ups where there are any and from records."""
        rows: Rows = self._translated(lambda: self._report(query, dimensions))
        return iter(rows)

    def _report(self, query: Query, dimensions: Sequence[str]) -> Rows:
        with self._reading() as execute:
            return self._sums(execute, query, dimensions)

    def _sums(self, execute: Execute, query: Query, dimensions: Sequence[str]) -> Rows:
        required = [_in_sums(name) for name in query.where]
        needed = [*required, *(_in_sums(name) for name in dimensions if name not in TIME_DIMENSIONS)]
        kind = set_for(needed, by_hour=query.step < DAY)
        marks = self._rolling.marks(lambda sql, values: (execute(sql, values), 0), query.start, query.end)
        found: Rows = []
        for piece in pieces(marks, query.start, query.end, step=query.step, kind=kind):
            chosen = nearest_set(needed, required) if kind is None else kind
            for start, end, numbered in _parts(piece, query):
                if not piece.level:
                    part = replace(query, start=start, end=end)
                    found += self._sums_of_records(execute, part, dimensions, numbered.format("time"))
                elif chosen is not None:
                    unit = piece._replace(start=start, end=end)
                    found += self._sums_of_units(execute, query, dimensions, unit, chosen, numbered.format("start"))
        return found

    def _sums_of_records(self, execute: Execute, query: Query, dimensions: Sequence[str], time: str) -> Rows:
        chosen, values = self._dimensions(dimensions, time)
        condition, more = self._condition(query)
        source = "records" + (self._tags_join.format("records") if TAG in dimensions else "")
        figures = f"{self._dialect.latencies()}, {RECORDS_SUMMED}"
        sql = f"SELECT {chosen}{figures} FROM {source} {condition}{_grouped_by(dimensions)}"  # noqa: S608  # our own
        return execute(sql, (*values, *more))

    def _sums_of_units(
        self, execute: Execute, query: Query, dimensions: Sequence[str], piece: Piece, kind: int, time: str
    ) -> Rows:
        there = (*SETS[kind], *TIME_DIMENSIONS)
        chosen, values = self._dimensions(dimensions, time, there)
        parts = ["kind = ? AND level = ? AND start >= ? AND start < ?"]
        more: list[Any] = [kind, piece.level, piece.start, piece.end]
        if query.billed:
            parts.append("billed = 1")
        self._where(query.where, parts, more)
        source = "sums" + (self._tags_join.format("sums") if TAG in dimensions and "tags" in there else "")
        figures = f"{self._dialect.texts()}, {FIGURES_SUMMED}"
        sql = f"SELECT {chosen}{figures} FROM {source} WHERE {' AND '.join(parts)}{_grouped_by(dimensions)}"  # noqa: S608  # our own
        return execute(sql, (*values, *more))

    def _dimensions(
        self, dimensions: Sequence[str], time: str, there: Sequence[str] | None = None
    ) -> tuple[str, list[Any]]:
        """The expressions of dimensions, and their values. Those that are not there are unknown."""
        chosen: list[str] = []
        values: list[Any] = []
        for name in dimensions:
            if there is not None and _in_sums(name) not in there:
                chosen.append("NULL")
                continue
            expression, value = self._dimension(name, time)
            chosen.append(expression)
            values += value
        return "".join(f"{expression}, " for expression in chosen), values

    def _dimension(self, name: str, time: str) -> tuple[str, list[Any]]:
        if name in TIME_DIMENSIONS:
            return time, []
        if name == TAG:
            return "tag.key || '=' || tag.value", []
        if name.startswith(ONE_TAG):
            return self._one_tag, [self._tag_path(name[len(ONE_TAG) :])]
        return f'"{name}"', []

    def _tag_path(self, tag: str) -> str:
        return tag

    def _condition(self, query: Query) -> tuple[str, list[Any]]:
        parts: list[str] = []
        values: list[Any] = []
        if query.start is not None:
            parts.append("records.id >= ?")  # json_each has an id, too
            values.append(first_ulid(query.start // 1000))
            if query.start % 1000:  # an id knows the millisecond only
                parts.append("time >= ?")
                values.append(query.start)
        if query.end is not None:
            parts.append("records.id < ?")
            values.append(first_ulid(-(-query.end // 1000)))
            if query.end % 1000:
                parts.append("time < ?")
                values.append(query.end)
        if query.billed:
            parts.append(BILLED)
        if query.where.get("status", "ok") != "ok" or "error" in query.where:
            parts.append("status <> 'ok'")  # in these words there is an index
        if "call" in query.where and is_ulid(query.where["call"]):  # its attempts came later
            parts.append("records.id >= ?")
            values.append(first_ulid(moment_of(query.where["call"]) // 1000))
        self._where(query.where, parts, values)
        return (f"WHERE {' AND '.join(parts)}" if parts else ""), values

    def _where(self, where: Mapping[str, str], parts: list[str], values: list[Any]) -> None:
        for name, wanted in where.items():
            if name.startswith(ONE_TAG):
                parts.append(f"{self._one_tag} = ?")
                values.append(self._tag_path(name[len(ONE_TAG) :]))
            elif name in DIMENSIONS or name == "call":
                parts.append(f'"{name}" = ?')
            else:
                raise ValueError(f"records cannot be chosen by {name!r}")
            values.append(wanted)

    def delete(self, query: Query) -> int:
        """Deletes some thousand records at a time, so that writers do not wait long."""
        deleted = 0
        while True:
            count: int = self._translated(partial(self._delete_some, query))
            deleted += count
            if count < _AT_ONCE:
                break
        self._translated(partial(self._rolling.forget_kept, query.end, query.where.get("user")))
        return deleted

    def _delete_some(self, query: Query) -> int:
        condition, values = self._condition(query)
        with self._connected() as run:
            run(self._dialect.begin, ())
            sql = f"SELECT id FROM records {condition} LIMIT {_AT_ONCE}"  # noqa: S608  # our own names
            ids = [row[0] for row in run(sql, values)[0]]
            for part in _chunks(ids):
                run(f"DELETE FROM records WHERE id IN ({_marks(len(part))})", part)  # noqa: S608  # marks only
            self._rolling.forget(run, ids)
            run("COMMIT", ())
        return len(ids)

    def tend(self, now: int, keep: int | None, stop: Callable[[], bool]) -> int:
        """Rolls up hours and days that are over, and deletes records that are too old."""
        done: int = self._translated(partial(self._rolling.tend, now, keep, stop))
        return done

    def rate(self, call: str, score: int, note: str | None) -> int:
        """Writes a score beside the answer of a call; returns how many records there are of it."""
        count: int = self._translated(partial(self._rate, call, score, note))
        return count

    def _rate(self, call: str, score: int, note: str | None) -> int:
        condition, values = self._condition(Query(where={"call": call}))
        with self._connected() as run:
            run(self._dialect.begin, ())
            sql = f"SELECT id FROM records {condition} ORDER BY status IN ('ok', 'cached') DESC, id DESC LIMIT 1"  # noqa: S608
            found = [row[0] for row in run(sql, values)[0]]
            for one in found:
                run("UPDATE records SET score = ?, note = ? WHERE id = ?", (score, plain(note), one))
                run(marks_taken([moment_of(one) // HOUR * HOUR]), ())
            run("COMMIT", ())
        return len(found)

    @abstractmethod
    def _connected(self) -> AbstractContextManager[Run]:
        """A connection of the calling thread's own, on which each statement is a transaction unless one is begun."""

    def pages(self, query: Query, size: int) -> Iterator[Rows]:
        """Records by id, each page a query of its own: nothing is held open while somebody reads."""
        last = query.after or ("~" if query.newest else "")  # behind and before every ULID
        while True:
            page: Rows = self._translated(partial(self._page, query, last, size))
            if page:
                yield page
            if len(page) < size:
                return
            last = page[-1][0]

    def _page(self, query: Query, last: str, size: int) -> Rows:
        condition, values = self._condition(query)
        sign, order = ("<", "DESC") if query.newest else (">", "ASC")
        condition = f"{condition} {'AND' if condition else 'WHERE'} id {sign} ?"
        sql = f"SELECT {quoted(NAMES)} FROM records {condition} ORDER BY id {order} LIMIT ?"  # noqa: S608  # our own
        with self._reading() as execute:
            rows: Rows = execute(sql, (*values, last, size))
            return rows


def _parts(piece: Piece, query: Query) -> Iterator[tuple[int | None, int | None, str]]:
    """The parts of a piece between two changes of the clock, each with the number of its pieces of time in SQL.

    All pieces of a local day get the number of its noon: so a database gives one group a day, not 24. Noon is in the
    day by the clock before and after a change alike; midnight is not.
    """
    if query.zone is None or piece.start is None or piece.end is None:
        yield piece.start, piece.end, f"{{}} / {query.step}"
        return
    for start, end, offset in spans(piece.start, piece.end, query.zone):
        yield start, end, f"(({{}} + {offset}) / {DAY} * {DAY} + {DAY // 2 - offset}) / {query.step}"


def _in_sums(name: str) -> str:
    """The dimension of a roll-up that has what a report asks for."""
    return "tags" if name == TAG or name.startswith(ONE_TAG) else name


def _grouped_by(dimensions: Sequence[str]) -> str:
    """Groups by what is chosen. Without any there is one group, or none where there is nothing."""
    if not dimensions:
        return " HAVING count(*) > 0"
    return f" GROUP BY {', '.join(str(place + 1) for place in range(len(dimensions)))}"


def too_new(version: int) -> LedgerError:
    """Returns the error for a database that a later version of this library made."""
    return LedgerError(
        f"the ledger has version {version} and this asyncllm knows up to {VERSION}; "
        "upgrade asyncllm, or use another database"
    )


def open_row(opening: Opening, owner: str) -> tuple[Any, ...]:
    """The values of `OPEN_COLUMNS` for an attempt that is under way."""
    text, hold = head_text(opening.head), opening.hold
    if hold is None:
        return opening.id, opening.owner or owner, opening.time, text, None, None
    charges = json.dumps([charge.window for charge in hold.charges])
    return opening.id, opening.owner or owner, opening.time, text, number(hold.amount), charges


def opening_of(row: Sequence[Any]) -> Opening:
    """The attempt of a row of `OPEN_COLUMNS`, left open by a process that died."""
    key, _, time, head, amount, charges = row
    hold = None
    if charges is not None:
        hold = Hold(amount, tuple(Charge(key=name, start=start, scope=None) for name, start in json.loads(charges)))
    opening = Opening(key, time, head_of(head), hold, None)
    opening.recovered = True
    return opening


def _marks(count: int) -> str:
    return ", ".join("?" * count)


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """As many at a time as there are statements for: a few statements, prepared once."""
    start = 0
    for size in _CHUNKS:
        while len(items) - start >= size:
            yield items[start : start + size]
            start += size
