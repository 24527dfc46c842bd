"""Calls and results that do not fit together are repaired before a host would refuse them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from asyncllm._protocols.anthropic import AnthropicMessages
from asyncllm._protocols.codec import Codec
from asyncllm._protocols.converse import Converse
from asyncllm._protocols.gemini import Gemini
from asyncllm._protocols.history import repaired
from asyncllm._protocols.openai_chat import OpenAIChat
from asyncllm._protocols.openai_responses import OpenAIResponses
from asyncllm._protocols.parts import PartWriter
from asyncllm._schema.content import Json, Part, Text, ToolCall, ToolResult
from asyncllm._schema.messages import Message
from asyncllm._schema.request import Request
from asyncllm.errors import BadRequestError
from recordings import context

ASK = Message.user("q")
WIRES: dict[str, tuple[Codec[Any], str]] = {
    "chat": (OpenAIChat(), "gpt-5.4"),
    "responses": (OpenAIResponses(), "gpt-5.4"),
    "anthropic": (AnthropicMessages(), "claude-sonnet-4-5"),
    "gemini": (Gemini(), "gemini-2.5-flash"),
    "converse": (Converse(), "us.amazon.nova-lite-v1:0"),
}


def call(ident: str = "c1", name: str = "f") -> ToolCall:
    return ToolCall(ident, name, {})


def repair(*messages: Message, **options: bool) -> tuple[list[tuple[str, list[Any]]], tuple[str, ...]]:
    """The roles and parts of the repaired conversation, in short, and the warnings."""
    writer = PartWriter(replace(context(), repairs=True), None, "test")
    found = repaired(messages, writer, **options)
    return [(message.role, [short(part) for part in message.content]) for message in found], writer.warnings


def short(part: Part) -> Any:
    if isinstance(part, ToolCall):
        return "call", part.id
    if isinstance(part, ToolResult):
        return "result", part.call_id
    return part.text if isinstance(part, Text) else type(part).__name__


def test_what_is_in_order_is_not_touched() -> None:
    """The same tuple comes back, without a warning."""
    writer = PartWriter(replace(context(), repairs=True), None, "test")
    messages = (ASK, Message.assistant("a", call()), Message.tool("c1", "x"), Message.user("thanks"))
    assert messages is repaired(messages, writer, unique=True)
    assert () == writer.warnings


def test_a_call_that_nobody_answered_is_answered() -> None:
    """At the end, before the user's words, and beside the results of others."""
    ended, said = repair(ASK, Message.assistant(call()))
    assert ("tool", [("result", "c1")]) == ended[-1]
    assert "it was not run" in said[0]
    typed, _ = repair(ASK, Message.assistant(call()), Message.user("never mind"))
    assert [("tool", [("result", "c1")]), ("user", ["never mind"])] == typed[-2:]
    half, _ = repair(ASK, Message.assistant(call(), call("c2")), Message.tool("c1", "x"), Message.user("go on"))
    assert [("tool", [("result", "c1")]), ("tool", [("result", "c2")]), ("user", ["go on"])] == half[-3:]


def test_a_result_without_its_call_is_told_in_words() -> None:
    """A window of the last messages may have cut the call away."""
    found, said = repair(Message.tool("c1", Json({"a": 1}), name="f"), Message.user("go on"))
    assert [("user", ["An earlier tool call (f) gave:", '{"a":1}']), ("user", ["go on"])] == found
    assert "whose call is not in the conversation" in said[0]
    kept, said = repair(Message.tool("c1", "x"), detached=True)
    assert ([("tool", [("result", "c1")])], ()) == (kept, said)


def test_ids_used_twice() -> None:
    """Within a turn always; in the conversation but for a host's own numbering; results follow their calls."""
    pair, said = repair(
        ASK, Message.assistant(call(), call(name="g")), Message.tool("c1", "x"), Message.tool("c1", "y")
    )
    assert [("call", "c1"), ("call", "c1_2")] == pair[1][1]
    assert [("tool", [("result", "c1")]), ("tool", [("result", "c1_2")])] == pair[2:]
    assert 1 == len(said)
    turns = (ASK, Message.assistant(call()), Message.tool("c1", "x"))
    again, _ = repair(*turns, *turns, unique=True)
    assert [("call", "c1_2")] == again[4][1]
    assert [("result", "c1_2")] == again[5][1]
    assert again == repair(*turns, *turns)[0]
    own = (ASK, Message.assistant(replace(call(), origin=context().origin)), Message.tool("c1", "x"))
    assert repair(*own, *own)[1] == ()


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "history",
    [
        (ASK, Message.assistant(call())),
        (ASK, Message.assistant(call()), Message.user("never mind")),
        (ASK, Message.assistant(call(), call("c2")), Message.tool("c2", "x"), Message.user("go on")),
        (Message.tool("c1", "x"), Message.user("go on")),
        (ASK, Message.assistant(call(), call()), Message.tool("c1", "x"), Message.tool("c1", "y")),
    ],
)
def test_every_wire_sends_as_many_results_as_calls(wire: str, history: tuple[Message, ...]) -> None:
    """Whatever is missing, each call on the wire has one result with its id, and a warning says what was done."""
    codec, model = WIRES[wire]
    here = replace(context("host", codec.name, model), repairs=True)
    request = codec.encode(Request(model=model, messages=history), here)
    body = request.body.decode()
    marks = {
        "chat": ('"type":"function"', '"role":"tool"'),
        "responses": ('"type":"function_call",', '"type":"function_call_output"'),
        "anthropic": ('"type":"tool_use"', '"type":"tool_result"'),
        "gemini": ('"functionCall"', '"functionResponse"'),
        "converse": ('"toolUse":', '"toolResult":'),
    }
    calls, results = (body.count(mark) for mark in marks[wire])
    assert calls == results
    assert request.warnings


def test_a_system_message_waits_for_the_result() -> None:
    """Hosts refuse anything between a call and its result; what nobody answers does not hold it back."""
    system = Message("system", (Text("be brief"),))
    found, said = repair(ASK, Message.assistant(call()), system, Message.tool("c1", "x"), Message.user("b"))
    assert ["user", "assistant", "tool", "system", "user"] == [role for role, _ in found]
    assert "after the result" in said[0]
    found, _ = repair(ASK, Message.assistant(call()), system, Message.user("b"))
    assert ["user", "assistant", "tool", "system", "user"] == [role for role, _ in found]
    found, _ = repair(ASK, Message.assistant(call()), system)
    assert ["user", "assistant", "tool", "system"] == [role for role, _ in found]


def test_a_call_without_an_id_gets_one() -> None:
    """And so does its result."""
    found, _ = repair(ASK, Message.assistant(call("")), Message.tool("", "x"))
    (_, [(_, made)]), (_, [(_, answered)]) = found[1:]
    assert made and made == answered


@pytest.mark.parametrize("wire", ["anthropic", "converse", "gemini"])
@pytest.mark.parametrize("message", [Message.user(""), Message("system", (Text("be brief"),))], ids=["empty", "system"])
def test_a_conversation_of_nothing_is_refused_here(wire: str, message: Message) -> None:
    """The host would refuse it: there is no message to answer."""
    codec, model = WIRES[wire]
    with pytest.raises(BadRequestError, match="at least one user message"):
        codec.encode(Request(model=model, messages=(message,)), context("host", codec.name, model))


def test_the_end_of_a_prefill_is_trimmed() -> None:
    """Claude's API refuses white space at the end of the assistant's last message, and only there."""
    codec, model = WIRES["anthropic"]
    messages = (ASK, Message.assistant("a \n"), ASK, Message.assistant("So: "))
    wire = codec.encode(Request(model=model, messages=messages), context("anthropic", codec.name, model))
    assert ["a \n", "So:"] == [one["content"] for one in json.loads(wire.body)["messages"][1::2]]
    assert any("white space at the end" in one for one in wire.warnings)
