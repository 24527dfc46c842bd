"""What a codec costs by itself, for the ``*_codec.py`` beside this file: microseconds a delta, and to encode a talk.

Best of several rounds, on one core, in CPU time. JSON is parsed beforehand where only the decoder is measured; looking
up what was parsed is taken off.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from time import process_time

from asyncllm._framing.framer import Frame
from asyncllm._protocols.codec import Context, WireProtocol
from asyncllm._protocols.wire_json import WireJSON
from asyncllm._schema.content import Origin
from asyncllm._schema.messages import Message
from asyncllm._schema.request import Request

DELTAS, MESSAGES, ROUNDS = 2_000, 200, 30


class _Parsed:
    """Hands out events parsed beforehand, so that only the decoder is measured."""

    def __init__(self, known: dict[bytes, object]) -> None:
        self.loads = known.__getitem__
        self.dumps = WireJSON().dumps


class _Unwritten:
    """Writes nothing, so that only the encoder is measured."""

    loads = staticmethod(json.loads)

    @staticmethod
    def dumps(value: object) -> bytes:
        return b""


def frame(event: Mapping[str, object], name: str = "") -> Frame:
    """One event of the wire."""
    return Frame(name, json.dumps(event).encode())


def best(act: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The shortest CPU time of one round, in microseconds."""
    times = []
    for _ in range(rounds):
        begun = process_time()
        act()
        times.append(process_time() - begun)
    return min(times) * 1e6


@dataclass(frozen=True)
class Codec:
    """A codec, and the host and model it is asked to speak to."""

    protocol: WireProtocol
    provider: str
    model: str

    def context(self, reader: object) -> Context:
        ids = count(1)
        return Context(
            origin=Origin(self.provider, self.protocol.name),
            provider=self.provider,
            model=self.model,
            json=reader,  # type: ignore[arg-type]  # a stand-in for the parser
            new_id=lambda prefix: f"{prefix}{next(ids)}",
            now=lambda: 0.0,
        )

    def stream(self, name: str, opening: Sequence[Frame], delta: Callable[[int], Frame]) -> None:
        """Prints what a delta costs after the opening frames."""
        frames = [delta(at) for at in range(DELTAS)]
        known = {each.data: json.loads(each.data) for each in [*opening, *frames]}
        parsed, real = self.context(_Parsed(known)), self.context(WireJSON())

        def decode(using: Context, parts: Sequence[Sequence[Frame]]) -> None:
            decoder = self.protocol.decoder({}, using)
            decoder.feed(opening)
            for part in parts:
                decoder.feed(part)

        lookup = best(lambda: [known[each.data] for each in frames]) / DELTAS
        burst = best(lambda: decode(parsed, [frames])) / DELTAS - lookup
        single = best(lambda: decode(parsed, [(each,) for each in frames])) / DELTAS - lookup
        whole = best(lambda: decode(real, [frames])) / DELTAS
        print(
            f"{name:>18}: {burst:.2f} µs a delta in a burst, {single:.2f} one at a time; "
            f"{whole:.2f} with the JSON parser"
        )

    def encode(self) -> None:
        """Prints what a conversation costs."""
        turns = [Message.user, Message.assistant]
        messages = tuple([turns[at % 2](f"turn {at}: " + "words of a plain turn " * 12) for at in range(MESSAGES)])
        request = Request(model=self.model, messages=messages, max_tokens=1024)
        real, unwritten = self.context(WireJSON()), self.context(_Unwritten())
        whole = best(lambda: self.protocol.encode(request, real))
        besides = best(lambda: self.protocol.encode(request, unwritten))
        print(f"{'encode':>18}: {whole:.0f} µs for {MESSAGES} plain messages, {besides:.0f} besides writing the JSON")
