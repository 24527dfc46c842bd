"""For web applications on Starlette, FastAPI or any other ASGI server (``asyncllm-client[asgi]``)."""

from __future__ import annotations

try:
    import starlette  # noqa: F401  # the modules below import it by parts
except ImportError as _error:
    raise ImportError(
        "asyncllm.contrib.asgi needs starlette: python -m pip install 'asyncllm-client[asgi]'"
    ) from _error

from .admin import admin, openapi
from .streaming import error_response, sse, status_of, ui_messages

__all__ = ["admin", "error_response", "openapi", "sse", "status_of", "ui_messages"]
