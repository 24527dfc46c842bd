"""Rows in and out: Parquet, CSV, JSON lines, DataFrames, any iterable of mappings."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import BadRequestError, ConfigurationError

FORMATS = (".parquet", ".csv", ".jsonl")


def read_rows(rows: Any) -> Iterable[Mapping[str, Any]]:
    """The rows of a file, a DataFrame or an iterable. Blocks.

    Raises:
        BadRequestError: they are none of these, or the file is of another kind.
        ConfigurationError: Parquet needs pyarrow.
    """
    if isinstance(rows, (str, Path)):
        return _read_file(Path(rows))
    if hasattr(rows, "to_dicts"):  # polars
        return rows.to_dicts()  # type: ignore[no-any-return]
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):  # pandas
        return rows.to_dict("records")  # type: ignore[no-any-return]
    if hasattr(rows, "to_pylist"):  # pyarrow
        return rows.to_pylist()  # type: ignore[no-any-return]
    if isinstance(rows, (bytes, Mapping)) or not isinstance(rows, Iterable):
        raise BadRequestError("rows must be a path, a DataFrame, or an iterable of mappings from column to value")
    return rows


def _read_file(path: Path) -> Sequence[Mapping[str, Any]]:
    if path.suffix not in FORMATS:
        raise BadRequestError(f"{path.name}: rows are read from {', '.join(FORMATS)}")
    try:
        if path.suffix == ".parquet":
            table = _pyarrow().read_table(path)
            found: Sequence[Mapping[str, Any]] = table.to_pylist()
            return found
        with path.open(encoding="utf-8", newline="") as file:
            if path.suffix == ".csv":
                return list(csv.DictReader(file))
            return [json.loads(line) for line in file if line.strip()]
    except (OSError, ValueError) as error:
        raise BadRequestError(f"{path}: the rows cannot be read: {error}") from None


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows to a file of the kind that its name says. Blocks.

    Raises:
        BadRequestError: a kind that is not known.
        ConfigurationError: Parquet needs pyarrow.
    """
    if path.suffix not in FORMATS:
        raise BadRequestError(f"{path.name}: rows are written to {', '.join(FORMATS)}")
    if path.suffix == ".parquet":
        import_parquet = _pyarrow()
        import pyarrow

        import_parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows]), path)
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            columns = list(dict.fromkeys(name for row in rows for name in row))
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps(dict(row), ensure_ascii=False, default=str) + "\n" for row in rows)


def _pyarrow() -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        raise ConfigurationError("Parquet needs pyarrow: python -m pip install 'asyncllm-client[parquet]'") from None
    return parquet
