"""The lanes: every HTTP library on every event loop it runs on."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["httpx", "httpx2", "aiohttp"])
def library(request: pytest.FixtureRequest, anyio_backend: str) -> str:
    if request.param == "aiohttp" and anyio_backend == "trio":
        pytest.skip("aiohttp runs on asyncio only")
    pytest.importorskip({"aiohttp": "httpx_aiohttp"}.get(request.param, request.param))
    return str(request.param)
