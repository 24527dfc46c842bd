"""Repairs conversations that hosts would refuse: tool calls and results that do not fit together.

Every host wants a result for each call, right after the turn that made it, and a call for each result. Real histories
break that: an answer was cut before its results came, a user typed on in place of a result, a window of the last
messages cut a call from its result, a host numbered its calls anew in every turn. Rules:

* A call that nobody answered is answered ("was not run"), as an error. Where its answer has a form of its own that no
  words can take, the call is left out.
* A result whose call is not there is told by the user, in words.
* A system message between a call and its result is sent after the result.
* Calls that share an id, or have none, get ids of their own, and so do their results, in order. Where the format wants
  ids that are unique in the conversation, that holds for all of it; where it does not say, a host's own numbering goes
  back to it as it was.

Each repair leaves a warning. A conversation without calls and results is not touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .._schema.content import Json, Part, Text, ToolCall, ToolResult
from .._schema.messages import Message
from .parts import PartWriter, renamed

NOT_RUN = "This tool call was not run."
# Calls of the Responses API whose answer is a screenshot or a list: words cannot stand in for it.
_OWN_FORMS = frozenset({"computer_call", "tool_search_call", "shell_call", "local_shell_call", "apply_patch_call"})


def repaired(
    messages: tuple[Message, ...],
    writer: PartWriter[Any],
    *,
    unique: bool = False,
    detached: bool = False,
) -> tuple[Message, ...]:
    """Returns the conversation with its calls and results in order; the same tuple if nothing is wrong.

    Args:
        messages: of the request.
        writer: takes the warnings.
        unique: ids of calls must be unique in the whole conversation; else calls of this host may repeat them.
        detached: the request goes on where the provider left off, so that results may lack their calls here.
    """
    for message in messages if writer.context.repairs else ():
        content = message.content
        if len(content) == 1 and type(content[0]) is Text and message.role != "tool":
            continue  # nearly every message: long conversations pay for each step here
        if message.role == "system":
            continue
        if message.role == "tool":
            return _Repair(writer, unique=unique, detached=detached).run(messages)
        for part in content:
            if type(part) is ToolCall or type(part) is ToolResult:
                return _Repair(writer, unique=unique, detached=detached).run(messages)
    return messages


class _Repair:
    """Walks once over a conversation and writes it anew."""

    __slots__ = ("_detached", "_held", "_open", "_seen", "_unique", "_writer", "_written")

    def __init__(self, writer: PartWriter[Any], *, unique: bool, detached: bool) -> None:
        self._writer = writer
        self._unique = unique
        self._detached = detached
        self._seen: set[str] = set()
        self._open: dict[str, list[ToolCall]] = {}
        """The id of a call as it was given -> the calls as they are written, which nobody has answered yet."""
        self._written: list[Message] = []
        self._held: list[Message] = []

    def run(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        for message in messages:
            if message.role == "assistant":
                self._answer_open()
                self._written.append(self._turn(message))
            elif message.role == "system" and self._unanswered():
                self._held.append(message)
                self._writer.warn("a system message between a tool call and its result was sent after the result")
            elif message.role == "system":
                self._written.append(message)
            else:
                self._given(message)
                if not self._unanswered():
                    self._release()
        self._answer_open()
        same = len(self._written) == len(messages) and all(
            ours is theirs for ours, theirs in zip(self._written, messages, strict=True)
        )
        return messages if same else tuple(self._written)

    def _release(self) -> None:
        """Writes the system messages that waited for results."""
        self._written += self._held
        self._held.clear()

    def _turn(self, message: Message) -> Message:
        """Returns a turn of the assistant, whose calls get ids of their own where they must."""
        mine: set[str] = set()
        parts: list[Part] = list(message.content)
        for at, part in enumerate(parts):
            if type(part) is not ToolCall:
                continue
            call = part
            if not part.id or part.id in mine or self._used_before(part):
                call = renamed(part, self._fresh(part.id or "call", mine))
                self._writer.warn("calls that share an id were given ids of their own, and their results with them")
            mine.add(call.id)
            self._open.setdefault(part.id, []).append(call)
            parts[at] = call
        self._seen |= mine
        changed = any(ours is not theirs for ours, theirs in zip(parts, message.content, strict=True))
        return replace(message, content=tuple(parts)) if changed else message

    def _used_before(self, call: ToolCall) -> bool:
        own = call.origin is not None and call.origin == self._writer.context.origin
        return call.id in self._seen and (self._unique or not own)

    def _fresh(self, ident: str, mine: set[str]) -> str:
        number = 2
        while (found := f"{ident}_{number}") in mine or found in self._seen:
            number += 1
        return found

    def _given(self, message: Message) -> None:
        """Writes what the user or the tools say."""
        parts: list[Part] = []
        told: list[Part] = []  # results whose calls are not there, in words
        says = False
        for part in message.content:
            if type(part) is not ToolResult:
                parts.append(part)
                says = True
                continue
            waiting = self._open.get(part.call_id)
            if waiting:
                call = waiting.pop(0)
                parts.append(part if call.id == part.call_id else replace(part, call_id=call.id))
            elif self._detached:
                parts.append(part)
            else:
                self._writer.warn("a tool result whose call is not in the conversation was sent as the user's words")
                told += self._in_words(part)
        if told and says:
            parts += told
            told = []
        if says:
            results = [part for part in parts if type(part) is ToolResult]
            if results and self._unanswered():  # what is missing stands beside the results, before the words
                parts = [*results, *self._missing(), *(part for part in parts if type(part) is not ToolResult)]
            else:
                self._answer_open()
        changed = len(parts) != len(message.content) or any(
            ours is not theirs for ours, theirs in zip(parts, message.content, strict=True)
        )
        if parts:
            self._written.append(replace(message, content=tuple(parts)) if changed else message)
        if told:
            self._answer_open()
            self._written.append(Message("user", tuple(told)))

    def _in_words(self, result: ToolResult) -> list[Part]:
        named = f" ({result.name})" if result.name else ""
        words = "failed" if result.is_error else "gave"
        content = [Text(self._writer.json(part.value)) if isinstance(part, Json) else part for part in result.content]
        return [Text(f"An earlier tool call{named} {words}:"), *content]

    def _unanswered(self) -> bool:
        return any(self._open.values())

    def _missing(self) -> list[ToolResult]:
        """Returns answers for unanswered calls. Calls that cannot be answered by text are removed."""
        calls = [call for waiting in self._open.values() for call in waiting]
        self._open.clear()
        odd = {call.id for call in calls if _has_own_form(call)}
        if odd:
            self._take_out(odd)
        left = [call for call in calls if call.id not in odd]
        if left:
            self._writer.warn("a tool call without a result was answered: it was not run")
        return [ToolResult(call.id, (Text(NOT_RUN),), is_error=True, name=call.name) for call in left]

    def _answer_open(self) -> None:
        answers = self._missing() if self._unanswered() else []
        self._open.clear()
        if answers:
            self._written.append(Message("tool", tuple(answers)))
        self._release()

    def _take_out(self, ids: set[str]) -> None:
        self._writer.warn("a tool call without a result was left out")
        for at in range(len(self._written) - 1, -1, -1):
            message = self._written[at]
            if message.role == "assistant":
                kept = tuple([part for part in message.content if not (type(part) is ToolCall and part.id in ids)])
                self._written[at] = replace(message, content=kept or (Text(""),))
                return


def _has_own_form(call: ToolCall) -> bool:
    head = (call.extra or {}).get("item")
    return isinstance(head, Mapping) and head.get("type") in _OWN_FORMS
