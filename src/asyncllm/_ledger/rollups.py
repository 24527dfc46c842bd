"""Roll-ups: the sums of whole hours and days, so that a report need not read every record.

Theory. A *unit* is an hour or a day in UTC that is over. Rolling a unit up adds its records by the sets of dimensions
in `SETS` and writes one row for each group into the table ``sums``; a row of the table ``rolled`` is the unit's mark.
A report takes the sums of units that have a mark, and reads records for the rest of its time. So its answer is always
the answer from the records:

- Who writes, changes or deletes a record takes the mark of its hour and of its day away, in the same transaction. A
  unit without a mark counts as if it had never been rolled up.
- Nothing is added to a call: records are rolled up after the hour, by a thread of their own.
- Where no set has all dimensions that a report asks for (or its zone has quarters of an hour), records are read.

The states of a mark: ``BUILDING`` means that somebody is at it, and the sums do not count yet. ``ROLLED`` means that
the sums stand for the records. ``KEPT`` means that the records are deleted and the sums are what is left of them: a
record that comes late to such a day is read besides.

A day has the sums of all sets, and of some by the hour as well, for zones other than UTC; its mark says of which. Hours
are rolled up by themselves only on the last day.

A latency is a letter: its bucket plus `FIRST_LETTER`. The latencies of a group are a text of such letters; one that
occurs three times or more stands in a second text, followed by a letter for how often. A database joins such texts,
and one `Counter` counts them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from types import MappingProxyType
from typing import Any, NamedTuple

from .columns import DIMENSIONS, TOKENS, UNBILLED
from .units import MICROSECONDS

HOUR, DAY = 3_600 * MICROSECONDS, 86_400 * MICROSECONDS
BUILDING, ROLLED, KEPT = 0, 1, 2
FIRST_LETTER = 32
_MOST_REPEATED = 50_000  # what a letter can say, below the surrogates
_SHORTEST_RUN = 3
_WORTH_IT = 3  # as many records as groups

SETS: tuple[tuple[str, ...], ...] = (
    (
        "operation",
        "provider",
        "deployment",
        "model",
        "requested_model",
        "status",
        "error",
        "service_tier",
        "cost_source",
        "unpriced_reason",
        "variant",
    ),
    ("agent",),
    ("tags",),
    ("user",),
    ("provider", "model", "agent"),
    ("provider", "model", "tags"),
    ("provider", "model", "user"),
    ("agent", "tags"),
    ("user", "agent"),
    ("user", "tags"),
)
"""What units are summed by. A report takes the first set that has all it needs: those with few groups come first."""
BY_HOUR = (0, 4, 5)
"""Sets that days have by the hour as well, where that makes far fewer groups than there are records; the first one
always.
"""
_FROM = MappingProxyType({1: 4, 2: 5, 3: 6})
"""Sets that are added up from the groups of another one."""

KEYS = tuple(name for name in (*DIMENSIONS, "tags") if any(name in one for one in SETS))
"""All dimensions of all sets, in the order of the table's columns."""

_UNBILLED = ", ".join(f"'{name}'" for name in UNBILLED)
BILLED = f"(operation NOT IN ({_UNBILLED}) OR cost IS NULL OR cost <> 0)"
"""Whether a record generates something, or costs something."""

FAILED = ("error", "interrupted", "unknown")
_FAILED = ", ".join(f"'{status}'" for status in FAILED)
FIGURES: Mapping[str, str] = MappingProxyType(
    {
        "latency": "CASE WHEN latency_bucket IS NOT NULL THEN latency END",
        "requests": "1",
        "calls": "CASE WHEN attempt = 1 THEN 1 ELSE 0 END",
        "failures": f"CASE WHEN status IN ({_FAILED}) THEN 1 ELSE 0 END",
        "unpriced": "CASE WHEN cost IS NULL THEN 1 ELSE 0 END",
        "cost": "cost",
        "saved": "saved",
        "retry_cost": "CASE WHEN attempt > 1 AND model = requested_model THEN cost END",
        "fallback_cost": "CASE WHEN attempt > 1 AND model <> requested_model THEN cost END",
        "rated": "CASE WHEN score IS NOT NULL THEN 1 ELSE 0 END",
        "score": "score",
        **{name: name for name in TOKENS},
    }
)
"""What is summed: the column of the sums, and its value for one record."""


def letter_of(bucket: int) -> str:
    """The letter of a latency bucket."""
    return chr(bucket + FIRST_LETTER)


def counted(singles: str, runs: str) -> Counter[int]:
    """Returns how often each latency bucket occurs in two texts."""
    letters = dict(Counter(singles))
    known = letters.get
    for letter, times in zip(runs[::2], map(ord, runs[1::2]), strict=True):
        letters[letter] = known(letter, 0) + times - FIRST_LETTER
    return Counter({ord(letter) - FIRST_LETTER: times for letter, times in letters.items()})


def written(buckets: Counter[int]) -> tuple[str | None, str | None]:
    """Returns latency buckets as two texts, None where a text is empty."""
    singles, runs = [], []
    for bucket, times in sorted(buckets.items()):
        letter = letter_of(bucket)
        if times < _SHORTEST_RUN:
            singles.append(letter * times)
            continue
        while times:
            part = min(times, _MOST_REPEATED)
            runs.append(letter + chr(part + FIRST_LETTER))
            times -= part
    return "".join(singles) or None, "".join(runs) or None


class Adding:
    """Adds the records of a unit up, by all sets, page by page.

    It works on columns: a loop over the values of one column costs a tenth of what a database needs to sort a row.

    Args:
        level: of the unit.
        start: when it begins.
    """

    def __init__(self, level: int, start: int) -> None:
        self._level, self._start = level, start
        self._records = 0
        self._sets = [
            (kind, HOUR if kind in BY_HOUR else level, _Groups()) for kind in range(len(SETS)) if kind not in _FROM
        ]

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Adds records: each has its time, whether it is `BILLED`, `KEYS`, its latency bucket, and `FIGURES`."""
        time, billed, *rest = zip(*rows, strict=True)
        keys = dict(zip(KEYS, rest, strict=False))
        buckets, figures = rest[len(KEYS)], rest[len(KEYS) + 1 :]
        known = [(place, column) for place, column in enumerate(figures) if any(value is not None for value in column)]
        hours = self._hours(time)
        self._records += len(rows)
        for kind, level, groups in self._sets:
            starts = hours if level < self._level else repeat(self._start)
            groups.add(zip(starts, billed, *(keys[name] for name in SETS[kind]), strict=False), buckets, known)

    def _hours(self, times: Sequence[int]) -> list[int]:
        """The hours of records. A time may be some milliseconds beside the id, and so beside the unit."""
        last = self._start + self._level - HOUR
        return [min(max(time // HOUR * HOUR, self._start), last) for time in times]

    def hourly(self) -> int:
        """The sets that are worth keeping by the hour, as bits."""
        found = 1
        for kind, level, groups in self._sets:
            if level < self._level and len(groups) * _WORTH_IT <= self._records:
                found |= 1 << kind
        return found

    def rows(self, hourly: int) -> Iterator[tuple[Any, ...]]:
        """The rows of ``sums``, by the hour for the given sets only."""
        whole: dict[int, _Groups] = {}
        for kind, level, groups in self._sets:
            if level < self._level and hourly >> kind & 1:
                yield from groups.rows(kind, level)
            names = SETS[kind]
            whole[kind] = groups if level == self._level else groups.fewer(range(len(names)), self._start)
        for kind, other in _FROM.items():
            whole[kind] = whole[other].fewer([SETS[other].index(name) for name in SETS[kind]], self._start)
        for kind, groups in whole.items():
            yield from groups.rows(kind, self._level)


class _Groups:
    """The groups of one set."""

    def __init__(self) -> None:
        self._index: dict[tuple[Any, ...], int] = {}
        self._letters: list[list[str]] = []
        self._figures: list[list[int | None]] = [[] for _ in FIGURES]

    def __len__(self) -> int:
        return len(self._index)

    def add(
        self,
        keys: Iterable[tuple[Any, ...]],
        buckets: Sequence[int | None],
        figures: Sequence[tuple[int, Sequence[int | None]]],
    ) -> None:
        index, letters = self._index, self._letters
        groups = [index.setdefault(key, len(index)) for key in keys]
        new = len(index) - len(letters)
        letters += [[] for _ in range(new)]
        for sums in self._figures:
            sums += [None] * new
        for group, bucket in zip(groups, buckets, strict=True):
            if bucket is not None:
                letters[group].append(chr(bucket + FIRST_LETTER))
        for place, column in figures:
            sums = self._figures[place]
            for group, value in zip(groups, column, strict=True):
                if value is not None:
                    sums[group] = value + (sums[group] or 0)

    def fewer(self, places: Iterable[int], start: int) -> _Groups:
        """The same records by fewer dimensions, and without their hours."""
        found, chosen = _Groups(), list(places)
        for (_, billed, *key), group in self._index.items():
            new = found._index.setdefault((start, billed, *(key[place] for place in chosen)), len(found._index))
            if new == len(found._letters):
                found._letters.append([])
                for sums in found._figures:
                    sums.append(None)
            found._letters[new] += self._letters[group]
            for mine, sums in zip(self._figures, found._figures, strict=True):
                value = mine[group]
                if value is not None:
                    sums[new] = value + (sums[new] or 0)
        return found

    def rows(self, kind: int, level: int) -> Iterator[tuple[Any, ...]]:
        """The rows of ``sums``."""
        names = SETS[kind]
        places = [names.index(name) if name in names else None for name in KEYS]
        numbers: Counter[int] = Counter()
        for (start, billed, *key), group in self._index.items():
            values = [None if place is None else key[place] for place in places]
            texts = written(counted("".join(self._letters[group]), ""))
            yield (
                kind,
                level,
                start,
                numbers[start],
                billed,
                *values,
                *texts,
                *(sums[group] for sums in self._figures),
            )
            numbers[start] += 1


def set_for(needed: Iterable[str], *, by_hour: bool = False) -> int | None:
    """The first set that has all of these dimensions, or None.

    Args:
        needed: the dimensions.
        by_hour: a set that days have by the hour as well goes before one that they have not.
    """
    wanted = frozenset(needed)
    fitting = [place for place, names in enumerate(SETS) if wanted <= frozenset(names)]
    hourly = [place for place in fitting if place in BY_HOUR] if by_hour else []
    return next(iter([*hourly, *fitting]), None)


def nearest_set(needed: Iterable[str], required: Iterable[str]) -> int | None:
    """The set with the most of these dimensions that has all that are required, for days whose records are gone."""
    wanted, must = frozenset(needed), frozenset(required)
    fitting = [place for place, names in enumerate(SETS) if must <= frozenset(names)]
    return max(fitting, key=lambda place: (len(wanted & frozenset(SETS[place])), -place), default=None)


class Mark(NamedTuple):
    """The mark of a unit: its length, when it begins, its state, and the sets that a day has by the hour, as bits."""

    level: int
    start: int
    state: int
    hourly: int = 1

    @property
    def end(self) -> int:
        """The first microsecond after it."""
        return self.start + self.level


class Piece(NamedTuple):
    """A part of a report's time. Level 0 means that its records are read; None is an open end."""

    level: int
    start: int | None
    end: int | None
    kept: bool = False


def pieces(marks: Iterable[Mark], start: int | None, end: int | None, *, step: int, kind: int | None) -> list[Piece]:
    """Divides the time of a report into sums that there are and records that must be read.

    Args:
        marks: of all units that may be in it.
        start: the first microsecond; None from the beginning.
        end: the first microsecond after it; None without an end.
        step: how fine the report's pieces of time are.
        kind: the set that has what the report asks for; None where no set has it.

    Returns:
        Disjoint pieces whose records are in no other piece. Kept days are pieces of sums besides: their records, if
        any came late, are in a piece of records.
    """
    days = {mark.start: mark for mark in marks if mark.level == DAY and mark.state != BUILDING}
    units: list[Piece] = []
    kept: list[Piece] = []
    for mark in sorted(days.values()):
        found = _part(mark, start, end, step, hourly=kind is not None and bool(mark.hourly >> kind & 1))
        if mark.state == KEPT:
            kept += [] if found is None else [found]
        elif found is not None and kind is not None and step >= HOUR:
            units.append(found)
    if kind is not None and step >= HOUR:
        for mark in marks:
            if mark.level == HOUR and mark.state == ROLLED and mark.start // DAY * DAY not in days:
                found = _part(mark, start, end, step, hourly=True)
                units += [] if found is None else [found]
    units.sort(key=lambda piece: piece.start or 0)
    return [*_with_gaps(units, start, end), *_joined(kept)]


def _part(mark: Mark, start: int | None, end: int | None, step: int, *, hourly: bool) -> Piece | None:
    """Returns what a report takes of a unit: all of it, some of its hours, or nothing."""
    gone = mark.state == KEPT
    whole = (start is None or start <= mark.start) and (end is None or mark.end <= end)
    if mark.level == HOUR:
        return Piece(HOUR, mark.start, mark.end) if whole else None
    if whole and (step >= DAY or (gone and not hourly)):
        return Piece(DAY, mark.start, mark.end, gone)
    if hourly:
        first = mark.start if start is None else max(mark.start, -(-start // HOUR) * HOUR)
        last = mark.end if end is None else min(mark.end, (-(-end // HOUR) if gone else end // HOUR) * HOUR)
        return Piece(HOUR, first, last, gone) if first < last else None
    begins_inside = (start is None or start <= mark.start) and (end is None or mark.start < end)
    return Piece(DAY, mark.start, mark.end, True) if gone and begins_inside else None


def _with_gaps(units: Sequence[Piece], start: int | None, end: int | None) -> Iterator[Piece]:
    at = start
    for unit in _joined(units):
        if at is None or (unit.start or 0) > at:
            yield Piece(0, at, unit.start)
        yield unit
        at = unit.end
    if end is None or at is None or at < end:
        yield Piece(0, at, end)


def _joined(units: Sequence[Piece]) -> Iterator[Piece]:
    """Joins units of one level that follow each other."""
    last: Piece | None = None
    for unit in units:
        if last is not None and last.level == unit.level and last.end == unit.start:
            last = last._replace(end=unit.end)
            continue
        if last is not None:
            yield last
        last = unit
    if last is not None:
        yield last
