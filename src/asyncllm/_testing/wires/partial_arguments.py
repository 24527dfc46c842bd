"""Calls whose arguments travel in pieces, as only Vertex AI streams them: a JSON path and a value each.

A call is complete when a part comes without ``willContinue``; a text is when a piece of it comes without. Source:
google-genai 3.4.0 (types.py, ``PartialArg``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..model import pieces

_PLAIN = re.compile(r"[A-Za-z_]\w*")


def in_pieces(part: Mapping[str, Any], size: int) -> Iterator[dict[str, Any]]:
    """Yields the parts that say the same as one with a whole call; that one itself where its arguments hold empty
    objects.
    """
    call = part["functionCall"]
    values = list(_leaves("$", call["args"]))
    if any(value in ({}, []) for _, value in values):
        yield dict(part)
        return
    begun = {word: value for word, value in call.items() if word != "args"}
    yield {**part, "functionCall": {**begun, "willContinue": True}}
    for path, value in values:
        for piece in _values(value, size):
            yield {"functionCall": {"partialArgs": [{"jsonPath": path, **piece}], "willContinue": True}}
    yield {"functionCall": {}}


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and (value or path == "$"):
        for name, each in value.items():
            quoted = name.replace("\\", "\\\\").replace("'", "\\'")
            step = f".{name}" if _PLAIN.fullmatch(name) else f"['{quoted}']"
            yield from _leaves(path + step, each)
    elif isinstance(value, list) and value:
        for at, each in enumerate(value):
            yield from _leaves(f"{path}[{at}]", each)
    else:
        yield path, value


def _values(value: Any, size: int) -> Iterator[dict[str, Any]]:
    if isinstance(value, str):
        texts = pieces(value, size) or [""]
        for at, text in enumerate(texts):
            yield {"stringValue": text, **({"willContinue": True} if at + 1 < len(texts) else {})}
    elif isinstance(value, bool):
        yield {"boolValue": value}
    elif value is None:
        yield {"nullValue": "NULL_VALUE"}
    else:
        yield {"numberValue": value}
