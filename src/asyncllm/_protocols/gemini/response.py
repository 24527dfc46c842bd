"""A ``GenerateContentResponse`` -> `Response`.

* Candidate 0 is the reply. Candidates may lack ``content``, content may lack ``parts``.
* Calls end with ``STOP``: a reply with calls for the caller that ended normally has finish reason ``tool_calls``.
* A blocked prompt has no candidates, and ``promptFeedback`` says why: `ContentBlockedError`. A blocked reply is a
  reply with finish reason ``content_filter``.
* When the model failed to produce anything that parses (``MALFORMED_FUNCTION_CALL`` and its like) and nothing came,
  that is a `ProtocolError`: trying again helps.
* ``CONTINUATION`` is a pause: `continuation` finds the token in the body, `with_continuation` makes the body of the
  next request, which is the same one with the token in it. The text of the next answer goes on where this one
  stopped.
* A stream asked for without ``alt=sse`` comes as one JSON array of chunks, and is read as one.

Usage of a blocked prompt is in the exception's ``usage`` attribute, where the wire gave it.

Citations and grounding of a candidate -> `Citation`.

``citationMetadata`` says what the model recited (``citationSources`` on the Gemini API, ``citations`` on Vertex;
both are read on both). ``groundingMetadata`` says what it looked up: each ``groundingSupport`` ties a span of the
answer to some ``groundingChunks``. Spans count UTF-8 bytes of the answer. JSON of protocol buffers leaves zeros
out, so a span with an end and no start begins at 0.

Search suggestions (``searchEntryPoint``) and queries stay in `Response.raw`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..._schema.content import Citation, Part, ProviderToolResult, Text, ToolCall
from ..._schema.messages import Message
from ..._schema.response import Response
from ..._schema.usage import Usage
from ...errors import AsyncLLMError, ContentBlockedError, ProtocolError
from ..classify import snippet
from ..codec import Context, load_whole
from ..finish import check_reply, finish_reason, said_by
from ..parts import as_dict, unique_calls
from .errors import error_object, read_inner_error
from .parts import OpenCalls, PartReader
from .usage import read_usage

_ENDING_STAGES = frozenset({"LEGACY", "DEPRECATED", "RETIRED"})


def continuation(body: Mapping[str, Any]) -> str | None:
    """Returns the token to go on with, from a response body or a stream's chunk; None if there is none."""
    token = reply_of(body).get("continuationToken")
    return token if isinstance(token, str) and token else None


def continued_by(token: str | None) -> Mapping[str, str] | None:
    """Returns what the body of the next request needs besides what the first one had; None if there is no token."""
    return None if token is None else {"continuationToken": token}


def with_continuation(request_body: Mapping[str, Any], token: str) -> dict[str, Any]:
    """Returns the body that goes on where an answer paused: the same request, with the token of that answer."""
    return {**request_body, "continuationToken": token}


def reply_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Returns candidate 0 of a body; an empty object if it is missing."""
    candidates = body.get("candidates")
    for candidate in candidates if isinstance(candidates, list) else ():
        if isinstance(candidate, dict) and not candidate.get("index"):
            return candidate
    return {}


def read_body(body: bytes, context: Context) -> tuple[Any, tuple[str, ...]]:
    """Reads the JSON of a successful answer; also returns a warning if half a character in it was replaced.

    Raises:
        ProtocolError: it is no JSON object or array (a proxy's HTML page, an empty body).
        AsyncLLMError: it is an error inside a success status.
    """
    try:
        value, warnings = load_whole(body, context)
    except AsyncLLMError:
        value, warnings = None, ()
    if not isinstance(value, (dict, list)):
        raise not_this_protocol(f"the answer is not a JSON object: {snippet(body) or 'it is empty'}", context)
    error = error_object(value)
    if error is not None:
        raise read_inner_error(error, context)
    return value, warnings


def read_whole(body: dict[str, Any], context: Context, warnings: tuple[str, ...] = ()) -> Response:
    """Reads one whole `Response`; raises as `WireProtocol.decode` says."""
    candidates, feedback = body.get("candidates"), as_dict(body.get("promptFeedback"))
    usage = body.get("usageMetadata")
    if not candidates and feedback.get("blockReason"):
        raise prompt_blocked(feedback, read_usage(usage), context)
    if not isinstance(candidates, list) or not candidates:
        raise not_this_protocol("the answer holds no candidates and does not say why", context)
    candidate = reply_of(body)
    parts = unique_calls(_read_parts(candidate, context), context)
    parts = list(with_citations(parts, read_citations(candidate), context))
    raw_reason, counted = reason_word(candidate.get("finishReason")), read_usage(usage, read_searches(candidate))
    calls = any(type(part) is ToolCall for part in parts)
    if feedback.get("blockReason") is None:
        remark = candidate.get("finishMessage")
        check_reply(raw_reason, said=said_by(parts), context=context, calls=calls, usage=counted, remark=remark)
    model, response_id = body.get("modelVersion"), body.get("responseId")
    response_id = response_id if isinstance(response_id, str) else None
    return Response(
        message=Message("assistant", tuple(parts)),
        finish_reason=finish_reason(raw_reason, calls=calls),
        raw_finish_reason=raw_reason,
        usage=counted,
        provider=context.provider,
        model=model if isinstance(model, str) and model else context.model,
        requested_model=context.model,
        id=response_id,
        request_id=response_id,  # the hosts send no request id; this one is what their support asks for
        warnings=(*warnings, *remarks_on(body, candidate, raw_reason)),
        raw=body,
        continuation=continued_by(continuation(body)) if finish_reason(raw_reason, calls=False) == "pause" else None,
    )


def _read_parts(candidate: dict[str, Any], context: Context) -> list[Part]:
    wires = as_dict(candidate.get("content")).get("parts")
    reader = PartReader(context)
    parts: list[Part] = []
    calls = OpenCalls()
    for wire in wires if isinstance(wires, list) else ():
        part = reader.read(wire)
        if part is None:
            continue
        if type(part) is ToolCall:
            calls.add(len(parts), part, wire)
        elif type(part) is ProviderToolResult and "functionResponse" in wire:
            answered = calls.answer(part)
            if answered is not None:
                parts[answered[0]] = answered[1]
        parts.append(part)
    return parts


def with_citations(parts: list[Part], citations: list[Citation], context: Context) -> tuple[Part, ...]:
    """Puts the citations on the last text that says something, or on an empty one of their own."""
    if not citations:
        return tuple(parts)
    for at in reversed(range(len(parts))):
        part = parts[at]
        if isinstance(part, Text) and part.text:
            return (*parts[:at], replace(part, citations=tuple(citations)), *parts[at + 1 :])
    return (*parts, Text("", citations=tuple(citations), origin=context.origin))


def reason_word(value: Any) -> str | None:
    """Returns a finish reason as a word; numbers become digits."""
    if isinstance(value, str) and value:
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def prompt_blocked(feedback: Mapping[str, Any], usage: Usage, context: Context) -> ContentBlockedError:
    """Makes the error for a prompt that was blocked before anything was generated."""
    reason = reason_word(feedback.get("blockReason"))
    remark = feedback.get("blockReasonMessage")
    said = f": {remark}" if isinstance(remark, str) and remark else ""
    return ContentBlockedError(
        f"the prompt was blocked ({reason}){said}",
        provider=context.provider,
        model=context.model,
        code=reason,
        usage=usage,
    )


def not_this_protocol(sentence: str, context: Context) -> ProtocolError:
    """Makes the error for an answer of another shape."""
    return ProtocolError(sentence, provider=context.provider, model=context.model)


def remarks_on(body: Mapping[str, Any], candidate: Mapping[str, Any], raw_reason: str | None) -> tuple[str, ...]:
    """Returns what the provider says about the end of the reply, and about the end of the model."""
    remarks = []
    remark = candidate.get("finishMessage")
    if isinstance(remark, str) and remark and raw_reason not in ("STOP", "MAX_TOKENS"):
        remarks.append(f"the reply ended with {raw_reason}: {remark}")
    status = as_dict(body.get("modelStatus"))
    if status.get("modelStage") in _ENDING_STAGES:
        when = f", its retirement is due {status['retirementTime']}" if status.get("retirementTime") else ""
        remarks.append(f"the model is {str(status['modelStage']).lower()}{when}")
    return tuple(remarks)


def read_citations(candidate: Mapping[str, Any]) -> list[Citation]:
    """Reads every source that a candidate names, in the wire's order."""
    return [*_recited(candidate.get("citationMetadata")), *_grounded(candidate.get("groundingMetadata"))]


def read_searches(candidate: Mapping[str, Any]) -> dict[str, set[str]]:
    """Returns, by tool, the different queries that it was asked for a candidate; a grounding without a query is one of
    its own.

    Google charges each different query, or the prompt once. Maps have a fee of their own.
    """
    metadata = candidate.get("groundingMetadata")
    found = {query for query in _items(metadata, "webSearchQueries") if isinstance(query, str) and query.strip()}
    kinds = {kind for chunk in _items(metadata, "groundingChunks") if isinstance(chunk, dict) for kind in chunk}
    if not found and "web" in kinds:
        found = {""}
    return {"web_search": found, "google_maps": {""} if "maps" in kinds else set()}


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
