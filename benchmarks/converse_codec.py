"""What the Converse codec costs by itself: microseconds a delta (JSON parsing apart), and to encode a conversation.

Run: ``python benchmarks/converse_codec.py``. Best of several rounds, on one core, in CPU time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from time import process_time

from asyncllm.framing.base import Frame
from asyncllm.protocols.base import Context
from asyncllm.protocols.converse import Converse
from asyncllm.schema.content import Origin
from asyncllm.schema.messages import Message
from asyncllm.schema.request import Request
from asyncllm.wire_json import WireJSON

DELTAS, MESSAGES, ROUNDS = 2_000, 200, 30
PROTOCOL = Converse()
MODEL = "us.anthropic.claude-sonnet-5-5"


class _Parsed:
    """Hands out events parsed beforehand, so that only the decoder is measured."""

    def __init__(self, known: dict[bytes, object]) -> None:
        self.loads = known.__getitem__
        self.dumps = WireJSON().dumps


def context(codec: object) -> Context:
    ids = count(1)
    return Context(
        origin=Origin("bedrock", "converse"),
        provider="bedrock",
        model=MODEL,
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


def stream(name: str, start: dict[str, object] | None, delta: Callable[[int], dict[str, object]]) -> None:
    opening = [Frame("messageStart", b'{"role":"assistant"}')]
    if start is not None:
        event = {"contentBlockIndex": 0, "start": start}
        opening.append(Frame("contentBlockStart", json.dumps(event).encode()))
    deltas = [{"contentBlockIndex": 0, "delta": delta(at), "p": "abcdefghijkl"} for at in range(DELTAS)]
    frames = [Frame("contentBlockDelta", json.dumps(event).encode()) for event in deltas]
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
    request = Request(model=MODEL, messages=messages, max_tokens=1024)
    real = context(WireJSON())
    unwritten = context(type("Unwritten", (), {"dumps": staticmethod(lambda value: b""), "loads": json.loads})())
    print(
        f"    encode: {best(lambda: PROTOCOL.encode(request, real)):.0f} µs for {MESSAGES} plain messages, "
        f"{best(lambda: PROTOCOL.encode(request, unwritten)):.0f} besides writing the JSON"
    )


if __name__ == "__main__":
    stream("text", None, lambda at: {"text": f"word {at} "})
    stream("reasoning", None, lambda at: {"reasoningContent": {"text": f"word {at} "}})
    stream("tool call", {"toolUse": {"toolUseId": "t", "name": "f"}}, lambda at: {"toolUse": {"input": f"{at},"}})
    encode()
