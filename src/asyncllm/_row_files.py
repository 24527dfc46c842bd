"""Rows in and out: Parquet, CSV, JSON lines, DataFrames, any iterable of mappings."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import BadRequestError, ConfigurationError

FORMATS = (".parquet", ".csv", ".jsonl")


def read_rows(rows: Any) -> Iterable[Mapping[str, Any]]:
    """The rows of a file, a DataFrame or an iterable. A value that is missing is None. Blocks.

    Raises:
        BadRequestError: they are none of these, the file is of another kind, or a row is no mapping.
        ConfigurationError: Parquet needs pyarrow.
    """
    if isinstance(rows, (str, os.PathLike)):
        return _read_file(Path(rows))
    if hasattr(rows, "collect") and not hasattr(rows, "to_pylist"):  # a lazy frame of Polars
        rows = rows.collect()
    if hasattr(rows, "to_dicts"):  # Polars
        return rows.to_dicts()  # type: ignore[no-any-return]
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):  # pandas
        return rows.astype(object).where(rows.notna(), None).to_dict("records")  # type: ignore[no-any-return]
    if hasattr(rows, "to_pylist"):  # Arrow, Daft
        return rows.to_pylist()  # type: ignore[no-any-return]
    if isinstance(rows, (bytes, Mapping)) or not isinstance(rows, Iterable):
        raise BadRequestError(
            "rows must be a path, a DataFrame, or an iterable of mappings from column to value, not "
            f"{type(rows).__name__}"
        )
    if isinstance(rows, Collection):
        return [_row(number, row) for number, row in enumerate(rows)]
    return (_row(number, row) for number, row in enumerate(rows))


def _row(number: int, row: Any) -> Mapping[str, Any]:
    if not isinstance(row, Mapping):
        raise BadRequestError(f"row {number} is a {type(row).__name__}, not a mapping from column to value")
    return row


def is_missing(value: Any) -> bool:
    """Whether a cell is empty: None, NaN, or the marks that pandas has for that."""
    if isinstance(value, float):
        return value != value  # NaN
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def columns_of(batch: Any) -> dict[str, list[Any]]:
    """The columns of a batch of rows, with plain Python values.

    Args:
        batch: a mapping from column to values, a pandas or Polars DataFrame, or an Arrow table.

    Raises:
        BadRequestError: it is none of these.
    """
    if hasattr(batch, "to_pydict"):  # Arrow
        found: dict[str, list[Any]] = batch.to_pydict()
        return found
    if isinstance(batch, Mapping) or hasattr(batch, "items"):  # pandas
        return {name: _plain(values) for name, values in batch.items()}
    if hasattr(batch, "get_columns"):  # Polars
        return {column.name: column.to_list() for column in batch.get_columns()}
    raise BadRequestError("a batch must be a mapping from column to values, a DataFrame or an Arrow table")


def with_columns(batch: Any, added: Mapping[str, list[Any]]) -> Any:
    """A batch of rows with further columns, of the same kind as the batch."""
    if hasattr(batch, "append_column"):  # Arrow
        for name, values in added.items():
            batch = batch.append_column(name, [values])
        return batch
    if hasattr(batch, "assign"):  # pandas
        return batch.assign(**added)
    if hasattr(batch, "hstack"):  # Polars
        return batch.hstack(type(batch)(added))
    return {**{name: _plain(values) for name, values in batch.items()}, **added}


def _plain(values: Any) -> list[Any]:
    """A column as Python values; Ray gives NumPy arrays."""
    found: list[Any] = values.tolist() if hasattr(values, "tolist") else list(values)
    return found


def kind_of(path: Path, does: str) -> str:
    """The kind of a file, by its name.

    Args:
        path: of the file.
        does: what is done, for the error: ``"read from"`` or ``"written to"``.

    Raises:
        BadRequestError: a kind that is not known.
    """
    suffix = path.suffix.lower()
    suffix = ".jsonl" if suffix == ".ndjson" else suffix
    if suffix not in FORMATS:
        raise BadRequestError(f"{path.name}: rows are {does} {', '.join(FORMATS)}")
    return suffix


def _read_file(path: Path) -> Sequence[Mapping[str, Any]]:
    kind = kind_of(path, "read from")
    try:
        if kind == ".parquet":
            table = _pyarrow().read_table(path)
            found: Sequence[Mapping[str, Any]] = table.to_pylist()
            return found
        with path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets write a mark of the byte order
            return _read_csv(path, file) if kind == ".csv" else _read_json_lines(file)
    except (OSError, ValueError, csv.Error) as error:
        raise BadRequestError(f"{path}: the rows cannot be read: {error}") from None


def _read_csv(path: Path, file: Iterable[str]) -> list[Mapping[str, Any]]:
    reader = csv.DictReader(file, strict=True)
    rows: list[Mapping[str, Any]] = []
    for row in reader:
        if None in row:
            raise BadRequestError(f"{path}: line {reader.line_num} has more values than the first line has names")
        rows.append(row)
    return rows


def _read_json_lines(file: Iterable[str]) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    for number, line in enumerate(file, 1):
        if line.strip():
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is no JSON object")
            rows.append(row)
    return rows


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows to a file of the kind that its name says. Blocks.

    Raises:
        BadRequestError: a kind that is not known, or a file that cannot be written.
        ConfigurationError: Parquet needs pyarrow.
    """
    kind = kind_of(path, "written to")
    try:
        if kind == ".parquet":
            import_parquet = _pyarrow()
            import pyarrow

            import_parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows]), path)
            return
        with path.open("w", encoding="utf-8", newline="") as file:
            if kind == ".csv":
                columns = list(dict.fromkeys(name for row in rows for name in row))
                writer = csv.DictWriter(file, columns)
                writer.writeheader()
                writer.writerows([{name: _cell(value) for name, value in row.items()} for row in rows])
            else:
                file.writelines(json.dumps(dict(row), ensure_ascii=False, default=str) + "\n" for row in rows)
    except (OSError, ValueError, TypeError) as error:
        raise BadRequestError(f"{path}: the rows cannot be written: {error}") from None


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (dict, list)) else value


def _pyarrow() -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        raise ConfigurationError("Parquet needs pyarrow: python -m pip install 'asyncllm-client[parquet]'") from None
    return parquet
