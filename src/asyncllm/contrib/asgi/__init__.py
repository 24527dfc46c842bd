"""For web applications on Starlette, FastAPI or any other ASGI server (``asyncllm-client[asgi]``)."""

from __future__ import annotations

from .admin import admin, openapi
from .streaming import error_response, sse, status_of, ui_messages

__all__ = ["admin", "error_response", "openapi", "sse", "status_of", "ui_messages"]
