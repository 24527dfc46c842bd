"""What an error that ends a stream is given on its way out of a decoder."""

from __future__ import annotations

from .._schema.events import Event
from ..errors import AsyncLLMError
from .base import Context


def complete(error: AsyncLLMError, events: list[Event], context: Context, request_id: str | None) -> None:
    """Adds what is known where it was raised, in place: whose it is, and the events decoded before it (``events``)."""
    error.provider = error.provider or context.provider
    error.model = error.model or context.model
    error.request_id = error.request_id or request_id
    error.events = events
