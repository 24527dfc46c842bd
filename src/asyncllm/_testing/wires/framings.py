"""How a body is cut into events, and how one of them is spoilt: server-sent events, AWS event streams, a whole body.

An AWS message is ``total length u32 | headers length u32 | CRC-32 of both | headers | payload | CRC-32 of all before``,
big-endian; a header is ``length u8, name, type u8 (7: string), length u16, value``. Source: botocore's eventstream.py.
Its faults keep what is not spoilt: broken UTF-8 has checksums that fit, and a message that is malformed has one that
does not.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from struct import Struct
from typing import Protocol
from zlib import crc32

BLOCK = 64 * 1024

_PRELUDE = Struct("!II")
_CRC = Struct("!I")
_AROUND = _PRELUDE.size + 2 * _CRC.size
_STRING = 7


class Framing(Protocol):
    """Cuts a body into events, and spoils them."""

    @property
    def content_type(self) -> str:
        """Returns the body's media type."""
        ...

    def malformed(self, event: bytes) -> bytes:
        """Returns the event, broken."""
        ...

    def bad_utf8(self, event: bytes) -> bytes:
        """Returns the event with bytes that are not UTF-8 in a JSON string."""
        ...

    def filler(self, size: int) -> Iterator[bytes]:
        """Yields at least ``size`` bytes that mean nothing, in pieces."""
        ...


class _Whole:
    content_type = "application/json"

    def malformed(self, event: bytes) -> bytes:
        """Returns half of the event."""
        return event[: len(event) // 2] + b"\n\n"

    def bad_utf8(self, event: bytes) -> bytes:
        """Returns the event with a first member whose name no encoding has."""
        return event.replace(b'{"', b'{"\xff\xfe":0,"', 1)

    def filler(self, size: int) -> Iterator[bytes]:
        """Yields blanks before the JSON."""
        return _blocks(b" ", size)


class _ServerSentEvents(_Whole):
    content_type = "text/event-stream; charset=utf-8"

    def filler(self, size: int) -> Iterator[bytes]:
        """Yields one endless comment line."""
        yield b": "
        yield from _blocks(b"x", size)
        yield b"\n\n"


class _EventStream:
    content_type = "application/vnd.amazon.eventstream"

    def malformed(self, event: bytes) -> bytes:
        """Returns the event with a checksum that does not fit."""
        return event[:-1] + bytes([event[-1] ^ 0xFF])

    def bad_utf8(self, event: bytes) -> bytes:
        """Returns broken text under checksums that fit."""
        start = _PRELUDE.size + _CRC.size
        headers = event[start : start + _PRELUDE.unpack_from(event)[1]]
        return _message(headers, self._spoilt(event[start + len(headers) : -_CRC.size]))

    def _spoilt(self, payload: bytes) -> bytes:
        return WHOLE.bad_utf8(payload)

    def filler(self, size: int) -> Iterator[bytes]:
        """Yields one message of an unknown kind, with an endless padding."""
        blocks = -(-size // BLOCK)
        headers = _headers({":event-type": "padding", ":message-type": "event"})
        before, after = b'{"p":"', b'"}'
        prelude = _PRELUDE.pack(_AROUND + len(headers) + len(before) + blocks * BLOCK + len(after), len(headers))
        head = prelude + _CRC.pack(crc32(prelude)) + headers + before
        crc = crc32(head)
        yield head
        for block in _blocks(b"x", size):
            crc = crc32(block, crc)
            yield block
        yield after + _CRC.pack(crc32(after, crc))


class _Chunks(_EventStream):
    def _spoilt(self, payload: bytes) -> bytes:
        value = json.loads(payload)
        return json.dumps({**value, "bytes": b64encode(WHOLE.bad_utf8(b64decode(value["bytes"]))).decode()}).encode()


WHOLE: Framing = _Whole()
SSE: Framing = _ServerSentEvents()
EVENT_STREAM: Framing = _EventStream()
CHUNKS: Framing = _Chunks()
"""AWS messages whose payload is ``{"bytes": ...}``, another format's event in base64."""


def message(name: str, payload: bytes, kind: str = "event") -> bytes:
    """Returns an AWS message with a JSON payload.

    Args:
        name: its ``:event-type`` or ``:exception-type``.
        payload: the JSON.
        kind: ``"event"`` or ``"exception"``.
    """
    return _message(
        _headers({f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}), payload
    )


def _headers(values: dict[str, str]) -> bytes:
    parts = []
    for name, value in values.items():
        parts.append(bytes([len(name)]) + name.encode() + bytes([_STRING]))
        parts.append(len(value).to_bytes(2, "big") + value.encode())
    return b"".join(parts)


def _message(headers: bytes, payload: bytes) -> bytes:
    prelude = _PRELUDE.pack(_AROUND + len(headers) + len(payload), len(headers))
    whole = prelude + _CRC.pack(crc32(prelude)) + headers + payload
    return whole + _CRC.pack(crc32(whole))


def _blocks(filler: bytes, size: int) -> Iterator[bytes]:
    block = filler * BLOCK
    for _ in range(-(-size // BLOCK)):
        yield block
