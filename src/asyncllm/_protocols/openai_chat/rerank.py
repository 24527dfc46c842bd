"""``POST /rerank``: Cohere's body, which vLLM, llama.cpp, Together, Jina and others take as well.

Source: cohere 7.3.1 (v2/raw_client.py), vLLM's and Jina's documentation, November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._schema.usage import UNKNOWN_USAGE
from ..._schema.vectors import Reranked, RerankRequest
from ...errors import UnsupportedByProviderError
from ..codec import Context, Most, WireRequest
from ..embedding import counted, posted, read_object, scores_of
from ..openai_api import rate_limits, request_id
from ..parts import as_dict
from .dialect import ChatDialect

MOST_DOCUMENTS = 1000


def write(request: RerankRequest, context: Context, dialect: ChatDialect) -> WireRequest:
    """Writes the request.

    Raises:
        UnsupportedByProviderError: the host does not rank documents.
    """
    if not dialect.rerank:
        raise UnsupportedByProviderError(
            f"{context.provider} has no endpoint that ranks documents; ask a provider that has one",
            provider=context.provider,
            model=context.model,
        )
    body: dict[str, Any] = {"model": request.model, "query": request.query, "documents": list(request.documents)}
    if request.top is not None:
        body["top_n"] = request.top
    return posted("/rerank", body, request, context)


def read(status: int, headers: Mapping[str, str], body: bytes, context: Context, dialect: ChatDialect) -> Reranked:
    """Reads the scores.

    Raises:
        ProtocolError: it is no ranking.
    """
    whole = read_object(body, context, "a ranking")
    usage, meta = as_dict(whole.get("usage")), as_dict(whole.get("meta"))
    tokens = usage.get("total_tokens", as_dict(meta.get("tokens")).get("input_tokens"))
    return Reranked(
        scores=scores_of(whole.get("results"), context, "index", "relevance_score"),
        usage=counted(tokens) if tokens else UNKNOWN_USAGE,
        model=whole["model"] if isinstance(whole.get("model"), str) else "",
        request_id=request_id(headers),
        rate_limits=rate_limits(headers),
    )


def most(model: str, dialect: ChatDialect) -> Most:
    """Returns the most documents that Cohere recommends for one request."""
    return Most(items=MOST_DOCUMENTS)
