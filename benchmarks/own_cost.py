"""What the library itself costs: CPU of a call and of a stream chunk over a transport that answers at once.

Run ``python benchmarks/own_cost.py``. The answer's bytes are there before the request is, so everything measured is
ours: reading the caller's words, encoding, the engine, framing, decoding, events. The JSON parse is measured alone
beside it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from asyncllm import Client
from asyncllm._protocols.wire_json import WireJSON
from asyncllm._transport.base import HTTPReply, TransportRequest

CHUNKS = 1000
WORDS = (" lorem", " ipsum", " dolor", " sit", " amet")


def openai_chunk(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "object": "chat.completion.chunk", "created": 1741569952}
    body = {**head, "model": "m", "service_tier": "default", "system_fingerprint": "fp_0", "choices": [choice]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def anthropic_event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def openai_stream() -> Iterator[bytes]:
    yield openai_chunk({"role": "assistant", "content": ""})
    for number in range(CHUNKS):
        yield openai_chunk({"content": WORDS[number % 5]})
    yield openai_chunk({}, "stop")
    yield b"data: [DONE]\n\n"


def anthropic_stream() -> Iterator[bytes]:
    usage = {"input_tokens": 19, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    yield anthropic_event("message_start", message=message)
    yield anthropic_event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for number in range(CHUNKS):
        yield anthropic_event("content_block_delta", index=0, delta={"type": "text_delta", "text": WORDS[number % 5]})
    yield anthropic_event("content_block_stop", index=0)
    yield anthropic_event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": CHUNKS})
    yield anthropic_event("message_stop")


OPENAI_BODY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "x" * 300}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29},
    }
).encode()
ANTHROPIC_BODY = json.dumps(
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "x" * 300}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 19, "output_tokens": 10},
    }
).encode()


class AtOnce:
    """A transport whose answers are already there."""

    status = 200

    def __init__(self, body: bytes, pieces: list[bytes]) -> None:
        self.headers = {"content-type": "text/event-stream", "x-request-id": "req_1"}
        self.reply = HTTPReply(status=200, headers={**self.headers, "content-type": "application/json"}, body=body)
        self.pieces = pieces
        self.waiting: Iterator[bytes] = iter(())

    async def send(self, request: TransportRequest) -> HTTPReply:
        return self.reply

    async def stream(self, request: TransportRequest) -> AtOnce:
        self.waiting = iter(self.pieces)
        return self

    async def receive(self) -> bytes | None:
        return next(self.waiting, None)

    async def read(self, limit: int) -> bytes:
        return b""

    def release(self) -> None: ...
    def abort(self) -> None: ...
    def forget(self) -> None: ...
    async def aclose(self) -> None: ...


class Offline(Client):
    """A client over such a transport."""

    answers: AtOnce

    def _build_transport(self, background: object) -> Any:
        return self.answers


def client(kind: str, body: bytes, pieces: list[bytes]) -> Offline:
    offline = Offline(
        {
            "active_provider": kind,
            "active_model": "m",
            "providers": {kind: {"api_key": "k"}},
            "cost_tracking": {"enabled": False},
        },
        environ={},
    )
    offline.answers = AtOnce(body, pieces)
    return offline


async def best(work: Callable[[], Awaitable[None]], number: int, rounds: int = 7) -> float:
    """The best CPU microseconds of one of ``number`` units that ``work`` does."""
    fastest = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        await work()
        fastest = min(fastest, time.process_time() - began)
    return fastest / number * 1e6


async def measure(kind: str, body: bytes, pieces: list[bytes]) -> None:
    offline = client(kind, body, pieces)
    roles = ("user", "assistant")
    conversation = [{"role": roles[turn % 2], "content": f"message {turn} " * 20} for turn in range(199)]

    async def calls() -> None:
        for _ in range(300):
            await offline.send("Say hi, briefly.")

    async def long_calls() -> None:
        for _ in range(20):
            await offline.send([*conversation, {"role": "user", "content": "go on"}])

    async def stream() -> None:
        async with offline.stream("Count") as events:
            async for event in events:
                event.text  # noqa: B018  # what a consumer does

    async def parse() -> None:
        loads = WireJSON().loads
        for piece in pieces[2 : CHUNKS + 1]:
            loads(piece[piece.index(b"{") :])

    print(f"{kind:10} a call                    {await best(calls, 300):8.2f} µs")
    print(f"{kind:10} a call of 200 messages    {await best(long_calls, 20):8.2f} µs")
    chunk, alone = await best(stream, CHUNKS), await best(parse, CHUNKS)
    print(f"{kind:10} a chunk                   {chunk:8.2f} µs, of which the JSON parse {alone:.2f}")
    await offline.aclose()


async def main() -> None:
    await measure("openai", OPENAI_BODY, list(openai_stream()))
    await measure("anthropic", ANTHROPIC_BODY, list(anthropic_stream()))


if __name__ == "__main__":
    asyncio.run(main())
