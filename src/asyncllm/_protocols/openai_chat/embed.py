"""``POST /embeddings``, as OpenAI and the servers that follow it have it.

OpenAI's own servers are asked for base64, as its SDK does: a quarter of the bytes, and the very same 32-bit floats.
Source: openai 3.57.0 (resources/embeddings.py, types/embedding_create_params.py), mistralai 3.7.0
(models/embeddingrequest.py), November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._schema.vectors import Embedded, EmbedRequest
from ...errors import UnsupportedByProviderError
from ..codec import Context, LeftOut, Most, WireRequest
from ..embedding import broken, counted, floats, posted, read_object
from ..openai_api import rate_limits, request_id
from ..parts import as_dict
from .dialect import ChatDialect


def write(request: EmbedRequest, context: Context, dialect: ChatDialect) -> WireRequest:
    """Writes the request.

    Raises:
        UnsupportedByProviderError: the host has no embeddings.
    """
    if not dialect.embed_inputs:
        raise UnsupportedByProviderError(
            f"{context.provider} has no endpoint for embeddings; ask a provider that has one",
            provider=context.provider,
            model=context.model,
        )
    body: dict[str, Any] = {"model": request.model, "input": list(request.texts)}
    if request.dimensions is not None:
        body[dialect.embed_dimensions_field] = request.dimensions
    if dialect.embed_base64:
        body["encoding_format"] = "base64"
    left_out = () if request.purpose is None else (LeftOut("purpose", "this API does not tell purposes apart"),)
    return posted("/embeddings", body, request, context, left_out)


def read(status: int, headers: Mapping[str, str], body: bytes, context: Context, dialect: ChatDialect) -> Embedded:
    """Reads the vectors, by the ``index`` that each one has.

    Raises:
        ProtocolError: it is no list of embeddings.
    """
    whole = read_object(body, context, "a list of embeddings")
    data = whole.get("data")
    if not isinstance(data, list):
        raise broken("the provider's answer is not a list of embeddings: it has no data", context)
    rows = [as_dict(row) for row in data]
    places = [row.get("index", at) for at, row in enumerate(rows)]
    if sorted(place for place in places if type(place) is int) != list(range(len(rows))):
        raise broken("the provider's embeddings are not numbered from 0 on", context)
    vectors = {place: floats(row.get("embedding"), context) for place, row in zip(places, rows, strict=True)}
    usage = as_dict(whole.get("usage"))
    read_tokens = usage.get("prompt_tokens", usage.get("total_tokens"))
    return Embedded(
        vectors=tuple([vectors[place] for place in range(len(rows))]),
        usage=counted(read_tokens or None),
        model=whole["model"] if isinstance(whole.get("model"), str) else "",
        request_id=request_id(headers),
        rate_limits=rate_limits(headers),
    )


def most(model: str, dialect: ChatDialect) -> Most:
    """Returns how many inputs and tokens the host takes at once."""
    return Most(items=dialect.embed_inputs or 1, tokens=dialect.embed_tokens)
