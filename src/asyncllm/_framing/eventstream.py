"""AWS event streams (``application/vnd.amazon.eventstream``), as Bedrock sends them.

A message is big-endian::

    total length u32 | headers length u32 | CRC-32 of these 8 bytes | headers | payload | CRC-32 of all before it

and a header is ``name length u8, name, type u8, value``. Source: botocore's eventstream.py.

Rules.

- A length is believed only when the CRC over it fits, so nothing is awaited or bounded on the word of noise.
- Both CRCs are checked, with no copy but the payload itself. The unfinished message lies in one growing buffer and its
  length is known after 12 bytes: the work is linear in the bytes fed, whatever the chunks.
- The same few header blocks come again and again: what was read from small ones is kept, up to a bound.
- The frames before a broken message are handed out first; the error is raised by the next call that has none to give.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from ..errors import ProtocolError, ResponseTooLargeError
from .framer import Frame

MAX_HEADERS_BYTES = 128 * 1024
MAX_PAYLOAD_BYTES = 24 * 1024 * 1024

_PRELUDE = Struct("!III")
_CRC = Struct("!I")
_AROUND = _PRELUDE.size + _CRC.size  # bytes of a message that are neither headers nor payload
_MOST_BLOCKS = 64
_LARGEST_BLOCK = 512

HeaderValue = bool | int | bytes | str
"""A header's value; a timestamp is an integer (milliseconds since the epoch), a UUID its 16 bytes."""


class EventStreamFramer:
    """An incremental parser for one event stream.

    A frame's ``event`` is the message's ``:event-type``, ``:exception-type`` or ``:error-code``, its ``kind`` the
    ``:message-type``. A message of kind ``error`` says what is wrong in its headers: without a payload of its own it
    gets ``{"message": ...}`` for one, which is the form of an exception's.

    Args:
        max_headers_bytes: the most bytes of headers in one message.
        max_payload_bytes: the most bytes of payload in one message.
    """

    __slots__ = ("_blocks", "_broken", "_max_headers", "_max_payload", "_need", "_tail")

    def __init__(self, max_headers_bytes: int = MAX_HEADERS_BYTES, max_payload_bytes: int = MAX_PAYLOAD_BYTES) -> None:
        self._max_headers = max_headers_bytes
        self._max_payload = max_payload_bytes
        self._tail = bytearray()  # the unfinished message
        self._need = _PRELUDE.size  # how long the tail must be before there is anything to do
        self._blocks: dict[bytes, _Meaning] = {}
        self._broken: Exception | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """Takes the next bytes and returns the messages that they complete.

        Raises:
            ResponseTooLargeError: a message is larger than the bounds.
            ProtocolError: a CRC does not fit, or a message is not well-formed.
        """
        frames: list[Frame] = []
        if self._broken is None:
            whole: bytes | bytearray = data
            if self._tail:
                self._tail += data
                if len(self._tail) < self._need:
                    return frames
                whole, self._tail = self._tail, bytearray()
            try:
                self._cut(whole, frames)
            except (ProtocolError, ResponseTooLargeError) as error:
                self._broken = error
        if self._broken is not None and not frames:
            raise type(self._broken)(str(self._broken))
        return frames

    def close(self) -> list[Frame]:
        """Ends the bytes. An unfinished message is discarded, so no frame is returned.

        Raises:
            AsyncLLMError: what was wrong with the stream, where no call has said so yet.
        """
        if self._broken is not None:
            raise type(self._broken)(str(self._broken))
        self._tail.clear()
        return []

    def _cut(self, data: bytes | bytearray, frames: list[Frame]) -> None:
        """Reads the whole messages of ``data`` and keeps the rest."""
        view, size, start, need = memoryview(data), len(data), 0, _PRELUDE.size
        while size - start >= _PRELUDE.size:
            total, headers, prelude_crc = _PRELUDE.unpack_from(data, start)
            crc = crc32(view[start : start + 8])
            if crc != prelude_crc:
                raise ProtocolError("the event stream is broken: the checksum of a message's lengths does not fit")
            payload = total - headers - _AROUND
            if payload < 0 or headers > self._max_headers or payload > self._max_payload:
                raise self._bad_lengths(total, headers, payload)
            if size - start < total:
                need = total
                break
            end = start + total - _CRC.size
            if crc32(view[start + 8 : end], crc) != _CRC.unpack_from(data, end)[0]:
                raise ProtocolError("the event stream is broken: the checksum of a message does not fit")
            body = start + _PRELUDE.size + headers
            event, kind, text = self._meaning(bytes(view[start + _PRELUDE.size : body]))
            content = bytes(view[body:end])
            if kind == "error" and not content and text is not None:
                content = json.dumps({"message": text}).encode()
            frames.append(Frame(event, content, kind))
            start = end + _CRC.size
        self._tail += view[start:]
        self._need = need

    def _bad_lengths(self, total: int, headers: int, payload: int) -> ProtocolError | ResponseTooLargeError:
        if payload < 0:
            return ProtocolError(f"the event stream is broken: a message of {total} bytes with {headers} of headers")
        if headers > self._max_headers:
            return ResponseTooLargeError(f"the provider sent a message with more than {self._max_headers} header bytes")
        return ResponseTooLargeError(f"the provider sent a message with more than {self._max_payload} payload bytes")

    def _meaning(self, block: bytes) -> _Meaning:
        known = self._blocks.get(block)
        if known is None:
            known = _meaning_of(decode_headers(block))
            if len(block) <= _LARGEST_BLOCK and len(self._blocks) < _MOST_BLOCKS:
                self._blocks[block] = known
        return known


class _Meaning(NamedTuple):
    """The meaning of a message, by its headers."""

    event: str
    kind: str
    message: str | None


_NAMED_BY: Mapping[str, str] = {"exception": ":exception-type", "error": ":error-code"}


def _meaning_of(headers: dict[str, HeaderValue]) -> _Meaning:
    def text(name: str) -> str | None:
        value = headers.get(name)
        if value is None or isinstance(value, str):
            return value
        raise ProtocolError(f"the event stream is broken: its header {name} is not a string")

    kind = text(":message-type") or "event"
    return _Meaning(text(_NAMED_BY.get(kind, ":event-type")) or "", kind, text(":error-message"))


def decode_headers(block: bytes) -> dict[str, HeaderValue]:
    """Reads a header block of all ten types.

    Raises:
        ProtocolError: it is not well-formed, or names a header twice.
    """
    headers: dict[str, HeaderValue] = {}
    at, size = 0, len(block)
    try:
        while at < size:
            value_at = at + 2 + block[at]
            name = block[at + 1 : value_at - 1].decode()
            length, read = _TYPES[block[value_at - 1]]
            if length is None:
                value_at += 2
                length = int.from_bytes(block[value_at - 2 : value_at], "big")
            at = value_at + length
            if at > size:
                raise ProtocolError("the event stream is broken: a header runs beyond its block")
            if name in headers:
                raise ProtocolError(f"the event stream is broken: the header {name} comes twice")
            headers[name] = read(block[value_at:at])
    except (IndexError, UnicodeDecodeError):
        raise ProtocolError("the event stream is broken: a header is cut short or unknown") from None
    return headers


def _signed(value: bytes) -> int:
    return int.from_bytes(value, "big", signed=True)


# By type: the length of the value (None: a u16 before it says), and how to read it.
_TYPES: tuple[tuple[int | None, Callable[[bytes], HeaderValue]], ...] = (
    (0, lambda _: True),
    (0, lambda _: False),
    (1, _signed),
    (2, _signed),
    (4, _signed),
    (8, _signed),
    (None, bytes),
    (None, bytes.decode),
    (8, _signed),  # a timestamp
    (16, bytes),  # a UUID
)
