"""What embeddings and rankings have in common on all wires: the last steps of a request, vectors and scores."""

from __future__ import annotations

import struct
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Any

from .._schema.request import Request
from .._schema.usage import UNKNOWN_USAGE, Usage
from ..errors import ProtocolError, UnsupportedParameterError
from .codec import Context, LeftOut, WireRequest, deep_merge, load_whole
from .parts import as_dict

_FLOAT_BYTES = 4


def posted(
    path: str, body: dict[str, Any], request: Request, context: Context, left_out: tuple[LeftOut, ...] = ()
) -> WireRequest:
    """Writes the request for a finished body, with ``extra_body`` merged into it and the headers of the caller."""
    headers = {"content-type": "application/json", "accept": "application/json"}
    headers.update({name.lower(): value for name, value in (request.extra_headers or {}).items()})
    whole = deep_merge(body, request.extra_body) if request.extra_body else body
    return WireRequest(
        method="POST", path=path, headers=tuple(headers.items()), body=context.json.dumps(whole), left_out=left_out
    )


def no_dimensions(context: Context) -> UnsupportedParameterError:
    """Makes the error for a length that the model cannot choose."""
    return UnsupportedParameterError(
        f"dimensions: {context.model} has one length of vectors only; leave dimensions out, or take another model",
        provider=context.provider,
        model=context.model,
    )


def read_object(body: bytes, context: Context, wanted: str) -> dict[str, Any]:
    """Reads the JSON object that a body is.

    Raises:
        ProtocolError: it is none.
    """
    value, _ = load_whole(body, context)
    if not isinstance(value, dict):
        raise broken(f"the provider's answer is not {wanted}", context)
    return value


def broken(sentence: str, context: Context) -> ProtocolError:
    """Makes the exception for an answer that is not what its protocol says."""
    return ProtocolError(sentence, provider=context.provider, model=context.model)


def floats(value: Any, context: Context) -> list[float]:
    """Reads a vector: a list of numbers, or the base64 of little-endian 32-bit floats.

    Raises:
        ProtocolError: it is neither, or empty.
    """
    if isinstance(value, str):
        try:
            data = b64decode(value, validate=True)
        except Base64Error:
            data = b""
        if data and len(data) % _FLOAT_BYTES == 0:
            return list(struct.unpack(f"<{len(data) // _FLOAT_BYTES}f", data))
    elif isinstance(value, list) and value and all(type(one) in (float, int) for one in value):
        return [float(one) for one in value]
    raise broken("the provider's answer holds something that is no vector", context)


def counted(input_tokens: Any) -> Usage:
    """Returns the usage of an answer without text, as far as the wire counts it."""
    if type(input_tokens) is not int or input_tokens < 0:
        return UNKNOWN_USAGE
    return Usage(input_tokens=input_tokens, output_tokens=0)


def scores_of(results: Any, context: Context, index: str, score: str) -> tuple[tuple[int, float], ...]:
    """Reads the places and scores of a ranking, the best first.

    Raises:
        ProtocolError: it is no ranking.
    """
    found = []
    for result in results if isinstance(results, list) else ():
        one = as_dict(result)
        place, value = one.get(index), one.get(score)
        if isinstance(place, str) and place.isdecimal():
            place = int(place)
        if type(place) is not int or not isinstance(value, (int, float)):
            raise broken("the provider's answer holds something that is no ranked document", context)
        found.append((place, float(value)))
    if not found:
        raise broken("the provider's answer holds no ranking", context)
    return tuple(sorted(found, key=lambda pair: (-pair[1], pair[0])))


def header_count(headers: Mapping[str, str], name: str) -> int | None:
    """Reads a number in a header; None if there is none."""
    told = headers.get(name, "")
    return int(told) if told.isdecimal() else None
