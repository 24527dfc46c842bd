"""A scenario as this library's caller would write it."""

from __future__ import annotations

from typing import Any

from scenarios import PNG, Part, Scenario, Turn

from asyncllm import Document, Image, Message, Reasoning, Text, Tool, ToolCall
from asyncllm._schema.content import Origin


def arguments(asked: Scenario, origin: Origin) -> dict[str, Any]:
    """The arguments of ``send`` and ``stream``."""
    messages = [Message.system(asked.system)] if asked.system else []
    for turn in asked.turns:
        messages += _messages(turn, origin)
    given: dict[str, Any] = {
        "max_tokens": asked.max_tokens,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "stop": list(asked.stop) or None,
        "seed": asked.seed,
        "tools": [Tool(it.name, it.description, it.schema, strict=it.strict) for it in asked.tools] or None,
        "tool_choice": asked.choice or None,
        "parallel_tool_calls": asked.parallel,
        "response_format": asked.schema,
        "reasoning": asked.effort or None,
    }
    return {"messages": messages, **{name: value for name, value in given.items() if value is not None}}


def _messages(turn: Turn, origin: Origin) -> list[Message]:
    written = [Message.user(*[_part(part) for part in turn.parts])]
    if turn.reply or turn.calls:
        said: list[Any] = []
        own: dict[str, Any] = {}
        if turn.thought and origin.protocol in ("anthropic", "converse"):
            said.append(Reasoning(turn.thought, signature=turn.signature, origin=origin))
        elif turn.thought and origin.protocol == "openai_responses":
            said.append(Reasoning(turn.thought, id="rs_1", encrypted=turn.signature, origin=origin))
        elif turn.thought and turn.calls:
            own = {"signature": turn.signature, "origin": origin}
        if turn.reply:
            said.append(Text(turn.reply))
        for call in turn.calls:
            said.append(ToolCall(call.id, call.name, call.arguments, **own))
            own = {"origin": origin} if own else {}
        written.append(Message.assistant(*said))
    for call in turn.calls:
        result = Image(data=PNG, media_type="image/png") if isinstance(call.result, bytes) else call.result
        written.append(Message.tool(call.id, result, is_error=call.failed))
    return written


def _part(part: Part) -> Any:
    if part.kind == "text":
        return part.text
    if part.kind == "image":
        return Image(data=part.data, media_type=part.media_type)
    if part.kind == "url":
        return Image(url=part.text, media_type=part.media_type)
    return Document(data=part.data, media_type=part.media_type, name=part.text)
