"""Exports as CSV: the same bytes that the standard library's writer makes, whatever the columns hold."""

from __future__ import annotations

import csv
import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from asyncllm._ledger.columns import COLUMNS, Column
from asyncllm._ledger.export import _DIGITS, _PLACES, _csv_lines, harmless, scaled
from asyncllm._ledger.units import to_moment

TEXTS = st.sampled_from(["a", "b", "=1", "x,y", 'q"q', "l\nm", "\r", "  +3", "", "é'", "\tz", " - ", "@", "－1"])


def values(column: Column) -> st.SearchStrategy[Any]:
    """What a column may hold."""
    found: st.SearchStrategy[Any] = st.integers(0, 4 * 10**15)
    if column.form in ("word", "text", "json"):
        found = TEXTS
    elif column.form == "money":
        found = st.integers(-(10**15), 10**15)
    elif column.form == "flag":
        found = st.sampled_from([0, 1])
    return st.none() | found if column.null else found


@st.composite
def pages(draw: st.DrawFn) -> list[list[Any]]:
    """Some rows; a column says the same in all of them, or something else in each."""
    count = draw(st.integers(1, 4))
    columns = []
    for column in COLUMNS:
        one = values(column)
        if draw(st.booleans()):
            columns.append([draw(one)] * count)
        else:
            columns.append([draw(one) for _ in range(count)])
    return [list(row) for row in zip(*columns, strict=True)]


def plainly(page: list[list[Any]]) -> str:
    """The lines, made row by row by the standard library."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    for row in page:
        cells: list[Any] = []
        for place, column in _PLACES:
            value = row[place]
            if value is None:
                cells.append(None)
            elif column.form == "moment":
                cells.append(to_moment(value).isoformat())
            elif column.form in _DIGITS:
                cells.append(scaled(value, _DIGITS[column.form]))
            else:
                cells.append(harmless(value) if column.form in ("text", "json") else value)
        writer.writerow(cells)
    return file.getvalue()


@given(pages())
def test_a_page_is_written_as_the_standard_library_writes_it(page: list[list[Any]]) -> None:
    """Quotes, ends of lines, formulas, empty cells, negative amounts, and pages of one row."""
    assert plainly(page) == _csv_lines(page)


@given(st.integers(-(10**12), 10**12))
def test_amounts_are_exact(amount: int) -> None:
    """An integer with its places is the same number."""
    whole, _, part = scaled(amount, 9).partition(".")
    assert 9 == len(part)
    assert amount == int(whole + part)
