"""asyncllm costs: what calls cost, from the ledger, by provider, model, day or whatever else they have in common."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from . import interrupt
from .ledgers import Span, add_source, add_span, dollars, open_ledger, plain, span_of, sparkline, with_progress

if TYPE_CHECKING:
    from .._ledger.ledger import Ledger
    from .._ledger.reports import ReportRow

EXAMPLES = (
    "asyncllm costs",
    "asyncllm costs --by user,model --since 7d --where tag:team=red",
    "asyncllm costs --by day --since 2026-11-01 --until 2026-11-30 --tz Europe/Berlin",
    "asyncllm costs --by model --json",
)
USUAL_BY = "provider,model"
USUAL_SINCE = "30d"
_BAR = 24
_EIGHTHS = " ▏▎▍▌▋▊▉"
_NUMBERS = ("requests", "failures", "unpriced", "input_tokens", "output_tokens")
_HEADS = ("requests", "failed", "unpriced", "input", "output", "cost", "p50", "p95", "")
_TIMES = ("hour", "day", "week", "month")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``asyncllm costs``."""
    parser.add_argument(
        "--by",
        default=USUAL_BY,
        metavar="WORDS",
        help="what to group by, with commas: provider, model, session, user, agent, tag, tag:NAME, day, hour, week, "
        f"month, status ({USUAL_BY})",
    )
    add_span(parser, USUAL_SINCE)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print CSV instead of a table")
    form.add_argument("--json", action="store_true", help="print JSON instead of a table")
    add_source(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints the report of the ledger that the configuration names."""
    by = [word.strip() for word in arguments.by.split(",") if word.strip()]
    rows = interrupt.run(_report(open_ledger(arguments), span_of(arguments), by))
    if arguments.csv:
        _print_csv(by, rows)
    elif arguments.json:
        print(json.dumps([_as_object(row) for row in rows], default=plain))
    elif rows:
        _print_table(by, rows)
    else:
        print("The ledger has no records of that time.")
    return 0


async def _report(ledger: Ledger, span: Span, by: Sequence[str]) -> list[ReportRow]:
    asked = ledger.report(span.start, span.end, by=by, where=span.where, timezone=span.zone)
    try:
        return await with_progress(asked, "reading the ledger")
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    finally:
        await ledger.aclose()


def _is_unknown(row: ReportRow) -> bool:
    """Whether nothing is known of what the requests of a row cost."""
    return row.unpriced == row.requests


def _as_object(row: ReportRow) -> dict[str, Any]:
    found = row.as_dict()
    return {**found, "cost": None} if _is_unknown(row) else found


def _print_csv(by: Sequence[str], rows: Sequence[ReportRow]) -> None:
    from .._ledger.export import harmless
    from .._ledger.reports import SUMS

    writer = csv.writer(sys.stdout)
    names = (*SUMS, "score", "latency_p50", "latency_p95")
    writer.writerow([*by, *names])
    for row in rows:
        figures = [getattr(row, name) for name in names]
        if _is_unknown(row):
            figures[SUMS.index("cost")] = None
        figures = [f"{figure:f}" if isinstance(figure, Decimal) else figure for figure in figures]
        writer.writerow([*(harmless(_word(row.group[name])) for name in by), *figures])


def _print_table(by: Sequence[str], rows: Sequence[ReportRow]) -> None:
    most = max(row.cost for row in rows)
    table = [[*by, *_HEADS], *([*map(_word, row.group.values()), *_figures(row, most)] for row in rows)]
    if len(rows) > 1:
        table.append(["total", *[""] * (len(by) - 1), *_total(rows)] if by else _total(rows))
    if any(row.rated for row in rows):  # before the bars
        scores = ["score", *(_score(row) for row in rows), *[""] * (len(table) - 1 - len(rows))]
        table = [[*line[:-1], score, line[-1]] for line, score in zip(table, scores, strict=True)]
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        cells = [
            cell.ljust(width) if column < len(by) or column == len(line) - 1 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
    if len(by) == 1 and by[0] in _TIMES and len(rows) > 1:
        first, last = [_word(row.group[by[0]]) for row in (rows[0], rows[-1])]
        print(f"\n{sparkline([row.cost for row in rows])}  {first} to {last}")


def _figures(row: ReportRow, most: Decimal) -> list[str]:
    numbers = [_number(getattr(row, name)) for name in _NUMBERS]
    return [
        *numbers,
        dollars(row.cost, row.unpriced, row.requests),
        _seconds(row.latency_p50),
        _seconds(row.latency_p95),
        bar(row.cost, most),
    ]


def _total(rows: Sequence[ReportRow]) -> list[str]:
    sums = [sum(getattr(row, name) or 0 for row in rows) for name in _NUMBERS]
    cost = sum((row.cost for row in rows), Decimal(0))
    return [*map(_number, sums), dollars(cost, sums[2], sums[0]), "", "", ""]


def _score(row: ReportRow) -> str:
    """The mean of the scores, and of how many."""
    return "-" if row.score is None else f"{row.score:.2f} ({row.rated:,})"


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


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"
