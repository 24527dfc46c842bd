"""The ledger of every HTTP attempt: the ledger itself, its stores, budgets and reports."""

from __future__ import annotations

from ._ledger.book import Bookkeeper
from ._ledger.budgets import Alert, Budget, BudgetStatus, Scope
from ._ledger.entries import Head, Record, Settlement
from ._ledger.ledger import Ledger
from ._ledger.memory import MemoryStore
from ._ledger.reports import ReportRow
from ._ledger.sqlite import SQLiteStore
from ._ledger.store import Store
from ._ledger.stores import store_of

__all__ = [
    "Alert",
    "Bookkeeper",
    "Budget",
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
