"""A ledger that is only looked at: for programs beside the application, such as the dashboard on an operator's machine.

It writes nothing: no table, no lock, no journal. What a living application has settled in the last second may be
missing, and what a dead one left in its journal until somebody opens the ledger for writing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from anyio import to_thread

from .._schema.response import Response
from ..errors import ConfigurationError
from .budgets import Budget
from .columns import Head
from .ledger import Ledger
from .stores import Store

_T = TypeVar("_T")
_SENTENCE = "this ledger is open for reading only; do it in the application, or with asyncllm budgets"


class LedgerReader(Ledger):
    """The reading half of `Ledger`.

    Args:
        store: where records are kept.
        budgets: of the configuration, to be shown.

    Raises:
        ConfigurationError: what would write.
    """

    def __init__(self, store: Store, *, budgets: Sequence[Budget] = ()) -> None:
        store.read_only = True
        super().__init__(store, budgets=budgets)

    async def _read(self, action: Callable[[], _T]) -> _T:
        return await to_thread.run_sync(action)

    async def delete(self, *, before: datetime | None = None, user: str | None = None) -> int:
        """Refuses."""
        raise ConfigurationError(_SENTENCE)

    async def rate(self, call: Response[Any] | str, score: float, *, note: str | None = None) -> None:
        """Refuses."""
        raise ConfigurationError(_SENTENCE)

    async def roll_up(self) -> int:
        """Refuses."""
        raise ConfigurationError(_SENTENCE)

    async def reset_budget(self, name: str, head: Head | None = None) -> None:
        """Refuses."""
        raise ConfigurationError(_SENTENCE)

    async def raise_budget(self, name: str, dollars: Decimal, head: Head | None = None) -> None:
        """Refuses."""
        raise ConfigurationError(_SENTENCE)
