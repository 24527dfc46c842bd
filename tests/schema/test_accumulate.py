"""Events become one response, at any moment of the stream."""

from __future__ import annotations

from dataclasses import replace

from asyncllm._schema.accumulate import Accumulator
from asyncllm._schema.content import Origin, ProviderToolCall, Reasoning, Refusal, Text, ToolCall
from asyncllm._schema.events import (
    Event,
    PartEnd,
    PartStart,
    ReasoningDelta,
    ResponseEnd,
    ResponseStart,
    Restart,
    TextDelta,
    ToolCallDelta,
)
from asyncllm._schema.messages import Message
from asyncllm._schema.replay import events_of
from asyncllm._schema.usage import UNKNOWN_USAGE, Usage

ORIGIN = Origin("p", "w")
EVENTS: list[Event] = [
    ResponseStart(id="r1", model="m-1"),
    PartStart(0, Reasoning("")),
    ReasoningDelta("Hm", 0),
    PartEnd(0, Reasoning("Hm", signature="s", origin=ORIGIN)),
    PartStart(1, Text("")),
    TextDelta("It is ", 1),
    PartStart(2, ToolCall("c1", "f", raw_arguments="", origin=ORIGIN)),
    ToolCallDelta('{"a":', 2),
    TextDelta("4", 1),
    PartEnd(1, Text("It is 4")),
    ToolCallDelta("1}", 2),
    PartEnd(2, ToolCall("c1", "f", raw_arguments='{"a":1}', origin=ORIGIN)),
    ResponseEnd("tool_calls", raw_finish_reason="tool_use", stop_sequence="END", usage=Usage(input_tokens=1)),
]


def test_a_finished_stream_is_a_whole_response() -> None:
    """Parts stand in the order in which they started, whole."""
    accumulator = Accumulator()
    accumulator.feed(EVENTS)
    reply = accumulator.response()
    expected = Message.assistant(
        Reasoning("Hm", signature="s", origin=ORIGIN),
        Text("It is 4"),
        ToolCall("c1", "f", raw_arguments='{"a":1}', origin=ORIGIN),
    )
    assert expected == reply.message
    assert ("r1", "m-1", "tool_calls", "tool_use", "END", Usage(input_tokens=1)) == (
        reply.id,
        reply.model,
        reply.finish_reason,
        reply.raw_finish_reason,
        reply.stop_sequence,
        reply.usage,
    )


def test_at_every_moment_the_text_equals_the_deltas() -> None:
    """However far the stream got, the response holds what was delivered, and no more."""
    for length in range(len(EVENTS)):
        accumulator = Accumulator()
        accumulator.feed(EVENTS[:length])
        reply = accumulator.response()
        fed = EVENTS[:length]
        assert "".join(event.text for event in fed) == reply.text
        assert "".join(event.reasoning for event in fed if isinstance(event, ReasoningDelta)) == reply.reasoning
        arguments = "".join(event.arguments for event in fed if isinstance(event, ToolCallDelta))
        assert arguments == "".join(call.raw_arguments for call in reply.tool_calls)
        assert ("other", UNKNOWN_USAGE) == (reply.finish_reason, reply.usage)


def test_a_whole_reply_replayed_as_a_stream_is_the_same_reply() -> None:
    """Events made of a response accumulate to that response."""
    accumulator = Accumulator()
    accumulator.feed(EVENTS)
    whole = accumulator.response()
    call = ProviderToolCall(id="p1", name="search", raw_arguments="{}", raw={"type": "search"}, origin=ORIGIN)
    whole = replace(whole, message=Message.assistant(*whole.message.content, call, Refusal("no"), Text("")))
    again = Accumulator()
    again.feed(events_of(whole))
    assert whole == again.response()


def test_a_restart_voids_what_came_before() -> None:
    """After Restart only the new attempt counts."""
    accumulator = Accumulator()
    accumulator.feed([*EVENTS[:6], Restart("cut"), ResponseStart(id="r2"), PartStart(0, Text("")), TextDelta("Hi", 0)])
    assert ("r2", "Hi") == (accumulator.response().id, accumulator.response().text)
