"""A body of many HTTP chunks: what one read of the socket brought is one piece, and nothing else changes."""

from __future__ import annotations

import itertools
from typing import Any

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import Peer, Visit, ask, chunk, chunked, opened, serving

from asyncllm._transport.connection import merge_pieces
from asyncllm.errors import ConnectionLostError, ProtocolError

pytestmark = pytest.mark.anyio
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def waiting_client() -> h11.Connection:
    """A connection whose request is sent."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    return client


def events_of(client: h11.Connection, reads: list[bytes]) -> list[Any]:
    """All events that reads of a socket give, as an HTTP library asks for them; the last may be an exception."""
    found: list[Any] = []
    for data in reads:
        client.receive_data(data)
        while True:
            try:
                event = client.next_event()
            except h11.RemoteProtocolError as error:
                return [*found, str(error)]
            if event is h11.NEED_DATA or event is h11.PAUSED:
                break
            found.append(event)
            if type(event) is h11.EndOfMessage:
                break
    return found


def body_of(events: list[Any]) -> bytes:
    return b"".join(event.data for event in events if type(event) is h11.Data)


@given(pieces=st.lists(st.binary(min_size=1, max_size=30), max_size=12), cuts=st.lists(st.integers(1, 500), max_size=6))
@settings(max_examples=200, deadline=None)
def test_any_pieces_in_any_reads_give_the_same_body(pieces: list[bytes], cuts: list[int]) -> None:
    """Bytes, other events and their order are those that h11 gives by itself; no read gives two pieces in a row."""
    wire = HEAD + b"".join(map(chunk, pieces)) + chunk(b"")
    places = sorted({0, *(cut for cut in cuts if cut < len(wire)), len(wire)})
    reads = [wire[start:end] for start, end in itertools.pairwise(places)]
    plain, merging = waiting_client(), waiting_client()
    merge_pieces(merging)
    expected, found = events_of(plain, reads), events_of(merging, reads)
    assert body_of(expected) == body_of(found) == b"".join(pieces)
    assert [type(event) for event in expected if type(event) is not h11.Data] == [
        type(event) for event in found if type(event) is not h11.Data
    ]
    assert len(reads) >= sum(type(event) is h11.Data for event in found)


def test_what_came_before_damage_is_given_first() -> None:
    """A broken chunk in the same read as good ones is an error after them, as without merging."""
    plain, merging = waiting_client(), waiting_client()
    merge_pieces(merging)
    reads = [HEAD + chunk(b"one") + chunk(b"two") + b"this is no size\r\n"]
    expected, found = events_of(plain, reads), events_of(merging, reads)
    assert b"onetwo" == body_of(found) == body_of(expected)
    assert isinstance(expected[-1], str)
    assert isinstance(found[-1], str)


def test_the_end_of_an_answer_that_was_given_up_is_not_taken_for_the_end_of_the_next() -> None:
    """The next answer on the connection begins with its own head."""
    client = waiting_client()
    merge_pieces(client)
    client.receive_data(HEAD + chunk(b"one") + chunk(b""))
    assert [h11.Response, h11.Data] == [type(client.next_event()), type(client.next_event())]
    client.start_next_cycle()  # the library does so when the body is closed here
    client.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(HEAD + chunk(b"two") + chunk(b""))
    assert [h11.Response, h11.Data, h11.EndOfMessage] == [type(client.next_event()) for _ in range(3)]


def streams(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> Any:
    """A script that sends all chunks of its answer at once."""

    async def script(peer: Peer, visit: Visit) -> bool:
        await peer.send(chunked() + b"".join(map(chunk, pieces)) + end)
        return end == b"0\r\n\r\n"

    return script


async def test_one_read_is_one_piece(library: str) -> None:
    """A hundred chunks of one read come in a few pieces, whole and in order, on one connection."""
    words = [b"data: %d\n\n" % number for number in range(100)]
    async with serving(streams(*words)) as server, opened(library) as transport:
        for _ in range(3):
            exchange = await transport.stream(ask(server.url))
            pieces = []
            while (piece := await exchange.receive()) is not None:
                pieces.append(piece)
            assert b"".join(words) == b"".join(pieces)
            assert len(pieces) < 10
        assert 1 == server.connections


async def test_released_in_the_middle_the_connection_serves_the_next_request(library: str) -> None:
    """What was read ahead of an answer that is given up does not get into the next one."""
    async with serving(streams(b"one", b"two")) as server, opened(library) as transport:
        for _ in range(5):
            exchange = await transport.stream(ask(server.url))
            assert (await exchange.receive() or b"").startswith(b"one")
            exchange.release()
        assert b"onetwo" == (await transport.send(ask(server.url))).body


async def test_damage_after_good_chunks_is_told_after_them(library: str) -> None:
    """The bytes before a broken chunk are delivered, then the exchange fails."""
    if library == "aiohttp":
        pytest.skip("its parser reads ahead of the head")
    async with serving(streams(b"one", b"two", end=b"no size\r\n")) as server, opened(library) as transport:
        exchange = await transport.stream(ask(server.url))
        got = b""
        with pytest.raises((ProtocolError, ConnectionLostError)):
            while (piece := await exchange.receive()) is not None:
                got += piece
        assert b"onetwo" == got
