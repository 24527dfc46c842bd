"""Builds a `Response` from events: what a stream has delivered so far, at any moment.

`PartEnd` carries the whole part, so finished parts are taken as they are; only parts still open are put together from
their deltas. The text of the result therefore always equals the text of the deltas fed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from .content import Part, Reasoning, Text, ToolCall
from .events import (
    Event,
    PartEnd,
    PartStart,
    ReasoningDelta,
    ResponseEnd,
    ResponseStart,
    Restart,
    TextDelta,
    ToolCallDelta,
)
from .messages import Message
from .response import Response
from .usage import UNKNOWN_USAGE


class Accumulator:
    """Builds the `Response` of a stream beside its events.

    Example:
        >>> accumulator = Accumulator()
        >>> accumulator.feed([ResponseStart(), PartStart(0, Text("")), TextDelta("Hi")])
        >>> accumulator.response().text
        'Hi'
    """

    __slots__ = ("_deltas", "_end", "_parts", "_start")

    def __init__(self) -> None:
        self._start = ResponseStart()
        self._parts: dict[int, Part] = {}
        self._deltas: dict[int, list[str]] = {}
        self._end: ResponseEnd | None = None

    @property
    def end(self) -> ResponseEnd | None:
        """The `ResponseEnd`, once it was fed."""
        return self._end

    def feed(self, events: Iterable[Event]) -> None:
        """Takes events in the order of the stream."""
        deltas = self._deltas
        for event in events:
            kind = type(event)
            if kind is TextDelta:
                deltas[event.index].append(event.text)  # type: ignore[union-attr]
            elif kind is ReasoningDelta:
                deltas[event.index].append(event.reasoning)  # type: ignore[union-attr]
            elif kind is ToolCallDelta:
                deltas[event.index].append(event.arguments)  # type: ignore[union-attr]
            else:
                self._feed_rare(event)

    def _feed_rare(self, event: Event) -> None:
        if isinstance(event, PartStart):
            self._parts[event.index] = event.part
            self._deltas[event.index] = []
        elif isinstance(event, PartEnd):
            self._parts[event.index] = event.part
            del self._deltas[event.index]
        elif isinstance(event, ResponseStart):
            self._start = event
        elif isinstance(event, ResponseEnd):
            self._end = event
        elif isinstance(event, Restart):
            self._start = ResponseStart()
            self._parts.clear()
            self._deltas.clear()

    def response(self) -> Response:
        """Returns everything so far. Until the end, ``finish_reason`` is ``"other"`` and the usage is unknown."""
        known = {**self._parts}
        for index, deltas in self._deltas.items():
            known[index] = _with_deltas(known[index], "".join(deltas))
        parts = [known[index] for index in sorted(known)]
        end = self._end
        return Response(
            message=Message("assistant", tuple(parts)),
            finish_reason=end.finish_reason if end else "other",
            raw_finish_reason=end.raw_finish_reason if end else None,
            stop_sequence=end.stop_sequence if end else None,
            usage=end.usage if end else UNKNOWN_USAGE,
            warnings=end.warnings if end else (),
            raw=end.raw if end else None,
            model=self._start.model,
            id=self._start.id,
            continuation=end.continuation if end else None,
        )


def _with_deltas(part: Part, delta: str) -> Part:
    if isinstance(part, (Text, Reasoning)):
        return replace(part, text=part.text + delta)
    if isinstance(part, ToolCall):
        return ToolCall(
            part.id,
            part.name,
            raw_arguments=part.raw_arguments + delta,
            kind=part.kind,
            signature=part.signature,
            origin=part.origin,
            extra=part.extra,
        )
    return part
