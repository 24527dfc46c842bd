"""What tests need to know of the versions that are installed."""

from __future__ import annotations

from importlib.metadata import version

import pytest

_ANYIO = tuple(int(part) for part in version("anyio").split(".")[:2])

closes_at_once = pytest.mark.skipif(
    _ANYIO < (4, 16),
    reason="before 4.16 anyio leaves the socket of a cancelled connect to the garbage collector, which warns",
)
