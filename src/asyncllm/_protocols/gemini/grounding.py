"""Citations and grounding of a candidate -> `Citation`.

``citationMetadata`` says what the model recited (``citationSources`` on the Gemini API, ``citations`` on Vertex;
both are read on both). ``groundingMetadata`` says what it looked up: each ``groundingSupport`` ties a span of the
answer to some ``groundingChunks``. Spans count UTF-8 bytes of the answer. JSON of protocol buffers leaves zeros
out, so a span with an end and no start begins at 0.

Search suggestions (``searchEntryPoint``) and queries stay in `Response.raw`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._schema.content import Citation


def read_citations(candidate: Mapping[str, Any]) -> list[Citation]:
    """Every source a candidate names, in the wire's order."""
    return [*_recited(candidate.get("citationMetadata")), *_grounded(candidate.get("groundingMetadata"))]


def count_searches(candidate: Mapping[str, Any]) -> int:
    """How many web searches were made for a candidate."""
    metadata = candidate.get("groundingMetadata")
    return len(_items(metadata, "webSearchQueries"))


def _recited(metadata: Any) -> list[Citation]:
    return [
        Citation(url=_text(source.get("uri")), title=_text(source.get("title")), raw=source, **_span(source))
        for key in ("citationSources", "citations")
        for source in _items(metadata, key)
        if isinstance(source, dict)
    ]


def _grounded(metadata: Any) -> list[Citation]:
    chunks = _items(metadata, "groundingChunks")
    found = []
    supported = set()
    for support in _items(metadata, "groundingSupports"):
        if not isinstance(support, dict):
            continue
        segment = support.get("segment")
        span = _span(segment) if isinstance(segment, dict) else {}
        indices = [index for index in _items(support, "groundingChunkIndices") if isinstance(index, int)]
        for index in dict.fromkeys(indices):
            if 0 <= index < len(chunks):
                supported.add(index)
                raw = {"groundingSupport": support, "groundingChunk": chunks[index]}
                found.append(_source(chunks[index], raw, span))
    for index, chunk in enumerate(chunks):
        if index not in supported:
            found.append(_source(chunk, {"groundingChunk": chunk}, {}))
    return found


def _source(chunk: Any, raw: dict[str, Any], span: dict[str, Any]) -> Citation:
    kinds = list(chunk.values()) if isinstance(chunk, dict) else []
    body = next((value for value in kinds if isinstance(value, dict)), {})
    return Citation(
        url=_text(body.get("uri")) or _text(body.get("sourceUri")),
        title=_text(body.get("title")),
        cited_text=_text(body.get("text")),
        raw=raw,
        **span,
    )


def _span(source: Mapping[str, Any]) -> dict[str, Any]:
    start, end = source.get("startIndex"), source.get("endIndex")
    if not isinstance(end, int):
        return {}
    return {"start": start if isinstance(start, int) else 0, "end": end}


def _items(value: Any, key: str) -> list[Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
