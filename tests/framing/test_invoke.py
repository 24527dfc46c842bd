"""InvokeModel's chunks: one event of the model's own in each."""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from contextlib import suppress
from itertools import pairwise
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm._framing.framer import Frame
from asyncllm._framing.invoke import InvokeFramer
from asyncllm.errors import AsyncLLMError, ProtocolError


def message(payload: bytes, event: str = "chunk", kind: str = "event") -> bytes:
    """One message of an AWS event stream."""
    named = {"event": ":event-type", "exception": ":exception-type"}[kind]
    headers = b"".join(
        [
            bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value.encode()
            for name, value in ((named, event), (":message-type", kind))
        ]
    )
    prelude = struct.pack("!II", len(headers) + len(payload) + 16, len(headers))
    prelude += struct.pack("!I", crc32(prelude))
    whole = prelude + headers + payload
    return whole + struct.pack("!I", crc32(whole))


def chunk(data: bytes, padding: str = "abc") -> bytes:
    """A message that carries one event."""
    return message(json.dumps({"bytes": b64encode(data).decode(), "p": padding}).encode())


def test_events_without_their_wrapping() -> None:
    """What the chunks carry comes out, in order, without names."""
    framer = InvokeFramer()
    found = framer.feed(chunk(b'{"a":1}') + chunk(b"?>~") + message(b'{"p":"x","bytes":"Pz9\\/"}'))
    assert [Frame("", b'{"a":1}'), Frame("", b"?>~"), Frame("", b"??\x7f")] == found
    assert [] == framer.close()


def test_failures_pass_as_they_are() -> None:
    """An exception is no chunk, and keeps its name."""
    data = message(b'{"message":"slow"}', "throttlingException", "exception")
    assert [Frame("throttlingException", b'{"message":"slow"}', "exception")] == InvokeFramer().feed(data)
    assert [Frame("new", b"x")] == InvokeFramer().feed(message(b"x", "new"))


@pytest.mark.parametrize(
    "payload", [b"", b"{}", b'{"bytes":1}', b'{"bytes":"a b"}', b'{"bytes":"YQ"}', b'{"bytes":"="}']
)
def test_a_chunk_that_holds_no_event(payload: bytes) -> None:
    """What came before it is handed out first; then the stream is broken for good."""
    framer = InvokeFramer()
    assert [Frame("", b"a")] == framer.feed(chunk(b"a") + message(payload) + chunk(b"b"))
    for act in (lambda: framer.feed(chunk(b"c")), framer.close):
        with pytest.raises(ProtocolError, match="a chunk"):
            act()


def test_every_cut() -> None:
    """Wherever the bytes are cut, the events are the same."""
    data = chunk(b'{"a":1}') + chunk(b"b")
    for place in range(len(data) + 1):
        framer = InvokeFramer()
        found = [frame for begin, end in pairwise([0, place, len(data)]) for frame in framer.feed(data[begin:end])]
        assert [Frame("", b'{"a":1}'), Frame("", b"b")] == found


@given(st.lists(st.binary(max_size=30) | st.binary(max_size=30).map(message), max_size=4))
def test_any_bytes_are_read_or_refused(pieces: list[bytes]) -> None:
    """Noise is an error of ours, never another."""
    framer = InvokeFramer()
    with suppress(AsyncLLMError):
        for piece in pieces:
            framer.feed(piece)
        framer.close()
