"""Every store, for tests of what they have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from asyncllm._ledger.stores import Store
from asyncllm._ledger.stores.memory import MemoryStore
from asyncllm._ledger.stores.sqlite import SQLiteStore
from postgres_server import new_database, running_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a real server."""
    with running_server() as url:
        yield url


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Makes stores of one kind; all of them are on the same data, but for those in memory."""
    if request.param == "memory":
        return MemoryStore
    if request.param == "sqlite":
        return lambda: SQLiteStore(tmp_path / "ledger.db")
    from asyncllm._ledger.stores.postgres import PostgresStore

    url = new_database(request.getfixturevalue("postgres"))
    return lambda: PostgresStore(url)


@pytest.fixture
def store(new_store: Callable[[], Store]) -> Store:
    """An empty store."""
    return new_store()
