"""Fixtures for pytest: ``pytest_plugins = ["asyncllm.testing.pytest_plugin"]`` in the topmost ``conftest.py``.

It is not registered by itself: an installed library that did so would cost every test run of every project.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from .._testing.simulator import Simulator


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """A fresh `Simulator` in the test's event loop; for async tests that run under anyio's pytest plugin."""
    async with Simulator() as running:
        yield running


@pytest.fixture
def simulator_thread() -> Iterator[Simulator]:
    """A fresh `Simulator` in a thread of its own; for blocking tests, and for any async plugin."""
    with Simulator.in_thread() as running:
        yield running
