"""Wire JSON: every backend gives the same values, bytes and errors."""

from __future__ import annotations

import enum
import json
import math
import pickle
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asyncllm._protocols.wire_json import Backend, WireJSON
from asyncllm.errors import BadRequestError, ProtocolError
from machine_speed import slowness

BACKENDS: tuple[Backend, ...] = get_args(Backend)


@pytest.fixture(params=BACKENDS)
def wire(request: pytest.FixtureRequest) -> WireJSON:
    return made(request.param)


def made(backend: Backend) -> WireJSON:
    if backend == "orjson":
        pytest.importorskip("orjson")
    return WireJSON(backend)


def outcome(act: Callable[[Any], Any], value: Any) -> str:
    """What came of it, so that 1, 1.0 and True differ, and errors compare by kind and sentence."""
    try:
        return repr(act(value))
    except (ProtocolError, BadRequestError) as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"a":[1,-2.5,true,false,null,"x"]}', {"a": [1, -2.5, True, False, None, "x"]}),
        (b" \t\r\n[ ]\n", []),
        (b'{"a":1,"b":2,"a":3}', {"a": 3, "b": 2}),
        (b"\xef\xbb\xbf{}", {}),
        ("\ufeff[]", []),
        ('"é"', "é"),
        (b"18446744073709551616", 2**64),
        (b"[-9223372036854775809]", [-(2**63) - 1]),
        pytest.param(b"9" * 4300, int("9" * 4300), id="9s"),
        pytest.param(b"-" + b"9" * 4300, -int("9" * 4300), id="-9s"),
        (b"1e400000000000", None),
        (b"-0", 0),
        (b"-0.0", -0.0),
        (b"1e5", 100000.0),
        (b"1e-999", 0.0),
        (b"1e+0003", 1000.0),
        (b'{"id":"chatcmpl-1e999"}', {"id": "chatcmpl-1e999"}),
        (b'"' + b"7" * 400 + b'"', "7" * 400),
        (b"1.7976931348623157e308", sys.float_info.max),
        (b"2e-324", 0.0),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"\\\\ud83d"', "\\ud83d"),
        (b'["\\u00e9","\\u0000"]', ["é", "\0"]),
        (b'"\xe2\x80\xa8\x7f"', "\u2028\x7f"),
    ],
)
def test_reads(wire: WireJSON, text: bytes | str, expected: Any) -> None:
    """Legal JSON gives exact values."""
    if expected is None:
        with pytest.raises(ProtocolError):
            wire.loads(text)
    else:
        assert repr(expected) == repr(wire.loads(text))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "Expecting value at line 1, column 1"),
        (b"  ", "Expecting value"),
        (b"<html>", "Expecting value at line 1, column 1"),
        (b"{} {}", "Extra data at line 1, column 4"),
        (b"[1]\0", "Extra data"),
        (b"[1,]", ""),
        (b"{'a':1}", ""),
        (b"01", ""),
        (b"+1", ""),
        (b"1.", ""),
        (b"nul", ""),
        (b"NaN", "NaN is not a JSON value"),
        (b'{"a":-Infinity}', "-Infinity is not a JSON value"),
        (b"[1e999]", "too large for a float"),
        (b"[-1E+309]", "too large for a float"),
        (b"9" * 400 + b".0", "too large for a float"),
        (b"9" * 250 + b"e60", "too large for a float"),
        (b'{"a":1e999,"a":1}', "too large for a float"),
        (b"9" * 4301, "more than 4300 digits"),
        (b'"\\ud800"', "surrogate stands alone"),
        (b'"\\ud800\\ud800"', "surrogate stands alone"),
        (b'"\\uDE00x"', "surrogate stands alone"),
        (b'"\\ud83d\\u0041"', "surrogate stands alone"),
        ('"\ud800"', "surrogates not allowed"),
        (b'"\xed\xa0\x80"', "can't decode"),
        (b'"\xff"', "can't decode"),
        (b"\xef\xbb\xbf\xef\xbb\xbf1", ""),
        ("1".encode("utf-16"), "can't decode"),
        (b'"\x01"', "Invalid control character"),
        (b'"\\x"', ""),
        (b"[" * 100_000 + b"]" * 100_000, "deeper than 200 levels"),
        (b'{"a":' * 100_000, "deeper than 200 levels"),
    ],
)
def test_refuses(wire: WireJSON, text: bytes | str, reason: str) -> None:
    """Anything else is a ProtocolError that says why, and never holds the text."""
    with pytest.raises(ProtocolError, match="the provider's answer is not valid JSON") as caught:
        wire.loads(text)

    assert reason in str(caught.value)
    assert caught.value.__context__ is None
    assert str(caught.value) == str(pickle.loads(pickle.dumps(caught.value)))


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"]":', "}]")])
def test_depth(wire: WireJSON, opening: str, closing: str) -> None:
    """Containers nest 200 deep, and an empty one may stand inside of the last."""
    size = opening.count("[") + opening.count("{")

    def nested(depth: int, inner: str) -> str:
        return opening * (depth // size) + inner + closing * (depth // size)

    for inner in ("1", "[]", "[ ]", "{\n}", '"[[["'):
        assert json.loads(nested(200, inner)) == wire.loads(nested(200, inner))
        assert nested(200, inner) == wire.dumps(wire.loads(nested(200, inner))).decode().replace(
            inner.replace(" ", "").replace("\n", ""), inner
        )
    for inner in ("[1]", "[[]]", '{"a":{}}'):
        with pytest.raises(ProtocolError, match="deeper than 200 levels"):
            wire.loads(nested(200, inner))
        with pytest.raises(BadRequestError, match="deeper than 200 levels"):
            wire.dumps(json.loads(nested(200, inner)))


def test_wide_is_not_deep(wire: WireJSON) -> None:
    """Many containers side by side, and brackets inside of strings, are not depth."""
    value = {"rows": [[{}]] * 300, "text": '[{"\\' * 300}

    assert value == wire.loads(wire.dumps(value))


class Colour(str, enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    TWO = 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, 2.5, True, None, "x"]}, b'{"a":[1,2.5,true,null,"x"]}'),
        ((1, (2, ())), b"[1,[2,[]]]"),
        (MappingProxyType({"a": MappingProxyType({})}), b'{"a":{}}'),
        ([Colour.RED, Number.TWO, {Colour.RED: 1}], b'["red",2,{"red":1}]'),
        ([1e16, 1e-7, 1e300, -0.0, 1.0, 1e15, 0.0001], b"[1e+16,1e-07,1e+300,-0.0,1.0,1000000000000000.0,0.0001]"),
        ([2**64, -(2**63) - 1, 2**63], b"[18446744073709551616,-9223372036854775809,9223372036854775808]"),
        (
            'é😀\u2028\x7f"\\/\b\f\n\r\t\0\x1f',
            'é😀\u2028\x7f\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f'.encode().join([b'"'] * 2),
        ),
        ("x", b'"x"'),
        (None, b"null"),
        (3, b"3"),
        (0.5, b"0.5"),
    ],
)
def test_writes(wire: WireJSON, value: Any, expected: bytes) -> None:
    """Compact UTF-8, the same bytes from every backend."""
    assert expected == wire.dumps(value)


@dataclass
class Point:
    x: int = 1


ITSELF: list[Any] = []
ITSELF += [ITSELF, ITSELF]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([math.nan], "not JSON compliant"),
        ({"a": -math.inf}, "not JSON compliant"),
        ("\ud800", "surrogates not allowed"),
        ({"\udc00": 1}, "surrogates not allowed"),
        ({1: 2}, "a key of type int"),
        ({"a": [{None: 2}]}, "a key of type NoneType"),
        (MappingProxyType({True: 1}), "a key of type bool"),
        ([b"bytes"], "type bytes"),
        ([{1, 2}], "type set"),
        ([object()], "type object"),
        ([Point()], "type Point"),
        ([uuid.UUID(int=1)], "type UUID"),
        ([datetime(2026, 11, 21, tzinfo=timezone.utc)], "type datetime"),
        ([Decimal(1)], "type Decimal"),
        ([iter(())], "type tuple_iterator"),
        (ITSELF, "deeper than 200 levels"),
        pytest.param(10**5000, "4300", id="huge"),
    ],
)
def test_refuses_to_write(wire: WireJSON, value: Any, reason: str) -> None:
    """What JSON cannot say is a BadRequestError that names it."""
    with pytest.raises(BadRequestError, match="the request holds a value that JSON cannot say") as caught:
        wire.dumps(value)

    assert reason in str(caught.value)
    assert caught.value.__context__ is None


def test_the_default_is_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name the fastest installed backend is taken; a named one that is missing says so."""
    assert b'{"a":1}' == WireJSON().dumps({"a": 1})
    monkeypatch.setitem(sys.modules, "orjson", None)
    assert b'{"a":1}' == WireJSON().dumps({"a": 1})
    with pytest.raises(ImportError):
        WireJSON("orjson")


NUMBERS = st.integers() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
ANYTHING = st.recursive(
    VALUES | st.floats() | st.text(st.characters()) | st.binary(max_size=3) | st.just(10**40),
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=10,
)
ODD = st.sampled_from(
    b'"|\\|\\u|\\ud800|\\udc00|{|}|[|]|,|:|NaN|Infinity|1e999|e308|e|E+|.|-|0|9999999999999999999|true|null| |\n|\t|\0'
    b"|\xff|\xed\xa0\x80|\xef\xbb\xbf|\x0b|\\x|\\n|/".split(b"|")
)


@given(VALUES)
def test_round_trip(value: Any) -> None:
    """What is written is read back exactly, by every backend, and all write the same bytes."""
    wires = [made(backend) for backend in BACKENDS]
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()

    assert [text] * len(wires) == [wire.dumps(value) for wire in wires]
    assert [repr(value)] * len(wires) == [repr(wire.loads(text)) for wire in wires]
    assert [repr(value)] * len(wires) == [repr(wire.loads(json.dumps(value, indent=1))) for wire in wires]


@given(ANYTHING)
def test_backends_write_alike(value: Any) -> None:
    """Whatever the value, the backends write the same bytes or refuse with the same sentence."""
    assert 1 == len({outcome(made(backend).dumps, value) for backend in BACKENDS})


@given(VALUES, st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 3), ODD), max_size=4))
@example([], [(1, 0, b"1e999")])
def test_backends_read_alike(value: Any, edits: list[tuple[int, int, bytes]]) -> None:
    """Whatever the text, the backends give the same value or refuse with the same sentence."""
    text = json.dumps(value, separators=(",", ":")).encode()
    for at, removed, inserted in edits:
        at %= len(text) + 1
        text = text[:at] + inserted + text[at + removed :]

    assert 1 == len({outcome(made(backend).loads, text) for backend in BACKENDS})


@given(st.binary(max_size=40) | st.lists(ODD, max_size=12).map(b"".join))
def test_backends_read_noise_alike(text: bytes) -> None:
    """Noise is refused alike, or is JSON alike."""
    assert 1 == len({outcome(made(backend).loads, text) for backend in BACKENDS})


def _cheapest(work: Callable[[], object]) -> float:
    """CPU seconds of the best of three runs: a garbage collection in one of them is not the parser's."""
    seconds = []
    for _ in range(3):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return min(seconds)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 300 + b'"' + b'\\"' * 32_000,
        b"[" * 150 + b'"' + b'\\"' * 32_000 + b"[" * 100,
        b"[ " * 32_000,
        b"[" + b"[]," * 20_000,
        b"[" + b"[1]," * 16_000 + b"1e999]",
        b'"' + b"\\ud83d\\ude00" * 5_000 + b'\\ud800"',
        b"[" + b"1e999," * 10_000,
        b"1" * 64_000 + b"e999",
        b"0." + b"1" * 64_000,
    ],
    ids=range(9),
)
def test_hostile_text_is_cheap(wire: WireJSON, text: bytes) -> None:
    """64 KB of the worst text costs less than 50 ms of CPU, and every backend says the same of it."""
    found = outcome(wire.loads, text)
    if sys.gettrace() is None:
        assert _cheapest(lambda: outcome(wire.loads, text)) < 0.05 * slowness()
    assert outcome(WireJSON("json").loads, text) == found


def test_a_chunk_is_read_fast() -> None:
    """Reading a chunk of 300 bytes costs little more than the bare parser: rare cases stay off the usual path."""
    from pydantic_core import from_json

    choice = {"index": 0, "delta": {"content": " lorem"}, "logprobs": None, "finish_reason": None}
    chunk = {"id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "object": "chat.completion.chunk", "created": 1741569952}
    chunk |= {"model": "gpt-4o-mini-2024-07-18", "service_tier": "default", "choices": [choice], "usage": None}
    data, loads = json.dumps(chunk).encode(), WireJSON("pydantic_core").loads

    def seconds(read: Callable[[bytes], Any]) -> float:
        started = time.process_time()
        for _ in range(500):
            read(data)
        return time.process_time() - started

    if sys.gettrace() is None:
        assert min(seconds(loads) for _ in range(9)) <= 3 * min(seconds(from_json) for _ in range(9))
