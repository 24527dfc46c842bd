"""A whole body -> `Response`, and one content block -> part (which the stream shares).

Every block becomes a part in its place. Fields of a block that no other wire has go to ``extra``; blocks of tools that
the provider ran, and blocks of kinds unknown here, are kept whole in ``raw``. Sources: anthropic SDK 2.11
(``types/message``, ``types/stop_reason``, ``types/beta/beta_stop_reason``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..._schema.content import Citation, Part, ProviderToolCall, ProviderToolResult, Reasoning, Text, ToolCall, Unknown
from ..._schema.messages import Message
from ..._schema.response import FinishReason, Response
from ...errors import AsyncLLMError, ContentBlockedError, ProtocolError
from ..classify import snippet
from ..codec import Context, load_whole
from ..finish import check_reply, finish_reason, said_by
from ..parts import as_dict, as_text, objects, unique_calls
from .dialect import AnthropicDialect
from .errors import error_from, request_id_of
from .usage import read_rate_limits, read_usage


def read_response(
    status: int, headers: Mapping[str, str], body: bytes, context: Context, dialect: AnthropicDialect
) -> Response:
    """Reads a whole reply; raises what `asyncllm._protocols.codec.WireProtocol.decode` says."""
    request_id = request_id_of(headers, dialect)

    def broken(what: str) -> ProtocolError:
        return ProtocolError(
            f"{what} instead of a message: {snippet(body)!r}",
            provider=context.provider,
            model=context.model,
            status=status,
            request_id=request_id,
        )

    try:
        value, warnings = load_whole(body, context)
    except AsyncLLMError:
        raise broken("the answer is not JSON") from None
    if not isinstance(value, dict):
        raise broken("the answer is no JSON object")
    content = value.get("content")
    if value.get("type") == "error" or ("error" in value and not isinstance(content, list)):
        raise error_from(value, headers, context, dialect, status=status, text=snippet(body))
    if not isinstance(content, list):
        raise broken("the answer holds no content")
    parts = read_blocks(content, context)
    raw_finish, usage = as_text(value.get("stop_reason")), read_usage(value.get("usage"))
    if raw_finish == "end_turn" and len(parts) == 1 and type(parts[0]) is Text and parts[0].text:
        finish: FinishReason = "stop"  # the usual reply, without a detour
    else:
        parts = unique_calls(parts, context)
        finish = finish_reason(raw_finish, calls=any(type(part) is ToolCall for part in parts))
        check_blocked(finish, parts, value.get("stop_details"), context, request_id)
        check_reply(raw_finish, said=said_by(parts), context=context, request_id=request_id, status=status, usage=usage)
    return Response(
        message=Message("assistant", tuple(parts)),
        finish_reason=finish,
        raw_finish_reason=raw_finish,
        stop_sequence=as_text(value.get("stop_sequence")),
        usage=usage,
        provider=context.provider,
        model=as_text(value.get("model")) or context.model,
        requested_model=context.model,
        id=as_text(value.get("id")),
        request_id=request_id,
        rate_limits=read_rate_limits(headers, context.now),
        warnings=warnings,
        raw=value,
    )


def check_blocked(
    finish: FinishReason, parts: Sequence[Part], details: Any, context: Context, request_id: str | None
) -> None:
    """Raises ContentBlockedError for a refusal that says nothing at all."""
    if finish != "refusal" or said_by(parts).anything:
        return
    facts = as_dict(details)
    category, explanation = as_text(facts.get("category")), as_text(facts.get("explanation"))
    why = f" ({category})" if category else ""
    raise ContentBlockedError(
        f"the model refused and said nothing{why}{': ' + explanation if explanation else ''}",
        provider=context.provider,
        model=context.model,
        code=category or "refusal",
        request_id=request_id,
    )


def read_blocks(content: Iterable[Any], context: Context) -> list[Part]:
    """Reads the parts of a message, in order."""
    names: dict[str, str] = {}
    parts = []
    for block in content:
        part = read_block(block, context, names)
        if type(part) is ProviderToolCall:
            names[part.id] = part.name
        parts.append(part)
    return parts


def read_block(block: Any, context: Context, names: Mapping[str, str], arguments: str | None = None) -> Part:
    """Reads one content block as a part.

    Args:
        block: the wire's block, whole.
        context: of the call.
        names: the tools the provider ran so far, by the id of the call.
        arguments: the text of ``input`` as it was streamed; None where it came as a value.
    """
    kind = as_text(block.get("type")) if isinstance(block, dict) else None
    part: Part | None = None
    if kind == "text":
        part = _text(block, context)
    elif kind == "tool_use":
        part = _tool_call(block, context, arguments)
    elif kind == "thinking" or kind == "redacted_thinking":
        part = _reasoning(block, context)
    elif kind is not None and kind.endswith("_tool_use"):
        part = _provider_call(block, context, arguments)
    elif kind is not None and kind.endswith("_tool_result"):
        part = _provider_result(block, kind, context, names)
    return part or Unknown(type=kind or "", raw=block, origin=context.origin)


def _extra(block: Mapping[str, Any], *known: str) -> dict[str, Any] | None:
    return {name: value for name, value in block.items() if name != "type" and name not in known} or None


def _text(block: dict[str, Any], context: Context) -> Part | None:
    text, citations = block.get("text"), block.get("citations")
    if not isinstance(text, str):
        return None
    if len(block) == 2:  # its type and its text: nearly every block
        return Text(text, origin=context.origin)
    found = tuple([_citation(item) for item in objects(citations)])
    return Text(text, citations=found, origin=context.origin, extra=_extra(block, "text", "citations"))


def _citation(raw: dict[str, Any]) -> Citation:
    """Reads a citation of any location: characters (0-based), pages (from 1) or blocks, whichever the source is cut
    into.
    """
    starts = [raw.get(name) for name in ("start_char_index", "start_page_number", "start_block_index")]
    ends = [raw.get(name) for name in ("end_char_index", "end_page_number", "end_block_index")]
    return Citation(
        url=as_text(raw.get("url"))
        or (as_text(raw.get("source")) if raw.get("type") == "search_result_location" else None),
        title=as_text(raw.get("title")) or as_text(raw.get("document_title")),
        cited_text=as_text(raw.get("cited_text")),
        start=next((number for number in starts if type(number) is int), None),
        end=next((number for number in ends if type(number) is int), None),
        raw=raw,
    )


def _reasoning(block: dict[str, Any], context: Context) -> Part | None:
    if block["type"] == "redacted_thinking":
        data = as_text(block.get("data"))
        return None if data is None else Reasoning(encrypted=data, origin=context.origin, extra=_extra(block, "data"))
    text, signature = block.get("thinking"), block.get("signature")
    if not isinstance(text, str):
        return None
    extra = _extra(block, "thinking", "signature")
    return Reasoning(text, signature=as_text(signature) or None, origin=context.origin, extra=extra)


def _tool_call(block: dict[str, Any], context: Context, arguments: str | None) -> Part | None:
    name = as_text(block.get("name"))
    if name is None:
        return None
    return ToolCall(
        as_text(block.get("id")) or context.new_id("toolu_"),
        name,
        raw_arguments=_written(block.get("input"), context) if arguments is None else arguments,
        origin=context.origin,
        extra=_extra(block, "id", "name", "input"),
    )


def _written(value: Any, context: Context) -> str:
    """Returns the arguments as text; ``""`` where there are none."""
    return "" if value is None else context.json.dumps(value).decode()


def _provider_call(block: dict[str, Any], context: Context, arguments: str | None) -> Part | None:
    call_id, name = as_text(block.get("id")), as_text(block.get("name"))
    if call_id is None or name is None:
        return None
    return ProviderToolCall(
        id=call_id,
        name=name,
        raw_arguments=_written(block.get("input"), context) if arguments is None else arguments,
        raw=block,
        origin=context.origin,
    )


def _provider_result(block: dict[str, Any], kind: str, context: Context, names: Mapping[str, str]) -> Part | None:
    call_id = as_text(block.get("tool_use_id"))
    if call_id is None:
        return None
    inner = as_text(as_dict(block.get("content")).get("type")) or ""
    return ProviderToolResult(
        call_id=call_id,
        name=names.get(call_id) or kind.removesuffix("_tool_result"),
        raw=block,
        is_error=block.get("is_error") is True or inner.endswith("_error"),
        origin=context.origin,
    )
