"""Rows in and out: files of three kinds, DataFrames, iterables; prompts from templates; batches of pipelines."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from asyncllm._bulk_job import key_of, prompt_of
from asyncllm._row_files import columns_of, is_missing, read_rows, with_columns, write_rows
from asyncllm.errors import BadRequestError

ROWS = [{"id": "r0", "text": "a"}, {"id": "r1", "text": None}]
ADDED = {"answer": ["yes", None], "error": [None, None]}


def frame_of(kind: str, rows: list[dict[str, Any]]) -> Any:
    if kind == "pandas":
        return pytest.importorskip("pandas").DataFrame(rows)
    if kind in ("polars", "lazy"):
        frame = pytest.importorskip("polars").DataFrame(rows)
        return frame.lazy() if kind == "lazy" else frame
    return pytest.importorskip("pyarrow").Table.from_pylist(rows)


@pytest.mark.parametrize("kind", ["pandas", "polars", "lazy", "arrow"])
def test_frames_give_their_rows(kind: str) -> None:
    """A cell that is missing is None in every kind of frame."""
    assert ROWS == [dict(row) for row in read_rows(frame_of(kind, ROWS))]


def test_missing_numbers_of_pandas_are_none() -> None:
    """NaN, NA and NaT are no values; what else the columns hold stays as it is."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "n": [1.5, math.nan],
            "whole": pandas.array([7, None], dtype="Int64"),
            "day": [pandas.Timestamp("2026-11-29"), pandas.NaT],
            "list": [["a"], ["b"]],
        }
    )
    first, second = read_rows(frame)
    assert (1.5, 7, ["a"]) == (first["n"], first["whole"], first["list"])
    assert [None, None, None, ["b"]] == list(second.values())
    assert all(map(is_missing, [None, math.nan, pandas.NA, pandas.NaT]))
    assert not any(map(is_missing, ["", 0, False, [], "nan"]))


@pytest.mark.parametrize("kind", ["mapping", "pandas", "polars", "arrow"])
def test_a_batch_comes_back_as_what_it_was(kind: str) -> None:
    """Columns are added to mappings, frames and tables."""
    batch = {"id": ["r0", "r1"], "text": ["a", None]} if kind == "mapping" else frame_of(kind, ROWS)
    assert ["r0", "r1"] == columns_of(batch)["id"]
    found = with_columns(batch, ADDED)
    assert type(batch) is type(found)
    assert ["id", "text", "answer", "error"] == list(columns_of(found))
    assert ["yes", None] == [None if is_missing(value) else value for value in columns_of(found)["answer"]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "\ufeffid,text\r\nr0,a\r\nr1,\r\n"),
        ("A.CSV", 'id,text\nr0,"a"\nr1,\n'),
        ("a.jsonl", '{"id": "r0", "text": "a"}\n\n{"id": "r1", "text": ""}\n'),
        ("a.ndjson", '\ufeff{"id": "r0", "text": "a"}\n{"id": "r1", "text": ""}'),
    ],
)
def test_files_as_other_programs_write_them(tmp_path: Path, name: str, text: str) -> None:
    """A mark of the byte order, capitals in the name, line ends of either kind and blank lines do not matter."""
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    assert [{"id": "r0", "text": "a"}, {"id": "r1", "text": ""}] == [dict(row) for row in read_rows(tmp_path / name)]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.csv", "id,text\nr0,a,b\n", "line 2 has more values"),
        ("a.csv", f"id,text\nr0,{'x' * 200_000}\n", "field larger than"),
        ("a.csv", 'id,text\nr0,"a\n', "unexpected end"),
        ("a.jsonl", "[1]\n", "line 1 is no JSON object"),
        ("a.jsonl", "{", "cannot be read"),
        ("a.parquet", "no parquet", "cannot be read"),
        ("a.xlsx", "", "are read from"),
        ("missing/a.csv", None, "No such file"),
    ],
)
def test_files_that_cannot_be_read_say_why(tmp_path: Path, name: str, text: str | None, sentence: str) -> None:
    """Never an exception of another library."""
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(BadRequestError, match=sentence):
        read_rows(tmp_path / name)


@pytest.mark.parametrize("rows", [["text"], [1], [["id", "r0"]], [{"id": "r0"}, None]])
def test_a_row_must_be_a_mapping(rows: list[Any]) -> None:
    """The sentence says which one is not, also for rows that are read one by one."""
    with pytest.raises(BadRequestError, match=f"row {len(rows) - 1} is a "):
        read_rows(rows)
    with pytest.raises(BadRequestError, match=f"row {len(rows) - 1} is a "):
        list(read_rows(iter(rows)))


def test_what_a_kind_of_file_cannot_hold_is_told(tmp_path: Path) -> None:
    """CSV holds lists and mappings as JSON; Parquet refuses a column of two types."""
    write_rows(tmp_path / "a.csv", [{"id": "r0", "tags": ["a", "b"]}])
    assert 'r0,"[""a"", ""b""]"' in (tmp_path / "a.csv").read_text(encoding="utf-8")
    pytest.importorskip("pyarrow")
    with pytest.raises(BadRequestError, match="cannot be written"):
        write_rows(tmp_path / "a.parquet", [{"id": "r0"}, {"id": 1}])
    with pytest.raises(BadRequestError, match="cannot be written"):
        write_rows(tmp_path / "no" / "a.csv", [{"id": "r0"}])


@pytest.mark.parametrize(
    ("prompt", "row", "said"),
    [
        ("{text}", {"text": "a {b}"}, "a {b}"),
        ("Is {review.text} {stars:.1f}?", {"review.text": "fine", "stars": 4}, "Is fine 4.0?"),
        ('Say {{"a": 1}}: {text!r}', {"text": "x"}, "Say {\"a\": 1}: 'x'"),
        ("no column", {}, "no column"),
        ("{the text}", {"the text": 0}, "0"),
    ],
)
def test_prompts_with_columns(prompt: str, row: dict[str, Any], said: str) -> None:
    """Any name of a column may stand in braces, with a format."""
    assert said == prompt_of(prompt)(row)


@pytest.mark.parametrize(
    ("prompt", "row", "sentence"),
    [
        ("{text", {}, "prompt cannot be read"),
        ("a } b", {}, "for a brace that is text, write two"),
        ('{"a": {text}}', {"text": "x"}, "write two"),
        ("{text}", {"text": None}, "no value in the column 'text'"),
        ("{text}", {"text": math.nan}, "no value in the column 'text'"),
        ("{n:d}", {"n": "x"}, "cannot be written as the prompt says"),
    ],
)
def test_prompts_that_cannot_be_filled(prompt: str, row: dict[str, Any], sentence: str) -> None:
    """Nothing is asked about an empty cell."""
    with pytest.raises(BadRequestError, match=sentence):
        prompt_of(prompt)(row)


def test_a_key_must_be_there() -> None:
    """An empty cell is no key: all rows without one would share an answer."""
    for value in (None, math.nan):
        with pytest.raises(BadRequestError, match="no value in the column 'id'"):
            key_of("id")({"id": value})
    assert "7" == key_of("id")({"id": 7})
