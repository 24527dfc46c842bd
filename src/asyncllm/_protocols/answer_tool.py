"""A structured answer by a forced tool, for hosts and schemas that no ``response_format`` can hold a model to.

The model must call one tool, whose arguments are the answer. What comes back is turned into text again, so that nobody
above the wire sees the difference: the reply, the events of a stream, and the history hold the JSON as text.

A request says so in `WireRequest.answer_tool`. It is possible where the caller has no tools of its own and the model
may be forced to call one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from .._framing.framer import Frame
from .._schema.content import Part, Text, ToolCall
from .._schema.events import Event, PartEnd, PartStart, ResponseEnd, TextDelta, ToolCallDelta
from .._schema.messages import Message
from .._schema.request import Request, ResponseFormat, Tool, ToolChoice
from .._schema.response import FinishReason, RateLimits, Response
from .._schema.usage import UNKNOWN_USAGE, Usage

if TYPE_CHECKING:
    from .codec import StreamDecoder

ANSWER = "give_answer"
_TOLD = "Gives the answer to the user. Call it once, with the whole answer."


def by_tool(request: Request, wanted: ResponseFormat) -> Request:
    """Returns the request with a tool that the model must call, instead of the format.

    Args:
        request: one without tools.
        wanted: its format, with a schema.
    """
    told = f"{_TOLD} {wanted.description}" if wanted.description else _TOLD
    return replace(
        request,
        tools=(Tool(ANSWER, told, wanted.schema or {}),),
        tool_choice=ToolChoice("tool", (ANSWER,)),
        response_format=None,
    )


def as_answer(response: Response) -> Response:
    """Returns the reply with the call of the tool as text, as if the format had been sent."""
    parts = tuple([_text(part) for part in response.message.content])
    message = Message("assistant", parts, name=response.message.name)
    return replace(response, message=message, finish_reason=_finish(response.finish_reason))


def _text(part: Part) -> Part:
    if isinstance(part, ToolCall) and part.name == ANSWER:
        return Text(part.raw_arguments or "{}", origin=part.origin)
    return part


def _finish(reason: FinishReason) -> FinishReason:
    return "stop" if reason == "tool_calls" else reason


class AnswerDecoder:
    """Decodes a stream and tells the events of the tool as events of a text.

    Args:
        decoder: the decoder of the wire.
    """

    def __init__(self, decoder: StreamDecoder) -> None:
        self._decoder = decoder
        self._ours: set[int] = set()
        self.done = False
        self.request_id: str | None = decoder.request_id
        self.rate_limits: RateLimits | None = decoder.rate_limits

    @property
    def usage(self) -> Usage:
        """Returns the usage so far, if the wire reports it before the end."""
        found = getattr(self._decoder, "usage", UNKNOWN_USAGE)
        return found if isinstance(found, Usage) else UNKNOWN_USAGE

    def feed(self, frames: Sequence[Frame]) -> list[Event]:
        """Takes frames in order and gives the events they mean."""
        events = [self._event(event) for event in self._decoder.feed(frames)]
        self.done = self._decoder.done
        return events

    def close(self) -> list[Event]:
        """Returns the events that are left at the end of the bytes."""
        return [self._event(event) for event in self._decoder.close()]

    def _event(self, event: Event) -> Event:
        if isinstance(event, PartStart) and isinstance(event.part, ToolCall) and event.part.name == ANSWER:
            self._ours.add(event.index)
            return PartStart(event.index, Text("", origin=event.part.origin))
        if isinstance(event, ToolCallDelta) and event.index in self._ours:
            return TextDelta(event.arguments, event.index)
        if isinstance(event, PartEnd):
            return PartEnd(event.index, _text(event.part))
        if isinstance(event, ResponseEnd):
            return replace(event, finish_reason=_finish(event.finish_reason))
        return event
