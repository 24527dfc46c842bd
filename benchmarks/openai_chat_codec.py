"""What the chat codec costs by itself: microseconds a text chunk (JSON parsing apart), and to encode 200 messages.

Run: ``python benchmarks/openai_chat_codec.py``. Best of several rounds, on one core, in CPU time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from time import process_time

from asyncllm.framing.base import Frame
from asyncllm.protocols.base import Context
from asyncllm.protocols.openai_chat import OpenAIChat
from asyncllm.schema.content import Origin
from asyncllm.schema.messages import Message
from asyncllm.schema.request import Request
from asyncllm.wire_json import WireJSON

CHUNKS, MESSAGES, ROUNDS = 2_000, 200, 30


class _Parsed:
    """Hands out chunks parsed beforehand, so that only the decoder is measured."""

    def __init__(self, known: dict[bytes, object]) -> None:
        self.loads = known.__getitem__
        self.dumps = WireJSON().dumps


def context(codec: object) -> Context:
    ids = count(1)
    return Context(
        origin=Origin("openai", "openai_chat"),
        provider="openai",
        model="m",
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


def chunk(delta: dict[str, object], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "usage": None}
    return json.dumps({**head, "choices": [choice], "obfuscation": "x"}).encode()


def stream(name: str, delta: Callable[[int], dict[str, object]]) -> None:
    bodies = [chunk(delta(at)) for at in range(CHUNKS)]
    frames = [Frame("", body) for body in bodies]
    known = {body: json.loads(body) for body in bodies}
    protocol, parsed, real = OpenAIChat(), context(_Parsed(known)), context(WireJSON())
    alone = best(lambda: [protocol.decoder({}, parsed).feed(frames)]) / CHUNKS
    lookup = best(lambda: [known[body] for body in bodies]) / CHUNKS
    whole = best(lambda: [protocol.decoder({}, real).feed(frames)]) / CHUNKS
    one = protocol.decoder({}, parsed)
    singly = best(lambda: [one.feed((frame,)) for frame in frames]) / CHUNKS
    print(
        f"{name:22} {alone - lookup:6.2f} us a chunk without the parser, "
        f"{singly - lookup:.2f} fed one by one, {whole:.2f} with it"
    )


def main() -> None:
    stream("text", lambda at: {"content": f" word{at}"})
    stream("text, verbose host", lambda at: {"role": "assistant", "content": f" w{at}", "reasoning": None})
    stream("reasoning", lambda at: {"content": None, "reasoning_content": f" word{at}"})
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f"}}
    stream("call arguments", lambda at: {"tool_calls": [{**call, "function": {"name": "f", "arguments": f"{at}"}}]})
    roles = ("user", "assistant")
    messages = tuple(Message(roles[at % 2], (f"message number {at} of a talk",)) for at in range(MESSAGES))  # type: ignore[arg-type]
    request, here = Request(model="m", messages=messages), context(WireJSON())
    protocol = OpenAIChat()
    whole = best(lambda: protocol.encode(request, here), 200)
    print(f"{MESSAGES} messages          {whole:6.0f} us an encode, dumps included")
    body = json.loads(protocol.encode(request, here).body)
    print(f"of it dumps           {best(lambda: here.json.dumps(body), 200):6.0f} us")


if __name__ == "__main__":
    main()
