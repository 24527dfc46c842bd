"""Writes one content part as one ``input_*`` item of a message or a tool's output, or refuses it with a reason.

`ItemWriter` is what writing one request needs: the host, its dialect, and the warnings that end on the response.

Output items -> parts.

Every item is kept so that it can go back as it came. Under ``extra["item"]`` is what an item holds besides the fields
that have a place in the part; a message's texts and refusals share that object, and what each content part holds
besides is under ``extra["content"]``.

* A call that the caller must run is a `ToolCall`. So are the calls of tools with a form of their own that run at the
  caller's: a local shell, patches, a computer, a tool search by the client. Their arguments are the item's own fields
  as a JSON object, their name is the item's type without ``_call``.
* A tool that the host ran is a `ProviderToolCall`, its output item a `ProviderToolResult`.
* Anything else, such as a compaction, is `Unknown`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..._schema.content import (
    Audio,
    CacheMark,
    Citation,
    Document,
    Image,
    Json,
    Part,
    ProviderToolCall,
    ProviderToolResult,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Unknown,
    Video,
)
from ..._schema.events import Event, PartEnd, PartStart, ReasoningDelta, ToolCallDelta
from ..codec import Context
from ..finish import Said, said_by
from ..openai_api import OpenAIWriter
from ..parts import CallIds, as_dict, objects, renamed
from .dialect import ResponsesDialect

_TTLS = ("30m", "12h")


class ItemWriter(OpenAIWriter[ResponsesDialect]):
    """Writes the parts of one request, by the host's dialect, and collects warnings."""

    __slots__ = ()

    def mark(self, item: dict[str, Any], cache: CacheMark | None) -> dict[str, Any]:
        """Adds the prompt-cache mark to an item, if there is one and the host knows marks."""
        if cache is None:
            return item
        if not self.dialect.cache_marks or self.context.facts.cache_marks is False:
            self.unmarked(cache)
            return item
        breakpoint_: dict[str, Any] = {"mode": "explicit"}
        if cache.ttl in _TTLS:
            breakpoint_["ttl"] = cache.ttl
        elif cache.ttl is not None:
            self.warn(f"the cache lifetime {cache.ttl!r} was left out: it can be {' or '.join(map(repr, _TTLS))}")
        item["prompt_cache_breakpoint"] = breakpoint_
        return item

    def content(self, part: Part | Json) -> dict[str, Any]:
        """Writes the item for a part of a system or user message, or of a tool's output.

        Raises:
            UnsupportedContentError: the wire has no place for it.
        """
        write = _WRITERS.get(type(part))
        if write is None:
            raise self.cannot_take(
                f"a {type(part).__name__} part in this message", "it belongs in an assistant message"
            )
        item = write(self, part)
        return self.mark(item, None if isinstance(part, Json) else part.cache)

    def drop_foreign(self, part: Text) -> None:
        """Warns about fields of a text from another wire that this wire does not have."""
        if part.signature is not None:
            self.warn("a signature of another provider on a text was left out")
        if part.citations:
            self.warn("the citations of a text were left out: they can only go back to where they came from")


def _text(writer: ItemWriter, part: Text) -> dict[str, Any]:
    writer.drop_foreign(part)
    return {"type": "input_text", "text": part.text}


def _json(writer: ItemWriter, part: Json) -> dict[str, Any]:
    return {"type": "input_text", "text": writer.json(part.value)}


def image_source(writer: ItemWriter, part: Image) -> dict[str, Any]:
    """Returns the fields for the source of a picture: ``image_url`` or ``file_id``."""
    if part.file_id is not None and not writer.is_foreign(part.origin):
        return {"file_id": part.file_id}
    address = writer.address(part)
    if address is not None:
        return {"image_url": address}
    if part.file_id is not None:
        raise writer.cannot_take("an image that another provider stores", "give data with a media_type, or a url")
    raise writer.bad("this Image is empty: give data with a media_type, a url, or a file_id")


def _image(writer: ItemWriter, part: Image) -> dict[str, Any]:
    return {"type": "input_image", "detail": part.detail or "auto", **image_source(writer, part)}


def _document(writer: ItemWriter, part: Document) -> dict[str, Any]:
    if part.citations:
        writer.warn("citations from a document cannot be asked for here")
    named = {} if part.name is None else {"filename": part.name}
    if part.file_id is not None:
        if writer.is_foreign(part.origin):
            raise writer.cannot_take("a document that another provider stores", "give its data with a media_type")
        return {"type": "input_file", "file_id": part.file_id}
    if part.url is not None:
        return {"type": "input_file", "file_url": part.url, **named}
    return {"type": "input_file", **writer.file(part)}


def _audio(writer: ItemWriter, part: Audio) -> dict[str, Any]:
    raise writer.cannot_take("an Audio part", "send a transcript as text, or use chat completions with an audio model")


def _video(writer: ItemWriter, part: Video) -> dict[str, Any]:
    raise writer.cannot_take("a Video part", "send frames of it as Image parts, or use a provider that takes video")


_WRITERS: Mapping[type, Callable[[ItemWriter, Any], dict[str, Any]]] = {
    Text: _text,
    Json: _json,
    Image: _image,
    Document: _document,
    Audio: _audio,
    Video: _video,
    Unknown: ItemWriter.raw,
}


PARAGRAPH = "\n\n"
"""Stands between two summaries of one reasoning item."""
CALL_FIELDS: Mapping[str, str] = {"function_call": "arguments", "custom_tool_call": "input"}
"""Item type -> the field that holds what a call is given, for the two kinds of calls with a name of their own."""
HEAD_FIELDS = frozenset({"type", "id", "call_id", "status", "caller", "created_by"})
"""What a call of a tool with a form of its own holds besides its arguments."""
_ALWAYS_CALLERS = frozenset({"local_shell_call", "apply_patch_call", "computer_call"})
_CALL_LIKE = frozenset({"program", "mcp_list_tools", "mcp_approval_request"})


def read_items(items: object, context: Context, dialect: ResponsesDialect) -> list[Part]:
    """Reads the parts of an ``output`` list, in order."""
    return [part for item in objects(items) for part in read_item(item, context, dialect)]


def read_item(item: dict[str, Any], context: Context, dialect: ResponsesDialect) -> list[Part]:
    """Reads the parts of one output item."""
    kind = type_of(item)
    if kind == "message":
        head = head_of(item)
        contents = objects(item.get("content"))
        return [read_content(head, content, context) for content in contents] or [empty_message(item, context)]
    if kind == "reasoning":
        return [read_reasoning(item, context)]
    if is_named_call(item, dialect):
        return [read_call(item, context)]
    return [read_other(item, context)]


def type_of(item: Mapping[str, Any]) -> str:
    """Returns the type of an item or content part; ``"unknown"`` if it has none."""
    kind = item.get("type")
    return kind if isinstance(kind, str) else "unknown"


def head_of(item: dict[str, Any]) -> dict[str, Any]:
    """Returns a message without its content."""
    return {name: value for name, value in item.items() if name != "content"}


def empty_message(item: dict[str, Any], context: Context) -> Unknown:
    """Returns the parts of a message without text (the tokens ran out before it)."""
    return Unknown(type="message", raw=item, origin=context.origin)


def read_content(head: dict[str, Any], content: dict[str, Any], context: Context) -> Part:
    """Reads a content part of a message. An unknown one is kept with its message, so that it can be sent back."""
    kind, origin = type_of(content), context.origin
    field = {"output_text": "text", "refusal": "refusal"}.get(kind, "")
    text = content.get(field)
    if not isinstance(text, str):
        return Unknown(type=kind, raw={**head, "content": [content]}, origin=origin)
    rest = {name: value for name, value in content.items() if name not in ("type", field, "annotations")}
    extra: dict[str, Any] = {"item": head, "content": rest} if rest else {"item": head}
    if kind == "refusal":
        return Refusal(text, origin=origin, extra=extra)
    return Text(text, citations=read_citations(content.get("annotations")), origin=origin, extra=extra)


def read_citations(annotations: object) -> tuple[Citation, ...]:
    """Reads the annotations of a text. The objects of the wire are in ``raw``."""
    return tuple([_citation(raw) for raw in objects(annotations)])


def _citation(raw: dict[str, Any]) -> Citation:
    def text(*names: str) -> str | None:
        return next((value for name in names if isinstance(value := raw.get(name), str)), None)

    def number(name: str) -> int | None:
        value = raw.get(name)
        return value if type(value) is int else None

    return Citation(
        url=text("url"), title=text("title", "filename"), start=number("start_index"), end=number("end_index"), raw=raw
    )


def read_reasoning(item: dict[str, Any], context: Context) -> Reasoning:
    """Reads a reasoning item: its summaries, or its content if it has no summary."""
    encrypted, ident = item.get("encrypted_content"), item.get("id")
    hidden = isinstance(encrypted, str)
    rest = {name: value for name, value in item.items() if name != "encrypted_content"} if hidden else item
    return Reasoning(
        _texts(item.get("summary")) or _texts(item.get("content")),
        encrypted=encrypted if isinstance(encrypted, str) else None,
        id=ident if isinstance(ident, str) and ident else None,
        origin=context.origin,
        extra={"item": rest},
    )


def _texts(pieces: object) -> str:
    return PARAGRAPH.join([text for piece in objects(pieces) if isinstance(text := piece.get("text"), str) and text])


def is_named_call(item: Mapping[str, Any], dialect: ResponsesDialect) -> bool:
    """Returns whether an item is a call of a function or custom tool of the caller."""
    if type_of(item) not in CALL_FIELDS:
        return False
    return not str(item.get("call_id")).startswith(dialect.hosted_call_ids)


def call_id_of(item: Mapping[str, Any]) -> str:
    """Returns the id that a result must name, or else the id of the item; ``""`` if there is none."""
    return next((value for name in ("call_id", "id") if isinstance(value := item.get(name), str) and value), "")


def read_call(item: dict[str, Any], context: Context, ident: str = "") -> ToolCall:
    """Reads a call of a function or a custom tool. ``ident`` is the id if the wire has none."""
    kind = type_of(item)
    field, name = CALL_FIELDS[kind], item.get("name")
    taken = ("type", "call_id", "name", field)
    rest = {name: value for name, value in item.items() if name not in taken}
    return ToolCall(
        call_id_of(item) or ident or context.new_id("call_"),
        name if isinstance(name, str) else "",
        raw_arguments=_argument_text(item.get(field), context),
        kind="custom" if kind == "custom_tool_call" else "function",
        origin=context.origin,
        extra={"item": rest} if rest else None,
    )


def _argument_text(value: object, context: Context) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else context.json.dumps(value).decode()


def _callers_turn(item: Mapping[str, Any]) -> bool:
    """Returns whether a tool with its own form is run by the caller."""
    kind = type_of(item)
    if (
        kind == "shell_call"
    ):  # a container is the host's; with a local environment, or none, the machine is the caller's
        return not str(as_dict(item.get("environment")).get("type")).startswith("container")
    return kind in _ALWAYS_CALLERS or (kind == "tool_search_call" and item.get("execution") == "client")


def read_other(item: dict[str, Any], context: Context, ident: str = "") -> Part:
    """Reads an item that is not a message, not reasoning and not a call by name."""
    kind, origin = type_of(item), context.origin
    if _callers_turn(item):
        arguments = {name: value for name, value in item.items() if name not in HEAD_FIELDS}
        rest = {name: value for name, value in item.items() if name in HEAD_FIELDS and name != "call_id"}
        return ToolCall(
            call_id_of(item) or ident or context.new_id("call_"),
            kind.removesuffix("_call"),
            raw_arguments=context.json.dumps(arguments).decode(),
            origin=origin,
            extra={"item": rest},
        )
    name = item.get("name")
    if kind.endswith("_output"):
        plain = kind.removesuffix("_output").removesuffix("_call")
        failed = item.get("status") in ("failed", "incomplete")
        return ProviderToolResult(call_id=call_id_of(item), name=plain, raw=item, is_error=failed, origin=origin)
    if kind.endswith("_call") or kind in _CALL_LIKE:
        return ProviderToolCall(
            id=call_id_of(item) or ident or context.new_id("call_"),
            name=name if isinstance(name, str) and name else kind.removesuffix("_call"),
            raw_arguments=_hosted_arguments(item, context),
            raw=item,
            origin=origin,
        )
    return Unknown(type=kind, raw=item, origin=origin)


def _hosted_arguments(item: Mapping[str, Any], context: Context) -> str:
    """Returns the arguments of a hosted tool as JSON text; ``""`` if the item does not have them."""
    for name in ("arguments", "input"):
        value = item.get(name)
        if value:
            return _argument_text(value, context)
    if isinstance(item.get("action"), dict):
        return context.json.dumps(item["action"]).decode()
    given = {name: item[name] for name in ("queries", "code", "prompt", "revised_prompt") if item.get(name)}
    return context.json.dumps(given).decode() if given else ""


def whole_text(item: Mapping[str, Any]) -> str:
    """Returns the text of a whole item: of a message, of readable reasoning, or the arguments of a call."""
    kind = type_of(item)
    if kind == "message":
        texts = [content.get("text", content.get("refusal")) for content in objects(item.get("content"))]
        return "".join([text for text in texts if isinstance(text, str)])
    if kind == "reasoning":
        return _texts(item.get("summary")) or _texts(item.get("content"))
    return str(item.get(CALL_FIELDS.get(kind, ""), ""))


def missing(whole: str, taken: list[str]) -> str:
    """Returns the part of a whole text that was not streamed yet."""
    streamed = "".join(taken)
    return whole[len(streamed) :] if whole.startswith(streamed) else ""


def begun(beginning: str, delta: str) -> str:
    """Returns the first delta with the text that the item had when it was announced. A repeated text is used once."""
    said_again = beginning.startswith(delta) or delta.startswith(beginning)
    return delta if said_again else beginning + delta


class Tally:
    """Holds what the items of one stream share: the numbers of the parts and the kinds of parts that came."""

    __slots__ = ("call_ids", "calls", "context", "dialect", "parts", "refused", "said")

    def __init__(self, context: Context, dialect: ResponsesDialect) -> None:
        self.context = context
        self.dialect = dialect
        self.parts = 0
        self.said = Said(False, False)
        self.calls = False
        self.call_ids = CallIds()
        self.refused = False

    def start(self, part: Part, events: list[Event]) -> int:
        """Starts a part and gives its number."""
        index = self.parts
        self.parts += 1
        events.append(PartStart(index, part))
        return index

    def end(self, index: int, part: Part, events: list[Event]) -> None:
        """Ends a part."""
        told = said_by((part,))
        self.said = Said(self.said.anything or told.anything, self.said.answer or told.answer)
        self.calls = self.calls or type(part) is ToolCall
        self.refused = self.refused or type(part) is Refusal
        events.append(PartEnd(index, part))


class OpenReasoning:
    """Tells a reasoning item while it is streamed."""

    __slots__ = ("_beginning", "_begins", "_index", "_pieces", "_place", "_taken", "_tally", "wire")

    def __init__(self, wire: dict[str, Any], tally: Tally, events: list[Event]) -> None:
        self.wire = wire
        self._tally = tally
        self._place: tuple[str, object] | None = None
        self._begins = False  # the last part is over, or a new one was announced
        self._taken: list[str] = []
        self._pieces: dict[tuple[str, object], list[str]] = {}
        self._beginning = read_reasoning(wire, tally.context).text
        ident = wire.get("id")
        part = Reasoning(id=ident if isinstance(ident, str) and ident else None, origin=tally.context.origin)
        self._index = tally.start(part, events)

    def think(self, kind: str, place: object, text: str, events: list[Event]) -> None:
        """Adds to a summary or to the content."""
        if self._beginning and self._place is None:
            text = begun(self._beginning, text)
        self._pieces.setdefault((kind, place), []).append(text)
        if self._place is None:
            self._place = (kind, place)
        elif self._place[0] != kind:
            return
        elif self._place[1] != place:
            self._place = (kind, place)
            if self._begins or kind == "summary":  # some hosts number every delta of a content
                text = PARAGRAPH + text
        self._begins = False
        self._taken.append(text)
        events.append(ReasoningDelta(text, self._index))

    def part(self) -> None:
        """Starts another summary or another content."""
        self._begins = True

    def said(self) -> str:
        """Returns everything that was streamed of it."""
        return "".join(self._taken)

    def done(self, kind: str, place: object, text: str, events: list[Event]) -> None:
        """Takes a whole summary or content, and streams what was not streamed of it."""
        taken = self._pieces.get((kind, place), [])
        rest = missing(text, taken)
        if rest and text not in "".join(self._taken):
            self.think(kind, place, rest, events)
        self._begins = True

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
    """Tells a call of a function or of a custom tool while it is streamed."""

    __slots__ = ("_again", "_beginning", "_id", "_index", "_taken", "_tally", "wire")

    def __init__(self, wire: dict[str, Any], tally: Tally, events: list[Event]) -> None:
        self.wire = wire
        self._tally = tally
        self._taken: list[str] = []
        self._beginning = wire.get(CALL_FIELDS[type_of(wire)])
        part = read_call({**wire, CALL_FIELDS[type_of(wire)]: ""}, tally.context)
        self._id = tally.call_ids.unique(part.id, tally.context)
        self._again = self._id != part.id  # another call of the reply has its id
        self._index = tally.start(renamed(part, self._id), events)

    def said(self) -> str:
        """Returns everything that was streamed of it."""
        return "".join(self._taken)

    def done(self, text: str, events: list[Event]) -> None:
        """Takes the whole arguments, and streams what was not streamed of them."""
        rest = missing(text, self._taken)
        if rest:
            self.argue(rest, events)

    def argue(self, text: str, events: list[Event]) -> None:
        """Adds to the arguments."""
        if not self._taken and isinstance(self._beginning, str):
            text = begun(self._beginning, text)
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
        part = renamed(part, self._id) if self._again else part
        self._tally.end(self._index, part, events)


class OpenOther:
    """Tells an item that comes whole at its end: tools with a form of their own, hosted or not, and what is unknown
    here.
    """

    __slots__ = ("_id", "_index", "_tally", "wire")

    def __init__(self, wire: dict[str, Any], tally: Tally, events: list[Event]) -> None:
        self.wire = wire
        self._tally = tally
        part = read_other(wire, tally.context)
        self._id = getattr(part, "id", "")
        if isinstance(part, ToolCall):
            part = ToolCall(part.id, part.name, raw_arguments="", origin=part.origin, extra=part.extra)
        self._index = tally.start(part, events)

    def said(self) -> str:
        """Returns an empty text, because nothing of it is streamed."""
        return ""

    def end(self, wire: dict[str, Any], events: list[Event]) -> None:
        """Ends the part."""
        part = read_other(wire, self._tally.context, self._id)
        if isinstance(part, ToolCall):
            events.append(ToolCallDelta(part.raw_arguments, self._index))
        self._tally.end(self._index, part, events)
