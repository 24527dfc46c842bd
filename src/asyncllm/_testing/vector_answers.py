"""Embeddings and rankings of the simulated hosts.

A vector counts the words of its text, each at a place that its letters choose: texts that share words point the same
way. All numbers are 32-bit floats, as the vendors' are. A score is the part of the query's words that a document has.
"""

from __future__ import annotations

import math
import re
from array import array
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any
from urllib.parse import unquote

from .model import tokens
from .record import Arrival
from .wires.wire import Operation, Problem, dumps

DIMENSIONS = 16
_WORD = re.compile(r"\w+")
_GOOGLE = re.compile(r".*/models/(?P<model>[^/:]+):(?P<verb>batchEmbedContents|embedContent|predict)")
_INVOKE = re.compile(r"/model/(?P<model>[^/]+)/invoke")
_MOST: Mapping[str, int] = {"openai": 2048, "azure": 2048, "bedrock": 96, "gemini": 100, "vertex": 250}


Answer = tuple[bytes, tuple[tuple[str, str], ...]] | Problem
"""A body with headers of its own, or what is wrong with the request."""


def operation(arrival: Arrival) -> Operation | None:
    """Returns what a request wants, if it is about vectors or rankings."""
    if arrival.method != "POST":
        return None
    path, body = arrival.path, arrival.body if isinstance(arrival.body, dict) else {}
    if path.endswith(("/embeddings", "/rerank")):
        return Operation(name="embed" if path.endswith("s") else "rerank", model=str(body.get("model") or ""))
    if path.endswith(":rank"):
        return Operation(name="rerank", model=str(body.get("model") or ""))
    if found := _GOOGLE.fullmatch(path):
        return Operation(name="embed", model=unquote(found["model"]))
    if found := _INVOKE.fullmatch(path):
        model = unquote(found["model"])
        name = "rerank" if "rerank" in model else "embed" if "embed" in model else ""
        return Operation(name=name, model=model) if name else None
    return None


def answer(arrival: Arrival, wanted: Operation) -> Answer:
    """Returns the body of the answer and headers of its own, or what is wrong with the request."""
    body = arrival.body
    if not isinstance(body, dict):
        return Problem(status=400, message="We could not parse the JSON body of your request.")
    if wanted.name == "rerank":
        return _ranking(arrival, body)
    if _INVOKE.fullmatch(arrival.path):
        return _bedrock(body, wanted.model)
    return _google(arrival, body, wanted) if _GOOGLE.fullmatch(arrival.path) else _openai(arrival, body, wanted)


def vector(text: str, dimensions: int | None) -> list[float]:
    """Returns the vector of a text, of length 1."""
    size = dimensions or DIMENSIONS
    found = [0.0] * size
    for word in _WORD.findall(text.lower()) or [text]:
        seed = int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
        for place in range(3):
            found[(seed >> (8 * place)) % size] += 1.0 if seed >> (40 + place) & 1 else -1.0
    length = math.sqrt(sum(number * number for number in found)) or 1.0
    return array("f", [number / length for number in found]).tolist()


def _too_many(arrival: Arrival, texts: Sequence[Any]) -> Problem | None:
    most = _MOST.get(arrival.provider, 2048)
    if len(texts) > most:
        return Problem(status=400, message=f"the request holds {len(texts)} texts, and at most {most} are allowed")
    if not texts or not all(isinstance(text, str) and text for text in texts):
        return Problem(status=400, message="every text must be a string that is not empty")
    return None


def _openai(arrival: Arrival, body: Mapping[str, Any], wanted: Operation) -> Answer:
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    if problem := _too_many(arrival, texts):
        return problem
    read = sum(map(tokens, texts))
    if read > 300_000:
        return Problem(
            status=400,
            code="context_length_exceeded",
            message=f"Requested {read} tokens, max 300000 tokens per request",
        )
    size = body.get("dimensions", body.get("output_dimension"))
    data = []
    for at, text in enumerate(texts):
        found: Any = vector(text, size)
        if body.get("encoding_format") == "base64":
            found = b64encode(array("f", found).tobytes()).decode()
        data.append({"object": "embedding", "index": at, "embedding": found})
    usage = {"prompt_tokens": read, "total_tokens": read}
    return dumps({"object": "list", "data": data, "model": wanted.model, "usage": usage}), ()


def _google(arrival: Arrival, body: Mapping[str, Any], wanted: Operation) -> Answer:
    if "instances" in body:
        size = (body.get("parameters") or {}).get("outputDimensionality")
        texts = [instance.get("content") for instance in body["instances"]]
        if problem := _too_many(arrival, texts):
            return problem
        each = [
            {"embeddings": {"values": vector(text, size), "statistics": {"token_count": tokens(text)}}}
            for text in texts
        ]
        return dumps({"predictions": each, "metadata": {"billableCharacterCount": sum(map(len, texts))}}), ()
    single = "content" in body
    requests = [body] if single else body.get("requests") or []
    texts = ["".join(part.get("text", "") for part in one["content"]["parts"]) for one in requests]
    if problem := _too_many(arrival, texts):
        return problem
    sizes = [{**one, **(one.get("embedContentConfig") or {})}.get("outputDimensionality") for one in requests]
    found = [{"values": vector(text, size)} for text, size in zip(texts, sizes, strict=True)]
    usage = {"usageMetadata": {"promptTokenCount": sum(map(tokens, texts))}}
    return dumps({**({"embedding": found[0]} if single else {"embeddings": found}), **usage}), ()


def _bedrock(body: Mapping[str, Any], model: str) -> Answer:
    if "inputText" in body:
        text = body["inputText"]
        size = body.get("dimensions")
        return dumps({"embedding": vector(text, size), "inputTextTokenCount": tokens(text)}), _counted(tokens(text))
    if "singleEmbeddingParams" in body:
        asked = body["singleEmbeddingParams"]
        text = asked["text"]["value"]
        found = [{"embeddingType": "TEXT", "embedding": vector(text, asked.get("embeddingDimension"))}]
        return dumps({"embeddings": found}), _counted(tokens(text))
    texts = body.get("texts") or []
    if "input_type" not in body or len(texts) > _MOST["bedrock"]:
        return Problem(status=400, message="Malformed input request, please reformat your input and try again.")
    vectors = [vector(text, body.get("output_dimension")) for text in texts]
    by_type = {"embeddings": {"float": vectors}} if body.get("embedding_types") else {"embeddings": vectors}
    kind = "embeddings_by_type" if body.get("embedding_types") else "embeddings_floats"
    return dumps({"id": "sim", "response_type": kind, "texts": texts, **by_type}), _counted(sum(map(tokens, texts)))


def _counted(count: int) -> tuple[tuple[str, str], ...]:
    return (("x-amzn-bedrock-input-token-count", str(count)),)


def _ranking(arrival: Arrival, body: Mapping[str, Any]) -> Answer:
    records = body.get("records")
    documents = [record.get("content") for record in records] if isinstance(records, list) else body.get("documents")
    if not isinstance(documents, list) or not isinstance(body.get("query"), str):
        return Problem(status=400, message="query and documents are required")
    wanted = set(_WORD.findall(body["query"].lower()))
    scores = [len(wanted & set(_WORD.findall(text.lower()))) / max(1, len(wanted)) for text in documents]
    order = sorted(range(len(documents)), key=lambda at: (-scores[at], at))[: body.get("top_n") or body.get("topN")]
    if isinstance(records, list):
        return dumps({"records": [{"id": str(at), "score": scores[at]} for at in order]}), ()
    results = [{"index": at, "relevance_score": scores[at]} for at in order]
    read = tokens(body["query"]) + sum(map(tokens, documents))
    told = {} if _INVOKE.fullmatch(arrival.path) else {"id": "rerank-sim", "usage": {"total_tokens": read}}
    return dumps({**told, "results": results}), ()
