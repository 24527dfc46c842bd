"""Counting the tokens of a request: by the provider where it can, else by estimate, which says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .._providers.base import Provider
from .._schema.request import Request
from ..errors import BadRequestError, ModelNotFoundError, PermissionDeniedError, UnsupportedError
from .asking import Asker
from .tokens import ERROR_BAND, estimate_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCount:
    """The input tokens of a request.

    Attributes:
        input_tokens: how many; ``int()`` of this value is the same.
        source: ``"provider"``, or ``"estimated"``.
        error_band: of an estimate: 95 of 100 are within this part of the true count; None for a count.
        reason: why it is an estimate; None for a count.
    """

    input_tokens: int
    source: Literal["provider", "estimated"] = "provider"
    error_band: float | None = None
    reason: str | None = None

    def __int__(self) -> int:
        return self.input_tokens


async def count_tokens(asker: Asker, provider: Provider, request: Request) -> TokenCount:
    """Counts; estimates where the provider has no endpoint for it, or not for this model.

    Raises:
        AuthenticationError, RateLimitError, TransportError, ...: the provider counts, but not now or not for this key.
        UnsupportedContentError: the request cannot be sent to this model at all.
    """
    counting = provider.counting(request.model) if provider.counting is not None else None
    if counting is None:
        return _estimated(request, f"{provider.name} has no endpoint that counts tokens of {request.model}")
    route = provider.resolve(request.model, False)
    context = asker.context(provider, request.model)
    try:
        wire = counting.encode(request, route.protocol, context, route.path)
    except UnsupportedError:
        if counting.protocol is None:
            raise  # the model itself cannot be asked this
        return _estimated(request, f"the request cannot be said in {counting.protocol.name}, which counts tokens")
    try:
        return TokenCount(input_tokens=counting.decode(await asker.ask(provider, wire, model=request.model)))
    except (BadRequestError, ModelNotFoundError, PermissionDeniedError, UnsupportedError) as error:
        return _estimated(request, f"{provider.name} did not count: {error.message}")


def _estimated(request: Request, reason: str) -> TokenCount:
    return TokenCount(input_tokens=estimate_tokens(request), source="estimated", error_band=ERROR_BAND, reason=reason)
