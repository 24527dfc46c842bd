"""Canonical messages -> the ``input`` list.

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

from ..._schema.content import Document, Image, Json, Part, Text, ToolCall, ToolResult, Unknown
from ..._schema.messages import Message
from ..call_ids import bounded
from .assistant import write_assistant
from .content import Writer, image_source

Item = dict[str, Any]


def write_input(messages: Iterable[Message], writer: Writer, *, stored: bool) -> list[Item]:
    """The ``input`` list.

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


def _given(message: Message, writer: Writer, calls: Mapping[str, ToolCall]) -> list[Item]:
    """The items of a system, user or tool message."""
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
    """The type that an `Unknown` part says in its own words."""
    return part.raw.get("type") if isinstance(part.raw, Mapping) else None


def _check_place(part: Part, message: Message, writer: Writer) -> None:
    if message.role == "tool" and not isinstance(part, ToolResult):
        raise writer.bad(
            f"a tool message holds ToolResult parts only, not {type(part).__name__}; use Message.tool(call_id, result)"
        )
    if message.role == "system" and isinstance(part, ToolResult):
        raise writer.bad("a system message cannot hold a ToolResult; put it into a tool message")
    if message.role == "system" and not isinstance(part, (Text, Unknown)):
        raise writer.unsupported(f"a {type(part).__name__} part in a system message", "use a user message")


def _shortened(items: list[Item]) -> str | list[Item]:
    """A lone plain text as a string."""
    if len(items) == 1 and items[0].keys() == {"type", "text"} and items[0]["type"] == "input_text":
        return str(items[0]["text"])
    return items


def _answer(result: ToolResult, writer: Writer, call: ToolCall | None) -> Item:
    """The item that answers a call, in the form that the call wants."""
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


def _output(result: ToolResult, writer: Writer) -> str | list[Item]:
    items = [writer.content(part) for part in result.content]
    if result.is_error:
        if items and isinstance(items[0].get("text"), str):
            items[0]["text"] = f"Error: {items[0]['text']}"
        else:
            items.insert(0, {"type": "input_text", "text": "Error"})
    if result.cache is not None and items:
        writer.mark(items[-1], result.cache)
    return _shortened(items) if items else ""


def _plain(result: ToolResult, writer: Writer) -> str:
    """The text of a result, for tools whose answer is text."""
    pieces = []
    for part in result.content:
        if isinstance(part, Text):
            pieces.append(part.text)
        elif isinstance(part, Json):
            pieces.append(writer.context.json.dumps(part.value).decode())
        else:
            raise writer.unsupported(f"a {type(part).__name__} part in the answer to this tool", "answer with text")
    return "".join(pieces)


def _value(result: ToolResult) -> Any:
    """The JSON value that is all of a result; None when it is anything else."""
    only = result.content[0] if len(result.content) == 1 else None
    return only.value if isinstance(only, Json) else None


def _local_shell(result: ToolResult, writer: Writer) -> Item:
    text = _plain(result, writer)
    return {
        "type": "local_shell_call_output",
        "id": result.call_id,
        "output": f"Error: {text}" if result.is_error else text,
    }


def _shell(result: ToolResult, writer: Writer) -> Item:
    """A list of ``{stdout, stderr, outcome}`` as the API wants it; text is what one command printed."""
    output = _value(result)
    if not isinstance(output, list):
        text, code = _plain(result, writer), int(result.is_error)
        streams = {"stdout": "", "stderr": text} if result.is_error else {"stdout": text, "stderr": ""}
        output = [{**streams, "outcome": {"type": "exit", "exit_code": code}}]
    return {"type": "shell_call_output", "call_id": result.call_id, "output": output}


def _patch(result: ToolResult, writer: Writer) -> Item:
    status = "failed" if result.is_error else "completed"
    written: Item = {"type": "apply_patch_call_output", "call_id": result.call_id, "status": status}
    text = _plain(result, writer)
    return {**written, "output": text} if text else written


def _screenshot(result: ToolResult, writer: Writer) -> Item:
    image = result.content[0] if len(result.content) == 1 else None
    if not isinstance(image, Image):
        raise writer.unsupported("this answer to a computer call", "answer with one Image, the screenshot")
    output = {"type": "computer_screenshot", **image_source(writer, image)}
    return {"type": "computer_call_output", "call_id": result.call_id, "output": output}


def _found_tools(result: ToolResult, writer: Writer) -> Item:
    tools = _value(result)
    if not isinstance(tools, list):
        raise writer.unsupported("this answer to a tool search", "answer with the list of tool definitions as JSON")
    written = {"type": "tool_search_output", "call_id": result.call_id, "execution": "client"}
    return {**written, "status": "completed", "tools": tools}


# type of the call -> how its answer is written
_ANSWERS: Mapping[str, Callable[[ToolResult, Writer], Item]] = {
    "local_shell_call": _local_shell,
    "shell_call": _shell,
    "apply_patch_call": _patch,
    "computer_call": _screenshot,
    "tool_search_call": _found_tools,
}
