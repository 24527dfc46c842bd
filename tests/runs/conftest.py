"""Clients of the simulator, as the tests of the client have them."""

from __future__ import annotations

from client.conftest import http_library, open_client

__all__ = ["http_library", "open_client"]
