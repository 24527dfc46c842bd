"""Output items that have begun in a stream and not ended.

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
* A delta belongs to the item at its ``output_index``; where that is missing, to the one with its ``item_id``. Ids alone
  would not do: some hosts change them from event to event.
* The end is ``response.completed`` or ``response.incomplete``, whose ``response`` holds status and usage. Items that
  never ended, or never began, are taken from its ``output`` (which may be empty, so what was streamed counts first).
* ``error`` and ``response.failed`` end the stream with that error. ``[DONE]``, which OpenRouter sends, means nothing.

Text is nearly all of a stream: a delta of the text before it takes a path of its own in `ResponsesStream.feed`.
Source: openai 3.52.0 (openai/types/responses/response_stream_event.py and the event files).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar, Union

from ..._framing.base import Frame
from ..._schema.content import Part, Reasoning, Refusal, Text, ToolCall
from ..._schema.events import (
    Event,
    PartEnd,
    PartStart,
    ReasoningDelta,
    ResponseEnd,
    ResponseStart,
    TextDelta,
    ToolCallDelta,
)
from ..._schema.usage import UNKNOWN_USAGE
from ...errors import AsyncLLMError, ProtocolError, StreamTruncatedError
from ..classify import snippet
from ..codec import Context, complete
from ..openai_api import check_blocked, failure_error, rate_limits, read_failure, request_id
from ..parts import as_dict, objects
from .dialect import ResponsesDialect
from .parts import (
    CALL_FIELDS,
    PARAGRAPH,
    empty_message,
    head_of,
    is_named_call,
    read_call,
    read_content,
    read_other,
    read_reasoning,
    type_of,
)
from .response import failure_of
from .usage import read_finish, read_usage


class Tally:
    """What the items of one stream share: the numbers of the parts, and what kinds of parts there were."""

    __slots__ = ("calls", "context", "dialect", "parts", "refused")

    def __init__(self, context: Context, dialect: ResponsesDialect) -> None:
        self.context = context
        self.dialect = dialect
        self.parts = 0
        self.calls = False
        self.refused = False

    def start(self, part: Part, events: list[Event]) -> int:
        """Starts a part and gives its number."""
        index = self.parts
        self.parts += 1
        events.append(PartStart(index, part))
        return index

    def end(self, index: int, part: Part, events: list[Event]) -> None:
        """Ends a part."""
        self.calls = self.calls or type(part) is ToolCall
        self.refused = self.refused or type(part) is Refusal
        events.append(PartEnd(index, part))


class OpenText:
    """A text or refusal of a message."""

    __slots__ = ("annotations", "index", "kind", "taken")

    def __init__(self, kind: str, index: int) -> None:
        self.kind = kind
        self.index = index
        self.taken: list[str] = []
        self.annotations: list[Any] = []

    def content(self) -> dict[str, Any]:
        """The content part as far as it was streamed."""
        text = "".join(self.taken)
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": self.annotations}


class OpenMessage:
    """A message, whose parts start with their content."""

    __slots__ = ("_tally", "_texts", "wire")

    def __init__(self, wire: dict[str, Any], tally: Tally) -> None:
        self.wire = wire
        self._tally = tally
        self._texts: dict[int, OpenText] = {}

    def text(self, at: int, kind: str, events: list[Event]) -> OpenText:
        """The text or refusal at a place of the content; it starts where it is new."""
        found = self._texts.get(at)
        if found is None:
            origin = self._tally.context.origin
            part = Refusal("", origin=origin) if kind == "refusal" else Text("", origin=origin)
            found = self._texts[at] = OpenText(kind, self._tally.start(part, events))
        return found

    def end(self, wire: dict[str, Any], events: list[Event]) -> None:
        """Ends all parts, as the whole item has them."""
        head, contents = head_of(wire), objects(wire.get("content"))
        for at, content in enumerate(contents):
            self._finish(at, content, head, events)
        for at, text in list(self._texts.items()):
            if not 0 <= at < len(contents):
                self._finish(at, text.content(), head, events)
        if not contents and not self._texts:
            part = empty_message(wire, self._tally.context)
            self._tally.end(self._tally.start(part, events), part, events)

    def _finish(self, at: int, content: dict[str, Any], head: dict[str, Any], events: list[Event]) -> None:
        tally, said = self._tally, self._texts.get(at)
        part = read_content(head, content, tally.context)
        if said is not None and not (isinstance(part, (Text, Refusal)) and type_of(content) == said.kind):
            part = read_content(head, said.content(), tally.context)
        if not isinstance(part, (Text, Refusal)):
            tally.end(tally.start(part, events), part, events)
            return
        said = said or self.text(at, type_of(content), events)
        rest = missing(part.text, said.taken)
        if rest:
            said.taken.append(rest)
            if isinstance(part, Text):
                events.append(TextDelta(rest, said.index))
        streamed = "".join(said.taken)
        tally.end(said.index, part if part.text == streamed else replace(part, text=streamed), events)


class OpenReasoning:
    """A reasoning item."""

    __slots__ = ("_index", "_place", "_taken", "_tally", "wire")

    def __init__(self, wire: dict[str, Any], tally: Tally, events: list[Event]) -> None:
        self.wire = wire
        self._tally = tally
        self._place: tuple[str, object] | None = None
        self._taken: list[str] = []
        ident = wire.get("id")
        part = Reasoning(id=ident if isinstance(ident, str) and ident else None, origin=tally.context.origin)
        self._index = tally.start(part, events)

    def think(self, kind: str, place: object, text: str, events: list[Event]) -> None:
        """More of a summary or of the content."""
        if self._place is None:
            self._place = (kind, place)
        elif self._place[0] != kind:
            return
        elif self._place[1] != place:
            self._place = (kind, place)
            text = PARAGRAPH + text
        self._taken.append(text)
        events.append(ReasoningDelta(text, self._index))

    def end(self, wire: dict[str, Any], events: list[Event]) -> None:
        """Ends the part."""
        part = read_reasoning(wire, self._tally.context)
        rest = missing(part.text, self._taken)
        if rest:
            self._taken.append(rest)
            events.append(ReasoningDelta(rest, self._index))
        streamed = "".join(self._taken)
        self._tally.end(self._index, part if part.text == streamed else replace(part, text=streamed), events)


class OpenFunctionCall:
    """A call of a function or of a custom tool."""

    __slots__ = ("_id", "_index", "_taken", "_tally", "wire")

    def __init__(self, wire: dict[str, Any], tally: Tally, events: list[Event]) -> None:
        self.wire = wire
        self._tally = tally
        self._taken: list[str] = []
        part = read_call({**wire, CALL_FIELDS[type_of(wire)]: ""}, tally.context)
        self._id = part.id
        self._index = tally.start(part, events)

    def argue(self, text: str, events: list[Event]) -> None:
        """More of the arguments."""
        self._taken.append(text)
        events.append(ToolCallDelta(text, self._index))

    def end(self, wire: dict[str, Any], events: list[Event]) -> None:
        """Ends the part."""
        kind = type_of(self.wire)
        whole = wire if type_of(wire) == kind else self.wire
        part = read_call(whole, self._tally.context, self._id)
        rest = missing(part.raw_arguments, self._taken)
        if rest:
            self.argue(rest, events)
        streamed = "".join(self._taken)
        if part.raw_arguments != streamed:
            part = read_call({**whole, CALL_FIELDS[kind]: streamed}, self._tally.context, self._id)
        self._tally.end(self._index, part, events)


class OpenOther:
    """An item that comes whole at its end: tools with a form of their own, hosted or not, and what is unknown here."""

    __slots__ = ("_id", "_index", "_tally", "wire")

    def __init__(self, wire: dict[str, Any], tally: Tally, events: list[Event]) -> None:
        self.wire = wire
        self._tally = tally
        part = read_other(wire, tally.context)
        self._id = getattr(part, "id", "")
        if isinstance(part, ToolCall):
            part = ToolCall(part.id, part.name, raw_arguments="", origin=part.origin, extra=part.extra)
        self._index = tally.start(part, events)

    def end(self, wire: dict[str, Any], events: list[Event]) -> None:
        """Ends the part."""
        part = read_other(wire, self._tally.context, self._id)
        if isinstance(part, ToolCall):
            events.append(ToolCallDelta(part.raw_arguments, self._index))
        self._tally.end(self._index, part, events)


OpenItem = Union[OpenMessage, OpenReasoning, OpenFunctionCall, OpenOther]


def open_item(wire: dict[str, Any], tally: Tally, events: list[Event]) -> OpenItem:
    """Begins an item."""
    kind = type_of(wire)
    if kind == "message":
        return OpenMessage(wire, tally)
    if kind == "reasoning":
        return OpenReasoning(wire, tally, events)
    if is_named_call(wire, tally.dialect):
        return OpenFunctionCall(wire, tally, events)
    return OpenOther(wire, tally, events)


def missing(whole: str, taken: list[str]) -> str:
    """What a whole text holds beyond the pieces that were streamed."""
    streamed = "".join(taken)
    return whole[len(streamed) :] if whole.startswith(streamed) else ""


def place_of(event: Mapping[str, Any], name: str) -> int:
    """The number of a summary or content part; 0 where there is none."""
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
        "_headers",
        "_ids",
        "_open",
        "_place",
        "_seen",
        "_started",
        "_tally",
        "_text",
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
        self._open: dict[object, OpenItem] = {}
        self._seen: set[object] = set()
        self._ids: dict[str, object] = {}
        self._text: OpenText | None = None  # the text that the last delta was of, and below where it is
        self._at: object = None
        self._place: object = None

    def feed(self, frames: Sequence[Frame]) -> list[Event]:
        """Takes frames in order; see `asyncllm._protocols.codec.StreamDecoder.feed`."""
        events: list[Event] = []
        loads = self._context.json.loads
        text, at, place = self._text, self._at, self._place
        try:
            for frame in frames:
                if self.done:
                    break
                data = frame[1]
                event = loads(data) if data[:1] == b"{" else self._unusual(frame)
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
        if not self.done:
            raise StreamTruncatedError(
                "the stream ended without response.completed",
                provider=self._context.provider,
                model=self._context.model,
                request_id=self.request_id,
            )
        return []

    def _unusual(self, frame: Frame) -> dict[str, Any] | None:
        """The event of a frame that does not begin with a brace; None for an empty one and for ``[DONE]``."""
        data = frame.data.strip()
        if not data or data.startswith(b"[DONE]"):
            return None
        event = self._context.json.loads(data)
        if not isinstance(event, dict):
            raise ProtocolError(f"an event of the stream is not an object: {snippet(data, 100)}")
        return event

    def _event(self, event: dict[str, Any], frame: Frame, events: list[Event]) -> None:
        """Any event but another delta of the open text."""
        kind = event.get("type")
        if kind == "error" or frame.event == "error" or (kind is None and "error" in event):
            failure = read_failure(event)
            if not failure.message:
                told = f"the provider reported an error in the stream: {snippet(frame.data, 100)}"
                failure = failure._replace(message=told)
            raise failure_error(failure, None, self._headers, self._context, self._dialect)
        if not isinstance(kind, str):
            raise ProtocolError(f"an event of the stream has no type: {snippet(frame.data, 100)}")
        take = self._TAKERS.get(kind)
        if take is not None:
            take(self, event, events)

    def _begin(self, event: dict[str, Any], events: list[Event]) -> None:
        """``response.created`` and its like: the id and the model."""
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

    def _key(self, event: Mapping[str, Any]) -> object:
        """Which item an event speaks of."""
        at, ident = event.get("output_index"), event.get("item_id")
        if type(at) is int:
            return at
        return self._ids.get(ident, ident) if isinstance(ident, str) else None

    def _added(self, event: dict[str, Any], events: list[Event]) -> None:
        self._announce(self._key(event), as_dict(event.get("item")), events)

    def _announce(self, key: object, wire: dict[str, Any], events: list[Event]) -> OpenItem:
        self._begin({}, events)
        known = self._open.get(key)
        if known is not None:
            self._end_item(key, known, known.wire, events)
        ident = wire.get("id")
        if isinstance(ident, str):
            self._ids[ident] = key
        self._seen.add(key)
        found = self._open[key] = open_item(wire, self._tally, events)
        return found

    def _item_done(self, event: dict[str, Any], events: list[Event]) -> None:
        wire, key = as_dict(event.get("item")), self._key(event)
        if key is None and isinstance(wire.get("id"), str):
            key = self._ids.get(wire["id"])
        known = self._open.get(key)
        if known is None:
            known = self._announce(key, wire, events)
        self._end_item(key, known, wire, events)

    def _end_item(self, key: object, item: OpenItem, wire: dict[str, Any], events: list[Event]) -> None:
        item.end(wire, events)
        del self._open[key]
        if key == self._at:
            self._text = None

    def _find(self, kind: type[Any], wire_type: str, event: Mapping[str, Any], events: list[Event]) -> Any:
        """The open item a delta is of; one that was never announced begins here."""
        key = self._key(event)
        item = self._open.get(key)
        if isinstance(item, kind):
            return item
        if item is not None or key in self._seen:
            raise ProtocolError(f"a delta of the stream does not fit its item: {event.get('type')}")
        return self._announce(key, {"type": wire_type, "id": event.get("item_id")}, events)

    def _delta(self, event: Mapping[str, Any]) -> str:
        delta = event.get("delta")
        if not isinstance(delta, str):
            raise ProtocolError(f"a delta of the stream holds no text: {event.get('type')}")
        return delta

    def _content_added(self, event: dict[str, Any], events: list[Event]) -> None:
        part = as_dict(event.get("part"))
        if part.get("type") in ("output_text", "refusal"):
            message = self._find(OpenMessage, "message", event, events)
            message.text(place_of(event, "content_index"), part["type"], events)

    def _text_delta(self, event: dict[str, Any], events: list[Event]) -> None:
        text = self._said(event, "output_text", events)
        delta = self._delta(event)
        if delta:
            text.taken.append(delta)
            events.append(TextDelta(delta, text.index))
        self._text, self._at, self._place = text, self._key(event), event.get("content_index")

    def _refusal_delta(self, event: dict[str, Any], events: list[Event]) -> None:
        self._said(event, "refusal", events).taken.append(self._delta(event))

    def _annotation(self, event: dict[str, Any], events: list[Event]) -> None:
        self._said(event, "output_text", events).annotations.append(event.get("annotation"))

    def _said(self, event: Mapping[str, Any], kind: str, events: list[Event]) -> OpenText:
        message: OpenMessage = self._find(OpenMessage, "message", event, events)
        text = message.text(place_of(event, "content_index"), kind, events)
        if text.kind != kind:
            raise ProtocolError(f"a delta of the stream does not fit its content: {event.get('type')}")
        return text

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
        delta, item = self._delta(event), self._open.get(self._key(event))
        if delta and not isinstance(item, OpenOther):
            self._find(OpenFunctionCall, wire_type, event, events).argue(delta, events)

    def _failed(self, event: dict[str, Any], events: list[Event]) -> None:
        self.usage = read_usage(as_dict(event.get("response")))
        raise failure_of(as_dict(event.get("response")), None, self._headers, self._context, self._dialect)

    def _end(self, event: dict[str, Any], events: list[Event]) -> None:
        """The terminal event."""
        response = as_dict(event.get("response"))
        if response.get("status") == "failed":
            self._failed(event, events)
        self._begin(event, events)
        output = response.get("output")
        for at, wire in enumerate(output if isinstance(output, list) else ()):
            if isinstance(wire, dict):
                self._last_word(at, wire, events)
        for key, item in list(self._open.items()):
            self._end_item(key, item, item.wire, events)
        status = {"status": str(event["type"]).removeprefix("response.")}
        reason, word = read_finish({**status, **response}, calls=self._tally.calls, refused=self._tally.refused)
        check_blocked(reason, self._tally.parts, self._context, self.request_id)
        self.usage = read_usage(response)
        events.append(ResponseEnd(reason, raw_finish_reason=word, usage=self.usage))
        self.done = True

    def _last_word(self, at: int, wire: dict[str, Any], events: list[Event]) -> None:
        """What the terminal event says of an item that never ended, or never began."""
        key: object = at
        ident = wire.get("id")
        if at not in self._seen and isinstance(ident, str):
            key = self._ids.get(ident, at)
        item = self._open.get(key)
        if item is not None:
            self._end_item(key, item, wire, events)
        elif key not in self._seen:
            self._end_item(key, self._announce(key, wire, events), wire, events)

    _TAKERS: ClassVar[Mapping[str, Callable[..., None]]] = MappingProxyType(
        {
            "response.created": _begin,
            "response.queued": _begin,
            "response.in_progress": _begin,
            "response.output_item.added": _added,
            "response.output_item.done": _item_done,
            "response.content_part.added": _content_added,
            _TEXT_DELTA: _text_delta,
            "response.refusal.delta": _refusal_delta,
            "response.output_text.annotation.added": _annotation,
            "response.reasoning_summary_text.delta": _summary,
            "response.reasoning_text.delta": _reasoning_text,
            "response.function_call_arguments.delta": _arguments,
            "response.custom_tool_call_input.delta": _arguments,
            "response.completed": _end,
            "response.incomplete": _end,
            "response.failed": _failed,
        }
    )
