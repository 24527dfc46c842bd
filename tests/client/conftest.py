"""Clients of the simulator, over real sockets."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from asyncllm import Client
from asyncllm.testing import Simulator
from clients import OpenClient


@pytest.fixture
def http_library() -> str:
    """The HTTP library under test: the whole suite also runs on httpx2."""
    return os.environ.get("ASYNCLLM_TEST_LIBRARY", "httpx")


@pytest.fixture
def open_client(http_library: str) -> OpenClient:
    @asynccontextmanager
    async def open_client(sim: Simulator, **changes: Any) -> AsyncIterator[Client]:
        config = sim.config(http={"library": http_library}, retry={"max_attempts": 1}, **changes)
        async with Client(config, environ={}) as client:
            yield client

    return open_client
