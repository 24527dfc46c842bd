"""A million mutated inputs to the framers, the JSON reader and every decoder: documented errors only, and none slow.

    nox -s fuzz                                     the whole run
    python benchmarks/fuzz.py --inputs 20000        a short one

Seeds are good answers of six wire formats. Each is mutated at random: bytes flipped, removed, repeated, cut, values
of the JSON replaced, up to 64 KiB. Events of Bedrock's streams are mutated before they are framed, as a frame with a
wrong checksum says nothing to a decoder. Whatever comes of it, the only exceptions are `asyncllm.AsyncLLMError`, each
input takes less than 50 ms of CPU, and memory stays flat. Exits with 1 where that does not hold, and prints the input.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peer_server import chat, chat_events, content, content_events, messages, messages_events

import asyncllm
from asyncllm._framing.eventstream import EventStreamFramer
from asyncllm._framing.framer import Frame
from asyncllm._framing.sse import SSEFramer
from asyncllm._protocols.anthropic import AnthropicMessages
from asyncllm._protocols.codec import Context
from asyncllm._protocols.converse import Converse
from asyncllm._protocols.gemini import Gemini
from asyncllm._protocols.invoke import FAMILIES, InvokeModel
from asyncllm._protocols.openai_chat import OpenAIChat
from asyncllm._protocols.openai_responses import OpenAIResponses
from asyncllm._protocols.wire_json import WireJSON
from asyncllm._schema.content import Origin

MOST_BYTES = 64 << 10
MOST_SECONDS = 0.05
MOST_GROWTH = 20 << 10  # KB, beside what the first tenth of the run took
VALUES = (None, True, 0, -1, 1 << 70, 1e308, "", "x" * 200, [], {}, [[]], {"type": "text"}, "\ud83d")
HEADERS = {"content-type": "application/json", "x-request-id": "req_1"}


CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": '{"a": 1}'}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hello there", "annotations": [], "logprobs": []}],
}
THOUGHT = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Well"}],
    "encrypted_content": "e",
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "model": "m",
    "status": "completed",
    "output": [THOUGHT, MESSAGE, CALL],
    "usage": {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 16,
    },
}


def responses_events() -> bytes:
    """A stream of the Responses API: reasoning, a text and a call."""
    place = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
    events = [
        {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "output": [], "usage": None}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**THOUGHT, "summary": []}},
        {"type": "response.reasoning_summary_text.delta", "item_id": "rs_1", "output_index": 0, "summary_index": 0}
        | {"delta": "Well"},
        {"type": "response.output_item.done", "output_index": 0, "item": THOUGHT},
        {"type": "response.output_item.added", "output_index": 1, "item": {**MESSAGE, "content": []}},
        {
            "type": "response.content_part.added",
            **place,
            "part": {"type": "output_text", "text": "", "annotations": []},
        },
        {"type": "response.output_text.delta", **place, "delta": "Hello"},
        {"type": "response.output_text.delta", **place, "delta": " there"},
        {"type": "response.output_text.done", **place, "text": "Hello there"},
        {"type": "response.output_item.done", "output_index": 1, "item": MESSAGE},
        {"type": "response.output_item.added", "output_index": 2, "item": {**CALL, "arguments": ""}},
        {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 2, "delta": '{"a": 1}'},
        {"type": "response.output_item.done", "output_index": 2, "item": CALL},
        {"type": "response.completed", "response": RESPONSE},
    ]
    return b"".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events)


COUNTED = {"inputTokens": 9, "outputTokens": 7, "totalTokens": 16}
CONVERSE = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "Well", "signature": "s"}}},
                {"text": "Hello"},
                {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": COUNTED,
    "metrics": {"latencyMs": 20},
}
CONVERSE_EVENTS = (
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "Well"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "s"}}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Hello"}}),
    ("contentBlockStop", {"contentBlockIndex": 1}),
    ("contentBlockStart", {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t1", "name": "f"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"a": 1}'}}}),
    ("contentBlockStop", {"contentBlockIndex": 2}),
    ("messageStop", {"stopReason": "tool_use"}),
    ("metadata", {"usage": COUNTED, "metrics": {"latencyMs": 20}}),
)
LLAMA = {"generation": "Hello", "prompt_token_count": 9, "generation_token_count": 7, "stop_reason": "stop"}
LLAMA_EVENTS = (
    ("chunk", {**LLAMA, "generation": "Hel", "stop_reason": None}),
    ("chunk", {**LLAMA, "generation": "lo"}),
    ("chunk", {"generation": "", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 9, "outputTokenCount": 7}}),
)


def written(events: tuple[tuple[str, Any], ...]) -> bytes:
    """Events of a Bedrock stream, a line each: the name and the payload."""
    return b"\n".join(f"{name}\t{json.dumps(value)}".encode() for name, value in events)


def context(codec: Any) -> Context:
    return Context(
        origin=Origin("fuzz", codec.name),
        provider="fuzz",
        model="m",
        json=WireJSON(),
        new_id=lambda prefix: prefix + "1",
        now=time.time,
    )


def replaced(chance: random.Random, value: Any) -> Any:
    """The JSON value with one of its parts exchanged."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        if chance.random() < 0.1:
            return {name: one for name, one in value.items() if name != key}
        return {**value, key: replaced(chance, value[key])}
    if isinstance(value, list) and value and chance.random() < 0.85:
        at = chance.randrange(len(value))
        return [*value[:at], replaced(chance, value[at]), *value[at + 1 :]]
    return chance.choice(VALUES)


def mutated(chance: random.Random, data: bytes) -> bytes:
    """Other bytes of about the same kind."""
    if data[:1] == b"{" and chance.random() < 0.5:
        return json.dumps(replaced(chance, json.loads(data)), ensure_ascii=chance.random() < 0.5).encode(
            "utf8", "replace"
        )
    changed = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at, size = chance.randrange(len(changed) + 1), chance.choice((1, 1, 4, 60))
        kind = chance.randrange(5)
        if kind == 0:
            changed[at : at + size] = os.urandom(1)
        elif kind == 1:
            del changed[at : at + size]
        elif kind == 2:
            changed[at:at] = changed[at : at + size] * chance.choice((1, 2, 200))
        elif kind == 3:
            changed[at:at] = chance.choice((b"\n", b"\n\n", b"data: ", b"{", b"]", b"\\u", b'"', b"[" * 300, b"1e999"))
        elif at:
            del changed[at:]
    return bytes(changed[:MOST_BYTES])


def streamed(codec: Any, framer: Callable[[], Any]) -> Callable[[bytes], object]:
    def read(data: bytes) -> object:
        frames, decoder = framer(), codec.decoder(HEADERS, context(codec))
        middle = len(data) // 2
        events = [*decoder.feed(frames.feed(data[:middle])), *decoder.feed(frames.feed(data[middle:]))]
        return [*events, *decoder.feed(frames.close()), *decoder.close()]

    return read


def played(codec: Any) -> Callable[[bytes], object]:
    """Reads the lines of `written` as the frames that they would be."""

    def read(data: bytes) -> object:
        decoder = codec.decoder(HEADERS, context(codec))
        frames = []
        for line in data.split(b"\n"):
            name, _, payload = line.partition(b"\t")
            kind = "exception" if name.endswith(b"Exception") else "event"
            frames.append(Frame(name.decode("latin-1"), payload, kind))
        half = len(frames) // 2
        return [*decoder.feed(frames[:half]), *decoder.feed(frames[half:]), *decoder.close()]

    return read


def whole(codec: Any) -> Callable[[bytes], object]:
    return lambda data: codec.decode(200, HEADERS, data, context(codec))


def failed(codec: Any) -> Callable[[bytes], object]:
    return lambda data: codec.decode_error(400, HEADERS, data, context(codec))


def framed(framer: Callable[[], Any]) -> Callable[[bytes], object]:
    def read(data: bytes) -> list[Frame]:
        made = framer()
        return [*made.feed(data), *made.close()]

    return read


def readers() -> list[tuple[str, Callable[[bytes], object], bytes]]:
    """What is fed: a name, a reader and a good input."""
    failure = (
        b'{"error": {"message": "no", "type": "invalid_request_error", "code": "x", "param": null}, "type": "error"}'
    )
    body = json.dumps(content()).encode()
    found: list[tuple[str, Callable[[bytes], object], bytes]] = [
        ("sse", framed(SSEFramer), b"".join(messages_events(5))),
        ("eventstream", framed(EventStreamFramer), bytes(range(256)) * 4),
        ("json", WireJSON().loads, chat()),
    ]
    for codec, good, events in (
        (OpenAIChat(), chat(), b"".join(chat_events(10))),
        (AnthropicMessages(), messages(), b"".join(messages_events(10))),
        (Gemini(), body, b"".join(content_events(10))),
        (OpenAIResponses(), json.dumps(RESPONSE).encode(), responses_events()),
        (Converse(), json.dumps(CONVERSE).encode(), written(CONVERSE_EVENTS)),
        (InvokeModel(FAMILIES["meta.llama3"]), json.dumps(LLAMA).encode(), written(LLAMA_EVENTS)),
    ):
        reader = streamed(codec, SSEFramer) if codec.name not in ("converse", "invoke") else played(codec)
        found += [
            (f"{codec.name} body", whole(codec), good),
            (f"{codec.name} error", failed(codec), failure),
            (f"{codec.name} stream", reader, events),
        ]
    for name, read, good in found:
        if not name.endswith(" error") and name != "eventstream":
            read(good)  # a seed that cannot be read would try nothing
    return found


def kilobytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def main(inputs: int, seed: int) -> bool:
    """Runs, and says whether everything held."""
    chance, outcomes, slowest, base = random.Random(seed), Counter[str](), 0.0, 0
    kinds = readers()
    for number in range(inputs):
        name, read, good = kinds[number % len(kinds)]
        data = mutated(chance, good)
        began = time.thread_time()
        try:
            read(data)
            outcomes["read"] += 1
        except asyncllm.AsyncLLMError as error:
            outcomes[type(error).__name__] += 1
        except Exception as error:  # noqa: BLE001  # that is what is looked for
            print(f"{name}: {type(error).__name__}: {error}\n{data[:2000]!r}")
            return False
        spent = time.thread_time() - began
        if spent > MOST_SECONDS:
            began = time.thread_time()  # a busy machine: once more
            try:
                read(data)
            except asyncllm.AsyncLLMError:
                outcomes["again"] += 1
            spent = time.thread_time() - began
        slowest = max(slowest, spent)
        if spent > MOST_SECONDS:
            print(f"{name}: {spent * 1000:.0f} ms for {len(data)} bytes\n{data[:2000]!r}")
            return False
        if number == inputs // 10:
            base = kilobytes()
    grown = kilobytes() - base
    print(f"{inputs} inputs: {dict(outcomes.most_common())}")
    print(f"slowest {slowest * 1000:.1f} ms of CPU; memory {grown:+} KB after the first tenth")
    return grown < MOST_GROWTH


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sys.exit(0 if main(arguments.inputs, arguments.seed) else 1)
