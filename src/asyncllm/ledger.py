"""The ledger of every HTTP attempt: the ledger itself, its stores, budgets and reports."""

from __future__ import annotations

from ._ledger.book import Bookkeeper
from ._ledger.budgets import Alert, Budget, BudgetRefusal, BudgetStatus, Scope
from ._ledger.columns import Head, Record, Settlement
from ._ledger.ledger import Ledger
from ._ledger.reports import ReportRow
from ._ledger.stores import Store, store_of
from ._ledger.stores.memory import MemoryStore
from ._ledger.stores.sqlite import SQLiteStore
from ._ledger.webhook import AlertWebhook

__all__ = [
    "Alert",
    "AlertWebhook",
    "Bookkeeper",
    "Budget",
    "BudgetRefusal",
    "BudgetStatus",
    "Head",
    "Ledger",
    "MemoryStore",
    "Record",
    "ReportRow",
    "SQLiteStore",
    "Scope",
    "Settlement",
    "Store",
    "store_of",
]
