"""What framing and JSON cost: ``python benchmarks/framing.py`` prints microseconds an event and MB/s, the best run.

botocore's event-stream parser, orjson and the standard library stand beside ours where they are installed.
"""

from __future__ import annotations

import json
import time
from binascii import crc32
from collections.abc import Callable, Sequence
from struct import pack
from typing import Any

from asyncllm._framing.eventstream import EventStreamFramer
from asyncllm._framing.framer import Framer
from asyncllm._framing.sse import SSEFramer
from asyncllm._protocols.wire_json import WireJSON

EVENTS = 2000
CHUNK = {
    "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
    "object": "chat.completion.chunk",
    "created": 1741569952,
    "model": "gpt-4o-mini-2024-07-18",
    "service_tier": "default",
    "system_fingerprint": "fp_06737a9306",
    "choices": [{"index": 0, "delta": {"content": " lorem"}, "logprobs": None, "finish_reason": None}],
    "usage": None,
}
CONVERSATION = {
    "model": "m",
    "temperature": 0.7,
    "messages": [{"role": "user", "content": "Tell me more about that, “quoted” and naïve. " * 7} for _ in range(200)],
}


def best(act: Callable[[], Any], runs: int = 15) -> float:
    """Seconds of CPU of the fastest run."""
    fastest = float("inf")
    for _ in range(runs):
        started = time.process_time()
        act()
        fastest = min(fastest, time.process_time() - started)
    return fastest


def row(what: str, seconds: float, events: int, size: int) -> None:
    print(f"{what:58s} {seconds / events * 1e6:9.2f} µs {size / seconds / 1e6:9.0f} MB/s")


def grouped(events: Sequence[bytes], count: int) -> list[bytes]:
    return [b"".join(events[at : at + count]) for at in range(0, len(events), count)]


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def framed(make: Callable[[], Framer], chunks: list[bytes], expected: int) -> None:
    framer = make()
    assert expected == sum(len(framer.feed(chunk)) for chunk in chunks)


def sse() -> None:
    data = json.dumps(CHUNK, separators=(",", ":")).encode()
    shapes = {
        "data: LF": b"data: %b\n\n" % data,
        "event: data: LF": b"event: content_block_delta\ndata: %b\n\n" % data,
        "data: CRLF": b"data: %b\r\n\r\n" % data,
    }
    for name, event in shapes.items():
        whole = event * EVENTS
        cuts = {"1 a chunk": grouped([event] * EVENTS, 1), "16 a chunk": grouped([event] * EVENTS, 16)}
        for how, chunks in {**cuts, "chunks of 300 bytes": cut(whole, 300)}.items():
            seconds = best(lambda chunks=chunks: framed(SSEFramer, chunks, EVENTS))
            row(f"SSE, {name}, {how}", seconds, EVENTS, len(whole))
    for megabytes in (1, 8):
        whole = b"data: " + b"x" * (megabytes * 1024 * 1024 - 8) + b"\n\n"
        chunks = cut(whole, 256)
        seconds = best(lambda chunks=chunks: framed(SSEFramer, chunks, 1), 5)
        row(f"SSE, one event of {megabytes} MB in chunks of 256 bytes", seconds, 1, len(whole))


def message(payload: bytes) -> bytes:
    named = {":event-type": "contentBlockDelta", ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        pack("!B", len(name)) + name.encode() + pack("!BH", 7, len(value)) + value.encode()
        for name, value in named.items()
    )
    prelude = pack("!II", len(headers) + len(payload) + 16, len(headers))
    checked = prelude + pack("!I", crc32(prelude)) + headers + payload
    return checked + pack("!I", crc32(checked))


def botocore_framed(chunks: list[bytes], expected: int) -> None:
    from botocore.eventstream import EventStreamBuffer

    buffer, seen = EventStreamBuffer(), 0
    for chunk in chunks:
        buffer.add_data(chunk)
        seen += sum(1 for _ in buffer)
    assert expected == seen


def event_stream() -> None:
    payload = json.dumps({"contentBlockIndex": 0, "delta": {"text": " lorem"}, "p": "abcdefghijklmnopq"}).encode()
    peers = {"ours": lambda chunks: framed(EventStreamFramer, chunks, EVENTS)}
    try:
        import botocore.eventstream  # noqa: F401  (only whether it is there)
    except ImportError:
        pass
    else:
        peers["botocore"] = lambda chunks: botocore_framed(chunks, EVENTS)
    for size, event in {"200 bytes": message(payload), "20 KB": message(b"x" * 20_000)}.items():
        whole = event * EVENTS
        for how, chunks in {
            "1 a chunk": grouped([event] * EVENTS, 1),
            "16 a chunk": grouped([event] * EVENTS, 16),
            "chunks of 300 bytes": cut(whole, 300),
        }.items():
            for peer, act in peers.items():
                seconds = best(lambda act=act, chunks=chunks: act(chunks), 5)
                row(f"event stream, {size}, {how}, {peer}", seconds, EVENTS, len(whole))


def wire_json() -> None:
    data = json.dumps(CHUNK, separators=(",", ":")).encode()
    for backend in ("orjson", "pydantic_core", "json"):
        try:
            wire = WireJSON(backend)
        except ImportError:
            continue
        seconds = best(lambda wire=wire: [wire.loads(data) for _ in range(EVENTS)])
        row(f"JSON, read a chunk of {len(data)} bytes, {backend}", seconds, EVENTS, len(data) * EVENTS)
        seconds = best(lambda wire=wire: [wire.dumps(CONVERSATION) for _ in range(100)])
        row(f"JSON, write 200 messages, {backend}", seconds, 100, len(wire.dumps(CONVERSATION)) * 100)


if __name__ == "__main__":
    sse()
    event_stream()
    wire_json()
