"""Output items that have begun in a stream and not ended.

Theory: an item is announced, filled by deltas and given whole at its end; what counts is the whole one, since ids,
phases, annotations and encrypted reasoning are complete only there. The part of an item therefore starts early, for its
place among the others, and is read at the end by the code that reads unary answers (`output`).

* What was streamed is the text of the part. Where the whole item holds more, because deltas did not come, the rest is
  streamed at its end.
* Two summaries of one reasoning item are parted by an empty line. An item with summaries and content shows the kind
  that spoke first.
* A message may hold several parts; they start with their first content.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Union

from ..._schema.content import Part, Reasoning, Refusal, Text, ToolCall
from ..._schema.events import Event, PartEnd, PartStart, ReasoningDelta, TextDelta, ToolCallDelta
from ..base import Context
from ..shapes import objects
from .dialect import ResponsesDialect
from .output import (
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


class OpenCall:
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


OpenItem = Union[OpenMessage, OpenReasoning, OpenCall, OpenOther]


def open_item(wire: dict[str, Any], tally: Tally, events: list[Event]) -> OpenItem:
    """Begins an item."""
    kind = type_of(wire)
    if kind == "message":
        return OpenMessage(wire, tally)
    if kind == "reasoning":
        return OpenReasoning(wire, tally, events)
    if is_named_call(wire, tally.dialect):
        return OpenCall(wire, tally, events)
    return OpenOther(wire, tally, events)


def missing(whole: str, taken: list[str]) -> str:
    """What a whole text holds beyond the pieces that were streamed."""
    streamed = "".join(taken)
    return whole[len(streamed) :] if whole.startswith(streamed) else ""


def place_of(event: Mapping[str, Any], name: str) -> int:
    """The number of a summary or content part; 0 where there is none."""
    found = event.get(name)
    return found if isinstance(found, int) else 0
