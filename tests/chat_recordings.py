"""The recorded chat completions of every host, and the dialect each is read with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from asyncllm._framing.framer import Frame
from asyncllm._framing.sse import SSEFramer
from asyncllm._protocols.codec import Codec, Context
from asyncllm._protocols.openai_chat import ChatDialect, OpenAIChat
from asyncllm._providers.compatible import ROWS, dialect_of
from asyncllm._schema.accumulate import Accumulator
from asyncllm._schema.events import Event
from asyncllm._schema.response import Response
from recordings import body_of, context, headers_of, recorded

FILES = (
    *("openai-chat", "azure", "groq", "mistral", "deepseek", "xai", "openrouter", "together", "cerebras", "perplexity"),
    *("huggingface", "llamacpp", "vllm-and-local", "zai", "ollama", "compat-other"),
)
NOT_CHAT = {
    "mistral-c2841c0fc5": "a document read by OCR: pages, no choices",
    "ollama-0f4e6d1764": "the native API of Ollama: lines of JSON",
}
OPENAI = ("openai-chat", "azure-chat")


def exchanges(**where: Any) -> list[dict[str, Any]]:
    """Every recorded generation of the chat format."""
    return recorded(*FILES, protocol="openai-chat", kind="generate", **where)


def kind_of(exchange: dict[str, Any]) -> str:
    """The kind of host an exchange was recorded from."""
    provider = str(exchange["provider"])
    return "openai" if provider in OPENAI else provider if provider in ROWS else "openai_compatible"


def protocol_of(exchange: dict[str, Any]) -> Codec[ChatDialect]:
    """The codec for the host an exchange was recorded from."""
    kind = kind_of(exchange)
    if kind == "openai":
        return OpenAIChat()
    return OpenAIChat(dialect_of(kind))


def context_of(exchange: dict[str, Any]) -> Context:
    """A context with the provenance of that host."""
    return context(kind_of(exchange))


def decode(exchange: dict[str, Any]) -> Response:
    """The reply of a unary exchange."""
    status, headers = int(exchange["status"]), headers_of(exchange)
    return protocol_of(exchange).decode(status, headers, body_of(exchange), context_of(exchange))


def frames_of(pieces: Sequence[bytes]) -> list[Frame]:
    """What the framing makes of bytes that arrive in these pieces."""
    framer = SSEFramer()
    return [frame for piece in pieces for frame in framer.feed(piece)] + framer.close()


def play(pieces: Sequence[bytes], protocol: OpenAIChat, where: Context) -> list[Event]:
    """The events of a stream whose bytes arrive in these pieces; an error's own events are in the error."""
    framer, decoder = SSEFramer(), protocol.decoder({}, where)
    events: list[Event] = []
    for piece in pieces:
        events += decoder.feed(framer.feed(piece))
    return events + decoder.feed(framer.close()) + decoder.close()


def reply_of(events: Sequence[Event]) -> Response:
    """The response that a stream adds up to."""
    accumulator = Accumulator()
    accumulator.feed(events)
    return accumulator.response()


def sse(*chunks: Any, done: bool = True) -> bytes:
    """A stream of these chunks (objects, or text as it stands)."""
    lines = [chunk if isinstance(chunk, str) else f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk with one choice."""
    choice: dict[str, Any] = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "m-1", "choices": [choice], **fields}


def streamed(*chunks: Any, done: bool = True, dialect: ChatDialect | None = None, kind: str = "openai") -> list[Event]:
    """The events of a stream of these chunks."""
    return play([sse(*chunks, done=done)], OpenAIChat(dialect or ChatDialect()), context(kind))
