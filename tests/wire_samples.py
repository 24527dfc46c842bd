"""Small answers in each of the five wire formats, whole and streamed, from one description of what they hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from asyncllm._framing.framer import Frame
from asyncllm._protocols.anthropic import AnthropicMessages
from asyncllm._protocols.codec import Codec
from asyncllm._protocols.converse import Converse
from asyncllm._protocols.gemini import Gemini
from asyncllm._protocols.openai_chat import OpenAIChat
from asyncllm._protocols.openai_responses import OpenAIResponses
from asyncllm._schema.accumulate import Accumulator
from asyncllm._schema.response import Response
from recordings import context

CODECS: Mapping[str, Codec[Any]] = {
    "chat": OpenAIChat(),
    "responses": OpenAIResponses(),
    "messages": AnthropicMessages(),
    "gemini": Gemini(),
    "converse": Converse(),
}
Holds = Sequence[str]
"""What an answer holds, in order: ``thought``, ``signed`` (with a signature), ``text``, ``empty``, ``call``."""

_CHAT: Mapping[str, dict[str, Any]] = {
    "thought": {"reasoning_content": "hm"},
    "signed": {"reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "c2ln"}]},
    "text": {"content": "hello"},
    "empty": {"content": ""},
    "call": {
        "tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    },
}
_RESPONSES: Mapping[str, dict[str, Any]] = {
    "thought": {"type": "reasoning", "id": "r1", "summary": [{"type": "summary_text", "text": "hm"}]},
    "signed": {"type": "reasoning", "id": "r1", "summary": [], "encrypted_content": "c2ln"},
    "text": {"type": "message", "id": "m1", "content": [{"type": "output_text", "text": "hello", "annotations": []}]},
    "empty": {"type": "message", "id": "m1", "content": [{"type": "output_text", "text": "", "annotations": []}]},
    "call": {"type": "function_call", "id": "f1", "call_id": "c1", "name": "f", "arguments": "{}"},
}
_MESSAGES: Mapping[str, dict[str, Any]] = {
    "thought": {"type": "thinking", "thinking": "hm", "signature": ""},
    "signed": {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
    "text": {"type": "text", "text": "hello"},
    "empty": {"type": "text", "text": ""},
    "call": {"type": "tool_use", "id": "c1", "name": "f", "input": {}},
}
_GEMINI: Mapping[str, dict[str, Any]] = {
    "thought": {"text": "hm", "thought": True},
    "signed": {"text": "", "thoughtSignature": "c2ln"},
    "text": {"text": "hello"},
    "empty": {"text": ""},
    "call": {"functionCall": {"name": "f", "args": {}}},
}
_CONVERSE: Mapping[str, dict[str, Any]] = {
    "thought": {"reasoningContent": {"reasoningText": {"text": "hm"}}},
    "signed": {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
    "text": {"text": "hello"},
    "empty": {"text": ""},
    "call": {"toolUse": {"toolUseId": "c1", "name": "f", "input": {}}},
}


def whole(wire: str, holds: Holds, word: str | None) -> dict[str, Any]:
    """The body of a whole answer that ended with a word of this wire; None for none."""
    if wire == "chat":
        said: dict[str, Any] = {"role": "assistant", "content": None}
        for one in holds:
            said.update(_CHAT[one])
        return {"id": "c", "model": "m", "choices": [{"index": 0, "message": said, "finish_reason": word}]}
    if wire == "responses":
        return {"id": "r", "model": "m", "output": [_RESPONSES[one] for one in holds], **_status(word)}
    if wire == "messages":
        content = [_MESSAGES[one] for one in holds]
        return {"id": "m", "type": "message", "role": "assistant", "content": content, "stop_reason": word}
    if wire == "gemini":
        candidate: dict[str, Any] = {"index": 0, **({"finishReason": word} if word is not None else {})}
        if holds:
            candidate["content"] = {"role": "model", "parts": [_GEMINI[one] for one in holds]}
        return {"candidates": [candidate], "responseId": "r"}
    content = [_CONVERSE[one] for one in holds]
    return {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": word}


def _status(word: str | None) -> dict[str, Any]:
    status, _, reason = (word or "").partition(":")
    return {"status": status or None, "incomplete_details": {"reason": reason} if reason else None}


def streamed(wire: str, holds: Holds, word: str | None) -> list[Frame]:
    """The frames of a stream that ends as its protocol wants it."""
    return [
        Frame(name, data if isinstance(data, bytes) else json.dumps(data).encode())
        for name, data in _events(wire, holds, word)
    ]


def _events(wire: str, holds: Holds, word: str | None) -> list[tuple[str, Any]]:
    if wire == "chat":
        deltas = [{"choices": [{"index": 0, "delta": _CHAT[one], "finish_reason": None}]} for one in holds]
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": word}]}
        return [*(("", {"id": "c", **one}) for one in [*deltas, end]), ("", b"[DONE]")]
    if wire == "responses":
        items = [
            ("", {"type": f"response.output_item.{what}", "output_index": at, "item": _RESPONSES[one]})
            for at, one in enumerate(holds)
            for what in ("added", "done")
        ]
        kind = "incomplete" if (word or "").startswith("incomplete") else "completed"
        return [*items, ("", {"type": f"response.{kind}", "response": whole(wire, holds, word)})]
    if wire == "messages":
        blocks = [
            ("", {"type": f"content_block_{what}", "index": at, "content_block": _MESSAGES[one]})
            for at, one in enumerate(holds)
            for what in ("start", "stop")
        ]
        start, stop = {"type": "message_start", "message": {"content": []}}, {"delta": {"stop_reason": word}}
        return [("", start), *blocks, ("", {"type": "message_delta", **stop}), ("", {"type": "message_stop"})]
    if wire == "gemini":
        return [("", whole(wire, [one], None)) for one in holds] + [("", whole(wire, [], word))]
    events: list[tuple[str, Any]] = [("messageStart", {"role": "assistant"})]
    for at, one in enumerate(holds):
        kind, body = next(iter(_CONVERSE[one].items()))
        place = {"contentBlockIndex": at}
        if kind == "toolUse":
            events.append(("contentBlockStart", {**place, "start": {kind: {"toolUseId": "c1", "name": "f"}}}))
        elif kind == "reasoningContent":
            events += [
                ("contentBlockDelta", {**place, "delta": {kind: {k: v}}}) for k, v in body["reasoningText"].items()
            ]
        else:
            events.append(("contentBlockDelta", {**place, "delta": {kind: body}}))
        events.append(("contentBlockStop", place))
    return [*events, ("messageStop", {"stopReason": word}), ("metadata", {"usage": {}})]


def decoded(wire: str, body: dict[str, Any] | bytes) -> Response:
    """A whole answer, read."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return CODECS[wire].decode(200, {}, data, context("host", wire))


def gathered(wire: str, frames: Sequence[Frame]) -> Response:
    """A stream, read to its end and put together."""
    decoder, accumulator = CODECS[wire].decoder({}, context("host", wire)), Accumulator()
    accumulator.feed(decoder.feed(frames))
    if not decoder.done:
        accumulator.feed(decoder.close())
    return accumulator.response()
