"""Decodes a stream of the Responses API.

Theory: an item is announced, filled by deltas and given whole at its end; what counts is the whole one, since ids,
phases, annotations and encrypted reasoning are complete only there. The part of an item therefore starts early, for its
place among the others, and is read at the end by the code that reads unary answers (`output`).

* What was streamed is the text of the part. Where the whole item holds more, because deltas did not come, the rest is
  streamed at its end.
* Two summaries of one reasoning item are parted by an empty line. An item with summaries and content shows the kind
  that spoke first.
* A message may hold several parts; they start with their first content.

``response.*`` events -> canonical events.

Rules.

* What counts is the JSON's ``type``; the SSE name repeats it. Types not known here are skipped, and so are the progress
  events of hosted tools: their items come whole.
* A delta belongs to the open item with its ``item_id``, else to the one at its ``output_index``. Neither is enough:
  some hosts change the ids from event to event, some give every item the same number.
* An item or a part that is announced with a beginning is told from there on: the first delta brings it.
* A text is told once, whatever its ``content_index``: what a ``.done`` event or a whole item says is what was streamed
  under one number or several, or else it is streamed then.
* The end is ``response.completed`` or ``response.incomplete``, whose ``response`` holds status and usage. Items that
  never ended, or never began, are taken from its ``output`` (which may be empty, so what was streamed counts first).
* ``error`` and ``response.failed`` end the stream with that error. ``[DONE]``, which OpenRouter sends, means nothing.

Text is nearly all of a stream: a delta of the text before it takes a path of its own in `ResponsesStream.feed`.
Source: openai 3.52.0 (openai/types/responses/response_stream_event.py and the event files).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Union

from ..._framing.framer import Frame
from ..._schema.events import (
    Event,
    ResponseEnd,
    ResponseStart,
    TextDelta,
)
from ..._schema.usage import UNKNOWN_USAGE
from ...errors import AsyncLLMError, ProtocolError, StreamTruncatedError
from ..classify import snippet
from ..codec import Context, Halves, complete, is_keepalive, no_such_stream
from ..finish import check_reply
from ..openai_api import failure_error, rate_limits, read_failure, request_id
from ..parts import as_dict
from .dialect import ResponsesDialect
from .parts import (
    OpenFunctionCall,
    OpenOther,
    OpenReasoning,
    Tally,
    is_named_call,
    type_of,
    whole_text,
)
from .response import OpenMessage, OpenText, failure_of, text_of
from .usage import read_finish, read_usage

OpenItem = Union[OpenMessage, OpenReasoning, OpenFunctionCall, OpenOther]


def open_item(wire: dict[str, Any], tally: Tally, events: list[Event]) -> OpenItem:
    """Starts an item."""
    kind = type_of(wire)
    if kind == "message":
        return OpenMessage(wire, tally)
    if kind == "reasoning":
        return OpenReasoning(wire, tally, events)
    if is_named_call(wire, tally.dialect):
        return OpenFunctionCall(wire, tally, events)
    return OpenOther(wire, tally, events)


def place_of(event: Mapping[str, Any], name: str) -> int:
    """Returns the number of a summary or content part; 0 if there is none."""
    found = event.get(name)
    return found if isinstance(found, int) else 0


_TEXT_DELTA = "response.output_text.delta"


class ResponsesStream:
    """Decodes one stream; see `asyncllm._protocols.codec.StreamDecoder`.

    Attributes:
        usage: what the end of the stream, also a failed one, said of it; unknown before.
    """

    __slots__ = (
        "_at",
        "_context",
        "_dialect",
        "_halves",
        "_headers",
        "_ids",
        "_kinds",
        "_odd",
        "_open",
        "_place",
        "_places",
        "_started",
        "_tally",
        "_text",
        "_told",
        "done",
        "rate_limits",
        "request_id",
        "usage",
    )

    def __init__(self, headers: Mapping[str, str], context: Context, dialect: ResponsesDialect) -> None:
        self.done = False
        self.request_id = request_id(headers)
        self.rate_limits = rate_limits(headers)
        self.usage = UNKNOWN_USAGE
        self._headers = headers
        self._context = context
        self._dialect = dialect
        self._tally = Tally(context, dialect)
        self._started = False
        self._open: dict[int, OpenItem] = {}  # by a number of ours, as everything below
        self._kinds: dict[int, str] = {}  # of all items so far
        self._told: dict[int, str] = {}  # what ended items said
        self._places: dict[object, int] = {}  # the last item at an output index; None for items without one
        self._halves = Halves()
        self._odd = ""  # what was not of this protocol
        self._ids: dict[str, int] = {}
        self._text: OpenText | None = None  # the text that the last delta was of, and below where it is
        self._at: object = None
        self._place: object = None

    def feed(self, frames: Sequence[Frame]) -> list[Event]:
        """Takes frames in order; see `asyncllm._protocols.codec.StreamDecoder.feed`."""
        if self._halves.waiting:
            frames = self._halves.mended(frames)
        events: list[Event] = []
        loads = self._context.json.loads
        text, at, place = self._text, self._at, self._place
        try:
            for frame in frames:
                if self.done:
                    break
                data = frame[1]
                try:
                    event = loads(data) if data[:1] == b"{" else self._unusual(frame)
                except ProtocolError as broken:
                    events += self.feed(self._halves.recover(broken, frame, frames))
                    break
                if event is None:
                    continue
                if (
                    text is not None
                    and event.get("type") == _TEXT_DELTA
                    and event.get("output_index") == at
                    and event.get("content_index") == place
                ):
                    delta = event.get("delta")
                    if type(delta) is str:
                        if delta:
                            text.taken.append(delta)
                            events.append(TextDelta(delta, text.index))
                        continue
                self._event(event, frame, events)
                text, at, place = self._text, self._at, self._place
        except AsyncLLMError as error:
            complete(error, events, self._context, self.request_id)
            raise
        return events

    def close(self) -> list[Event]:
        """Tells that the bytes have ended; see `asyncllm._protocols.codec.StreamDecoder.close`."""
        events = self.feed(self._halves.rest())
        if not self.done:
            if self._odd and not self._started:
                raise no_such_stream(self._odd, self._context, self.request_id)
            raise StreamTruncatedError(
                "the stream ended without response.completed",
                provider=self._context.provider,
                model=self._context.model,
                request_id=self.request_id,
                events=events,
            )
        return events

    def _unusual(self, frame: Frame) -> dict[str, Any] | None:
        """Reads a frame that does not begin with a brace; None for one without content, such as ``[DONE]``."""
        data = frame.data.strip()
        if frame.event == "error" and data[:1] != b"{":
            return {"type": "error"}
        try:
            event = self._context.json.loads(data)
        except ProtocolError:
            if data[:1] == b"{":
                raise
            return None  # a keepalive, whatever form the server gave it
        if not isinstance(event, dict):
            if not is_keepalive(event):
                raise ProtocolError(f"an event of the stream is not an object: {snippet(data, 100)}")
            self._odd = snippet(data, 100)
            return None
        return event

    def _event(self, event: dict[str, Any], frame: Frame, events: list[Event]) -> None:
        """Takes any event except another delta of the open text."""
        kind = event.get("type")
        if not isinstance(kind, str) or not kind:
            kind = frame.event  # hosts that say it there only
            event["type"] = kind
        if kind == "error" or frame.event == "error" or (not kind and event.get("error")):
            failure = read_failure(event)
            if not failure.message:
                told = f"the provider reported an error in the stream: {snippet(frame.data, 100)}"
                failure = failure._replace(message=told)
            raise failure_error(failure, None, self._headers, self._context, self._dialect)
        take = self._TAKERS.get(kind)
        if take is not None:
            take(self, event, events)
        elif not self._started:
            self._odd = snippet(frame.data, 100)

    def _begin(self, event: dict[str, Any], events: list[Event]) -> None:
        """Takes ``response.created`` and similar events: the id and the model."""
        if self._started:
            return
        self._started = True
        response = as_dict(event.get("response"))
        ident, model = response.get("id"), response.get("model")
        events.append(
            ResponseStart(
                id=ident if isinstance(ident, str) and ident else None, model=model if isinstance(model, str) else ""
            )
        )

    def _key(self, event: Mapping[str, Any]) -> int | None:
        """Returns the key of the item that an event is about; None if it was not announced."""
        at, ident = event.get("output_index"), event.get("item_id")
        if ident is None:
            ident = as_dict(event.get("item")).get("id")
        by_id = self._ids.get(ident) if isinstance(ident, str) else None
        if by_id in self._open:
            return by_id
        by_place = self._places.get(at if type(at) is int else None)
        if type(at) is int or by_place in self._open:
            return by_place
        return by_id

    def _added(self, event: dict[str, Any], events: list[Event]) -> None:
        self._announce(event, as_dict(event.get("item")), events)

    def _announce(self, event: Mapping[str, Any], wire: dict[str, Any], events: list[Event]) -> int:
        """Starts an item and returns its number."""
        self._begin({}, events)
        at, ident = event.get("output_index"), wire.get("id")
        at = at if type(at) is int else None
        before = self._places.get(at)
        known = None if before is None else self._open.get(before)
        if before is not None and known is not None:
            both_named = isinstance(ident, str) and isinstance(known.wire.get("id"), str)
            if not (isinstance(known, OpenFunctionCall) and both_named and ident != known.wire["id"]):
                self._end_item(before, known, known.wire, events)
        key = len(self._kinds)
        if isinstance(ident, str):
            self._ids[ident] = key
        self._places[at] = key
        self._kinds[key] = type_of(wire)
        self._open[key] = open_item(wire, self._tally, events)
        self._text = None
        return key

    def _item_done(self, event: dict[str, Any], events: list[Event]) -> None:
        wire, key = as_dict(event.get("item")), self._key(event)
        if key is None or key not in self._open:
            key = self._announce(event, wire, events)
        self._end_item(key, self._open[key], wire, events)

    def _end_item(self, key: int, item: OpenItem, wire: dict[str, Any], events: list[Event]) -> None:
        item.end(wire, events)
        self._told[key] = item.said()
        del self._open[key]
        self._text = None

    def _find(self, kind: type[Any], wire_type: str, event: Mapping[str, Any], events: list[Event]) -> Any:
        """Returns the open item of a delta. An item that was never announced starts here."""
        key = self._key(event)
        item = None if key is None else self._open.get(key)
        if isinstance(item, kind):
            return item
        if key is not None and type(event.get("output_index")) is int:
            raise ProtocolError(f"a delta of the stream does not fit its item: {event.get('type')}")
        return self._open[self._announce(event, {"type": wire_type, "id": event.get("item_id")}, events)]

    def _awaits(self, kind: type[Any], event: Mapping[str, Any]) -> bool:
        """Returns whether an event is about an open item of this kind, or about an item that has not started."""
        key = self._key(event)
        return key is None or isinstance(self._open.get(key), kind)

    def _delta(self, event: Mapping[str, Any]) -> str:
        delta = event.get("delta")
        if not isinstance(delta, str):
            raise ProtocolError(f"a delta of the stream holds no text: {event.get('type')}")
        return delta

    def _text_delta(self, event: dict[str, Any], events: list[Event]) -> None:
        message, text = self._said(event, "output_text", events)
        delta = self._delta(event)
        if delta:
            delta = message.take(place_of(event, "content_index"), text, delta)
            events.append(TextDelta(delta, text.index))
        self._text, self._at, self._place = text, event.get("output_index"), event.get("content_index")

    def _refusal_delta(self, event: dict[str, Any], events: list[Event]) -> None:
        message, text = self._said(event, "refusal", events)
        message.take(place_of(event, "content_index"), text, self._delta(event))

    def _annotation(self, event: dict[str, Any], events: list[Event]) -> None:
        self._said(event, "output_text", events)[1].annotations.append(event.get("annotation"))

    def _said(self, event: Mapping[str, Any], kind: str, events: list[Event]) -> tuple[OpenMessage, OpenText]:
        message: OpenMessage = self._find(OpenMessage, "message", event, events)
        text = message.text(place_of(event, "content_index"), kind, events)
        if text.kind != kind:
            raise ProtocolError(f"a delta of the stream does not fit its content: {event.get('type')}")
        return message, text

    def _summary(self, event: dict[str, Any], events: list[Event]) -> None:
        self._think(event, "summary", place_of(event, "summary_index"), events)

    def _reasoning_text(self, event: dict[str, Any], events: list[Event]) -> None:
        self._think(event, "content", place_of(event, "content_index"), events)

    def _think(self, event: dict[str, Any], kind: str, place: object, events: list[Event]) -> None:
        delta = self._delta(event)
        if delta:
            self._find(OpenReasoning, "reasoning", event, events).think(kind, place, delta, events)

    def _arguments(self, event: dict[str, Any], events: list[Event]) -> None:
        wire_type = "custom_tool_call" if str(event.get("type")).startswith("response.custom") else "function_call"
        delta, key = self._delta(event), self._key(event)
        if delta and not (key is not None and isinstance(self._open.get(key), OpenOther)):
            self._find(OpenFunctionCall, wire_type, event, events).argue(delta, events)

    def _part_added(self, event: dict[str, Any], events: list[Event]) -> None:
        """Starts a text, a summary or a content of reasoning. From here on another number means another one."""
        key = self._key(event)
        item = None if key is None else self._open.get(key)
        if isinstance(item, OpenReasoning):
            item.part()
        elif isinstance(item, OpenMessage):
            item.part(place_of(event, "content_index"), as_dict(event.get("part")))

    def _part_done(self, event: dict[str, Any], events: list[Event]) -> None:
        """Takes a whole part of the content, whatever event came before it."""
        part = as_dict(event.get("part"))
        kind = type_of(part)
        if kind in ("output_text", "refusal"):
            self._whole_text(event, kind, text_of(part), events)
        elif kind in ("reasoning_text", "summary_text"):
            self._whole_thought(event, "summary" if kind == "summary_text" else "content", part.get("text"), events)

    def _text_done(self, event: dict[str, Any], events: list[Event]) -> None:
        kind = "refusal" if event.get("type") == "response.refusal.done" else "output_text"
        self._whole_text(event, kind, event.get("refusal" if kind == "refusal" else "text"), events)

    def _whole_text(self, event: dict[str, Any], kind: str, text: object, events: list[Event]) -> None:
        self._text = None
        if isinstance(text, str) and text and self._awaits(OpenMessage, event):
            message: OpenMessage = self._find(OpenMessage, "message", event, events)
            message.done(place_of(event, "content_index"), kind, text, events)

    def _reasoning_done(self, event: dict[str, Any], events: list[Event]) -> None:
        kind = "summary" if event.get("type") == "response.reasoning_summary_text.done" else "content"
        self._whole_thought(event, kind, event.get("text"), events)

    def _whole_thought(self, event: dict[str, Any], kind: str, text: object, events: list[Event]) -> None:
        if isinstance(text, str) and text and self._awaits(OpenReasoning, event):
            thought: OpenReasoning = self._find(OpenReasoning, "reasoning", event, events)
            thought.done(kind, place_of(event, f"{kind}_index"), text, events)

    def _arguments_done(self, event: dict[str, Any], events: list[Event]) -> None:
        custom = str(event.get("type")).startswith("response.custom")
        text, key = event.get("input" if custom else "arguments"), self._key(event)
        item = None if key is None else self._open.get(key)
        if isinstance(text, str) and text and isinstance(item, OpenFunctionCall):
            item.done(text, events)

    def _failed(self, event: dict[str, Any], events: list[Event]) -> None:
        self.usage = read_usage(as_dict(event.get("response")))
        raise failure_of(as_dict(event.get("response")), None, self._headers, self._context, self._dialect)

    def _end(self, event: dict[str, Any], events: list[Event]) -> None:
        """Takes the last event."""
        response = as_dict(event.get("response"))
        if response.get("status") == "failed":
            self._failed(event, events)
        if not response and not self._tally.parts and not self._open:
            raise ProtocolError(f"the stream ended with {event['type']}, without a response and without any item")
        self._begin(event, events)
        self._last_words(response.get("output"), events)
        for key, item in list(self._open.items()):
            self._end_item(key, item, item.wire, events)
        status = {"status": str(event["type"]).removeprefix("response.")}
        reason, word = read_finish({**status, **response}, calls=self._tally.calls, refused=self._tally.refused)
        usage = self.usage = read_usage(response)
        check_reply(word, said=self._tally.said, context=self._context, request_id=self.request_id, usage=usage)
        events.append(
            ResponseEnd(
                reason, raw_finish_reason=word, usage=usage, warnings=self._halves.warnings, raw=response or None
            )
        )
        self.done = True

    def _last_words(self, output: object, events: list[Event]) -> None:
        """Reads the items that never ended, or never started, from the last event. Each item is read once.

        Hosts number items in their own ways, and some change the ids: an item of the output is the one with its id,
        else one of its type that said the same, else the one of its type at its place.
        """
        left = dict(self._kinds)
        for at, wire in enumerate(output if isinstance(output, list) else ()):
            if not isinstance(wire, dict):
                continue
            key = self._announced_as(at, wire, left)
            if key is None:
                key = self._announce({"output_index": -1 - at}, wire, events)
            else:
                del left[key]
            item = self._open.get(key)
            if item is not None:
                self._end_item(key, item, wire, events)

    def _announced_as(self, at: int, wire: dict[str, Any], left: Mapping[int, str]) -> int | None:
        """Returns the number of an item that was streamed; None if it was not."""
        kind, ident, text = type_of(wire), wire.get("id"), whole_text(wire)
        by_id = self._ids.get(ident) if isinstance(ident, str) else None
        if by_id is not None and left.get(by_id) == kind:
            return by_id
        alike = [(key, self._said_by(key)) for key, known in left.items() if known == kind]
        same = next((key for key, told in alike if told and told == text), None)
        if same is not None:
            return same
        place = self._places.get(at)
        if place is not None and left.get(place) == kind:
            return place
        return next((key for key, told in alike if told and text.startswith(told)), None)

    def _said_by(self, key: int) -> str:
        item = self._open.get(key)
        return self._told.get(key, "") if item is None else item.said()

    _TAKERS: ClassVar[Mapping[str, Callable[..., None]]] = MappingProxyType(
        {
            "response.created": _begin,
            "response.queued": _begin,
            "response.in_progress": _begin,
            "response.output_item.added": _added,
            "response.output_item.done": _item_done,
            _TEXT_DELTA: _text_delta,
            "response.refusal.delta": _refusal_delta,
            "response.output_text.annotation.added": _annotation,
            "response.reasoning_summary_text.delta": _summary,
            "response.reasoning_text.delta": _reasoning_text,
            "response.function_call_arguments.delta": _arguments,
            "response.custom_tool_call_input.delta": _arguments,
            "response.content_part.added": _part_added,
            "response.content_part.done": _part_done,
            "response.reasoning_summary_part.added": _part_added,
            "response.reasoning_summary_part.done": _part_done,
            "response.output_text.done": _text_done,
            "response.refusal.done": _text_done,
            "response.reasoning_summary_text.done": _reasoning_done,
            "response.reasoning_text.done": _reasoning_done,
            "response.function_call_arguments.done": _arguments_done,
            "response.custom_tool_call_input.done": _arguments_done,
            "response.completed": _end,
            "response.incomplete": _end,
            "response.failed": _failed,
        }
    )
