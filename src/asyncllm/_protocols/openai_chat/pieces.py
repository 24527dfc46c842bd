"""What a message and a delta have in common: calls, citations, pictures, tools the host ran.

Read with care, since hosts differ: arguments as text, as an object or null; ids missing, empty or the word ``"null"``;
annotations nested (OpenAI) or flat (Xiaomi); sources beside the choices (Perplexity, xAI).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..._schema.content import Citation, Image, Origin, ProviderToolCall
from ..base import Context
from ..shapes import as_dict
from .audio import decode_base64

_CALL_FIELDS = frozenset({"id", "index", "type", "function", "custom"})


class CallPiece(NamedTuple):
    """A tool call, or a delta of one; ``id``, ``name`` and ``arguments`` are ``""`` where the wire has none."""

    id: str
    kind: str
    name: str
    arguments: str
    extra: dict[str, Any]


def read_call(raw: dict[str, Any], context: Context) -> CallPiece:
    """Reads an item of ``tool_calls``; fields that only this wire knows are kept in ``extra``."""
    custom = raw.get("type") == "custom" or (raw.get("type") is None and "function" not in raw and "custom" in raw)
    body = as_dict(raw.get("custom" if custom else "function"))
    ident = raw.get("id")
    extra = {name: value for name, value in raw.items() if name not in _CALL_FIELDS and value is not None}
    return CallPiece(
        ident if isinstance(ident, str) and ident != "null" else "",
        "custom" if custom else "function",
        _word(body.get("name")),
        _argument_text(body.get("input" if custom else "arguments"), context),
        extra,
    )


def read_function_call(raw: dict[str, Any], context: Context) -> CallPiece:
    """Reads the legacy ``function_call``."""
    return CallPiece("", "function", _word(raw.get("name")), _argument_text(raw.get("arguments"), context), {})


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _argument_text(value: object, context: Context) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else context.json.dumps(value).decode()


def read_citations(annotations: object) -> list[Citation]:
    """The ``annotations`` of a message or delta."""
    found = []
    for annotation in annotations if isinstance(annotations, list) else []:
        if isinstance(annotation, dict):
            inner = annotation.get("url_citation")
            source = inner if isinstance(inner, dict) else annotation
            found.append(_citation(source, annotation))
    return found


def read_sources(body: Mapping[str, Any]) -> list[Citation]:
    """Sources of the whole answer beside the choices: ``search_results``, or ``citations`` as bare URLs."""
    results = body.get("search_results")
    if isinstance(results, list) and results:
        return [_citation(result, result) for result in results if isinstance(result, dict)]
    urls = body.get("citations")
    return [Citation(url=url) for url in urls if isinstance(url, str)] if isinstance(urls, list) else []


def _citation(source: dict[str, Any], raw: dict[str, Any]) -> Citation:
    def text(name: str) -> str | None:
        value = source.get(name)
        return value if isinstance(value, str) else None

    def number(name: str) -> int | None:
        value = source.get(name)
        return value if type(value) is int else None

    return Citation(
        url=text("url"),
        title=text("title"),
        cited_text=text("content"),
        start=number("start_index"),
        end=number("end_index"),
        raw=raw,
    )


def read_image(raw: object, origin: Origin) -> Image | None:
    """A generated picture: OpenRouter's ``images`` holds ``image_url`` parts."""
    url = as_dict(as_dict(raw).get("image_url")).get("url")
    if not isinstance(url, str) or not url:
        return None
    extra = {"image": raw}
    head, comma, payload = url.partition(",")
    if head.startswith("data:") and head.endswith(";base64") and comma:
        data = decode_base64(payload)
        if data is not None:
            return Image(data=data, media_type=head[5:-7], origin=origin, extra=extra)
    return Image(url=url, origin=origin, extra=extra)


def read_executed_tool(raw: dict[str, Any], context: Context) -> ProviderToolCall:
    """A tool that Groq ran, arguments and output in one object."""
    name = _word(raw.get("name")) or _word(raw.get("type"))
    arguments = _argument_text(raw.get("arguments"), context)
    ident = _word(raw.get("id")) or f"{name}:{raw.get('index', 0)}"
    return ProviderToolCall(id=ident, name=name, raw_arguments=arguments, raw=raw, origin=context.origin)
