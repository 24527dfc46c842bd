"""asyncllm export: the records of a ledger as CSV, JSON lines or Parquet, for spreadsheets and data frames."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..errors import ConfigurationError
from . import interrupt
from .ledgers import Span, add_source, add_span, open_ledger, span_of, with_progress

if TYPE_CHECKING:
    from .._ledger.ledger import Ledger

EXAMPLES = (
    "asyncllm export november.csv --since 2026-11-01 --until 2026-11-30",
    "asyncllm export all.parquet --since all --database postgresql://host/ledger",
    "asyncllm export - --format jsonl --where user=ann | jq .cost",
)
_FORMS = ("csv", "jsonl", "parquet")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``asyncllm export``."""
    parser.add_argument("file", help="where to write; '-' for stdout")
    parser.add_argument("--format", choices=_FORMS, help="the format (default: by the file's name)")
    add_span(parser, "30d")
    add_source(parser)


def run(arguments: argparse.Namespace) -> int:
    """Writes the file, and says how many records are in it."""
    form = arguments.format or Path(arguments.file).suffix.lstrip(".")
    if form not in _FORMS:
        raise ConfigurationError("say the format: --format csv, jsonl or parquet, or a file name that ends so")
    if arguments.file == "-" and form == "parquet":
        raise ConfigurationError("Parquet cannot be written to stdout; name a file")
    count = interrupt.run(_export(open_ledger(arguments), span_of(arguments), form, arguments.file))
    print(f"{count:,} records", file=sys.stderr)
    return 0


async def _export(ledger: Ledger, span: Span, form: str, file: str) -> int:
    write = {"csv": ledger.export_csv, "jsonl": ledger.export_jsonl, "parquet": ledger.export_parquet}[form]
    try:
        if file == "-":
            return await _print(ledger, span, "csv" if form == "csv" else "jsonl")
        return await with_progress(write(file, span.start, span.end, where=span.where), f"writing {file}")
    finally:
        await ledger.aclose()


async def _print(ledger: Ledger, span: Span, form: Literal["csv", "jsonl"]) -> int:
    """Writes to stdout, page by page."""
    count = 0
    async for text, records in ledger.lines(form, span.start, span.end, where=span.where):
        sys.stdout.write(text)
        count += records
    return count
