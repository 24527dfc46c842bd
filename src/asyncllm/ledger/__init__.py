"""The ledger: every HTTP attempt and every cent. `Ledger`, its stores, budgets and reports.

Nothing heavy is imported here: a store is chosen by its URL, and PostgreSQL's driver is loaded with the store.
"""

from __future__ import annotations
