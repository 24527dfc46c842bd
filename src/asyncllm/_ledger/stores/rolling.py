"""Rolls up hours and days in SQL, keeps what is left of records that get too old, and reads sums and records together.

`rollups` has the theory. The rules of this file:

- A unit is rolled up in three steps, so that nobody who writes waits for the adding: its mark is made in a transaction
  of its own, its groups are read, and they are written in a second transaction if the mark is still there.
- A mark is of use only if every writer who did not see it has committed when the reading begins. SQLite has one writer
  at a time. In PostgreSQL the mark is committed under a lock of ``records`` that waits for those writers, and writers
  look for marks after their first record.
- Records that are too old go in slices: in one transaction their sums are added to the day and they are deleted.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain, islice
from typing import Any, NamedTuple

from ..rollups import (
    BILLED,
    BUILDING,
    DAY,
    FIGURES,
    FIRST_LETTER,
    HOUR,
    KEPT,
    KEYS,
    ROLLED,
    SETS,
    Adding,
    Mark,
    counted,
    written,
)
from ..units import first_ulid, moment_of, new_ulid

Rows = list[Sequence[Any]]
Run = Callable[[str, Sequence[Any]], tuple[Rows, int]]
"""Runs a statement: its rows, and how many it changed."""

GRACE = 2 * HOUR
"""How long after its end a unit is rolled up even if nothing was written since."""
_SLICE = 5000
_FORSAKEN = HOUR  # a mark whose builder is gone for so long is made anew
_INSERTED = 50
_PAGE = 1000
_PAUSE = 0.001
_KEPT_UNITS = (*((kind, DAY) for kind in range(len(SETS))), (0, HOUR))
"""What is kept of a day: the sums of each set, and of the first one by the hour."""
SUMS = ("kind", "level", "start", "n", "billed", *KEYS, "singles", "runs", *FIGURES)
FIGURES_SUMMED = ", ".join(f'sum("{name}")' for name in FIGURES)
_FIGURES = ", ".join(FIGURES.values())
RECORDS_SUMMED = ", ".join(f"sum({value})" for value in FIGURES.values())


class Dialect(NamedTuple):
    """How a database says what the two say differently.

    Attributes:
        begin: begins a transaction that writes.
        begin_slice: begins a transaction that deletes what it has added up before, and nothing else.
        barrier: waits until everybody has committed who wrote before the mark; empty where nobody can.
        joined: joins the texts of a group.
        letter: the letter of a number.
    """

    begin: str
    begin_slice: str
    barrier: str
    joined: str
    letter: str

    def latencies(self) -> str:
        """The latencies of a group of records: as one text, and nothing."""
        letter = self.letter.format(f"latency_bucket + {FIRST_LETTER}")
        return f"{self.joined.format(f'CASE WHEN latency_bucket IS NOT NULL THEN {letter} END')}, NULL"

    def texts(self) -> str:
        """The latencies of a group of sums."""
        return f"{self.joined.format('singles')}, {self.joined.format('runs')}"


def quoted(names: Sequence[str]) -> str:
    """The names of columns for a statement; ``user`` is a word of SQL's own."""
    return ", ".join(f'"{name}"' for name in names)


class Rolling:
    """The upkeep of a store's roll-ups, each step on a connection of its own.

    Args:
        connected: opens a connection for this thread.
        dialect: of the database.
    """

    def __init__(self, connected: Callable[[], AbstractContextManager[Run]], dialect: Dialect) -> None:
        self._connected = connected
        self._dialect = dialect

    # Upkeep

    def tend(self, now: int, keep: int | None, stop: Callable[[], bool]) -> int:
        """Rolls up what is over and has no mark, the newest first, and deletes records that are too old.

        Args:
            now: microseconds since 1970.
            keep: how many microseconds records are kept; None for ever.
            stop: asked between two units; True ends it.

        Returns:
            How many units it rolled up, and slices it deleted.
        """
        done = 0
        with self._connected() as run:
            if keep is not None:
                done += self._delete_old(run, (now - keep) // DAY * DAY, stop)
            for level, start in self._due(run, now):
                if stop():
                    break
                done += self._roll_up(run, level, start)
        return done

    def _due(self, run: Run, now: int) -> list[tuple[int, int]]:
        """The units that are over and have no mark."""
        last = run("SELECT max(id) FROM records", ())[0][0][0]
        if last is None:
            return []
        newest = moment_of(last)
        over = max(newest // HOUR * HOUR, now - GRACE)
        marked = {(mark.level, mark.start) for mark in self.marks(run, None, None, forsaken=now - _FORSAKEN)}
        due = [(DAY, start) for start in self._with_records(run, DAY, 0) if start + DAY <= over]
        today = max(newest // DAY * DAY, over // DAY * DAY)
        due += [(HOUR, start) for start in self._with_records(run, HOUR, today) if start + HOUR <= over]
        return [unit for unit in sorted(due, key=lambda unit: -unit[1]) if unit not in marked]

    def _with_records(self, run: Run, level: int, start: int) -> Iterator[int]:
        """The beginnings of units that have records."""
        while True:
            found = run("SELECT id FROM records WHERE id >= ? ORDER BY id LIMIT 1", (first_ulid(start // 1000),))[0]
            if not found:
                return
            unit = moment_of(found[0][0]) // level * level
            yield unit
            start = unit + level

    def _roll_up(self, run: Run, level: int, start: int) -> int:
        builder = new_ulid(time.time_ns() // 1_000_000, os.urandom(16))
        with self._transaction(run, self._dialect.begin):
            run("DELETE FROM rolled WHERE start = ? AND level = ? AND state = ?", (start, level, BUILDING))
            sql = "INSERT INTO rolled (start, level, state, hourly, builder) VALUES (?, ?, ?, 0, ?)"
            if not run(f"{sql} ON CONFLICT DO NOTHING", (start, level, BUILDING, builder))[1]:
                return 0  # somebody else was faster
            if self._dialect.barrier:
                run(self._dialect.barrier, ())
        adding = self._added(run, level, start, (first_ulid(start // 1000), first_ulid((start + level) // 1000)))
        hourly = adding.hourly()
        with self._transaction(run, self._dialect.begin):
            sql = "UPDATE rolled SET state = ?, hourly = ? WHERE start = ? AND level = ? AND state = ? AND builder = ?"
            if not run(sql, (ROLLED, hourly, start, level, BUILDING, builder))[1]:
                return 0  # a record was written meanwhile: next time
            self._forget_sums(run, level, start)
            if level == DAY:
                run("DELETE FROM rolled WHERE start >= ? AND start < ? AND level = ?", (start, start + DAY, HOUR))
            self._insert(run, adding.rows(hourly))
        return 1

    def _forget_sums(self, run: Run, level: int, start: int) -> None:
        for length in (DAY, HOUR) if level == DAY else (HOUR,):
            sql = "DELETE FROM sums WHERE kind = ? AND level = ? AND start >= ? AND start < ?"
            for kind in range(len(SETS)):
                run(sql, (kind, length, start, start + level))

    def _added(self, run: Run, level: int, start: int, ids: tuple[str, str]) -> Adding:
        """Adds up the records of a unit whose ids are in a range. Others have the interpreter between two pages."""
        adding = Adding(level, start)
        columns = f"time, CASE WHEN {BILLED} THEN 1 ELSE 0 END, {quoted(KEYS)}, latency_bucket, {_FIGURES}"
        first, end = ids
        while True:
            sql = f"SELECT id, {columns} FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT {_PAGE}"  # noqa: S608
            rows, _ = run(sql, (first, end))
            if rows:
                adding.add([row[1:] for row in rows])
            if len(rows) < _PAGE:
                return adding
            first = f"{rows[-1][0]}~"  # behind this one
            time.sleep(_PAUSE)

    def _insert(self, run: Run, rows: Iterable[tuple[Any, ...]]) -> None:
        values = f"({', '.join('?' * len(SUMS))})"
        left = iter(rows)
        while part := list(islice(left, _INSERTED)):
            sql = f"INSERT INTO sums ({quoted(SUMS)}) VALUES {', '.join([values] * len(part))}"  # noqa: S608  # our own names
            run(sql, list(chain.from_iterable(part)))

    # Retention

    def _delete_old(self, run: Run, before: int, stop: Callable[[], bool]) -> int:
        """Moves the records of days that ended before a moment into their sums, a slice at a time."""
        done, moved = 0, set()
        while not stop():
            found = run("SELECT id FROM records ORDER BY id LIMIT 1", ())[0]
            day = moment_of(found[0][0]) // DAY * DAY if found else before
            if day >= before:
                break
            self._move_slice(run, day, str(found[0][0]))
            moved.add(day)
            done += 1
        for day in moved:
            self._compact(run, day)
        return done

    def _move_slice(self, run: Run, day: int, first: str) -> None:
        end = first_ulid((day + DAY) // 1000)
        with self._transaction(run, self._dialect.begin_slice):
            sql = "SELECT id FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT 1 OFFSET ?"
            found = run(sql, (first, end, _SLICE))[0]
            ids = (first, str(found[0][0]) if found else end)
            groups = self._added(run, DAY, day, ids).rows(1)
            if not run("SELECT 1 FROM rolled WHERE start = ? AND level = ? AND state = ?", (day, DAY, KEPT))[0]:
                # The sums that are there are of records that are still there.
                self._forget_sums(run, DAY, day)
                run("DELETE FROM rolled WHERE start >= ? AND start < ?", (day, day + DAY))
                sql = "INSERT INTO rolled (start, level, state, hourly, builder) VALUES (?, ?, ?, 1, '')"
                run(sql, (day, DAY, KEPT))
            self._insert(run, self._after_those_there(run, groups, day))
            run("DELETE FROM records WHERE id >= ? AND id < ?", ids)

    def _after_those_there(self, run: Run, rows: Iterable[tuple[Any, ...]], day: int) -> list[tuple[Any, ...]]:
        """The rows with numbers that are free."""
        counts: Counter[tuple[int, int, int]] = Counter()
        sql = "SELECT start, max(n) + 1 FROM sums WHERE kind = ? AND level = ? AND start >= ? AND start < ?"
        for kind, level in _KEPT_UNITS:
            for start, most in run(f"{sql} GROUP BY start", (kind, level, day, day + DAY))[0]:
                counts[kind, level, int(start)] = int(most)
        found = []
        for row in rows:
            unit = (row[0], row[1], row[2])
            found.append((*unit, counts[unit], *row[4:]))
            counts[unit] += 1
        return found

    def _compact(self, run: Run, day: int) -> None:
        """Adds the slices of a day up."""
        with self._transaction(run, self._dialect.begin_slice):
            for kind, level in _KEPT_UNITS:
                names = SETS[kind]
                groups = ", ".join(str(place + 1) for place in range(len(names) + 2))
                unit = (kind, level, day, day + DAY)
                condition = "kind = ? AND level = ? AND start >= ? AND start < ?"
                rows, _ = run(
                    f"SELECT start, billed, {quoted(names)}, {self._dialect.texts()}, {FIGURES_SUMMED} "  # noqa: S608  # our own names
                    f"FROM sums WHERE {condition} GROUP BY {groups}",
                    unit,
                )
                added = list(_numbered(kind, level, rows))
                run(f"DELETE FROM sums WHERE {condition}", unit)  # noqa: S608  # our own names
                self._insert(run, added)

    # Deleting for good

    def forget(self, run: Run, ids: Sequence[str]) -> None:
        """Takes away the marks and the sums of the days of records that are about to be deleted."""
        days = {moment_of(one) // DAY * DAY for one in ids}
        for day in sorted(days):
            if not run("SELECT 1 FROM rolled WHERE start = ? AND level = ? AND state = ?", (day, DAY, KEPT))[0]:
                run("DELETE FROM rolled WHERE start >= ? AND start < ?", (day, day + DAY))
                self._forget_sums(run, DAY, day)

    def forget_kept(self, before: int | None, user: str | None) -> None:
        """Deletes what is left of deleted records; of one user only the name, as the sums of a day are of many."""
        with self._connected() as run, self._transaction(run, self._dialect.begin):
            where = "" if before is None else f" AND start <= {before - DAY}"
            days = [int(row[0]) for row in run(f"SELECT start FROM rolled WHERE state = {KEPT}{where}", ())[0]]  # noqa: S608  # numbers only
            for day in days:
                if user is None:
                    self._forget_sums(run, DAY, day)
                    run("DELETE FROM rolled WHERE start = ? AND level = ?", (day, DAY))
                    continue
                for kind, names in enumerate(SETS):
                    if "user" in names:
                        sql = 'UPDATE sums SET "user" = NULL WHERE kind = ? AND level = ? AND start = ? AND "user" = ?'
                        run(sql, (kind, DAY, day, user))

    # Reading

    @staticmethod
    def marks(run: Run, start: int | None, end: int | None, *, forsaken: int | None = None) -> list[Mark]:
        """The marks of the units that may be in a report's time.

        Args:
            run: reads.
            start: the first microsecond of the report; None from the beginning.
            end: the first microsecond after it.
            forsaken: with it, marks that are being built since before this moment are left out.
        """
        sql = "SELECT level, start, state, hourly, builder FROM rolled WHERE start >= ? AND start < ?"
        least = -1 if start is None else start - DAY
        rows, _ = run(sql, (least, (1 << 62) if end is None else end))
        oldest = "" if forsaken is None else first_ulid(forsaken // 1000)
        return [
            Mark(int(level), int(begin), int(state), int(hourly))
            for level, begin, state, hourly, builder in rows
            if state != BUILDING or builder >= oldest
        ]

    @contextmanager
    def _transaction(self, run: Run, begin: str) -> Iterator[None]:
        run(begin, ())
        try:
            yield
        except BaseException:
            run("ROLLBACK", ())
            raise
        run("COMMIT", ())


def marks_taken(hours: Sequence[int]) -> str:
    """The statement that takes away the marks of units in which records were written."""
    units = sorted({*hours, *(hour // DAY * DAY for hour in hours)})
    return f"DELETE FROM rolled WHERE start IN ({', '.join(map(str, units))}) AND state <> {KEPT}"  # noqa: S608  # numbers only


def _numbered(kind: int, level: int, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    """Turns groups into rows of ``sums``."""
    counts: Counter[int] = Counter()
    names = SETS[kind]
    places = [names.index(name) if name in names else None for name in KEYS]
    for start, billed, *rest in rows:
        key, (singles, runs, *figures) = rest[: len(names)], rest[len(names) :]
        texts = written(counted(singles or "", runs or ""))
        values = [None if place is None else key[place] for place in places]
        sums = [None if figure is None else int(figure) for figure in figures]
        yield (kind, level, int(start), counts[start], int(billed), *values, *texts, *sums)
        counts[start] += 1
