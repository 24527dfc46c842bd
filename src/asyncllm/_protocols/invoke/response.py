"""What answers of the older models have in common: why they ended, and what was counted.

Amazon counts for every vendor: in the headers of a whole answer, and in the last chunk of a stream, under
``amazon-bedrock-invocationMetrics``. What the body counts itself is asked after that. A guardrail says so under
``amazon-bedrock-guardrailAction``. Source: recorded traffic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._schema.content import Text
from ..._schema.messages import Message
from ..._schema.response import FinishReason, Response
from ..._schema.usage import UNKNOWN_USAGE, Usage
from ...errors import AsyncLLMError, ProtocolError
from ..aws_shapes import request_id_of
from ..classify import snippet
from ..codec import Context, load_whole
from ..finish import Said, check_reply, finish_reason
from ..parts import as_dict, as_text, parse_count
from .dialect import InvokeDialect, TextFamily, find

METRICS = "amazon-bedrock-invocationMetrics"


def read_response(
    status: int, headers: Mapping[str, str], body: bytes, context: Context, dialect: InvokeDialect
) -> Response:
    """Reads a whole reply.

    Raises:
        ProtocolError: it is not of this family.
    """
    try:
        value, warnings = load_whole(body, context)
    except AsyncLLMError:
        value, warnings = None, ()
    text = find(value, dialect.family.text)
    if not isinstance(value, dict) or not isinstance(text, str):
        raise ProtocolError(
            f"the answer holds no text: {snippet(body)!r}",
            provider=context.provider,
            model=context.model,
            status=status,
            request_id=request_id_of(headers),
        )
    word, usage = as_text(find(value, dialect.family.finish)), usage_of(headers, value, dialect.family)
    blocked, request_id = intervened(value), request_id_of(headers)
    check_reply(
        word,
        said=Said(*[bool(text or blocked)] * 2),
        context=context,
        request_id=request_id,
        status=status,
        usage=usage,
    )
    return Response(
        message=Message("assistant", (Text(text, origin=context.origin),)),
        finish_reason=why_ended(word, blocked=blocked),
        raw_finish_reason=word,
        usage=usage,
        warnings=warnings,
        provider=context.provider,
        model=context.model,
        requested_model=context.model,
        request_id=request_id,
        raw=value,
    )


def intervened(value: Mapping[str, Any]) -> bool:
    """Returns whether a guardrail changed or blocked this."""
    return value.get("amazon-bedrock-guardrailAction") == "INTERVENED"


def why_ended(word: str | None, *, blocked: bool) -> FinishReason:
    """Returns why the model stopped; a guardrail's block comes before its own word."""
    return "content_filter" if blocked else finish_reason(word, calls=False)


def usage_of(headers: Mapping[str, str], value: Mapping[str, Any], family: TextFamily) -> Usage:
    """Reads what a reply used, from headers, metrics or the body; `UNKNOWN_USAGE` if none of them says it."""
    metrics = as_dict(value.get(METRICS))
    counts = [
        _first(headers.get(f"x-amzn-bedrock-{name}-token-count"), metrics.get(f"{name}TokenCount"), find(value, places))
        for name, places in (("input", family.input_tokens), ("output", family.output_tokens))
    ]
    if counts == [None, None]:
        return UNKNOWN_USAGE
    return Usage(input_tokens=counts[0], output_tokens=counts[1])


def _first(header: str | None, metric: Any, counted: Any) -> int | None:
    """Returns the first that is a count; Titan writes its own as ``28.0``."""
    found = parse_count(header)
    if found is not None:
        return found
    for number in (metric, counted):
        if type(number) in (int, float) and 0 <= number < 1e12:
            return int(number)
    return None
