"""The ledger: every HTTP attempt and every cent. `Ledger`, its stores, budgets and reports.

PostgreSQL's driver and the exports' libraries are loaded when they are used.
"""

from __future__ import annotations

from .book import BookedAttempt, Bookkeeper, Settled
from .budgets import Alert, Budget, BudgetStatus, Scope
from .columns import Head, Record, Settlement
from .ledger import Ledger
from .reports import ReportRow
from .stores import Store, store_of
from .stores.memory import MemoryStore
from .stores.sqlite import SQLiteStore

__all__ = [
    "Alert",
    "BookedAttempt",
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
    "Settled",
    "Settlement",
    "Store",
    "store_of",
]
