"""Vertex AI's ranking of documents: ``rankingConfigs/default_ranking_config:rank`` of Discovery Engine.

It has a host of its own and no location but ``global``. Source: google-cloud-discoveryengine's ``RankRequest``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._schema.vectors import Reranked, RerankRequest
from ...errors import UnsupportedByProviderError
from ..codec import Context, Most, WireRequest
from ..embedding import posted, read_object, scores_of
from .dialect import GeminiDialect

MOST_RECORDS = 200


def write(request: RerankRequest, context: Context, dialect: GeminiDialect) -> WireRequest:
    """Writes the request.

    Raises:
        UnsupportedByProviderError: the host is not Vertex AI with a project.
    """
    project = dialect.parent.partition("/locations/")[0]
    if not project.startswith("projects/"):
        raise UnsupportedByProviderError(
            f"{context.provider} does not rank documents; Vertex AI with a project does",
            provider=context.provider,
            model=context.model,
        )
    body: dict[str, Any] = {
        "model": request.model,
        "query": request.query,
        "records": [{"id": str(at), "content": text} for at, text in enumerate(request.documents)],
        "ignoreRecordDetailsInResponse": True,
    }
    if request.top is not None:
        body["topN"] = request.top
    path = f"/v1/{project}/locations/global/rankingConfigs/default_ranking_config:rank"
    return posted(path, body, request, context)


def read(status: int, headers: Mapping[str, str], body: bytes, context: Context, dialect: GeminiDialect) -> Reranked:
    """Reads the scores.

    Raises:
        ProtocolError: it is no ranking.
    """
    whole = read_object(body, context, "a ranking")
    return Reranked(scores=scores_of(whole.get("records"), context, "id", "score"))


def most(model: str, dialect: GeminiDialect) -> Most:
    """Returns the bound of one request."""
    return Most(items=MOST_RECORDS)
