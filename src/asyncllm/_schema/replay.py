"""Turns a whole reply into the events of a stream, for servers that do not stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .content import Part, ProviderToolCall, Reasoning, Text, ToolCall
from .events import (
    Event,
    PartEnd,
    PartStart,
    ReasoningDelta,
    ResponseEnd,
    ResponseStart,
    TextDelta,
    ToolCallDelta,
)
from .response import Response


def events_of(response: Response) -> Iterator[Event]:
    """Returns the events that a stream with this reply would have had. Each part is one delta."""
    yield ResponseStart(id=response.id, model=response.model)
    for index, part in enumerate(response.message.content):
        yield from _part(index, part)
    yield ResponseEnd(
        response.finish_reason,
        raw_finish_reason=response.raw_finish_reason,
        stop_sequence=response.stop_sequence,
        usage=response.usage,
        warnings=response.warnings,
        raw=response.raw,
        continuation=response.continuation,
    )


def _part(index: int, part: Part) -> Iterator[Event]:
    if isinstance(part, Text):
        yield PartStart(index, Text(""))
        if part.text:
            yield TextDelta(part.text, index)
    elif isinstance(part, Reasoning):
        yield PartStart(index, Reasoning(""))
        if part.text:
            yield ReasoningDelta(part.text, index)
    elif isinstance(part, ToolCall):
        yield PartStart(index, ToolCall(part.id, part.name, raw_arguments="", kind=part.kind))
        if part.raw_arguments:
            yield ToolCallDelta(part.raw_arguments, index)
    elif isinstance(part, ProviderToolCall):
        yield PartStart(index, replace(part, raw_arguments=""))
    else:
        yield PartStart(index, part)
    yield PartEnd(index, part)
