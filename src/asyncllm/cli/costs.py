"""asyncllm costs: what calls cost, from the ledger, by provider, model, day or whatever else they have in common."""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from . import interrupt
from .opening import usual_config

if TYPE_CHECKING:
    from .._ledger.ledger import Ledger
    from .._ledger.reports import ReportRow

USUAL_BY = "provider,model"
USUAL_SINCE = "30d"
_UNITS: Mapping[str, timedelta] = MappingProxyType(
    {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
)
_BAR = 24
_EIGHTHS = " ▏▎▍▌▋▊▉"
_NUMBERS = ("requests", "failures", "unpriced", "input_tokens", "output_tokens")
_HEADS = ("requests", "failed", "unpriced", "input", "output", "cost", "p50", "p95", "")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``asyncllm costs``."""
    parser.add_argument(
        "--by",
        default=USUAL_BY,
        metavar="WORDS",
        help="what to group by, with commas: provider, model, session, user, agent, tag, tag:NAME, day, hour, status "
        f"({USUAL_BY})",
    )
    parser.add_argument(
        "--since",
        type=_since,
        default=USUAL_SINCE,
        metavar="WHEN",
        help=f"12h, 7d, 4w, a date (UTC), or all ({USUAL_SINCE})",
    )
    parser.add_argument("--csv", action="store_true", help="print CSV instead of a table")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration (default: ./config.yaml)")
    parser.add_argument("--database", metavar="URL", help="the ledger itself: sqlite:///path or postgresql://...")


def _since(text: str) -> datetime | None:
    if text == "all":
        return None
    now = datetime.now(timezone.utc)
    span = re.fullmatch(r"(\d{1,6})([hdw])", text)
    try:
        if span is not None:
            return now - int(span[1]) * _UNITS[span[2]]
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no time: write 12h, 7d, 4w, 2026-11-01 or all") from None
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment


def run(arguments: argparse.Namespace) -> int:
    """Prints the report of the ledger that the configuration names."""
    by = [word.strip() for word in arguments.by.split(",") if word.strip()]
    ledger = _ledger(arguments.config, arguments.database)
    rows = interrupt.run(_report(ledger, arguments.since, by))
    if arguments.csv:
        _print_csv(by, rows)
    elif rows:
        _print_table(by, rows)
    else:
        print("The ledger has no records of that time.")
    return 0


def _ledger(config: Path | None, database: str | None) -> Ledger:
    from .._ledger.ledger import Ledger
    from .._ledger.stores import MEMORY, store_of

    if database is None:
        database = _configured(config)
    if database in MEMORY:
        raise ConfigurationError(
            "this configuration keeps its ledger in memory, so nothing of it is left; set cost_tracking.database"
        )
    return Ledger(store_of(database))


def _configured(config: Path | None) -> str:
    from .._config import load

    file = usual_config(config)
    if file is None:
        raise ConfigurationError("there is no ./config.yaml; name one with --config, or the ledger with --database")
    return load(file, check_active=False).cost_tracking.database.get_secret_value()


async def _report(ledger: Ledger, since: datetime | None, by: Sequence[str]) -> list[ReportRow]:
    try:
        return await ledger.report(since, by=by)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    finally:
        await ledger.aclose()


def _print_csv(by: Sequence[str], rows: Sequence[ReportRow]) -> None:
    from .._ledger.export import harmless
    from .._ledger.reports import SUMS

    writer = csv.writer(sys.stdout)
    writer.writerow([*by, *SUMS, "latency_p50", "latency_p95"])
    for row in rows:
        figures = [getattr(row, name) for name in (*SUMS, "latency_p50", "latency_p95")]
        figures = [f"{figure:f}" if isinstance(figure, Decimal) else figure for figure in figures]
        writer.writerow([*(harmless(_word(row.group[name])) for name in by), *figures])


def _print_table(by: Sequence[str], rows: Sequence[ReportRow]) -> None:
    most = max(row.cost for row in rows)
    table = [[*by, *_HEADS], *([*map(_word, row.group.values()), *_figures(row, most)] for row in rows)]
    if len(rows) > 1:
        table.append(["total", *[""] * (len(by) - 1), *_total(rows)] if by else _total(rows))
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        cells = [
            cell.ljust(width) if column < len(by) or column == len(line) - 1 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def _figures(row: ReportRow, most: Decimal) -> list[str]:
    numbers = [_number(getattr(row, name)) for name in _NUMBERS]
    return [*numbers, _dollars(row.cost), _seconds(row.latency_p50), _seconds(row.latency_p95), bar(row.cost, most)]


def _total(rows: Sequence[ReportRow]) -> list[str]:
    sums = [sum(getattr(row, name) or 0 for row in rows) for name in _NUMBERS]
    cost = sum((row.cost for row in rows), Decimal(0))
    return [*map(_number, sums), _dollars(cost), "", "", ""]


def bar(value: Decimal, most: Decimal) -> str:
    """Returns a bar whose length is the value's share of the largest. Its smallest step is an eighth of a letter."""
    eighths = 0 if most <= 0 else int(value * _BAR * 8 / most)
    whole, rest = divmod(max(eighths, 0), 8)
    return ("█" * whole + _EIGHTHS[rest]).rstrip()


def _word(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
    return "-" if value is None else str(value)


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _dollars(value: Decimal) -> str:
    """An amount with four places, or as many as a very small one needs."""
    return f"${value:f}" if 0 < value < Decimal("0.0001") else f"${value:,.4f}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"
