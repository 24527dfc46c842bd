"""Writes the messages of a conversation. An assistant message has its texts, its calls and, for hosts that want it, its
reasoning.

Canonical messages -> the ``messages`` list.

Rules.

* A message of one plain text is ``{"role", "content": "text"}``; everything else goes the long way.
* A tool result is a ``tool`` message each, in order, its content text only: a failed tool says so in the text, and what
  is no text (images, files, audio) goes into one ``user`` message after the last tool message of the turn.
* An assistant's texts are one ``content`` string, joined as they were streamed; ``content`` is null beside calls alone.
* Reasoning goes back only to where it came from, and only where the dialect says the host wants it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
from .parts import ChatWriter, drop_foreign, merge_details


@dataclass(slots=True)
class _TurnDraft:
    """Collects the pieces of one assistant message, by where they go."""

    items: list[dict[str, Any]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    details: list[Mapping[str, Any]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    images: list[Any] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)

    def content(self) -> str | list[dict[str, Any]] | None:
        if not self.items:
            return None
        if all(item.keys() == {"type", "text"} and item["type"] == "text" for item in self.items):
            return "".join([item["text"] for item in self.items])
        return self.items


class AssistantWriter:
    """Writes assistant messages of one conversation.

    Args:
        writer: the host and its dialect.
        messages: the whole conversation: whether the host reasoned in it decides what is padded.
        thinking: the request leaves reasoning on.
    """

    def __init__(self, writer: ChatWriter, messages: Sequence[Message], *, thinking: bool) -> None:
        self._writer = writer
        self._dialect = writer.dialect
        self._pads = thinking and writer.dialect.reasoning_back == "required_on_tools"
        self._messages = messages

    def write(self, message: Message) -> dict[str, Any] | None:
        """Writes the message; None if none of its parts can go to this host (a warning says which)."""
        draft = _TurnDraft()
        for part in message.content:
            self._put(draft, part)
        if self._pads and draft.calls and not draft.reasoning:
            self._pad(message, draft)
        written: dict[str, Any] = {"role": "assistant", "content": draft.content()}
        if message.name is not None:
            written["name"] = message.name
        if draft.reasoning and (draft.calls or self._dialect.reasoning_back != "on_calls"):
            written[self._dialect.reasoning_back_field] = "".join(draft.reasoning)
        if draft.details:
            written["reasoning_details"] = merge_details(draft.details)
        if draft.refusals:
            written["refusal"] = "".join(draft.refusals)
        if draft.images:
            written["images"] = draft.images
        if draft.calls:
            written["tool_calls"] = draft.calls
        written.update(draft.fields)
        if written["content"] is None and len(written) == 2 + (message.name is not None):
            if message.content:
                return None
            written["content"] = ""
        return written

    def _put(self, draft: _TurnDraft, part: Part) -> None:
        if isinstance(part, Text):
            self._text(draft, part)
        elif isinstance(part, ToolCall):
            self._call(draft, part)
        elif isinstance(part, Reasoning):
            self._reasoning(draft, part)
        elif isinstance(part, Refusal):
            self._writer.unmarked(part.cache)
            self._writer.drop_extra(part)
            draft.refusals.append(part.text)
        elif isinstance(part, Audio):
            self._audio(draft, part)
        elif isinstance(part, Image):
            self._image(draft, part)
        elif isinstance(part, (ProviderToolCall, ProviderToolResult)):
            self._writer.warn(f"what the provider's own tool {part.name!r} did was left out: there is no place for it")
        elif isinstance(part, Unknown):
            self._unknown(draft, part)
        else:
            raise self._writer.cannot_take(
                f"a {type(part).__name__} part in an assistant message", "put it into a user message"
            )

    def _pad(self, message: Message, draft: _TurnDraft) -> None:
        """Adds an empty reasoning field to a turn with calls, without which DeepSeek answers 400.

        A space is the least it takes for a turn another model made; its own empty reasoning goes back empty.
        """
        if any(not self._writer.is_own(call.origin) for call in message.tool_calls):
            draft.reasoning.append(" ")
        elif any(
            type(part) is Reasoning and self._writer.is_own(part.origin)
            for other in self._messages
            for part in other.content
        ):
            draft.reasoning.append("")

    def _text(self, draft: _TurnDraft, part: Text) -> None:
        drop_foreign(self._writer, part)
        if part.extra and self._writer.is_own(part.origin):
            draft.fields.update(part.extra)
        draft.items.append(self._writer.mark({"type": "text", "text": part.text}, part.cache))

    def _call(self, draft: _TurnDraft, part: ToolCall) -> None:
        writer = self._writer
        if part.kind == "custom":
            if not self._dialect.custom_tools:
                raise writer.cannot_take(f"the custom tool call {part.name!r}", "use function tools with this provider")
            body: dict[str, Any] = {"name": part.name, "input": part.raw_arguments}
        else:
            raw = part.raw_arguments
            body = {"name": part.name, "arguments": raw if raw.strip() or writer.is_own(part.origin) else "{}"}
        written = {"id": writer.call_id(part.id), "type": part.kind, part.kind: body}
        if writer.is_foreign(part.origin):
            writer.drop_extra(part)
        else:  # its own, or what the caller wrote beside the call
            written.update(part.extra or {})
        if part.signature is not None and not writer.is_own(part.origin):
            writer.warn("a signature of another provider on a tool call was left out")
        writer.unmarked(part.cache)
        draft.calls.append(written)

    def _reasoning(self, draft: _TurnDraft, part: Reasoning) -> None:
        writer, dialect = self._writer, self._dialect
        self._writer.unmarked(part.cache)
        extra = part.extra if writer.is_own(part.origin) and part.extra is not None else {}
        if dialect.reasoning_details and isinstance(extra.get("reasoning_details"), list):
            draft.details.extend(extra["reasoning_details"])
        elif writer.is_foreign(part.origin):
            writer.warn("reasoning of another provider was left out")
        elif dialect.thinking_chunks:
            chunk = extra.get("chunk")
            plain = {"type": "thinking", "thinking": [{"type": "text", "text": part.text}]}
            draft.items.append(dict(chunk) if isinstance(chunk, Mapping) else plain)
        elif dialect.reasoning_back != "drop":
            draft.reasoning.append(part.text)
        elif not writer.is_own(part.origin):
            writer.warn("reasoning was left out: chat completions cannot take it back")

    def _audio(self, draft: _TurnDraft, part: Audio) -> None:
        self._writer.unmarked(part.cache)
        if part.file_id is not None and self._writer.is_own(part.origin):
            draft.fields["audio"] = {"id": part.file_id}
        elif part.transcript:
            self._writer.warn("what the model said in audio was sent back as its transcript")
            draft.items.append({"type": "text", "text": part.transcript})
        else:
            raise self._writer.cannot_take(
                "audio of another provider in an assistant message", "send a transcript as text"
            )

    def _image(self, draft: _TurnDraft, part: Image) -> None:
        raw = (part.extra or {}).get("image")
        if raw is None or not self._writer.is_own(part.origin):
            raise self._writer.cannot_take("an Image part in an assistant message", "put it into a user message")
        draft.images.append(raw)

    def _unknown(self, draft: _TurnDraft, part: Unknown) -> None:
        if self._writer.is_foreign(part.origin) or not isinstance(part.raw, Mapping):
            self._writer.warn(f"content of type {part.type!r} from another provider was left out")
        else:
            draft.items.append(self._writer.mark(dict(part.raw), part.cache))


@dataclass(slots=True)
class _Turns:
    """Holds the list that is being written, and what waits until the tool messages in a row have ended."""

    writer: ChatWriter
    messages: Sequence[Message]
    thinking: bool
    assistant: AssistantWriter | None = None
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
            if self.assistant is None:
                self.assistant = AssistantWriter(self.writer, self.messages, thinking=self.thinking)
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
        """Writes a system or user message."""
        items: list[dict[str, Any]] = []
        for part in parts:
            if message.role == "system" and not isinstance(part, (Text, Unknown)):
                raise self.writer.cannot_take(f"a {type(part).__name__} part in a system message", "use a user message")
            if isinstance(part, Document) and part.context is not None:
                self.writer.warn("the remark on a document was sent as a text before it")
                items.append({"type": "text", "text": part.context})
            items.append(self.writer.part(part))
        named = {} if message.name is None else {"name": message.name}
        return {"role": message.role, **named, "content": _shortened(items)}

    def tool(self, result: ToolResult) -> dict[str, Any]:
        """Writes a ``tool`` message; what is no text is left in ``waiting``."""
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
    """Returns a lone plain text as a string, which every host takes; other content stays a list."""
    if not items:
        return ""
    if len(items) == 1 and items[0].keys() == {"type", "text"} and items[0]["type"] == "text":
        return str(items[0]["text"])
    return items


def write_messages(messages: Iterable[Message], writer: ChatWriter, *, thinking: bool) -> list[dict[str, Any]]:
    """Writes the ``messages`` list.

    Args:
        messages: the conversation.
        writer: the host and its dialect.
        thinking: the request leaves reasoning on, for hosts that want it back on every turn with calls.
    """
    messages = tuple(messages)
    turns = _Turns(writer, messages, thinking)
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
    if turns.waiting:
        turns.flush()
    return written
