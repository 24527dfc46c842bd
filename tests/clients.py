"""The type of the fixture that opens clients of the simulator."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from asyncllm import Client
from asyncllm.testing import Simulator


class OpenClient(Protocol):
    """Opens a client of a simulator."""

    def __call__(self, sim: Simulator, **changes: Any) -> AbstractAsyncContextManager[Client]: ...
