"""What every test may use: both event loops; and the choice of the HTTP library for a whole run."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from asyncllm.testing import Simulator

LIBRARY = os.environ.get("ASYNCLLM_TEST_LIBRARY")


# What real time decides: threads, processes, servers and sockets beside each other. On a machine that stands still for
# half a second such a test fails whatever our code does. It runs again, twice at most, and the summary counts it.
REAL_TIME = (
    "tests/auth/test_fetching.py",
    "tests/cli/test_processes.py",
    "tests/client/test_chain.py",
    "tests/client/test_deployments.py",
    "tests/client/test_racing.py",
    "tests/client/test_reliability.py",
    "tests/client/test_send.py",
    "tests/client/test_stream.py",
    "tests/engine/test_limits.py",
    "tests/ledger/test_postgres",
    "tests/ledger/test_sqlite.py",
    "tests/models/test_registry.py",
    "tests/models/test_token_estimates.py",
    "tests/runs/test_map.py",
    "tests/scoreboard/",
    "tests/shared/",
    "tests/test_start.py",
    "tests/transport/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets what real time decides run again."""
    for item in items:
        if item.nodeid.startswith(REAL_TIME):
            item.add_marker(pytest.mark.flaky(reruns=2))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def no_cloud_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test takes the machine that it runs on for one of Google's, which would have credentials to find."""
    monkeypatch.setattr("asyncllm._auth.google_metadata.PRODUCT_FILE", Path("/nowhere"))


@pytest.fixture
def http_library() -> str:
    """The HTTP library of this run: httpx, or what ``ASYNCLLM_TEST_LIBRARY`` names."""
    return LIBRARY or "httpx"


# The first text that hypothesis draws reads a table of all characters; on a busy machine that alone takes seconds.
settings.register_profile("asyncllm", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("asyncllm")


def pytest_configure() -> None:
    """Lets every configuration that a simulator gives out name the HTTP library of this run."""
    if LIBRARY is None:
        return
    plain = Simulator.config

    def on_this_library(self: Simulator, **changes: Any) -> dict[str, Any]:
        return plain(self, **{"http": {"library": LIBRARY}, **changes})

    Simulator.config = on_this_library  # type: ignore[method-assign]  # for the tests of this process only


def pytest_collection_finish() -> None:
    """Keeps what the collection made out of every later garbage collection: its objects stay to the end anyway."""
    gc.collect()
    gc.freeze()
