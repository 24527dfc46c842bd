"""asyncllm budgets: where the configured budgets stand; resets one, or raises one for its current window.

A reset or a raise takes the place of no configuration: it holds for the current window only. A budget with a window for
each value (``scope: {user: "*"}``) needs ``--of user=ann``.
"""

from __future__ import annotations

import argparse
import json
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from . import interrupt
from .ledgers import dollars, plain, settings_of
from .tables import table

if TYPE_CHECKING:
    from .._ledger.budgets import BudgetStatus
    from .._ledger.columns import Head
    from .._ledger.ledger import Ledger

EXAMPLES = (
    "asyncllm budgets",
    "asyncllm budgets --json",
    "asyncllm budgets reset daily",
    "asyncllm budgets raise daily 25",
    "asyncllm budgets raise each-user 5 --of user=ann",
)
_HEAD = ("budget", "limit", "spent", "reserved", "used", "", "ends")
_RIGHT = frozenset({"limit", "spent", "reserved", "used"})
_BAR = 20
_LEVELS = ((1.0, "FULL"), (0.9, "90%"))


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``asyncllm budgets``."""
    parser.add_argument("action", nargs="?", choices=("list", "reset", "raise"), default="list", help="what to do")
    parser.add_argument("name", nargs="?", help="of the budget, for reset and raise")
    parser.add_argument("dollars", nargs="?", type=_amount, help="US dollars to raise it by")
    parser.add_argument("--of", metavar="NAME=VALUE", help="whose window, for a budget that has one for each value")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration (default: ./config.yaml)")


def _amount(text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal(0)
    if not found.is_finite() or not 0 < found <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount: write US dollars, such as 25 or 0.5")
    return found


def run(arguments: argparse.Namespace) -> int:
    """Does what was asked, then shows where the budgets stand."""
    if arguments.action != "list" and arguments.name is None:
        raise ConfigurationError(f"say which budget: asyncllm budgets {arguments.action} NAME")
    if arguments.action == "raise" and arguments.dollars is None:
        raise ConfigurationError("say by how much: asyncllm budgets raise NAME DOLLARS")
    return interrupt.run(_work(arguments))


async def _work(arguments: argparse.Namespace) -> int:
    from .._assembly import ledger_of, price_book
    from .._ledger.stores import MEMORY

    settings = settings_of(arguments.config)
    if not settings.budgets:
        raise ConfigurationError("the configuration has no budgets; docs/costs.md shows how to write them")
    if settings.cost_tracking.database.get_secret_value() in MEMORY:
        raise ConfigurationError(
            "this configuration keeps its ledger in memory, where no other program sees it; set cost_tracking.database"
        )
    ledger = ledger_of(settings, price_book(settings))
    head = None if arguments.of is None else _head(arguments.of)
    try:
        await _change(ledger, arguments, head)
        statuses = await ledger.budget_statuses(head)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    finally:
        await ledger.aclose()
    if arguments.json:
        print(json.dumps([_as_object(status) for status in statuses], default=plain))
    elif statuses:
        _show(statuses)
    else:
        print("Every budget has a window for each value; name one with --of user=NAME.")
    return 0


async def _change(ledger: Ledger, arguments: argparse.Namespace, head: Head | None) -> None:
    if arguments.action == "reset":
        await ledger.reset_budget(arguments.name, head)
    elif arguments.action == "raise":
        await ledger.raise_budget(arguments.name, arguments.dollars, head)


def _head(text: str) -> Head:
    from .._ledger.columns import SCOPES, Head

    name, sign, value = text.partition("=")
    if not sign or not (name in SCOPES or name.startswith("tag:")):
        raise ConfigurationError(f"--of must be NAME=VALUE with one of {', '.join(SCOPES)} or tag:NAME")
    said: dict[str, Any] = {"provider": "", "model": ""}
    if name.startswith("tag:"):
        said["tags"] = {name[len("tag:") :]: value}
    else:
        said[name] = value
    return Head(**said)


def _used(status: BudgetStatus) -> float | None:
    return float(status.spent / status.limit) if status.limit else None


def _as_object(status: BudgetStatus) -> dict[str, Any]:
    return {
        "name": status.name,
        "scope": dict(status.scope),
        "limit": status.limit,
        "spent": status.spent,
        "reserved": status.reserved,
        "excess": status.excess,
        "used": _used(status),
        "resets_at": status.resets_at,
    }


def _show(statuses: list[BudgetStatus]) -> None:
    rows = []
    for status in statuses:
        used = _used(status)
        filled = 0 if used is None else min(_BAR, round(used * _BAR))
        level = "" if used is None else next((word for mark, word in _LEVELS if used >= mark), "")
        rows.append(
            [
                status.name,
                dollars(status.limit),
                dollars(status.spent),
                dollars(status.reserved),
                "-" if used is None else f"{used:.0%}",
                f"{'█' * filled}{'░' * (_BAR - filled)} {level}".rstrip(),
                "never" if status.resets_at is None else f"{status.resets_at:%Y-%m-%d %H:%M} UTC",
            ]
        )
    for line in table(_HEAD, rows, right=_RIGHT):
        print(line)
