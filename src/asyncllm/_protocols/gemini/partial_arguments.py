"""Tool arguments that Vertex streams in pieces: a JSON path and a value each.

Rules: text for one path is concatenated while the piece before it said ``willContinue``; anything else replaces. A
path is RFC 9535's simple form: ``$``, then names (``.a``, ``['a b']``) and positions (``[0]``). Positions grow one
by one: a path that would leave a hole in a list is refused, so that no answer can ask for a list of a billion.

Source: google-genai 3.4.0, types.py, PartialArg.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from ...errors import ProtocolError
from ..base import Context

_STEP = re.compile(r"""\.([^.\[\]]+)|\[(\d{1,9})\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]""")
_VALUES = ("numberValue", "boolValue", "nullValue")
_MOST_STEPS = 100


class PartialArguments:
    """Puts the arguments of one call together."""

    __slots__ = ("_arguments", "_context", "_open_path", "_texts")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._arguments: dict[str, Any] = {}
        self._open_path = ""
        self._texts: list[str] = []  # of the open path, joined once: joining at every piece would be quadratic

    def feed(self, pieces: Any) -> None:
        """Takes the ``partialArgs`` of one chunk.

        Raises:
            ProtocolError: they are not what the wire describes.
        """
        for piece in pieces if isinstance(pieces, list) else ():
            if not isinstance(piece, dict) or not isinstance(piece.get("jsonPath"), str):
                raise self._wrong("a piece of tool arguments names no path")
            self._take(piece["jsonPath"], piece)

    def close(self) -> dict[str, Any]:
        """The whole arguments."""
        self._end_path()
        return self._arguments

    def _take(self, path: str, piece: dict[str, Any]) -> None:
        if path != self._open_path:
            self._end_path()
        text = piece.get("stringValue")
        if isinstance(text, str):
            self._open_path = path
            self._texts.append(text)
        else:
            self._end_path()
            field = next((name for name in _VALUES if name in piece), None)
            if field is not None:
                self._put(self._steps(path), None if field == "nullValue" else piece[field])
        if piece.get("willContinue") is not True:
            self._end_path()

    def _end_path(self) -> None:
        if self._open_path:
            self._put(self._steps(self._open_path), "".join(self._texts))
            self._open_path = ""
            self._texts = []

    def _steps(self, path: str) -> list[str | int]:
        steps: list[str | int] = []
        at = 1
        while at < len(path) and len(steps) < _MOST_STEPS:
            found = _STEP.match(path, at)
            if found is None:
                break
            dotted, position, single, double = found.groups()
            if position is not None:
                steps.append(int(position))
            else:
                quoted = single if single is not None else double
                steps.append(dotted if dotted is not None else re.sub(r"\\(.)", r"\1", quoted))
            at = found.end()
        if path[:1] != "$" or at != len(path) or not steps:
            raise self._wrong(f"{path[:80]!r} is no path of tool arguments")
        return steps

    def _put(self, steps: list[str | int], value: Any) -> None:
        place: Any = self._arguments
        for step, following in pairwise(steps):
            place = self._enter(place, step, [] if isinstance(following, int) else {})
        self._enter(place, steps[-1], value)
        place[steps[-1]] = value

    def _enter(self, place: Any, step: str | int, default: Any) -> Any:
        """What lies at one step below ``place``, put there first where there is nothing."""
        if isinstance(place, dict) and isinstance(step, str):
            return place.setdefault(step, default)
        if isinstance(place, list) and isinstance(step, int) and step <= len(place):
            if step == len(place):
                place.append(default)
            return place[step]
        raise self._wrong("the pieces of tool arguments do not fit together")

    def _wrong(self, sentence: str) -> ProtocolError:
        return ProtocolError(sentence, provider=self._context.provider, model=self._context.model)
