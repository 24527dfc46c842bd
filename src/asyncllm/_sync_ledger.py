"""The ledger of a blocking client: the same reports, exports and budgets, for any thread."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any, Concatenate, TypeVar

from typing_extensions import ParamSpec

from ._ledger.budgets import Budgets
from ._ledger.ledger import Ledger
from ._sync_streams import Wait

__all__ = ["SyncLedger"]

Result = TypeVar("Result")
P = ParamSpec("P")
_ROWS_A_HOP = 1000


def _of_ledger(
    method: Callable[Concatenate[Ledger, P], Awaitable[Result]],
) -> Callable[[Any], Callable[Concatenate[SyncLedger, P], Result]]:
    """Replaces the decorated method by a blocking form of the async one, with its signature and docstring."""

    @functools.wraps(method)
    def blocking(self: SyncLedger, /, *args: P.args, **kwargs: P.kwargs) -> Result:
        return self._call(lambda: method(self._ledger, *args, **kwargs))

    return lambda named: blocking


def _rows_of_ledger(
    method: Callable[Concatenate[Ledger, P], AsyncIterator[Result]],
) -> Callable[[Any], Callable[Concatenate[SyncLedger, P], Iterator[Result]]]:
    """Does the same for a method that yields rows. Many rows are fetched at once."""

    @functools.wraps(method)
    def blocking(self: SyncLedger, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[Result]:
        rows = method(self._ledger, *args, **kwargs)

        async def some() -> list[Result]:
            found: list[Result] = []
            async for row in rows:
                found.append(row)
                if len(found) == _ROWS_A_HOP:
                    break
            return found

        while page := self._call(some):
            yield from page

    signature = inspect.signature(method)
    rows_of = str(signature.return_annotation).removeprefix("Async")
    blocking.__signature__ = signature.replace(return_annotation=rows_of)  # type: ignore[attr-defined]
    return lambda named: blocking


class SyncLedger:
    """The methods of a `Ledger`, blocking. `SyncClient.ledger` returns it."""

    def __init__(self, ledger: Ledger, call: Wait) -> None:
        self._ledger = ledger
        self._call = call

    @_of_ledger(Ledger.report)
    def report(self) -> None:
        """As `Ledger.report`."""

    @_of_ledger(Ledger.delete)
    def delete(self) -> None:
        """As `Ledger.delete`."""

    @_of_ledger(Ledger.rate)
    def rate(self) -> None:
        """As `Ledger.rate`."""

    @_of_ledger(Ledger.roll_up)
    def roll_up(self) -> None:
        """As `Ledger.roll_up`."""

    @_of_ledger(Ledger.export_csv)
    def export_csv(self) -> None:
        """As `Ledger.export_csv`."""

    @_of_ledger(Ledger.export_jsonl)
    def export_jsonl(self) -> None:
        """As `Ledger.export_jsonl`."""

    @_of_ledger(Ledger.export_parquet)
    def export_parquet(self) -> None:
        """As `Ledger.export_parquet`."""

    @_of_ledger(Ledger.budget_statuses)
    def budget_statuses(self) -> None:
        """As `Ledger.budget_statuses`."""

    @_of_ledger(Ledger.refusals)
    def refusals(self) -> None:
        """As `Ledger.refusals`."""

    @_of_ledger(Ledger.reset_budget)
    def reset_budget(self) -> None:
        """As `Ledger.reset_budget`."""

    @_of_ledger(Ledger.raise_budget)
    def raise_budget(self) -> None:
        """As `Ledger.raise_budget`."""

    @_of_ledger(Ledger.backup)
    def backup(self) -> None:
        """As `Ledger.backup`."""

    @_of_ledger(Ledger.flush)
    def flush(self) -> None:
        """As `Ledger.flush`."""

    @_rows_of_ledger(Ledger.records)
    def records(self) -> None:
        """As `Ledger.records`."""

    @_rows_of_ledger(Ledger.lines)
    def lines(self) -> None:
        """As `Ledger.lines`."""

    @property
    def session(self) -> str:
        """The id of this client's session in the ledger."""
        return self._ledger.session

    @property
    def budgets(self) -> Budgets:
        """The configured budgets."""
        return self._ledger.budgets

    def session_cost(self) -> Decimal:
        """The cost in US dollars of everything settled through this client, without attempts of unknown cost."""
        return self._ledger.session_cost()

    def session_unpriced(self) -> int:
        """How many attempts settled through this client have no known cost."""
        return self._ledger.session_unpriced()
