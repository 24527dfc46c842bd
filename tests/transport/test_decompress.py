"""The bounded decoder alone."""

from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm._transport.decompress import PIECE_BYTES, inflater
from asyncllm.errors import ConnectionLostError, ProtocolError


def decoded(encoding: str, pieces: list[bytes]) -> bytes:
    """All that comes out when these pieces go in."""
    decoder, out = inflater(encoding), []
    assert decoder is not None
    for piece in pieces:
        decoder.feed(piece)
        while data := decoder.pull():
            assert len(data) <= PIECE_BYTES
            out.append(data)
    decoder.close()
    return b"".join(out)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted({edge % (len(data) + 1) for edge in at}), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(data) + engine.flush()


@pytest.mark.parametrize("name", ["", "identity", " Identity "])
def test_nothing_to_decode(name: str) -> None:
    """A body that is not encoded needs no decoder."""
    assert inflater(name) is None


@pytest.mark.parametrize("name", ["br", "zstd", "gzip, deflate", "compress"])
def test_an_encoding_nobody_asked_for_is_refused(name: str) -> None:
    """Only gzip and deflate are understood."""
    with pytest.raises(ProtocolError, match="only gzip and deflate"):
        inflater(name)


@given(st.binary(max_size=400), st.lists(st.integers(0, 1000), max_size=5), st.sampled_from(["gzip", "zlib", "raw"]))
def test_any_body_cut_anywhere_comes_out_whole(body: bytes, edges: list[int], form: str) -> None:
    """Where the network cuts a body makes no difference."""
    encode = {"gzip": gzip.compress, "zlib": zlib.compress, "raw": raw_deflate}[form]
    assert body == decoded("gzip" if form == "gzip" else "deflate", cut(encode(body), edges))


def test_byte_by_byte() -> None:
    """One byte at a time, over two gzip members."""
    body = gzip.compress(b"one") + gzip.compress(b"two")
    assert b"onetwo" == decoded("x-gzip", [bytes([byte]) for byte in body])


def test_large_output_comes_in_bounded_pieces() -> None:
    """Ten megabytes in one read come out a megabyte at a time."""
    body = b"\0" * (10 * PIECE_BYTES + 7)
    assert body == decoded("gzip", [gzip.compress(body)])


@given(st.binary(min_size=1, max_size=200), st.integers(1, 30))
def test_a_cut_body_is_lost(body: bytes, missing: int) -> None:
    """A body without its end is a lost connection, never a short answer."""
    data = gzip.compress(body)
    with pytest.raises(ConnectionLostError):
        decoded("gzip", [data[: max(0, len(data) - missing)]])


@pytest.mark.parametrize("tail", [b"garbage", b"\x1f", b"\x1f\x8b"])
def test_what_follows_the_end_is_refused(tail: bytes) -> None:
    """Bytes after the end are an error: not HTTP's, or the beginning of a member that does not come."""
    with pytest.raises((ProtocolError, ConnectionLostError)):
        decoded("gzip", [gzip.compress(b"body"), tail])
    with pytest.raises(ProtocolError):
        decoded("deflate", [zlib.compress(b"body") + tail])


def test_damage_is_a_protocol_error() -> None:
    """A checksum that does not fit is no body."""
    data = bytearray(gzip.compress(b"body" * 100))
    data[-6] ^= 1
    with pytest.raises(ProtocolError, match="damaged") as caught:
        decoded("gzip", [bytes(data)])
    assert caught.value.__context__ is None


def test_an_empty_body_may_be_called_deflated() -> None:
    """An answer without a body can still name an encoding."""
    assert b"" == decoded("deflate", [])
