"""``cache="auto"``: sets the marks of the prompt cache, for hosts that cache only marked parts.

A mark means: cache the prompt up to here. The prefix is tools, then system, then messages, so that a mark on the last
part of each keeps what was the same in the call before. The turn before the last one is marked too: that is where the
last call's mark stood, and a host looks for what it has cached only near a mark.

The marks are set in the canonical request; the wire writes them as it writes the caller's own, which stay and count.
Hosts that cache by themselves (OpenAI, Gemini and most compatible ones) need none of this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from .._schema.content import CacheMark, Document, Image, Text, ToolCall, ToolResult
from .._schema.hosted import HostedTool
from .._schema.messages import Message
from .._schema.request import ProviderTool, Request, Tool
from .parts import PartWriter

MOST_MARKS = 4
"""What Anthropic, Bedrock and OpenRouter take in one request."""
_MARKABLE = (Text, Image, Document, ToolCall, ToolResult)


def cached(request: Request, writer: PartWriter[Any]) -> Request:
    """Returns the request with the marks that its keyword ``cache`` asks for."""
    if request.cache is None:
        return request
    facts = writer.context.facts
    if facts.cache_marks is False:
        writer.leave_out("cache", f"{request.model} takes no marks for a prompt cache")
        return request
    return with_marks(request, on_tools=facts.tool_cache_marks is not False)


def with_marks(request: Request, *, on_tools: bool = True) -> Request:
    """Returns the request with marks on its tools, its system prompt and its last turns, within what hosts take.

    Args:
        request: the request; it is not changed.
        on_tools: the model takes marks among its tools.
    """
    room = MOST_MARKS - _own_marks(request)
    messages = list(request.messages)
    turns = _turns(messages)
    for place in (*turns[:1], _end_of_system(messages), "tools" if on_tools else None, *turns[1:2]):
        if place is None or room <= 0:
            continue
        if place == "tools":
            marked = _marked_tools(request.tools)
            if marked is not None:
                request, room = replace(request, tools=marked), room - 1
            continue
        message = _marked(messages[int(place)])
        if message is not None:
            messages[int(place)], room = message, room - 1
    return replace(request, messages=tuple(messages))


def _turns(messages: list[Message]) -> list[int]:
    """Yields the places where turns of the user end, tool results included, the last one first."""
    ends: list[int] = []
    for place in range(len(messages) - 1, -1, -1):
        if messages[place].role in ("user", "tool"):
            if place + 1 == len(messages) or messages[place + 1].role not in ("user", "tool"):
                ends.append(place)
            if len(ends) == 2:
                break
    return ends


def _end_of_system(messages: list[Message]) -> int | None:
    """Returns where the last message of the system prompt stands; None if there is no system prompt."""
    end = None
    for place, message in enumerate(messages):
        if message.role != "system":
            break
        end = place
    return end


def _marked(message: Message) -> Message | None:
    """Returns the message with a mark on the last part that can carry one; None if it has one, or none can."""
    parts = list(message.content)
    for place in range(len(parts) - 1, -1, -1):
        part = parts[place]
        if isinstance(part, _MARKABLE) and not (isinstance(part, Text) and not part.text.strip()):
            if part.cache is not None:
                return None
            parts[place] = replace(part, cache=CacheMark())
            return replace(message, content=tuple(parts))
    return None


def _marked_tools(
    tools: tuple[Tool | ProviderTool | HostedTool, ...],
) -> tuple[Tool | ProviderTool | HostedTool, ...] | None:
    """Returns the tools with a mark on the last one that can carry one; None if it has one, or none can."""
    for place in range(len(tools) - 1, -1, -1):
        tool = tools[place]
        if isinstance(tool, Tool):
            marked = replace(tool, cache=CacheMark())
            return None if tool.cache is not None else (*tools[:place], marked, *tools[place + 1 :])
    return None


def _own_marks(request: Request) -> int:
    """Counts the marks that the caller has set."""
    return sum([mark is not None for mark in _marks(request)])


def _marks(request: Request) -> Iterator[CacheMark | None]:
    for tool in request.tools:
        yield getattr(tool, "cache", None)
    for message in request.messages:
        for part in message.content:
            yield getattr(part, "cache", None)
