"""A ledger in the place of a client: what the management endpoints show where no application runs."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ..._ledger.ledger import Ledger


class LedgerView:
    """Has of `Client` what the management endpoints ask, as far as a ledger knows it.

    Args:
        ledger: what is shown.
        settings: the configuration, where there is one.
    """

    def __init__(self, ledger: Ledger, settings: Any = None) -> None:
        self.ledger = ledger
        self.settings = settings

    @property
    def providers(self) -> Mapping[str, Any]:
        """The configured providers; none without a configuration."""
        return {} if self.settings is None else self.settings.providers

    def health(self) -> tuple[Any, ...]:
        """Nothing: circuits live in the application."""
        return ()

    async def models(self, provider: str | None = None, *, include_deprecated: bool = False) -> tuple[Any, ...]:
        """Nothing: nobody was asked."""
        return ()

    async def session_cost(self) -> Decimal:
        """Nothing: there is no session."""
        return Decimal(0)
