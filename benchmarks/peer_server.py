"""A server for benchmarks: it answers in the wire formats of OpenAI, Anthropic and Gemini, from bytes made beforehand.

    python benchmarks/peer_server.py [--chunks 1000] [--faults 0.05]      prints its URL and serves until it is ended

A stream has so many chunks of text, each an HTTP chunk of its own, sent at once. It checks nothing. Of faults there are
five, as often as each other: a 500, a 429, a connection closed without an answer, an answer cut in the middle, and one
that is no JSON. ``GET /count`` says how many requests it has read.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from collections.abc import Iterator
from typing import Any

TEXT = "x" * 300
WORDS = tuple(f"word {number:03d} and " for number in range(200))  # LiteLLM refuses a model that repeats itself


def chat() -> bytes:
    message = {"role": "assistant", "content": TEXT, "refusal": None}
    usage = {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1741569952, "model": "gpt-4o-mini"}
    return json.dumps({**head, "choices": [choice], "usage": usage}).encode()


def messages() -> bytes:
    usage = {"input_tokens": 19, "output_tokens": 10}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-3-5-haiku-20241022"}
    body = {"content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn", "stop_sequence": None}
    return json.dumps({**head, **body, "usage": usage}).encode()


def content(text: str = TEXT, finish: str | None = "STOP") -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    usage = {"promptTokenCount": 19, "candidatesTokenCount": 10, "totalTokenCount": 29}
    finished = {} if finish is None else {"finishReason": finish}
    return {"candidates": [{**candidate, **finished}], "usageMetadata": usage, "modelVersion": "gemini-2.0-flash"}


def event(data: Any, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


def chat_events(chunks: int) -> Iterator[bytes]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1741569952, "model": "gpt-4o-mini"}
    for number in range(chunks + 1):
        last = number == chunks
        delta = {} if last else {"content": WORDS[number % 200]}
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": "stop" if last else None}
        yield event({**head, "choices": [choice]})
    yield b"data: [DONE]\n\n"


def messages_events(chunks: int) -> Iterator[bytes]:
    begun = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-3-5-haiku-20241022", "content": []}
    usage = {"input_tokens": 19, "output_tokens": 1}
    message = {**begun, "stop_reason": None, "stop_sequence": None, "usage": usage}
    yield event({"type": "message_start", "message": message}, "message_start")
    block = {"type": "text", "text": ""}
    yield event({"type": "content_block_start", "index": 0, "content_block": block}, "content_block_start")
    for number in range(chunks):
        delta = {"type": "text_delta", "text": WORDS[number % 200]}
        yield event({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta")
    yield event({"type": "content_block_stop", "index": 0}, "content_block_stop")
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    yield event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": chunks}}, "message_delta")
    yield event({"type": "message_stop"}, "message_stop")


def content_events(chunks: int) -> Iterator[bytes]:
    for number in range(chunks):
        yield event(content(WORDS[number % 200], "STOP" if number == chunks - 1 else None))


def whole(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def chunked(events: Iterator[bytes]) -> bytes:
    pieces = b"".join([b"%x\r\n%b\r\n" % (len(one), one) for one in events])
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n%b0\r\n\r\n" % pieces
    )


WHOLE = {
    b"completions": whole(chat()),
    b"messages": whole(messages()),
    b"models": whole(json.dumps(content()).encode()),
}
FAILURES = (
    whole(b'{"error": {"message": "something broke", "type": "server_error"}}', "500 Internal Server Error"),
    whole(b'{"error": {"message": "slow down", "type": "rate_limit"}}', "429 Too Many Requests"),
    b"",
    None,  # cut in the middle
    whole(b'{"choices": [{"index"'),
)


class Server:
    """What it answers, how often it fails, and how many requests it has read."""

    def __init__(self, chunks: int, faults: float) -> None:
        self.streamed = {
            b"completions": chunked(chat_events(chunks)),
            b"messages": chunked(messages_events(chunks)),
            b"models": chunked(content_events(chunks)),
        }
        self.faults = faults
        self.chance = random.Random(7)
        self.count = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self.answer(reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Reads one request and answers it; whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if head.startswith(b"get /count"):
            writer.write(whole(str(self.count).encode()))
            return True
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        self.count += 1
        path = head.partition(b" http/")[0]
        wire = next(name for name in WHOLE if name in path)
        is_stream = b"streamgenerate" in path or b'"stream":true' in body.replace(b" ", b"")
        reply = (self.streamed if is_stream else WHOLE)[wire]
        if self.faults and self.chance.random() < self.faults:
            failure = self.chance.choice(FAILURES)
            writer.write(reply[: len(reply) // 2] if failure is None else failure)
            return bool(failure)
        writer.write(reply)
        return True


async def main(chunks: int, faults: float) -> None:
    server = await asyncio.start_server(Server(chunks, faults).serve, "127.0.0.1", 0, backlog=1000)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=1000)
    parser.add_argument("--faults", type=float, default=0.0)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.chunks, arguments.faults))
