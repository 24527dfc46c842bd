"""A whole body -> `Response`, and one content block -> part (which the stream shares).

Every block becomes a part in its place. ``citationsContent`` is text with its sources; tools that Bedrock ran itself
(``type: server_tool_use``, and results in the assistant's turn) and blocks of kinds unknown here are kept whole in
``raw``. A block whose fields no part can say is kept whole too: in ``extra`` of a text, as `Unknown` elsewhere. Source:
botocore 1.44.5, bedrock-runtime ``ConverseResponse``.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping
from typing import Any

from ..._schema.content import (
    Citation,
    Image,
    Part,
    ProviderToolCall,
    ProviderToolResult,
    Reasoning,
    Text,
    ToolCall,
    Unknown,
)
from ..._schema.messages import Message
from ..._schema.response import Response
from ...errors import AsyncLLMError, ProtocolError
from ..aws_shapes import request_id_of
from ..classify import snippet
from ..codec import Context, load_whole
from ..finish import check_reply, finish_reason, said_by
from ..parts import as_dict, as_text, unique_calls
from .dialect import ConverseDialect
from .parts import IMAGES, media_type_of
from .usage import read_usage


def read_response(
    status: int, headers: Mapping[str, str], body: bytes, context: Context, dialect: ConverseDialect
) -> Response:
    """Reads a whole reply; raises what `asyncllm._protocols.codec.WireProtocol.decode` says."""
    request_id = request_id_of(headers)
    try:
        value, warnings = load_whole(body, context)
    except AsyncLLMError:
        value, warnings = None, ()
    content = as_dict(as_dict(as_dict(value).get("output")).get("message")).get("content")
    if not isinstance(content, list):
        raise ProtocolError(
            f"the answer holds no message: {snippet(body)!r}",
            provider=context.provider,
            model=context.model,
            status=status,
            request_id=request_id,
        )
    parts = unique_calls(read_blocks(content, context), context)
    word, usage = as_text(value.get("stopReason")), read_usage(value.get("usage"), value.get("serviceTier"))
    check_reply(word, said=said_by(parts), context=context, request_id=request_id, status=status, usage=usage)
    finish = finish_reason(word, calls=any(type(part) is ToolCall for part in parts))
    return Response(
        message=Message("assistant", tuple(parts)),
        finish_reason=finish,
        raw_finish_reason=word,
        stop_sequence=stop_sequence(value.get("additionalModelResponseFields")),
        usage=usage,
        warnings=warnings,
        provider=context.provider,
        model=answered_by(value.get("trace")) or context.model,
        requested_model=context.model,
        request_id=request_id,
        raw=value,
    )


def answered_by(trace: Any) -> str | None:
    """Returns the model that a prompt router chose; None where there was no router."""
    return as_text(as_dict(as_dict(trace).get("promptRouter")).get("invokedModelId"))


def stop_sequence(fields: Any) -> str | None:
    """Returns the sequence that ended the reply, where the request asked for ``/stop_sequence``."""
    return as_text(as_dict(fields).get("stop_sequence"))


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
    """Reads one content block, which has one key, as a part.

    Args:
        block: the wire's block, whole.
        context: of the call.
        names: the tools that Bedrock ran so far, by the id of the call.
        arguments: the text of ``input`` as it was streamed; None where it came as a value.
    """
    if not isinstance(block, dict) or len(block) != 1:
        return Unknown(type="", raw=block, origin=context.origin)
    kind, body = next(iter(block.items()))
    part: Part | None = None
    if kind == "text" and isinstance(body, str):
        return Text(body, origin=context.origin)
    if isinstance(body, dict):
        if kind == "toolUse":
            part = _tool_use(block, body, context, arguments)
        elif kind == "reasoningContent":
            part = _reasoning(body, context)
        elif kind == "citationsContent":
            part = _cited(block, body, context)
        elif kind == "toolResult":
            part = _result(block, body, context, names)
        elif kind == "image":
            part = _image(body, context)
    return part or Unknown(type=kind, raw=block, origin=context.origin)


def _tool_use(block: dict[str, Any], body: dict[str, Any], context: Context, arguments: str | None) -> Part | None:
    name, call_id = as_text(body.get("name")), as_text(body.get("toolUseId"))
    if name is None:
        return None
    if arguments is None:
        given = body.get("input")
        arguments = "" if given is None else context.json.dumps(given).decode()
    if body.get("type") == "server_tool_use" and call_id:
        return ProviderToolCall(id=call_id, name=name, raw_arguments=arguments, raw=block, origin=context.origin)
    # `type: tool_use` is what a call is anyway, and no value that a request may hold.
    known = ("name", "toolUseId", "input", *(("type",) if body.get("type") == "tool_use" else ()))
    extra = {key: value for key, value in body.items() if key not in known}
    return ToolCall(
        call_id or context.new_id("tooluse_"), name, raw_arguments=arguments, origin=context.origin, extra=extra or None
    )


def _reasoning(body: dict[str, Any], context: Context) -> Part | None:
    if body.keys() == {"redactedContent"} and isinstance(body["redactedContent"], str):
        return Reasoning(encrypted=body["redactedContent"], origin=context.origin)
    shown = body.get("reasoningText")
    if len(body) != 1 or not isinstance(shown, dict) or not isinstance(shown.get("text"), str):
        return None
    if shown.keys() - {"text", "signature"}:
        return None
    return Reasoning(shown["text"], signature=as_text(shown.get("signature")) or None, origin=context.origin)


def _cited(block: dict[str, Any], body: dict[str, Any], context: Context) -> Part | None:
    content, sources = body.get("content"), body.get("citations")
    if not isinstance(content, list) or not isinstance(sources, list):
        return None
    texts = [text for item in content if (text := as_text(as_dict(item).get("text"))) is not None]
    citations = tuple([_citation(source) for source in sources if isinstance(source, dict)])
    simple = (
        len(texts) == 1 == len(content) and content[0].keys() == {"text"} and body.keys() <= {"content", "citations"}
    )
    whole = simple and 0 < len(citations) == len(sources)
    return Text("".join(texts), citations=citations, origin=context.origin, extra=None if whole else block)


def _citation(raw: dict[str, Any]) -> Citation:
    """Reads a citation of any location: a web page, or a span of characters, pages or chunks."""
    place = as_dict(next(iter(as_dict(raw.get("location")).values()), None))
    content = raw.get("sourceContent")
    texts = (
        [text for item in content if (text := as_text(as_dict(item).get("text")))] if isinstance(content, list) else []
    )
    start, end = place.get("start"), place.get("end")
    return Citation(
        url=as_text(place.get("url")),
        title=as_text(raw.get("title")),
        cited_text="".join(texts) or None,
        start=start if type(start) is int else None,
        end=end if type(end) is int else None,
        raw=raw,
    )


def _result(block: dict[str, Any], body: dict[str, Any], context: Context, names: Mapping[str, str]) -> Part | None:
    call_id = as_text(body.get("toolUseId"))
    if call_id is None:
        return None
    return ProviderToolResult(
        call_id=call_id,
        name=names.get(call_id) or (as_text(body.get("type")) or "").removesuffix("_result"),
        raw=block,
        is_error=body.get("status") == "error",
        origin=context.origin,
    )


def _image(body: dict[str, Any], context: Context) -> Part | None:
    kind, source = media_type_of(body.get("format"), IMAGES), as_dict(body.get("source"))
    data = as_text(source.get("bytes"))
    if kind is None or data is None or body.keys() != {"format", "source"} or len(source) != 1:
        return None
    try:
        return Image(data=b64decode(data, validate=True), media_type=kind, origin=context.origin)
    except (Base64Error, ValueError):
        return None
