"""Embeddings on Bedrock: InvokeModel with the body of each vendor.

=======================  ====================================================  ==================================
model                    body                                                  answer
=======================  ====================================================  ==================================
``amazon.titan-embed-``  ``inputText``, ``dimensions`` (v2)                    ``embedding``, its token count
``amazon.nova-...``      ``singleEmbeddingParams``: purpose, dimension, text   ``embeddings[].embedding``
``cohere.embed-``        ``texts``, ``input_type``, ``output_dimension`` (v4)  ``embeddings``, or by type
=======================  ====================================================  ==================================

Nova and Cohere may cut a text that is too long: they are told not to. Where the body counts no tokens, a header does.
Sources: AWS's pages on the parameters of Titan, Nova and Cohere embeddings, November 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..._schema.vectors import Embedded, EmbedRequest
from ...errors import UnsupportedByProviderError
from ..aws_shapes import base_model, model_path, request_id_of
from ..codec import Context, LeftOut, Most, WireRequest
from ..embedding import broken, counted, floats, header_count, no_dimensions, posted, read_object
from ..parts import as_dict

_COUNT = "x-amzn-bedrock-input-token-count"
_COHERE_PURPOSES: Mapping[str, str] = {
    "query": "search_query",
    "document": "search_document",
    "similarity": "clustering",
    "classification": "classification",
    "clustering": "clustering",
}
_NOVA_PURPOSES: Mapping[str, str] = {
    "query": "TEXT_RETRIEVAL",
    "document": "GENERIC_INDEX",
    "similarity": "CLUSTERING",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}


def _titan(request: EmbedRequest, context: Context) -> dict[str, Any]:
    body: dict[str, Any] = {"inputText": request.texts[0]}
    if request.dimensions is not None:
        if "v2" not in request.model:
            raise no_dimensions(context)
        body["dimensions"] = request.dimensions
    return body


def _nova(request: EmbedRequest, context: Context) -> dict[str, Any]:
    dimension = {} if request.dimensions is None else {"embeddingDimension": request.dimensions}
    return {
        "schemaVersion": "nova-multimodal-embed-v1",
        "taskType": "SINGLE_EMBEDDING",
        "singleEmbeddingParams": {
            "embeddingPurpose": _NOVA_PURPOSES[request.purpose or "document"],
            **dimension,
            "text": {"truncationMode": "NONE", "value": request.texts[0]},
        },
    }


def _cohere(request: EmbedRequest, context: Context) -> dict[str, Any]:
    body: dict[str, Any] = {
        "texts": list(request.texts),
        "input_type": _COHERE_PURPOSES[request.purpose or "document"],
        "truncate": "NONE",
    }
    if "v4" in request.model:
        body["embedding_types"] = ["float"]
        if request.dimensions is not None:
            body["output_dimension"] = request.dimensions
    elif request.dimensions is not None:
        raise no_dimensions(context)
    return body


@dataclass(frozen=True, slots=True)
class EmbeddingFamily:
    """Says how the embedding models of one vendor are asked.

    Attributes:
        write: the request -> its body.
        texts: how many a request may hold.
        purposes: its vectors depend on what they are for.
    """

    write: Callable[[EmbedRequest, Context], dict[str, Any]]
    texts: int = 1
    purposes: bool = True


_FAMILIES: Mapping[str, EmbeddingFamily] = {
    "amazon.titan-embed": EmbeddingFamily(_titan, purposes=False),
    "amazon.nova": EmbeddingFamily(_nova),
    "cohere.embed": EmbeddingFamily(_cohere, texts=96),
}


def _family(model: str) -> EmbeddingFamily | None:
    name = base_model(model)
    return next((family for mark, family in _FAMILIES.items() if name.startswith(mark)), None)


def write(request: EmbedRequest, context: Context, dialect: object) -> WireRequest:
    """Writes the request.

    Raises:
        UnsupportedByProviderError: no such body is known for the model.
        UnsupportedParameterError: the model has one length of vectors only.
    """
    family = _family(request.model)
    if family is None:
        raise UnsupportedByProviderError(
            f"{request.model} is no embedding model that is known on Bedrock: take one of Titan, Nova or Cohere",
            provider=context.provider,
            model=context.model,
        )
    unused = request.purpose is not None and not family.purposes
    left_out = (LeftOut("purpose", "this model does not tell purposes apart"),) if unused else ()
    return posted(model_path(request.model, "invoke"), family.write(request, context), request, context, left_out)


def read(status: int, headers: Mapping[str, str], body: bytes, context: Context, dialect: object) -> Embedded:
    """Reads the vectors of any vendor's answer.

    Raises:
        ProtocolError: it is no answer with vectors.
    """
    whole = read_object(body, context, "an embedding")
    found = whole.get("embeddings")
    if isinstance(found, dict):
        found = found.get("float")
    if found is None and "embedding" in whole:
        found = [whole["embedding"]]
    if not isinstance(found, list):
        raise broken("the provider's answer holds no embedding", context)
    rows = [as_dict(one).get("embedding") if isinstance(one, dict) else one for one in found]
    told = whole.get("inputTextTokenCount")
    return Embedded(
        vectors=tuple([floats(row, context) for row in rows]),
        usage=counted(header_count(headers, _COUNT) if told is None else told),
        request_id=request_id_of(headers),
    )


def most(model: str, dialect: object) -> Most:
    """Returns how many texts the vendor takes at once."""
    family = _family(model)
    return Most(items=1 if family is None else family.texts)
