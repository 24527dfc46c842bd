"""Canonical messages -> the ``messages`` list.

Rules.

* A message of one plain text is ``{"role", "content": "text"}``; everything else goes the long way.
* A tool result is a ``tool`` message each, in order, its content text only: a failed tool says so in the text, and what
  is no text (images, files, audio) goes into one ``user`` message after the last tool message of the turn.
* An assistant's texts are one ``content`` string, joined as they were streamed; ``content`` is null beside calls alone.
* Reasoning goes back only to where it came from, and only where the dialect says the host wants it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..._schema.content import Document, Json, Text, ToolCall, ToolResult, Unknown
from ..._schema.messages import Message
from .assistant import AssistantWriter
from .parts import Writer, drop_foreign


@dataclass(slots=True)
class _Turns:
    """The list being written, and what waits for the end of the current run of tool messages."""

    writer: Writer
    assistant: AssistantWriter
    written: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def flush(self) -> None:
        if self.waiting:
            self.written.append({"role": "user", "content": self.waiting})
            self.waiting = []

    def add(self, message: Message) -> None:
        if message.role == "assistant":
            self.flush()
            self.names.update({part.id: part.name for part in message.content if isinstance(part, ToolCall)})
            written = self.assistant.write(message)
            if written is not None:
                self.written.append(written)
            return
        results = [part for part in message.content if type(part) is ToolResult]
        rest = [part for part in message.content if type(part) is not ToolResult]
        if results and message.role == "system":
            raise self.writer.bad("a system message cannot hold a ToolResult; put it into a tool message")
        if rest and message.role == "tool":
            raise self.writer.bad(
                f"a tool message holds ToolResult parts only, not {type(rest[0]).__name__}; "
                "use Message.tool(call_id, result)"
            )
        for result in results:
            self.written.append(self.tool(result))
        if rest or not results:
            self.flush()
            self.written.append(self.plain(message, rest))

    def plain(self, message: Message, parts: Iterable[Any]) -> dict[str, Any]:
        """A system or user message."""
        items: list[dict[str, Any]] = []
        for part in parts:
            if message.role == "system" and not isinstance(part, (Text, Unknown)):
                raise self.writer.unsupported(f"a {type(part).__name__} part in a system message", "use a user message")
            if isinstance(part, Document) and part.context is not None:
                self.writer.warn("the remark on a document was sent as a text before it")
                items.append({"type": "text", "text": part.context})
            items.append(self.writer.part(part))
        named = {} if message.name is None else {"name": message.name}
        return {"role": message.role, **named, "content": _shortened(items)}

    def tool(self, result: ToolResult) -> dict[str, Any]:
        """A ``tool`` message; what is no text is left in ``waiting``."""
        items: list[dict[str, Any]] = []
        moved: list[dict[str, Any]] = []
        for part in result.content:
            is_text = isinstance(part, (Text, Json))
            (items if is_text or isinstance(part, Unknown) else moved).append(self.writer.part(part))
        if moved:
            self.writer.warn("images and files of a tool result were sent in a user message after it")
            if not items:
                items.append({"type": "text", "text": "The result is in the next user message."})
            self.waiting.append(
                {"type": "text", "text": f"Result of the tool call {self.writer.call_id(result.call_id)}:"}
            )
            self.waiting.extend(moved)
        if result.is_error:
            if items and isinstance(items[0].get("text"), str):
                items[0]["text"] = f"Error: {items[0]['text']}"
            else:
                items.insert(0, {"type": "text", "text": "Error"})
        if result.cache is not None and items:
            self.writer.mark(items[-1], result.cache)
        written: dict[str, Any] = {"role": "tool", "tool_call_id": self.writer.call_id(result.call_id)}
        name = result.name or self.names.get(result.call_id)
        if self.writer.dialect.tool_name and name:
            written["name"] = name
        return {**written, "content": _shortened(items)}


def _shortened(items: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """A lone plain text as a string, which every host takes."""
    if not items:
        return ""
    if len(items) == 1 and items[0].keys() == {"type", "text"} and items[0]["type"] == "text":
        return str(items[0]["text"])
    return items


def write_messages(messages: Iterable[Message], writer: Writer, *, thinking: bool) -> list[dict[str, Any]]:
    """The ``messages`` list.

    Args:
        messages: the conversation.
        writer: the host and its dialect.
        thinking: the request leaves reasoning on, for hosts that want it back on every turn with calls.
    """
    messages = tuple(messages)
    turns = _Turns(writer, AssistantWriter(writer, messages, thinking=thinking))
    written = turns.written
    for message in messages:
        content = message.content
        if len(content) == 1 and message.name is None:
            part = content[0]
            if type(part) is Text and part.cache is None and part.extra is None and message.role != "tool":
                if part.citations or part.signature is not None:
                    drop_foreign(writer, part)
                if turns.waiting:
                    turns.flush()
                written.append({"role": message.role, "content": part.text})
                continue
        turns.add(message)
    turns.flush()
    return written
