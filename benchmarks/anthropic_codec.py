"""What the Messages codec costs by itself: microseconds a delta (JSON parsing apart), and to encode a conversation.

Run: ``python benchmarks/anthropic_codec.py``. Best of several rounds, on one core, in CPU time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from time import process_time

from asyncllm.framing.base import Frame
from asyncllm.protocols.anthropic import AnthropicMessages
from asyncllm.protocols.base import Context
from asyncllm.schema.content import Origin
from asyncllm.schema.messages import Message
from asyncllm.schema.request import Request
from asyncllm.wire_json import WireJSON

DELTAS, MESSAGES, ROUNDS = 2_000, 200, 30
PROTOCOL = AnthropicMessages()


class _Parsed:
    """Hands out events parsed beforehand, so that only the decoder is measured."""

    def __init__(self, known: dict[bytes, object]) -> None:
        self.loads = known.__getitem__
        self.dumps = WireJSON().dumps


def context(codec: object) -> Context:
    ids = count(1)
    return Context(
        origin=Origin("anthropic", "anthropic"),
        provider="anthropic",
        model="claude-sonnet-5-5",
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


def stream(name: str, block: dict[str, object], delta: Callable[[int], dict[str, object]]) -> None:
    head = [
        {
            "type": "message_start",
            "message": {"id": "msg_1", "model": "m", "content": [], "usage": {"input_tokens": 1}},
        },
        {"type": "content_block_start", "index": 0, "content_block": block},
    ]
    deltas = [{"type": "content_block_delta", "index": 0, "delta": delta(at)} for at in range(DELTAS)]
    opening = [Frame("", json.dumps(event).encode()) for event in head]
    frames = [Frame("", json.dumps(event).encode()) for event in deltas]
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
    request = Request(model="claude-sonnet-5-5", messages=messages, max_tokens=1024)
    real = context(WireJSON())
    unwritten = context(type("Unwritten", (), {"dumps": staticmethod(lambda value: b""), "loads": json.loads})())
    print(
        f"    encode: {best(lambda: PROTOCOL.encode(request, real)):.0f} µs for {MESSAGES} plain messages, "
        f"{best(lambda: PROTOCOL.encode(request, unwritten)):.0f} besides writing the JSON"
    )


if __name__ == "__main__":
    stream("text", {"type": "text", "text": ""}, lambda at: {"type": "text_delta", "text": f"word {at} "})
    stream(
        "thinking",
        {"type": "thinking", "thinking": "", "signature": ""},
        lambda at: {"type": "thinking_delta", "thinking": f"word {at} "},
    )
    stream(
        "tool call",
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
        lambda at: {"type": "input_json_delta", "partial_json": f"{at},"},
    )
    encode()
