"""Server-sent events: the standard's cases, every split, bounds, and cost."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Iterable
from itertools import pairwise, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm._framing.framer import UNFINISHED, Frame
from asyncllm._framing.sse import SSEFramer
from asyncllm.errors import ResponseTooLargeError
from recordings import FOLDER, body_of, recorded


def run(chunks: Iterable[bytes], limit: int = 8 * 1024 * 1024) -> tuple[list[Frame], str, int | None]:
    """All frames of these chunks, the last event id and the reconnection time."""
    framer = SSEFramer(limit)
    frames = frames_of_all(framer, chunks)
    whole = [frame for frame in framer.close() if frame.kind != UNFINISHED]  # which the standard discards
    return frames + whole, framer.last_event_id, framer.retry


def frames_of(*chunks: bytes) -> list[Frame]:
    return run(chunks)[0]


def frames_of_all(framer: SSEFramer, chunks: Iterable[bytes]) -> list[Frame]:
    return [frame for chunk in chunks for frame in framer.feed(chunk)]


def by_the_book(stream: bytes) -> tuple[list[Frame], str, int | None]:
    """The standard's algorithm on the decoded text, slowly, one character and one line at a time."""
    text = stream.decode("utf-8-sig", "surrogateescape")
    lines, line, after_cr = [], "", False
    for char in text:
        if char == "\n" and after_cr:
            after_cr = False
            continue
        after_cr = char == "\r"
        if char in "\r\n":
            lines.append(line)
            line = ""
        else:
            line += char
    frames, data, event, buffered_id, last_id, retry = [], "", "", "", "", None
    for line in lines:
        if line == "":
            last_id = buffered_id
            if data:
                name = event.encode("utf8", "surrogateescape").decode("utf8", "replace")
                frames.append(Frame(name, data[:-1].encode("utf8", "surrogateescape")))
            data = event = ""
            continue
        if line.startswith(":"):
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data += value + "\n"
        elif field == "event":
            event = value
        elif field == "id" and "\0" not in value:
            buffered_id = value
        elif field == "retry" and value and all(char in "0123456789" for char in value):
            retry = int(value)
    return frames, last_id.encode("utf8", "surrogateescape").decode("utf8", "replace"), retry


WHATWG = [
    (b"data: YHOO\ndata: +2\ndata: 10\n\n", [Frame("", b"YHOO\n+2\n10")]),
    (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\ndata: lost",
        [Frame("", b"first event"), Frame("", b"second event"), Frame("", b" third event")],
    ),
    (b"data\n\ndata\ndata\n\ndata:", [Frame("", b""), Frame("", b"\n")]),
    (b"data:test\n\ndata: test\n\n", [Frame("", b"test"), Frame("", b"test")]),
    (
        b"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\nevent: add\ndata: 113411\n\n",
        [Frame("add", b"73857293"), Frame("remove", b"2153"), Frame("add", b"113411")],
    ),
]


@pytest.mark.parametrize(("stream", "expected"), WHATWG)
@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"])
def test_standard_examples(stream: bytes, expected: list[Frame], line_end: bytes) -> None:
    """The examples of the standard give the events that it says, with each of the three line ends."""
    stream = stream.replace(b"\n", line_end)

    assert expected == frames_of(stream)
    assert expected == frames_of(*(bytes([byte]) for byte in stream))


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"event: x\ndata: y\n\n", [Frame("x", b"y")]),
        (b"event: x\r\ndata: y\r\n\r\n", [Frame("x", b"y")]),
        (b"event:x\ndata:y\n\n", [Frame("x", b"y")]),
        (b"data: y\nevent: x\n\n", [Frame("x", b"y")]),
        (b"event: x\nid: 3\ndata: y\n\n", [Frame("x", b"y")]),
        (b"event: x\ndata: y\ndata: z\n\n", [Frame("x", b"y\nz")]),
        (b"event: x\n\ndata: y\n\n", [Frame("", b"y")]),
        (b"event: x\nevent: z\ndata: y\n\n", [Frame("z", b"y")]),
        (b"event: x\ndata: y\n\nevent: x\nid: 3\n\n", [Frame("x", b"y")]),
        (b"event: x\nid: 4\n\nevent: x\ndata: a\ndata: b\n\n", [Frame("x", b"a\nb")]),
        (b"event: \xff\ndata: \xff\n\n", [Frame("\ufffd", b"\xff")]),
        (b"data: a\n\n\ndata: b\n\n\n\n\ndata: c\n\n", [Frame("", b"a"), Frame("", b"b"), Frame("", b"c")]),
        (b"\n\n\ndata: a\n\n", [Frame("", b"a")]),
        (b"data: a\n\n: ping\n\ndata: b\n\n", [Frame("", b"a"), Frame("", b"b")]),
        (b": ping\ndata: a\n: ping\n\n", [Frame("", b"a")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [Frame("", b"a"), Frame("", b"b")]),
        (b"data: a\r\n\r\ndata: b\r\rdata: c\n\n", [Frame("", b"a"), Frame("", b"b"), Frame("", b"c")]),
        (b"data: a\r\rdata: b\n\n", [Frame("", b"a"), Frame("", b"b")]),
        (b"data: a\n\r\ndata: b\r\n\n", [Frame("", b"a"), Frame("", b"b")]),
        (b"data: \xe2\x80\xa8 \xc2\x85 \x0b \x0c \x1c\n\n", [Frame("", b"\xe2\x80\xa8 \xc2\x85 \x0b \x0c \x1c")]),
        (b"DATA: a\ndatum: b\nda: c\n data: d\n\n", []),
        (b"data:\n\n", [Frame("", b"")]),
        (b"data: a", []),
        (b"data: a\n", []),
        (b"data: a\r\n", []),
        (b"data: a\r\r", [Frame("", b"a")]),
        (b"", []),
        (b"\xef\xbb\xbfdata: a\n\n", [Frame("", b"a")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
        (b"\xef\xbbdata: a\n\n", []),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [Frame("", b"a")]),
    ],
)
def test_lines_and_fields(stream: bytes, expected: list[Frame]) -> None:
    """Odd but legal streams mean the same whole, byte by byte, and cut in two anywhere."""
    assert expected == frames_of(stream)
    assert expected == frames_of(*(bytes([byte]) for byte in stream))
    for at in range(len(stream)):
        assert expected == frames_of(stream[:at], b"", stream[at:])


def test_id_and_retry() -> None:
    """The last event id changes where an event ends, the reconnection time at its own line; both ignore nonsense."""
    framer = SSEFramer()

    assert ("", None) == (framer.last_event_id, framer.retry)
    framer.feed(b"id: 7\nretry: 1500\ndata: a\n")
    assert "" == framer.last_event_id
    framer.feed(b"\n")
    assert ("7", 1500) == (framer.last_event_id, framer.retry)
    framer.feed(b"id: 8\0\nretry: 12x\n\nretry\n\nretry:  9\n\nretry: -1\n\nretry: " + b"9" * 5000 + b"\n\ndata: b\n\n")
    assert ("7", 1500) == (framer.last_event_id, framer.retry)
    framer.feed(b"id\n\nretry: 2\nid: 9\nretry: 3")
    assert [] == framer.close()
    assert ("", 2) == (framer.last_event_id, framer.retry)


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (b"data: b", [Frame("", b"b", UNFINISHED)]),
        (b"event: e\ndata: b\n", [Frame("e", b"b", UNFINISHED)]),
        (b"event: e", []),
        (b": comment", []),
        (b"", []),
    ],
)
def test_the_last_event_may_lack_its_end(rest: bytes, expected: list[Frame]) -> None:
    """What the end of the bytes leaves is handed on, marked as unfinished: the decoder knows whether it is whole."""
    framer = SSEFramer()

    assert [Frame("", b"a")] == framer.feed(b"data: a\n\n" + rest)
    assert expected == framer.close()
    assert [] == framer.close()


def test_bytes_after_the_end_of_an_event() -> None:
    """What follows a whole event stays until its own end comes."""
    framer = SSEFramer()

    assert [Frame("", b"a")] == framer.feed(b"data: a\n\ndata: b")
    assert [Frame("", b"b")] == framer.feed(b"\n\nda")
    assert [] == framer.feed(b"ta: c\n")
    assert [Frame("", b"c"), Frame("", b"d")] == framer.feed(b"\ndata: d\n\n")
    assert [] == framer.close()


def recorded_streams() -> list[bytes]:
    names = sorted(file.stem for file in FOLDER.glob("*.jsonl"))
    return [body_of(exchange) for exchange in recorded(*names, response_kind="sse")]


@pytest.mark.slow
def test_recorded_streams_split_anywhere() -> None:
    """Every recorded stream gives the same frames whole, byte by byte, and cut in two at any offset."""
    chance = random.Random(7)
    for stream in recorded_streams():
        long = len(stream) > 16 * 1024
        expected = frames_of(stream) if long else by_the_book(stream)[0]
        offsets = range(len(stream))
        if len(stream) > 400:
            offsets = sorted(chance.sample(offsets, 20 if long else 200))
        assert expected == frames_of(stream)
        for at in offsets:
            assert expected == frames_of(stream[:at], stream[at:])
        assert expected == frames_of(*(stream[a:b] for a, b in pairwise([0, *offsets, len(stream)])))
        if not long:
            assert expected == frames_of(*(stream[at : at + 1] for at in range(len(stream))))


PIECES = st.sampled_from(
    (
        b"data: |data:|data|event: |event:|id: |id|retry: |:| |x|{}|12|"
        b"\n|\r|\r\n|\n\n|\r\n\r\n|\xef\xbb\xbf|\xff|\xc3\xa9|\xe2\x80\xa8|\0|"
        b"data: a\n\n|event: x\ndata: y\n\n|data: a\r\n\r\n|event: x\r\ndata: y\r\n\r\n"
    ).split(b"|")
)
STREAMS = st.lists(PIECES, max_size=40).map(b"".join)


@given(STREAMS, st.data())
def test_any_chunking_is_what_the_standard_says(stream: bytes, data: st.DataObject) -> None:
    """However a stream is cut, frames, id and reconnection time are those of the standard's algorithm."""
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12).map(sorted))
    points = [0, *cuts, len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(points)]

    expected = by_the_book(stream)
    assert expected == run([stream])
    assert expected == run(chunks)


@given(STREAMS, st.integers(1, 40), st.integers(1, 9))
def test_the_bound_does_not_depend_on_chunks(stream: bytes, limit: int, size: int) -> None:
    """Whether an event is too large, and what came before it, is the same for every chunking."""

    def outcome(chunks: list[bytes]) -> tuple[list[Frame], bool]:
        framer, frames = SSEFramer(limit), []
        try:
            for chunk in chunks:
                frames += framer.feed(chunk)
            framer.close()
        except ResponseTooLargeError:
            return frames, True
        return frames, False

    assert outcome([stream]) == outcome([stream[at : at + size] for at in range(0, len(stream), size)])


@pytest.mark.parametrize(
    "chunk", [b"x" * 4096, b"data: y\n" * 512, b": ping\n" * 512, b"data\n" * 800, b"\xef\xbb\xbf: \r\n\0\r" * 400]
)
def test_endless_event(chunk: bytes) -> None:
    """One endless line, and one event of endless lines, end in an error with memory near the bound."""
    framer = SSEFramer(1024 * 1024)
    tracemalloc.start()
    try:
        with pytest.raises(ResponseTooLargeError, match="more than 1048576 bytes"):
            frames_of_all(framer, repeat(chunk, 1000))
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_bound_is_exact() -> None:
    """An event of exactly the bound passes, its two line ends counted; with one byte more it does not."""
    event = b"data: 12345\n\n"

    assert [Frame("", b"12345")] * 3 == run([event * 3], len(event))[0]
    assert [Frame("", b"12345")] == run([event.replace(b"\n", b"\r\n")], len(event))[0]
    with pytest.raises(ResponseTooLargeError):
        run([event], len(event) - 1)
    with pytest.raises(ResponseTooLargeError):
        run([event[:-1], event[-1:]], len(event) - 1)


def test_frames_before_the_too_large_event_come_first() -> None:
    """The whole events before one that is too large are handed out; every call after that raises."""
    framer = SSEFramer(20)

    assert [Frame("", b"a")] == framer.feed(b"data: a\n\ndata: " + b"x" * 20)
    for _ in range(2):
        with pytest.raises(ResponseTooLargeError):
            framer.feed(b"\n\ndata: b\n\n")
    with pytest.raises(ResponseTooLargeError):
        framer.close()


@pytest.mark.slow
def test_a_million_tiny_events() -> None:
    """A million events pass with flat memory."""
    framer, chunk, seen = SSEFramer(), b"data\n\n" * 1000, 0
    assert 1000 == len(framer.feed(chunk))
    tracemalloc.start()
    try:
        for _ in range(40):
            seen += len(framer.feed(chunk))
        middle = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    usual = b"data: x\n\n" * 1000
    for _ in range(960):
        seen += len(framer.feed(usual))

    assert 1_000_000 == seen
    assert middle < 1024 * 1024


@pytest.mark.slow
def test_time_is_linear_in_the_size_of_one_event() -> None:
    """An event eight times as large, in chunks of 256 bytes, takes at most ten times as long; so do its lines."""

    def seconds(event: bytes) -> float:
        chunks = [event[at : at + 256] for at in range(0, len(event), 256)]
        started = time.process_time()
        assert 1 == len(run(chunks, 2 * len(event))[0])
        return time.process_time() - started

    for unit in (b"x" * 1024, b"xx\ndata: " * 113):
        small, large = (b"data: " + unit * (2000 * size) + b"\n\n" for size in (1, 8))
        times = [(seconds(small), seconds(large)) for _ in range(5)]
        assert min(large for _, large in times) <= 10 * min(small for small, _ in times)
