"""Server-sent events."""

from __future__ import annotations
from .base import Frame, MAX_EVENT_BYTES


class SSEFramer:
    def feed(self, data: bytes) -> list[Frame]: ...  # type: ignore[empty-body]
    def close(self) -> list[Frame]: ...  # type: ignore[empty-body]
