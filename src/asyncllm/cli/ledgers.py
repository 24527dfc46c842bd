"""What the commands about a ledger share: which ledger is meant, times, filters, and the progress of slow work."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Awaitable, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..errors import ConfigurationError
from .opening import USUAL_CONFIG, usual_config

if TYPE_CHECKING:
    from .._config import Settings
    from .._ledger.ledger import Ledger

T = TypeVar("T")
_UNITS: Mapping[str, timedelta] = MappingProxyType(
    {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
)
_FIRST_SHOWN = 1.0  # seconds: what is done by then needs no progress
_WRITE_A_TIME = "write 12h, 7d, 4w, 2026-11-01 or all"


def add_source(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that say which ledger is meant."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration (default: ./config.yaml)")
    parser.add_argument("--database", metavar="URL", help="the ledger itself: sqlite:///path or postgresql://...")


def add_span(parser: argparse.ArgumentParser, since: str) -> None:
    """Adds the arguments that choose records.

    Args:
        parser: of the command.
        since: the beginning where none is given.
    """
    parser.add_argument(
        "--since", type=_time, default=since, metavar="WHEN", help=f"12h, 7d, 4w, a date, a moment, or all ({since})"
    )
    parser.add_argument("--until", type=_time, metavar="WHEN", help="the end: as --since; a date counts to its end")
    parser.add_argument("--tz", type=_zone, default="UTC", metavar="ZONE", help="the time zone of dates and days (UTC)")
    parser.add_argument(
        "--where",
        type=_condition,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="only these records: provider, model, user, agent, status, ..., tag:NAME; may be given several times",
    )


class Span(NamedTuple):
    """What was chosen."""

    start: datetime | None
    end: datetime | None
    where: Mapping[str, str]
    zone: str


def span_of(arguments: argparse.Namespace) -> Span:
    """Reads the arguments that `add_span` added."""
    name, zone = arguments.tz
    return Span(
        _moment(arguments.since, zone, ends=False),
        None if arguments.until is None else _moment(arguments.until, zone, ends=True),
        dict(arguments.where),
        name,
    )


def _time(text: str) -> timedelta | date | datetime | str:
    if text == "all":
        return text
    span = re.fullmatch(r"(\d{1,6})([hdw])", text)
    try:
        if span is not None:
            found = int(span[1]) * _UNITS[span[2]]
            _ = datetime.now(timezone.utc) - found
            return found
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text.replace("Z", "+00:00"))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no time: {_WRITE_A_TIME}") from None


def _moment(said: timedelta | date | datetime | str, zone: tzinfo, *, ends: bool) -> datetime | None:
    if isinstance(said, str):
        return None
    if isinstance(said, timedelta):
        return datetime.now(timezone.utc) - said
    if not isinstance(said, datetime):
        said = datetime(said.year, said.month, said.day) + timedelta(days=1 if ends else 0)  # below
    return (said if said.tzinfo else said.replace(tzinfo=zone)).astimezone(timezone.utc)


def _zone(text: str) -> tuple[str, tzinfo]:
    from .._ledger.budgets import zone_of

    try:
        return text, zone_of(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time zone: write one such as Europe/Berlin") from None


def _condition(text: str) -> tuple[str, str]:
    from .._ledger.columns import DIMENSIONS

    name, sign, value = text.partition("=")
    if not sign or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is no condition: write NAME=VALUE, such as user=ann")
    if name not in DIMENSIONS and not (name.startswith("tag:") and len(name) > len("tag:")):
        raise argparse.ArgumentTypeError(
            f"records cannot be chosen by {name!r}; choose from {', '.join(DIMENSIONS)} or tag:NAME"
        )
    return name, value


def settings_of(config: Path | None) -> Settings:
    """The configuration; no key has to be set for it.

    Raises:
        ConfigurationError: there is none, or it is wrong.
    """
    from .._config import load

    file = usual_config(config)
    if file is None:
        missing = "./config.yaml is of another program" if USUAL_CONFIG.is_file() else "there is no ./config.yaml"
        raise ConfigurationError(f"{missing}; name one with --config, or the ledger with --database")
    return load(file, check_active=False)


def open_ledger(arguments: argparse.Namespace) -> Ledger:
    """The ledger that a command line means.

    Raises:
        ConfigurationError: there is none, or it is kept in memory.
    """
    from .._ledger.ledger import Ledger
    from .._ledger.stores import MEMORY, store_of

    database = arguments.database
    if database is None:
        database = settings_of(arguments.config).cost_tracking.database.get_secret_value()
    if database in MEMORY:
        raise ConfigurationError(
            "this configuration keeps its ledger in memory, so nothing of it is left; set cost_tracking.database"
        )
    return Ledger(store_of(database))


async def with_progress(work: Awaitable[T], what: str) -> T:
    """Waits for slow work, and after a second says on a terminal how long it has taken."""
    import anyio

    if not sys.stderr.isatty():
        return await work
    began, shown = time.monotonic(), False

    async def tell() -> None:
        nonlocal shown
        await anyio.sleep(_FIRST_SHOWN)
        while True:
            shown = True
            seconds = int(time.monotonic() - began)
            print(f"\r{what} {'▖▘▝▗'[seconds % 4]} {seconds} s", end="", file=sys.stderr, flush=True)
            await anyio.sleep(0.5)

    async with anyio.create_task_group() as group:
        group.start_soon(tell)
        try:
            found = await work
        finally:
            group.cancel_scope.cancel()
            if shown:
                print(f"\r{' ' * (len(what) + 12)}\r", end="", file=sys.stderr, flush=True)
    return found


def dollars(value: Decimal, unpriced: int = 0, requests: int = 0) -> str:
    """An amount with four places, or as many as a very small one needs; unknown where nothing of it is known.

    Args:
        value: US dollars of what is known.
        unpriced: how many requests have no known cost; then a known amount is marked with ``+ ?``.
        requests: how many there are.
    """
    if requests and unpriced == requests:
        return "unknown"
    text = f"${value:f}" if 0 < value < Decimal("0.0001") else f"${value:,.4f}"
    return f"{text} + ?" if unpriced else text


def plain(value: Any) -> Any:
    """A value for JSON: money as decimal text, moments in ISO 8601."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, datetime) else str(value)


_STEPS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[Decimal]) -> str:
    """A line of bars, each as high as its value is beside the largest."""
    most = max(values, default=Decimal(0))
    if most <= 0:
        return _STEPS[0] * len(values)
    return "".join([_STEPS[min(7, int(max(value, Decimal(0)) * 8 / most))] for value in values])
