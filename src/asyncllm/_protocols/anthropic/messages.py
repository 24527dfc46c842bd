"""Messages -> ``system`` and ``messages``.

The API wants the results of the assistant's calls first in the one user message that follows them. So consecutive user
and tool messages become one user message, tool results before everything else, otherwise in order. System messages
at the start go to ``system``; a later one keeps its place where the model takes one there, and is said by the user
where it does not (or where it would part a call from its result), with a warning. The API refuses assistant messages
without content, except as the last: one that has nothing to send is left out, with a warning.
"""

from __future__ import annotations

from typing import Any, Union

from ..._schema.content import Part, Refusal, Text, Unknown
from ..._schema.facts import ModelFacts
from ..._schema.messages import Message
from ..blocks import Block
from .parts import MessagesWriter, plain_text

Content = Union[str, list[Block]]


def write_conversation(
    messages: tuple[Message, ...], writer: MessagesWriter, facts: ModelFacts
) -> tuple[Content, list[dict[str, Any]]]:
    """Writes the ``system`` (empty for none) and the ``messages`` of a request.

    Raises:
        UnsupportedContentError: a part that the host cannot carry.
    """
    writer.last = messages[-1] if messages else None
    start = 0
    while start < len(messages) and messages[start].role == "system":
        start += 1
    system = _system([part for message in messages[:start] for part in message.content], writer)
    turns = _AlternatingTurns(writer, takes_system=facts.system_messages is True)
    for message in messages[start:]:
        if message.name is not None:
            writer.warn("the names of speakers were left out: the Messages API has no place for them")
        role = message.role
        if role == "system":
            turns.system(message)
            continue
        content = _content(message.content, role, writer)
        if role == "assistant":
            turns.assistant(message, content)
        else:
            turns.user(content)
    if not turns.written:
        raise writer.bad("the Messages API needs at least one user message that is not empty")
    _trim(turns.written[-1], writer)
    return system, turns.written


def _trim(last: dict[str, Any], writer: MessagesWriter) -> None:
    """Takes the white space off the end of an assistant's last message, which the API refuses there."""
    content = last["content"]
    text = content if isinstance(content, str) else content[-1].get("text")
    if last["role"] != "assistant" or not isinstance(text, str) or text == text.rstrip():
        return
    writer.warn("white space at the end of the assistant's last message was left out: the API refuses it")
    if isinstance(content, str):
        last["content"] = text.rstrip()
    else:
        last["content"] = [*content[:-1], {**content[-1], "text": text.rstrip()}]


class _AlternatingTurns:
    """Collects the written messages and merges those of one role: the API wants turns to alternate."""

    __slots__ = ("_takes_system", "_unanswered", "_writer", "written")

    def __init__(self, writer: MessagesWriter, *, takes_system: bool) -> None:
        self.written: list[dict[str, Any]] = []
        self._writer = writer
        self._takes_system = takes_system
        self._unanswered = False

    def assistant(self, message: Message, content: Content) -> None:
        if not content:
            return self._writer.warn("an assistant message with nothing to send was left out")
        self.written.append({"role": "assistant", "content": content})
        self._unanswered = isinstance(content, list) and bool(message.tool_calls)
        return None

    def user(self, content: Content) -> None:
        if not content:
            return self._writer.warn("a message with nothing to send was left out")
        last = self.written[-1] if self.written else None
        if last is not None and last["role"] == "user":
            content = [*_as_blocks(last["content"]), *_as_blocks(content)]
            self.written.pop()
        if not isinstance(content, str):
            content = _results_first(content)
        self._unanswered = False
        self.written.append({"role": "user", "content": content})
        return None

    def system(self, message: Message) -> None:
        if self._takes_system and not self._unanswered:
            self.written.append({"role": "system", "content": _system(message.content, self._writer)})
            return
        unanswered = self._unanswered
        self._writer.warn("a system message within the conversation was sent as the user's: it cannot stand there")
        self.user(self._writer.blocks(message.content, "user"))
        self._unanswered = unanswered


def _system(parts: list[Part] | tuple[Part, ...], writer: MessagesWriter) -> Content:
    """Writes instructions, which can only be text."""
    for part in parts:
        if not isinstance(part, (Text, Refusal, Unknown)):
            raise writer.refuse(f"a system message holds text, not {type(part).__name__}; put it into a user message")
    return _content(tuple(parts), "system", writer)


def _content(parts: tuple[Part, ...], role: str, writer: MessagesWriter) -> Content:
    """Returns a string where the parts are one plain text, and blocks where there is more to them."""
    text = plain_text(parts[0]) if len(parts) == 1 else None
    return text if text is not None and text.strip() else writer.blocks(parts, role)


def _as_blocks(content: Content) -> list[Block]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content


def _results_first(blocks: list[Block]) -> list[Block]:
    results = [block for block in blocks if block.get("type") == "tool_result"]
    if not results or blocks[: len(results)] == results:
        return blocks
    return [*results, *(block for block in blocks if block.get("type") != "tool_result")]
