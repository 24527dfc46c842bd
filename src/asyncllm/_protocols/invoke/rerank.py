"""Ranking documents on Bedrock: InvokeModel of Cohere's and Amazon's models, which have one body.

Source: AWS's pages on ``cohere.rerank-v3-5:0`` and ``amazon.rerank-v1:0``, November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._schema.vectors import Reranked, RerankRequest
from ...errors import UnsupportedByProviderError
from ..aws_shapes import base_model, model_path, request_id_of
from ..codec import Context, Most, WireRequest
from ..embedding import counted, header_count, posted, read_object, scores_of

MOST_DOCUMENTS = 1000


def write(request: RerankRequest, context: Context, dialect: object) -> WireRequest:
    """Writes the request.

    Raises:
        UnsupportedByProviderError: the model is not known to rank documents.
    """
    name = base_model(request.model)
    if "rerank" not in name:
        raise UnsupportedByProviderError(
            f"{request.model} is not known to rank documents; take cohere.rerank-v3-5:0 or amazon.rerank-v1:0",
            provider=context.provider,
            model=context.model,
        )
    body: dict[str, Any] = {"query": request.query, "documents": list(request.documents)}
    if request.top is not None:
        body["top_n"] = request.top
    if name.startswith("cohere."):
        body["api_version"] = 2
    return posted(model_path(request.model, "invoke"), body, request, context)


def read(status: int, headers: Mapping[str, str], body: bytes, context: Context, dialect: object) -> Reranked:
    """Reads the scores.

    Raises:
        ProtocolError: it is no ranking.
    """
    whole = read_object(body, context, "a ranking")
    return Reranked(
        scores=scores_of(whole.get("results"), context, "index", "relevance_score"),
        usage=counted(header_count(headers, "x-amzn-bedrock-input-token-count")),
        request_id=request_id_of(headers),
    )


def most(model: str, dialect: object) -> Most:
    """Returns the bound of one request."""
    return Most(items=MOST_DOCUMENTS)
