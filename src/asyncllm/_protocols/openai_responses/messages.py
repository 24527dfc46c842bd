"""Writes messages as items. The model's own items go back as they came, everything else as plain messages and calls.

A part of this origin goes back as the item it was: with its id, status and phase, reasoning before what it led to.
What another host or wire said, and what the caller wrote, has no ids here: texts become one message without an id,
calls carry only their ``call_id``, and reasoning is left out, since only its maker can read it.

Reasoning of this origin without its encrypted or readable content can only be found by its id, and only where the
provider keeps it. Elsewhere it is left out, and with it the ids of what it led to: the API refuses a call whose id
tells that its reasoning is missing.

Canonical messages -> the ``input`` list.

Rules.

* A message of one plain text is ``{"role", "content": "text"}``; everything else of a system or user message is a list
  of ``input_*`` items.
* System messages stay items of their own, where they are: that keeps their order, their boundaries and their cache
  marks, and leaves ``instructions`` to the caller's ``extra_body``. The API reads the role ``system`` as ``developer``
  where the model wants that.
* The output of a call is an item in its place. Text alone is a string; with images or files it is a list. There is no
  mark for failure on this wire, so a failed call says so in its text.
* The answer to a tool with a form of its own has that tool's form (`_ANSWERS`).
* An `Unknown` part of the caller's in a user message is content when its type begins with ``input_``, else an item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..._schema.content import (
    Audio,
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
    ToolResult,
    Unknown,
)
from ..._schema.messages import Message
from ..parts import bounded
from .parts import CALL_FIELDS, ItemWriter, image_source

Item = dict[str, Any]


def write_assistant(message: Message, writer: ItemWriter, *, stored: bool) -> list[Item]:
    """Writes the items of an assistant message; none if nothing of it can go to this host (a warning says what)."""
    draft = _ItemDraft(writer, stored=stored)
    for part in message.content:
        draft.put(part)
    if not message.content:
        draft.items.append({"role": "assistant", "content": ""})
    return draft.items


class _ItemDraft:
    """Collects the items of one message."""

    __slots__ = ("_nameless", "_open", "_stored", "_writer", "items")

    def __init__(self, writer: ItemWriter, *, stored: bool) -> None:
        self.items: list[Item] = []
        self._writer = writer
        self._stored = stored
        self._open: object = None
        """The id of the message item being filled, ``""`` for one without an id; None when none is."""
        self._nameless = False
        """Reasoning was left out, so that ids that would tell of it must not be sent."""

    def put(self, part: Part) -> None:
        """Adds a part."""
        writer = self._writer
        if not isinstance(part, (Text, Refusal)) and not (isinstance(part, Unknown) and part.type != "message"):
            self._open = None
        writer.unmarked(part.cache)
        if isinstance(part, (Text, Refusal)):
            self._say(part)
        elif isinstance(part, ToolCall):
            self.items.append(self._call(part))
        elif isinstance(part, Reasoning):
            self._reasoning(part)
        elif isinstance(part, (ProviderToolCall, ProviderToolResult)):
            if writer.is_own(part.origin):
                self.items.append(dict(part.raw))
            else:
                writer.warn(f"what another provider's tool {part.name!r} did was left out: it cannot be told here")
        elif isinstance(part, Unknown):
            self._unknown(part)
        elif isinstance(part, Audio) and part.transcript:
            writer.warn("what the model said in audio was sent back as its transcript")
            self._say(Text(part.transcript))
        else:
            raise writer.cannot_take(
                f"a {type(part).__name__} part in an assistant message", "put it into a user message"
            )

    def _say(self, part: Text | Refusal) -> None:
        head = (part.extra or {}).get("item") if self._writer.is_own(part.origin) else None
        if isinstance(head, Mapping):
            self._fill(head, _said(part))
        else:
            self._plainly(part)

    def _fill(self, head: Mapping[str, Any], content: Item) -> None:
        """Puts a content part into its message, which other parts of it may have begun."""
        ident = head.get("id")
        if ident is not None and ident == self._open:
            self.items[-1]["content"].append(content)
            return
        item: Item = {"type": "message", "role": "assistant", **head, "content": [content]}
        if self._nameless:
            item.pop("id", None)
        self.items.append(item)
        self._open = ident

    def _plainly(self, part: Text | Refusal) -> None:
        """Adds to a message without an id; texts of one message are joined, as they were streamed."""
        self._writer.drop_extra(part)
        if isinstance(part, Text):
            self._writer.drop_foreign(part)
        last = self.items[-1] if self._open == "" else None
        if isinstance(part, Text) and (last is None or isinstance(last["content"], str)):
            if last is None:
                self.items.append({"role": "assistant", "content": part.text})
            else:
                last["content"] += part.text
        elif last is None:
            self.items.append({"role": "assistant", "content": [_said(part)]})
        else:
            if isinstance(last["content"], str):
                last["content"] = [_said(Text(last["content"]))]
            last["content"].append(_said(part))
        self._open = ""

    def _call(self, part: ToolCall) -> Item:
        writer = self._writer
        own = writer.is_own(part.origin)
        if part.signature is not None and not own:
            writer.warn("a signature of another provider on a tool call was left out")
        writer.drop_extra(part)
        found = (part.extra or {}).get("item") if own else None
        head = dict(found) if isinstance(found, Mapping) else {}
        if self._nameless:
            head.pop("id", None)
        raw = part.raw_arguments
        if "type" in head:  # a tool with a form of its own
            fields = writer.context.json.loads(raw) if raw.strip() else {}
            return {**head, "call_id": part.id, **(fields if isinstance(fields, dict) else {})}
        kind = "custom_tool_call" if part.kind == "custom" else "function_call"
        if kind == "function_call" and not raw.strip() and not own:
            raw = "{}"
        return {"type": kind, **head, "call_id": bounded(part.id), "name": part.name, CALL_FIELDS[kind]: raw}

    def _reasoning(self, part: Reasoning) -> None:
        writer = self._writer
        if not writer.is_own(part.origin):
            writer.warn(f"reasoning of {writer.maker(part.origin)} was left out: only its maker can read it")
            return
        found = (part.extra or {}).get("item")
        if isinstance(found, Mapping):
            item = {"type": "reasoning", **found}
        else:
            summary = [{"type": "summary_text", "text": part.text}] if part.text else []
            item = {"type": "reasoning", "summary": summary}
            if part.id is not None:
                item["id"] = part.id
        if part.encrypted is not None:
            item["encrypted_content"] = part.encrypted
        if not (self._stored or item.get("encrypted_content") or item.get("content")):
            writer.warn(
                "reasoning without its encrypted content was left out: the provider keeps nothing to find it by"
            )
            self._nameless = True
            return
        self.items.append(item)

    def _unknown(self, part: Unknown) -> None:
        if self._writer.is_foreign(part.origin) or not isinstance(part.raw, Mapping):
            self._writer.warn(f"content of type {part.type!r} from another provider was left out")
            self._open = None
            return
        content = part.raw.get("content")
        if part.type != "message" and part.raw.get("type") == "message" and isinstance(content, list):
            head = {name: value for name, value in part.raw.items() if name != "content"}
            for piece in content:
                self._fill(head, piece)
        else:
            self._open = None
            self.items.append(dict(part.raw))


def _said(part: Text | Refusal) -> Item:
    """Writes the content part of an output message."""
    rest = (part.extra or {}).get("content")
    rest = rest if isinstance(rest, Mapping) else {}
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text, **rest}
    annotations = [citation.raw for citation in part.citations if citation.raw is not None]
    return {"type": "output_text", "text": part.text, "annotations": annotations, **rest}


def write_input(messages: Iterable[Message], writer: ItemWriter, *, stored: bool) -> list[Item]:
    """Writes the ``input`` list.

    Args:
        messages: the conversation.
        writer: the host and its dialect.
        stored: the provider keeps what it said, so that its ids alone are enough.
    """
    written: list[Item] = []
    calls: dict[str, ToolCall] = {}
    for message in messages:
        content, role = message.content, message.role
        if len(content) == 1 and role != "tool" and message.name is None:
            part = content[0]
            if type(part) is Text and part.cache is None and part.extra is None:
                if part.citations or part.signature is not None:
                    writer.drop_foreign(part)
                written.append({"role": role, "content": part.text})
                continue
        if message.name is not None:
            writer.warn("the names of speakers were left out: the Responses API has no place for them")
        if role == "assistant":
            calls.update({part.id: part for part in content if isinstance(part, ToolCall)})
            written += write_assistant(message, writer, stored=stored)
        else:
            written += _given(message, writer, calls)
    return written


def _given(message: Message, writer: ItemWriter, calls: Mapping[str, ToolCall]) -> list[Item]:
    """Writes the items of a system, user or tool message."""
    written: list[Item] = []
    content: list[Item] = []

    def flush() -> None:
        if content:
            written.append({"role": message.role, "content": _shortened(content[:])})
            content.clear()

    for part in message.content:
        _check_place(part, message, writer)
        if isinstance(part, ToolResult):
            flush()
            written.append(_answer(part, writer, calls.get(part.call_id)))
        elif isinstance(part, Unknown) and not str(as_type(part)).startswith("input_"):
            flush()
            writer.unmarked(part.cache)
            written.append(writer.raw(part))
        else:
            if isinstance(part, Document) and part.context is not None:
                writer.warn("the remark on a document was sent as a text before it")
                content.append({"type": "input_text", "text": part.context})
            content.append(writer.content(part))
    flush()
    return written or [{"role": message.role, "content": ""}]


def as_type(part: Unknown) -> object:
    """Returns the type that an `Unknown` part names in its own words."""
    return part.raw.get("type") if isinstance(part.raw, Mapping) else None


def _check_place(part: Part, message: Message, writer: ItemWriter) -> None:
    if message.role == "tool" and not isinstance(part, ToolResult):
        raise writer.bad(
            f"a tool message holds ToolResult parts only, not {type(part).__name__}; use Message.tool(call_id, result)"
        )
    if message.role == "system" and isinstance(part, ToolResult):
        raise writer.bad("a system message cannot hold a ToolResult; put it into a tool message")
    if message.role == "system" and not isinstance(part, (Text, Unknown)):
        raise writer.cannot_take(f"a {type(part).__name__} part in a system message", "use a user message")


def _shortened(items: list[Item]) -> str | list[Item]:
    """Returns a lone plain text as a string; other content stays a list."""
    if len(items) == 1 and items[0].keys() == {"type", "text"} and items[0]["type"] == "input_text":
        return str(items[0]["text"])
    return items


def _answer(result: ToolResult, writer: ItemWriter, call: ToolCall | None) -> Item:
    """Writes the item that answers a call, in the form that the call wants."""
    head = _head(call) if call is not None and writer.is_own(call.origin) else {}
    form = _ANSWERS.get(str(head.get("type")))
    if form is not None:
        writer.unmarked(result.cache)
        written = form(result, writer)
    else:
        kind = "custom_tool_call_output" if call is not None and call.kind == "custom" else "function_call_output"
        written = {"type": kind, "call_id": bounded(result.call_id), "output": _output(result, writer)}
    if head.get("caller") is not None:  # a program made the call, and its answer goes back to that program
        written["caller"] = head["caller"]
    if writer.is_own(result.origin):
        written.update(result.extra or {})
    return written


def _head(call: ToolCall) -> Mapping[str, Any]:
    head = (call.extra or {}).get("item")
    return head if isinstance(head, Mapping) else {}


def _output(result: ToolResult, writer: ItemWriter) -> str | list[Item]:
    items = [writer.content(part) for part in result.content]
    if result.is_error:
        if items and isinstance(items[0].get("text"), str):
            items[0]["text"] = f"Error: {items[0]['text']}"
        else:
            items.insert(0, {"type": "input_text", "text": "Error"})
    if result.cache is not None and items:
        writer.mark(items[-1], result.cache)
    return _shortened(items) if items else ""


def _plain(result: ToolResult, writer: ItemWriter) -> str:
    """Returns the text of a result, for tools whose answer is text."""
    pieces = []
    for part in result.content:
        if isinstance(part, Text):
            pieces.append(part.text)
        elif isinstance(part, Json):
            pieces.append(writer.json(part.value))
        else:
            raise writer.cannot_take(f"a {type(part).__name__} part in the answer to this tool", "answer with text")
    return "".join(pieces)


def _value(result: ToolResult) -> Any:
    """Returns the JSON value that is all of a result; None if it is anything else."""
    only = result.content[0] if len(result.content) == 1 else None
    return only.value if isinstance(only, Json) else None


def _local_shell(result: ToolResult, writer: ItemWriter) -> Item:
    text = _plain(result, writer)
    return {
        "type": "local_shell_call_output",
        "id": result.call_id,
        "output": f"Error: {text}" if result.is_error else text,
    }


def _shell(result: ToolResult, writer: ItemWriter) -> Item:
    """Writes a list of ``{stdout, stderr, outcome}`` as the API wants it; a text is what one command printed."""
    output = _value(result)
    if not isinstance(output, list):
        text, code = _plain(result, writer), int(result.is_error)
        streams = {"stdout": "", "stderr": text} if result.is_error else {"stdout": text, "stderr": ""}
        output = [{**streams, "outcome": {"type": "exit", "exit_code": code}}]
    return {"type": "shell_call_output", "call_id": result.call_id, "output": output}


def _patch(result: ToolResult, writer: ItemWriter) -> Item:
    status = "failed" if result.is_error else "completed"
    written: Item = {"type": "apply_patch_call_output", "call_id": result.call_id, "status": status}
    text = _plain(result, writer)
    return {**written, "output": text} if text else written


def _screenshot(result: ToolResult, writer: ItemWriter) -> Item:
    image = result.content[0] if len(result.content) == 1 else None
    if not isinstance(image, Image):
        raise writer.cannot_take("this answer to a computer call", "answer with one Image, the screenshot")
    output = {"type": "computer_screenshot", **image_source(writer, image)}
    return {"type": "computer_call_output", "call_id": result.call_id, "output": output}


def _found_tools(result: ToolResult, writer: ItemWriter) -> Item:
    tools = _value(result)
    if not isinstance(tools, list):
        raise writer.cannot_take("this answer to a tool search", "answer with the list of tool definitions as JSON")
    written = {"type": "tool_search_output", "call_id": result.call_id, "execution": "client"}
    return {**written, "status": "completed", "tools": tools}


# type of the call -> how its answer is written
_ANSWERS: Mapping[str, Callable[[ToolResult, ItemWriter], Item]] = {
    "local_shell_call": _local_shell,
    "shell_call": _shell,
    "apply_patch_call": _patch,
    "computer_call": _screenshot,
    "tool_search_call": _found_tools,
}
