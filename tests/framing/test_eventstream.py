"""AWS event streams: known frames, every split, every corruption, bounds, cost, and botocore as the oracle."""

from __future__ import annotations

import json
import time
from binascii import crc32
from collections.abc import Iterable
from itertools import pairwise
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm._framing.eventstream import EventStreamFramer, decode_headers
from asyncllm._framing.framer import Frame
from asyncllm.errors import ProtocolError, ResponseTooLargeError
from recordings import body_of, recorded

DELTA = bytes.fromhex(
    "0000009e00000057fe1b824f0b3a6576656e742d74797065070011636f6e74656e74426c6f636b44656c74610d3a636f6e74656e742d74797065"
    "0700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b22636f6e74656e74426c6f636b496e64"
    "6578223a302c2264656c7461223a7b2274657874223a224869227d2c2270223a22616263227d9343f010"
)
THROTTLED = bytes.fromhex(
    "00000090000000618e91a9b70f3a657863657074696f6e2d747970650700137468726f74746c696e67457863657074696f6e0d3a636f6e74656e"
    "742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d74797065070009657863657074696f6e7b226d65737361"
    "6765223a22546f6f206d616e79207265717565737473227de67f8005"
)
DELTA_FRAME = Frame("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"Hi"},"p":"abc"}', "event")
THROTTLED_FRAME = Frame("throttlingException", b'{"message":"Too many requests"}', "exception")


def header(name: str | bytes, kind: int, value: bytes) -> bytes:
    """One encoded header; ``value`` holds its own length where the type has one."""
    raw = name.encode() if isinstance(name, str) else name
    return pack("!B", len(raw)) + raw + pack("!B", kind) + value


def sized(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return pack("!H", len(raw)) + raw


def strings(**named: str) -> bytes:
    """Headers of strings: ``event_type`` is ``:event-type``."""
    return b"".join(header(":" + name.replace("_", "-"), 7, sized(value)) for name, value in named.items())


def message(headers: bytes, payload: bytes = b"", total: int | None = None) -> bytes:
    length = len(headers) + len(payload) + 16 if total is None else total
    prelude = pack("!II", length, len(headers))
    checked = prelude + pack("!I", crc32(prelude)) + headers + payload
    return checked + pack("!I", crc32(checked))


def frames_of(*chunks: bytes) -> list[Frame]:
    framer = EventStreamFramer()
    return [frame for chunk in chunks for frame in framer.feed(chunk)] + framer.close()


def one_by_one(stream: bytes) -> Iterable[bytes]:
    return (stream[at : at + 1] for at in range(len(stream)))


def test_known_frames() -> None:
    """An event and an exception, as botocore accepts them, are read as such."""
    assert [DELTA_FRAME, THROTTLED_FRAME] == frames_of(DELTA + THROTTLED)


def test_every_split() -> None:
    """A stream means the same cut anywhere, byte by byte, and with bytes of the next message behind it."""
    stream, expected = DELTA + THROTTLED + DELTA, [DELTA_FRAME, THROTTLED_FRAME, DELTA_FRAME]

    assert expected == frames_of(*one_by_one(stream))
    for at in range(len(stream)):
        assert expected == frames_of(stream[:at], b"", stream[at:])
        assert expected == frames_of(stream + DELTA[: at % len(DELTA)])


def test_an_unfinished_message_is_discarded() -> None:
    """Closing in the middle of a message gives nothing and raises nothing."""
    assert [DELTA_FRAME] == frames_of(DELTA + THROTTLED[:-1])
    assert [] == frames_of(DELTA[:5])


def test_all_header_types() -> None:
    """Every header type is read: booleans, integers, bytes, strings, timestamps and UUIDs."""
    block = b"".join(
        [
            header("yes", 0, b""),
            header("no", 1, b""),
            header("i8", 2, b"\xff"),
            header("i16", 3, pack("!h", -300)),
            header("i32", 4, pack("!i", -70_000)),
            header("i64", 5, pack("!q", -(2**40))),
            header("bytes", 6, sized(b"\0\xff")),
            header("text", 7, sized("naïve")),
            header("time", 8, pack("!q", 1_795_000_000_000)),
            header("uuid", 9, bytes(range(16))),
            header("", 7, sized("")),
        ]
    )

    assert {
        "yes": True,
        "no": False,
        "i8": -1,
        "i16": -300,
        "i32": -70_000,
        "i64": -(2**40),
        "bytes": b"\0\xff",
        "text": "naïve",
        "time": 1_795_000_000_000,
        "uuid": bytes(range(16)),
        "": "",
    } == decode_headers(block)
    assert [Frame("x", b"p")] == frames_of(message(block + strings(message_type="event", event_type="x"), b"p"))


@pytest.mark.parametrize(
    ("headers", "payload", "expected"),
    [
        (b"", b"", Frame("", b"", "event")),
        (strings(event_type="x"), b"y", Frame("x", b"y", "event")),
        (strings(message_type="exception", exception_type="x"), b"{}", Frame("x", b"{}", "exception")),
        (
            strings(message_type="error", error_code="Internal", error_message='a "bad" dày'),
            b"",
            Frame("Internal", json.dumps({"message": 'a "bad" dày'}).encode(), "error"),
        ),
        (strings(message_type="error", error_code="x", error_message="y"), b"{}", Frame("x", b"{}", "error")),
        (strings(message_type="error", error_code="x"), b"", Frame("x", b"", "error")),
        (strings(message_type="event", event_type="x", error_message="y"), b"", Frame("x", b"", "event")),
        (strings(message_type="news", event_type="x"), b"", Frame("x", b"", "news")),
    ],
)
def test_meaning_of_headers(headers: bytes, payload: bytes, expected: Frame) -> None:
    """Name and kind come from the headers; an error without a payload gets its message for one."""
    assert [expected] == frames_of(message(headers, payload))


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(strings(event_type="x") * 2, id="twice"),
        pytest.param(header("x", 10, b""), id="unknown type"),
        pytest.param(header("x", 255, b""), id="last type"),
        pytest.param(header(b"\xff", 0, b""), id="name not UTF-8"),
        pytest.param(header("x", 7, sized(b"\xff")), id="text not UTF-8"),
        pytest.param(header("x", 7, pack("!H", 2) + b"y"), id="text too short"),
        pytest.param(header("x", 7, b"\0"), id="length cut"),
        pytest.param(header("x", 6, b""), id="no length"),
        pytest.param(header("x", 4, b"\0\0\0"), id="integer too short"),
        pytest.param(header("x", 9, b"\0" * 15), id="uuid too short"),
        pytest.param(b"\x05abc", id="name cut"),
        pytest.param(b"\x01a", id="no type"),
        pytest.param(header(":event-type", 6, sized(b"x")), id="event type not a string"),
        pytest.param(header(":message-type", 0, b""), id="message type not a string"),
    ],
)
def test_bad_headers(block: bytes) -> None:
    """Headers that are cut short, unknown, doubled or of the wrong type are a ProtocolError."""
    with pytest.raises(ProtocolError, match="the event stream is broken"):
        frames_of(message(block, b"{}"))


@pytest.mark.parametrize(
    ("stream", "error", "text"),
    [
        (message(b"", total=15), ProtocolError, "a message of 15 bytes"),
        (message(b"", total=0), ProtocolError, "a message of 0 bytes"),
        (message(b"\0" * 20, total=30), ProtocolError, "30 bytes with 20 of headers"),
        (message(b"", total=24 * 1024 * 1024 + 17), ResponseTooLargeError, "more than 25165824 payload bytes"),
        (message(b"\0" * (128 * 1024 + 1)), ResponseTooLargeError, "more than 131072 header bytes"),
        (b"<!DOCTYPE html><title>", ProtocolError, "lengths does not fit"),
    ],
    ids=["short", "zero", "headers", "payload", "many headers", "html"],
)
def test_bad_lengths(stream: bytes, error: type[Exception], text: str) -> None:
    """Impossible and too large lengths are refused as soon as they are known, without waiting for more."""
    with pytest.raises(error, match=text):
        EventStreamFramer().feed(stream[:12])


def test_bounds_are_exact() -> None:
    """A message at its bounds passes, one byte over them does not."""
    headers = strings(event_type="x")
    whole = message(headers, b"12345")

    assert [Frame("x", b"12345")] == EventStreamFramer(len(headers), 5).feed(whole)
    for bounds in ((len(headers) - 1, 5), (len(headers), 4)):
        with pytest.raises(ResponseTooLargeError):
            EventStreamFramer(*bounds).feed(whole)


def test_every_corruption_is_found() -> None:
    """Whatever byte of a message is changed, no frame comes of it: the checksums do not fit."""
    for at in range(len(DELTA)):
        for change in (0x01, 0x80, 0xFF):
            broken = DELTA[:at] + bytes([DELTA[at] ^ change]) + DELTA[at + 1 :]
            with pytest.raises(ProtocolError, match="checksum"):
                EventStreamFramer().feed(broken)


def test_frames_before_a_broken_message_come_first() -> None:
    """Whole messages before a broken one are handed out; every call after that raises."""
    framer = EventStreamFramer()

    assert [DELTA_FRAME] == framer.feed(DELTA + b"\0" * 12)
    for _ in range(2):
        with pytest.raises(ProtocolError):
            framer.feed(THROTTLED)
    with pytest.raises(ProtocolError):
        framer.close()


def test_many_kinds_of_headers() -> None:
    """A stream of ever new and of very long headers is read right, and little of it is kept."""
    framer = EventStreamFramer()
    for number in range(300):
        name = f"event{number}" + "x" * (600 * (number % 2))
        assert [Frame(name, b"{}")] == framer.feed(message(strings(event_type=name), b"{}"))
        assert [DELTA_FRAME] == framer.feed(DELTA)

    assert sum(map(len, framer._blocks)) <= 64 * 512


HEADERS = st.dictionaries(st.text("abc:-", max_size=5), st.text(max_size=5) | st.binary(max_size=5), max_size=4)
MESSAGES = st.tuples(st.sampled_from(["event", "exception", "error"]), st.text(max_size=5), HEADERS, st.binary())


@given(st.lists(MESSAGES, max_size=6), st.data())
def test_any_messages_in_any_chunks(
    messages: list[tuple[str, str, dict[str, str | bytes], bytes]], data: st.DataObject
) -> None:
    """Messages that are encoded by the layout come back, however the stream is cut, and whatever is lost at its end."""
    type_of = {"event": "event_type", "exception": "exception_type", "error": "error_code"}
    stream, expected = b"", []
    for kind, name, others, payload in messages:
        block = strings(message_type=kind, **{type_of[kind]: name})
        block += b"".join(
            header("_" + key, 7 if isinstance(value, str) else 6, sized(value)) for key, value in others.items()
        )
        stream += message(block, payload)
        expected.append(Frame(name, payload, kind))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=10).map(sorted))

    assert expected == frames_of(*(stream[a:b] for a, b in pairwise([0, *cuts, len(stream)])))
    assert expected[:-1] == frames_of(stream[:-1])


@given(
    st.binary(max_size=60)
    | st.tuples(st.just(DELTA), st.integers(0, 157), st.binary(max_size=3)).map(
        lambda edit: edit[0][: edit[1]] + edit[2] + edit[0][edit[1] :]
    )
)
def test_noise(stream: bytes) -> None:
    """Noise gives frames or a documented error, the same for every chunking."""

    def outcome(chunks: Iterable[bytes]) -> tuple[list[Frame], type[Exception] | None]:
        framer, frames = EventStreamFramer(), []
        try:
            for chunk in chunks:
                frames += framer.feed(chunk)
            framer.close()
        except (ProtocolError, ResponseTooLargeError) as error:
            return frames, type(error)
        return frames, None

    assert outcome([stream]) == outcome(one_by_one(stream))


def oracle(stream: bytes) -> list[Frame]:
    """The frames as botocore reads them."""
    eventstream = pytest.importorskip("botocore.eventstream")
    buffer = eventstream.EventStreamBuffer()
    buffer.add_data(stream)
    frames = []
    for event in buffer:
        headers = event.headers
        name = headers.get(":event-type") or headers.get(":exception-type") or headers.get(":error-code") or ""
        frames.append(Frame(name, event.payload, headers.get(":message-type", "event")))
    return frames


def test_botocore_agrees() -> None:
    """AWS's own parser reads the same frames, all header types included."""
    odd = b"".join(header(f"h{kind}", kind, bytes(size)) for kind, size in enumerate([0, 0, 1, 2, 4, 8, 2, 2, 8, 16]))
    stream = DELTA + THROTTLED + message(odd + strings(message_type="event", event_type="x"), b"{}") + DELTA[:-1]

    assert oracle(stream) == frames_of(stream)
    assert 3 == len(frames_of(stream))


@pytest.mark.slow
def test_recorded_streams() -> None:
    """Every recorded stream is read whole, as botocore reads it, and the same in pieces."""
    exchanges = recorded("bedrock-converse-stream", "bedrock-invoke", response_kind="eventstream")
    assert exchanges
    for exchange in exchanges:
        stream = body_of(exchange)
        frames = frames_of(stream)
        assert frames
        assert oracle(stream) == frames
        assert frames == frames_of(*one_by_one(stream))
        for at in range(0, len(stream), 1 if len(stream) < 1000 else len(stream) // 100):
            assert frames == frames_of(stream[:at], stream[at:])
        assert all(isinstance(json.loads(frame.data), dict) for frame in frames)


@pytest.mark.slow
def test_time_is_linear() -> None:
    """A message eight times as large takes far from the 64 times as long of buffers joined on every chunk."""

    def seconds(stream: bytes, count: int) -> float:
        chunks = [stream[at : at + 256] for at in range(0, len(stream), 256)]
        started = time.process_time()
        assert count == len(frames_of(*chunks))
        return time.process_time() - started

    headers = strings(message_type="event", event_type="x")
    # Feeding costs so little that fresh memory for the large payload shows: the ratio is near 10, not 8.
    for small, large in (
        ((message(headers, b"x" * 1_000_000), 1), (message(headers, b"x" * 8_000_000), 1)),
        ((DELTA * 5_000, 5_000), (DELTA * 40_000, 40_000)),
    ):
        times = [(seconds(*small), seconds(*large)) for _ in range(5)]
        assert min(time for _, time in times) <= 16 * min(time for time, _ in times)
