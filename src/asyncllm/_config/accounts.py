"""From a configuration to its ledger: the store, the budgets, the policy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timezone
from typing import Literal
from zoneinfo import ZoneInfo

from .._ledger.book import Prices, appraiser
from .._ledger.budgets import Alert, Budget, OnError, Scope
from .._ledger.columns import SCOPES
from .._ledger.ledger import Ledger
from .._ledger.stores import store_of
from .._ledger.units import to_nano
from .sections import BudgetSettings
from .settings import Settings


def ledger_of(settings: Settings, prices: Prices, *, on_alert: Callable[[Alert], None] | None = None) -> Ledger:
    """The ledger that a configuration describes; nothing is opened before its first use.

    Args:
        settings: a whole configuration, with ``cost_tracking.enabled``.
        prices: what tokens cost, for attempts that a dead process left behind.
        on_alert: called when a budget reaches 90% and 100%, on the ledger's own thread.

    Raises:
        ConfigurationError: the database needs a driver that is not installed.
    """
    tracking = settings.cost_tracking
    return Ledger(
        store_of(tracking.database.get_secret_value()),
        budgets=[budget_of(budget) for budget in settings.budgets],
        on_error=_policy(tracking.on_error),
        log_path=tracking.log_path,
        on_alert=on_alert,
        appraise=appraiser(prices),
    )


def budget_of(settings: BudgetSettings) -> Budget:
    """A budget as the ledger keeps it."""
    scope = settings.scope
    return Budget(
        limit=to_nano(settings.limit),
        per=settings.per,
        scope=Scope(tags=scope.tags, **{name: getattr(scope, name) for name in SCOPES}),
        zone=timezone.utc if settings.timezone == "UTC" else ZoneInfo(settings.timezone),
        hard=settings.on_exceed == "error",
        assume_output_tokens=settings.assume_output_tokens,
        on_error=_policy(settings.on_error),
        name=settings.name,
    )


def _policy(word: Literal["error", "warn"]) -> OnError:
    return "fail" if word == "error" else "warn"
