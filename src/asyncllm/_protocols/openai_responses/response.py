"""A whole ``response`` object -> canonical response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._schema.content import Refusal, ToolCall
from ..._schema.messages import Message
from ..._schema.response import Response
from ...errors import AsyncLLMError, ProtocolError
from ..classify import snippet
from ..codec import Context
from ..finish import check_reply, said_by
from ..openai_api import failure_error, rate_limits, read_failure, read_whole, request_id
from ..parts import unique_calls
from .dialect import ResponsesDialect
from .parts import read_items
from .usage import read_finish, read_usage


def read_response(
    status: int, headers: Mapping[str, str], body: bytes, context: Context, dialect: ResponsesDialect
) -> Response:
    """Reads a successful body; see `asyncllm._protocols.codec.WireProtocol.decode`."""
    whole, warnings = read_whole(status, headers, body, context, "a response")
    if whole.get("error") or whole.get("status") == "failed":
        raise failure_of(whole, status, headers, context, dialect)
    if not isinstance(whole.get("output"), list):
        raise ProtocolError(
            f"the provider's answer holds no output: {snippet(body, 100)}",
            provider=context.provider,
            model=context.model,
            status=status,
            request_id=request_id(headers),
        )
    parts = unique_calls(read_items(whole["output"], context, dialect), context)
    reason, word = read_finish(
        whole,
        calls=any(type(part) is ToolCall for part in parts),
        refused=any(type(part) is Refusal for part in parts),
    )
    usage = read_usage(whole)
    check_reply(word, said=said_by(parts), context=context, request_id=request_id(headers), status=status, usage=usage)
    if word in ("queued", "in_progress"):
        warnings = (
            *warnings,
            f"the answer is not there yet (status {word}): get it later by its id, {whole.get('id')}",
        )
    model, ident = whole.get("model"), whole.get("id")
    return Response(
        message=Message("assistant", tuple(parts)),
        finish_reason=reason,
        raw_finish_reason=word,
        usage=usage,
        warnings=warnings,
        provider=context.provider,
        model=model if isinstance(model, str) else "",
        requested_model=context.model,
        id=ident if isinstance(ident, str) and ident else None,
        request_id=request_id(headers),
        rate_limits=rate_limits(headers),
        raw=whole,
    )


def failure_of(
    response: Mapping[str, Any],
    status: int | None,
    headers: Mapping[str, str],
    context: Context,
    dialect: ResponsesDialect,
) -> AsyncLLMError:
    """The exception for a ``response`` object that failed, or for an error in place of one."""
    failure = read_failure(response)
    if not failure.message:
        failure = failure._replace(message="the provider reported that the response failed, and not why")
    return failure_error(failure, status, headers, context, dialect)
