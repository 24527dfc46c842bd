"""What the Responses codec costs by itself: microseconds a delta (JSON parsing apart), and to encode a conversation.

Run: ``python benchmarks/openai_responses_codec.py``. Best of several rounds, on one core, in CPU time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from time import process_time
from typing import Any

from asyncllm.framing.base import Frame
from asyncllm.protocols.base import Context
from asyncllm.protocols.openai_responses import OpenAIResponses
from asyncllm.schema.content import Origin
from asyncllm.schema.messages import Message
from asyncllm.schema.request import Request
from asyncllm.wire_json import WireJSON

DELTAS, MESSAGES, ROUNDS = 2_000, 200, 30
PROTOCOL = OpenAIResponses()


class _Parsed:
    """Hands out events parsed beforehand, so that only the decoder is measured."""

    def __init__(self, known: dict[bytes, object]) -> None:
        self.loads = known.__getitem__
        self.dumps = WireJSON().dumps


def context(codec: object) -> Context:
    ids = count(1)
    return Context(
        origin=Origin("openai", "openai_responses"),
        provider="openai",
        model="gpt-6-sol",
        json=codec,  # type: ignore[arg-type]  # a stand-in for the parser
        new_id=lambda prefix: f"{prefix}{next(ids)}",
        now=lambda: 0.0,
    )


def best(act: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The shortest CPU time of one round, in microseconds."""
    times = []
    for _ in range(rounds):
        begun = process_time()
        act()
        times.append(process_time() - begun)
    return min(times) * 1e6


def stream(name: str, item: dict[str, Any], delta: dict[str, Any]) -> None:
    head = [
        {"type": "response.created", "response": {"id": "resp_1", "model": "m"}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
    ]
    deltas = [
        {**delta, "output_index": 0, "item_id": "i", "delta": f"word {at} ", "sequence_number": at, "logprobs": []}
        for at in range(DELTAS)
    ]
    opening = [Frame("", json.dumps(event).encode()) for event in head]
    frames = [Frame(str(delta["type"]), json.dumps(event).encode()) for event in deltas]
    known = {frame.data: json.loads(frame.data) for frame in [*opening, *frames]}
    parsed, real = context(_Parsed(known)), context(WireJSON())

    def decode(using: Context, *, singly: bool) -> None:
        decoder = PROTOCOL.decoder({}, using)
        decoder.feed(opening)
        for part in [(frame,) for frame in frames] if singly else [frames]:
            decoder.feed(part)

    lookup = best(lambda: [known[frame.data] for frame in frames]) / DELTAS
    burst = best(lambda: decode(parsed, singly=False)) / DELTAS - lookup
    single = best(lambda: decode(parsed, singly=True)) / DELTAS - lookup
    whole = best(lambda: decode(real, singly=False)) / DELTAS
    print(
        f"{name:>10}: {burst:.2f} µs a delta in a burst, {single:.2f} one at a time; {whole:.2f} with the JSON parser"
    )


def encode() -> None:
    turns = [Message.user, Message.assistant]
    messages = tuple([turns[at % 2](f"turn {at}: " + "words of a plain turn " * 12) for at in range(MESSAGES)])
    request = Request(model="gpt-6-sol", messages=messages, max_tokens=1024)
    real = context(WireJSON())
    unwritten = context(type("Unwritten", (), {"dumps": staticmethod(lambda value: b""), "loads": json.loads})())
    print(
        f"    encode: {best(lambda: PROTOCOL.encode(request, real)):.0f} µs for {MESSAGES} plain messages, "
        f"{best(lambda: PROTOCOL.encode(request, unwritten)):.0f} besides writing the JSON"
    )


if __name__ == "__main__":
    stream(
        "text",
        {"type": "message", "id": "i", "role": "assistant", "content": []},
        {"type": "response.output_text.delta", "content_index": 0},
    )
    stream(
        "reasoning",
        {"type": "reasoning", "id": "i", "summary": []},
        {"type": "response.reasoning_summary_text.delta", "summary_index": 0},
    )
    stream(
        "tool call",
        {"type": "function_call", "id": "i", "call_id": "c", "name": "f", "arguments": ""},
        {"type": "response.function_call_arguments.delta"},
    )
    encode()
