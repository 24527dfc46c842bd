"""How the catalog asks providers: the engine fills this interface, so every question is an attempt like all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .._protocols.codec import Context, WireRequest
from .._providers.provider import Provider, Route
from .._schema.request import Operation, Request
from .._schema.response import Response


class Way(Protocol):
    """Describes the way of a request to a model: wire format and context."""

    @property
    def route(self) -> Route:
        """Returns the wire format and the path."""
        ...

    @property
    def context(self) -> Context:
        """Returns the context that the codec gets."""
        ...


Write = Callable[[Way], WireRequest]
"""Makes a request, given how requests to the model travel."""


class Asker(Protocol):
    """Asks providers."""

    now: Callable[[], float]
    """Seconds since the epoch."""

    async def ask(
        self, provider: Provider, write: Write, *, operation: Operation, model: str = "", base_url: str | None = None
    ) -> Any:
        """Sends a request and returns the JSON of the reply.

        Args:
            provider: who is asked.
            write: makes the request.
            operation: what it is for.
            model: what it is about; ``""`` for no model.
            base_url: in the place of the provider's own; None for that.

        Raises:
            AsyncLLMError: the network failed, the provider refused, or the reply is no JSON.
        """
        ...

    async def speak(self, provider: Provider, request: Request, *, operation: Operation) -> Response:
        """Sends a request to a model and returns its reply.

        Raises:
            AsyncLLMError: as a call to it does.
        """
        ...
