"""The recorded exchanges of the Responses API, from every host that speaks it; and how its codec is fed in tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from asyncllm._framing.sse import SSEFramer
from asyncllm._protocols.codec import Context
from asyncllm._protocols.openai_responses import OpenAIResponses, ResponsesDialect
from asyncllm._schema.accumulate import Accumulator
from asyncllm._schema.content import Origin
from asyncllm._schema.events import Event
from asyncllm._schema.messages import Message
from asyncllm._schema.request import Request
from asyncllm._schema.response import Response
from recordings import body_of, context, headers_of, recorded

FILES = (
    *("openai-responses", "azure", "xai", "openrouter", "compat-other", "bedrock-misc", "deepseek", "llamacpp"),
    "vllm-and-local",
)
ORIGIN = Origin("openai", "openai_responses")
XAI = OpenAIResponses()


def exchanges(**where: Any) -> list[dict[str, Any]]:
    """Every recorded generation of the Responses API."""
    return recorded(*FILES, protocol="openai-responses", kind="generate", **where)


def protocol_of(exchange: dict[str, Any]) -> OpenAIResponses:
    """The codec for the host an exchange was recorded from."""
    return XAI if exchange["provider"] == "xai" else OpenAIResponses()


def here(**fields: Any) -> Context:
    """A context of OpenAI's own."""
    return context("openai", "openai_responses", **fields)


def decode(exchange: dict[str, Any]) -> Response:
    """The reply of a unary exchange."""
    return protocol_of(exchange).decode(int(exchange["status"]), headers_of(exchange), body_of(exchange), here())


def play(pieces: Sequence[bytes], protocol: OpenAIResponses | None = None) -> list[Event]:
    """The events of a stream whose bytes arrive in these pieces; an error's own events are in the error."""
    framer, decoder = SSEFramer(), (protocol or OpenAIResponses()).decoder({}, here())
    events: list[Event] = []
    for piece in pieces:
        events += decoder.feed(framer.feed(piece))
    return events + decoder.feed(framer.close()) + decoder.close()


def reply_of(events: Sequence[Event]) -> Response:
    """The response that a stream adds up to."""
    accumulator = Accumulator()
    accumulator.feed(events)
    return accumulator.response()


def sse(*events: Any) -> bytes:
    """A stream of these events (objects, or text as it stands)."""
    return "".join(
        [
            event if isinstance(event, str) else f"event: {event.get('type')}\ndata: {json.dumps(event)}\n\n"
            for event in events
        ]
    ).encode()


def body(messages: Sequence[Message], *, dialect: ResponsesDialect | None = None, **fields: Any) -> dict[str, Any]:
    """The body written for a conversation."""
    protocol = OpenAIResponses(dialect or ResponsesDialect())
    request = Request(**{"model": "gpt-6-sol", "messages": tuple(messages), **fields})
    written: dict[str, Any] = json.loads(protocol.encode(request, here(model=request.model)).body)
    return written


def warnings(messages: Sequence[Message], **fields: Any) -> tuple[str, ...]:
    """The warnings of writing a conversation."""
    request = Request(**{"model": "gpt-6-sol", "messages": tuple(messages), **fields})
    wire = OpenAIResponses().encode(request, here(model=request.model))
    return (*map(str, wire.left_out), *wire.warnings)


def whole(*output: Any, **fields: Any) -> dict[str, Any]:
    """A ``response`` object."""
    return {"id": "resp_1", "object": "response", "status": "completed", "model": "m-1", "output": [*output], **fields}


def read(*output: Any, dialect: ResponsesDialect | None = None, **fields: Any) -> Response:
    """The reply that a ``response`` object says."""
    protocol = OpenAIResponses(dialect or ResponsesDialect())
    return protocol.decode(200, {}, json.dumps(whole(*output, **fields)).encode(), here())
