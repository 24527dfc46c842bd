"""Which store a URL means. A driver is loaded only when its store is asked for."""

from __future__ import annotations

from ..errors import ConfigurationError
from .memory import MemoryStore
from .sqlite import SQLiteStore
from .store import Store

MEMORY = frozenset({":memory:", "sqlite://", "sqlite:///:memory:"})
_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")


def store_of(url: str) -> Store:
    """The store of ``cost_tracking.database``: ``sqlite:///path``, ``postgresql://...`` or ``:memory:``.

    Raises:
        ConfigurationError: none of these, or psycopg is not installed.
    """
    if url in MEMORY:
        return MemoryStore()
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        return SQLiteStore(url[len(_SQLITE) :])
    if url.startswith(_POSTGRES):
        from .postgres import PostgresStore

        return PostgresStore(url)
    raise ConfigurationError("the ledger's database must be sqlite:///path, postgresql://... or :memory:")
