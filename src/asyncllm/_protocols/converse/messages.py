"""Messages -> ``system`` and ``messages``.

* Consecutive user and tool messages become one user message, tool results first: the API wants the answers to all calls
  at the beginning of the one message that follows them.
* System messages at the start go to ``system``. A later one keeps its place, with the role ``system``, where the model
  takes that, and is said by the user where it does not (or where it would part a call from its result), with a warning.
* Sound in a tool result, which cannot hold it, follows the results in the same message, with a warning.
* A message with a document needs a text beside it: where there is none, one that names the document is added, with a
  warning.
* An assistant message that has nothing to send is left out, with a warning; so is one of reasoning alone, which Claude
  takes for the beginning of an answer and refuses. Nothing else is invented: a conversation
  that begins with the assistant is sent as it is, since Claude, Qwen and others take it, and the API says who does not.

Sources: botocore 1.44.5, bedrock-runtime (``Message``, ``SystemContentBlock``); AWS's reference of ``Message``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..._schema.content import Audio, Part, Refusal, Text, ToolResult, Unknown
from ..._schema.messages import Message
from ..blocks import Block
from .parts import ConverseWriter, tool_id


def write_conversation(
    messages: tuple[Message, ...], writer: ConverseWriter, *, takes_system: bool
) -> tuple[list[Block], list[dict[str, Any]]]:
    """Writes the ``system`` (empty for none) and the ``messages`` of a request.

    Args:
        messages: of the request.
        writer: writes their parts.
        takes_system: the model takes system messages within the conversation.

    Raises:
        UnsupportedContentError: a part that Converse cannot carry.
    """
    writer.last = messages[-1] if messages else None
    start = 0
    while start < len(messages) and messages[start].role == "system":
        start += 1
    system = _system([part for message in messages[:start] for part in message.content], writer)
    written: list[dict[str, Any]] = []
    waiting: list[Part] = []  # what the user and the tools have said since the last other message
    unanswered = False
    for message in messages[start:]:
        if message.name is not None:
            writer.warn("the names of speakers were left out: Converse has no place for them")
        if message.role == "system" and takes_system and not unanswered:
            _flush(waiting, written, writer)
            written.append({"role": "system", "content": _system(message.content, writer)})
        elif message.role == "system":
            writer.warn("a system message within the conversation was sent as the user's: it cannot stand there")
            waiting += message.content
        elif message.role == "assistant":
            content = _assistant(message, writer)
            if content:
                _flush(waiting, written, writer)
                if written and written[-1]["role"] == "assistant":
                    written[-1]["content"] += content
                else:
                    written.append({"role": "assistant", "content": content})
                unanswered = bool(message.tool_calls)
        else:
            waiting += message.content
            unanswered = False
    _flush(waiting, written, writer)
    if not written:
        raise writer.bad("Converse needs at least one user message that is not empty")
    return system, written


def _flush(waiting: list[Part], written: list[dict[str, Any]], writer: ConverseWriter) -> None:
    """Writes the user's message, and empties what waited."""
    if not waiting:
        return
    results = [part for part in waiting if type(part) is ToolResult]
    others = [part for part in waiting if type(part) is not ToolResult]
    parts = [*_without_sound(results, others, writer), *others] if results else waiting
    content = writer.blocks(parts, "user")
    names = [block["document"]["name"] for block in content if "document" in block]
    if names and not any("text" in block for block in content):
        content.append({"text": f"Documents: {', '.join(names)}"})
        writer.warn("a text that names the documents was added: Bedrock wants one beside them")
    waiting.clear()
    if not content:
        writer.warn("a message with nothing to send was left out")
    if content:
        written.append({"role": "user", "content": content})


def _without_sound(results: list[ToolResult], others: list[Part], writer: ConverseWriter) -> list[ToolResult]:
    """The results without sound, which goes in front of what else the user says: a result cannot hold it."""
    if not any(isinstance(part, Audio) for result in results for part in result.content):
        return results
    writer.warn("sound of a tool result was sent beside it: a result cannot hold it")
    left: list[ToolResult] = []
    moved: list[Part] = []
    for result in results:
        sounds = [part for part in result.content if isinstance(part, Audio)]
        rest = tuple([part for part in result.content if not isinstance(part, Audio)])
        left.append(replace(result, content=rest or (Text("The result is beside this."),)) if sounds else result)
        if sounds:
            moved += [Text(f"Result of the tool call {tool_id(result.call_id)}:"), *sounds]
    others[:0] = moved
    return left


def _assistant(message: Message, writer: ConverseWriter) -> list[Block]:
    """Writes the content of an assistant message; empty where the message is left out."""
    content = writer.blocks(message.content, "assistant")
    if writer.claude and all("reasoningContent" in block or "cachePoint" in block for block in content):
        content = []
    if not content:
        writer.warn("an assistant message with nothing to send was left out")
    return content


def _system(parts: list[Part] | tuple[Part, ...], writer: ConverseWriter) -> list[Block]:
    """Writes instructions, which can only be text."""
    for part in parts:
        if not isinstance(part, (Text, Refusal, Unknown)):
            raise writer.refuse(f"a system message holds text, not {type(part).__name__}; put it into a user message")
    return writer.blocks(parts, "system")
