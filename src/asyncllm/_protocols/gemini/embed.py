"""Embeddings of the Gemini API and of Vertex AI.

======================  =====================================  ==========================================
where, and which model  path                                   body
======================  =====================================  ==========================================
Gemini API              ``models/M:batchEmbedContents``        ``requests[]``: content, settings in each
Vertex AI, ``gemini-``  ``.../M:batchEmbedContents``           the same, settings in ``embedContentConfig``
Vertex AI, ``-maas``    ``.../M:embedContent``                 one ``content``, ``embedContentConfig``
Vertex AI, others       ``.../M:predict``                      ``instances[]`` and ``parameters``
======================  =====================================  ==========================================

Vertex AI cuts a text that is too long unless it is told not to: it is told not to, so that nothing is lost unseen.
Source: google-genai 3.6.1 (models.py: ``_embed_content``, ``_EmbedContentConfig_to_vertex``), November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..._schema.vectors import Embedded, EmbedRequest
from ..codec import Context, Most, WireRequest
from ..embedding import broken, counted, floats, posted, read_object
from ..parts import as_dict
from .dialect import GeminiDialect
from .usage import read_usage

_TASKS: Mapping[str, str] = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "similarity": "SEMANTIC_SIMILARITY",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}


def write(request: EmbedRequest, context: Context, dialect: GeminiDialect) -> WireRequest:
    """Writes the request."""
    if dialect.version is None:
        dialect = replace(dialect, version="v1beta")
    settings: dict[str, Any] = {}
    if request.purpose is not None:
        settings["taskType"] = _TASKS[request.purpose]
    if request.dimensions is not None:
        settings["outputDimensionality"] = request.dimensions
    contents = [{"parts": [{"text": text}]} for text in request.texts]
    verb = _verb(request.model, dialect)
    body: dict[str, Any]
    if not _is_vertex(dialect):
        name = request.model if "/" in request.model else f"models/{request.model}"
        body = {"requests": [{"model": name, "content": content, **settings} for content in contents]}
    elif verb == "predict":
        task = {"task_type": settings["taskType"]} if "taskType" in settings else {}
        body = {
            "instances": [{"content": text, **task} for text in request.texts],
            "parameters": {
                "autoTruncate": False,
                **{name: value for name, value in settings.items() if name == "outputDimensionality"},
            },
        }
    else:
        whole = {"autoTruncate": False, **settings}
        each = [{"content": content, "embedContentConfig": whole} for content in contents]
        body = {"requests": each} if verb == "batchEmbedContents" else dict(each[0])
    return posted(dialect.path(request.model, verb), body, request, context)


def read(status: int, headers: Mapping[str, str], body: bytes, context: Context, dialect: GeminiDialect) -> Embedded:
    """Reads the vectors of any of the answers.

    Raises:
        ProtocolError: it is none of them.
    """
    whole = read_object(body, context, "a list of embeddings")
    found = whole.get("embeddings")
    if found is None and isinstance(whole.get("predictions"), list):
        found = [as_dict(one).get("embeddings") for one in whole["predictions"]]
    if found is None and "embedding" in whole:
        found = [whole["embedding"]]
    if not isinstance(found, list):
        raise broken("the provider's answer is not a list of embeddings", context)
    vectors = tuple([floats(as_dict(one).get("values"), context) for one in found])
    usage = read_usage(whole.get("usageMetadata"))
    if usage.input_tokens is not None:
        usage = replace(usage, output_tokens=0, total_tokens=None)
    else:
        counts = [as_dict(as_dict(one).get("statistics")).get("token_count") for one in found]
        known = [int(count) for count in counts if isinstance(count, (int, float))]
        usage = counted(sum(known) if len(known) == len(counts) else None)
    return Embedded(vectors=vectors, usage=usage)


def most(model: str, dialect: GeminiDialect) -> Most:
    """Returns Google's bounds: 100 requests in a batch; of predictions 250 texts and 20,000 tokens."""
    verb = _verb(model, dialect)
    if verb == "predict":
        return Most(items=250, tokens=20_000)
    return Most(items=100 if verb == "batchEmbedContents" else 1)


def _is_vertex(dialect: GeminiDialect) -> bool:
    return dialect.files_base is None


def _verb(model: str, dialect: GeminiDialect) -> str:
    name = model.rpartition("/")[2]
    if not _is_vertex(dialect) or ("gemini-" in name and "maas" not in name):
        return "batchEmbedContents"
    return "embedContent" if "maas" in name else "predict"
