"""The ledger: every HTTP attempt and every cent. `Ledger`, its stores, budgets and reports.

PostgreSQL's driver and the exports' libraries are loaded when they are used.
"""

from __future__ import annotations

from .book import Bookkeeper, Settled, Ticket
from .budgets import Alert, Budget, BudgetStatus, Scope
from .entries import Head, Record, Settlement
from .ledger import Ledger
from .memory import MemoryStore
from .reports import ReportRow
from .sqlite import SQLiteStore
from .store import Store
from .stores import store_of

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
    "Settled",
    "Settlement",
    "Store",
    "Ticket",
    "store_of",
]
