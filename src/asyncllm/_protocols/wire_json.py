"""The one module that reads and writes wire JSON.

Theory. Three parsers disagree exactly where it hurts: on NaN, ``1e999``, integers over 64 bits, lone surrogates, depth
and the byte-order mark. So one of them is the law, `_read_strictly`, which is the standard library's held to RFC 8259,
and another may only go ahead of it: what the fast parser accepts and no mark makes suspicious is taken; everything else
is read again by the law, which gives the same value or the same `ProtocolError` for every backend. Writing works the
same way: a fast writer, then a look at the value that only plain types and plain floats pass, else `_write_strictly`.

Rules.

- Numbers: integers are exact, up to 4300 digits; floats are finite. Of duplicate keys the last wins.
- Containers that hold something nest at most 200 deep (pydantic-core's bound). Strings are Unicode, without lone
  surrogates. UTF-8 only; a byte-order mark before it is skipped (RFC 8259, section 8.1).
- The bytes written are those of the standard library's compact encoder, whatever the backend.

Which backend, measured in microseconds on a chat chunk of 300 bytes and a conversation of 200 messages (64 KB): orjson
reads in 0.7, but it turns large integers into floats and has another bound of depth, and to look for those costs 0.7
more; pydantic-core reads in 0.9, and to look for floats beyond all bounds costs 0.5. So pydantic-core, which comes with
pydantic, reads. orjson writes where it is installed: in 15, against pydantic-core's 50 and the standard library's 215,
and 35 for the look at the value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Literal

from ..errors import BadRequestError, ProtocolError

Backend = Literal["orjson", "pydantic_core", "json"]

MAX_DEPTH = 200
MAX_DIGITS = 4300

# Digits and the plus sign become "0", the exponent's letter "e", all else a space: what could be a float beyond all
# bounds then holds one of two patterns. An exponent of two digits needs a mantissa of more than 100 to overflow.
_MARKS = bytes(0x30 if byte in b"0123456789+" else 0x65 if byte in b"eE" else 0x20 for byte in range(256))
_EXPONENT = b"0e000"
_LONG = b"0" * 100
# The same pattern stands in every fourth hexadecimal id; a number with it begins where a value may begin.
_LARGE = re.compile(rb"(?:^|[\[:,\s])-?[0-9][0-9.]*[eE]\+?[0-9]{3}")

_LEAVES = frozenset({str, bool, type(None)})
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u([dD][89a-fA-F])?|.)")
# A string may lack its end: a pattern that gave up there would look at every quote of it again.
_NESTING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{][ \t\n\r]*[\]}]|([\[{])|([\]}])', re.DOTALL)


class WireJSON:
    """Reads and writes strict JSON.

    Args:
        backend: ``"orjson"`` (reads with pydantic-core, writes with orjson), ``"pydantic_core"`` or ``"json"``, the
            standard library; None takes the first that is installed. All give the same values, bytes and errors.
    """

    __slots__ = ("_read", "_write")

    def __init__(self, backend: Backend | None = None) -> None:
        self._read: Callable[[bytes], Any] = self._load_and_read
        self._write: Callable[[Any], bytes] = self._load_and_write
        if backend is not None:
            self._read, self._write = _functions(backend)

    def load(self) -> None:
        """Imports the backend now, which blocks for some twenty milliseconds; otherwise the first use does it."""
        self._read, self._write = _functions(None)

    def _load_and_read(self, data: bytes) -> Any:
        self.load()
        return self._read(data)

    def _load_and_write(self, value: Any) -> bytes:
        self.load()
        return self._write(value)

    def loads(self, data: bytes | str) -> Any:
        """Parses UTF-8 JSON.

        Raises:
            ProtocolError: it is not JSON, or holds what Python cannot keep exactly (a float beyond all bounds, more
                than 200 levels, more than 4300 digits).
        """
        try:
            if isinstance(data, str):
                data = data.encode()
            value = self._read(data)
            marks = data.translate(_MARKS)
            if marks.find(_LONG) < 0 and (marks.find(_EXPONENT) < 0 or _LARGE.search(data) is None):
                return value  # ``find`` takes half the time of ``in``
        except (ValueError, RecursionError):
            pass
        try:
            return _read_strictly(data)
        except (ValueError, RecursionError) as error:
            reason = _reason(error)
        # Raised out here: the parser's own error holds the whole text.
        raise ProtocolError(f"the provider's answer is not valid JSON: {reason}")

    def dumps(self, value: Any) -> bytes:
        """Writes compact UTF-8 of dicts with string keys (any mapping), lists, tuples, strings, numbers, bools, None.

        Raises:
            BadRequestError: the value, or one inside of it, is something that JSON cannot say.
        """
        try:
            text = self._write(value)
            if _is_plain(value):
                return text
        except (TypeError, ValueError, RecursionError):
            pass
        try:
            return _write_strictly(value)
        except (TypeError, ValueError, RecursionError) as error:
            reason = _reason(error)
        raise BadRequestError(f"the request holds a value that JSON cannot say: {reason}")


def _functions(backend: Backend | None) -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    """Returns a fast reader and a fast writer; they are imported here, so that importing this module costs nothing."""
    if backend == "json":
        return _read_strictly, _encode
    from pydantic_core import from_json, to_json

    def read(data: bytes) -> Any:  # a partial would be slower
        return from_json(data, allow_inf_nan=False)

    if backend == "pydantic_core":
        return read, to_json
    try:
        from orjson import dumps
    except ImportError:
        if backend == "orjson":
            raise
        return read, to_json
    return read, dumps


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    if isinstance(error, RecursionError):
        return f"it is nested deeper than {MAX_DEPTH} levels"
    return str(error)


def _read_strictly(data: bytes | str) -> Any:
    """Reads JSON by the strict rules; raises ValueError or RecursionError."""
    text = (data.encode() if isinstance(data, str) else data).decode().removeprefix("\ufeff")
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _bound_depth(text)
    value = _STRICT.decode(text)
    if "\\u" in text and any(found[1] for found in _ESCAPE.finditer(text)):
        raise ValueError("an escaped surrogate stands alone")
    return value


def _bound_depth(text: str) -> None:
    depth = 0
    for found in _NESTING.finditer(text):
        depth += bool(found[1]) - bool(found[2])
        if depth > MAX_DEPTH:
            raise RecursionError


def _integer(text: str) -> int:
    if len(text.removeprefix("-")) > MAX_DIGITS:
        raise ValueError(f"an integer has more than {MAX_DIGITS} digits")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError("a number is too large for a float")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON value")


_STRICT = json.JSONDecoder(parse_float=_finite, parse_int=_integer, parse_constant=_no_constant)
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _is_plain(value: Any) -> bool:
    """Returns whether all writers write this value alike: exact types, string keys, small integers, plain floats.

    Asked after a writer has written the value, which is then known to be finite.
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        below = []
        for item in level:
            kind = type(item)
            if kind is dict:
                for key, inner in item.items():
                    if type(key) is not str:
                        return False
                    if type(inner) not in _LEAVES:
                        below.append(inner)
            elif kind is list or kind is tuple:
                below += [inner for inner in item if type(inner) not in _LEAVES]
            elif kind is int:
                if item.bit_length() > 63:
                    return False
            elif kind is float:
                if not isfinite(item) or "e" in repr(item):
                    return False
            elif kind not in _LEAVES:
                return False
        if not below:
            return True
        level = below
    return False  # what lies deepest is left to the law


def _write_strictly(value: Any) -> bytes:
    """Writes JSON by the strict rules; raises TypeError, ValueError or RecursionError."""
    return _encode(_plain(value, 0))


def _encode(value: Any) -> bytes:
    return _ENCODER.encode(value).encode()


def _plain(value: Any, depth: int) -> Any:
    """Returns the value as dicts and lists, after checking that JSON can express it."""
    if value is None or isinstance(value, str | int | float):
        return value
    if not isinstance(value, Mapping | list | tuple):
        raise TypeError(f"a value of type {type(value).__name__} (give a dict, list, string, number, bool or None)")
    if depth >= MAX_DEPTH and value:
        raise RecursionError
    if not isinstance(value, Mapping):
        return [_plain(inner, depth + 1) for inner in value]
    for key in value:
        if not isinstance(key, str):
            raise TypeError(f"a key of type {type(key).__name__}: only strings can be keys")
    return {key: _plain(inner, depth + 1) for key, inner in value.items()}
