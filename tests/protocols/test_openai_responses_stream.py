"""What the Responses decoder makes of streams: the grammar of the parts, the end, and bytes cut anywhere."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm._framing.framer import Frame
from asyncllm._framing.sse import SSEFramer
from asyncllm._protocols.openai_responses import OpenAIResponses
from asyncllm._schema.content import ProviderToolCall, Reasoning, Refusal, Text, ToolCall, Unknown
from asyncllm._schema.events import (
    Event,
    PartEnd,
    PartStart,
    ReasoningDelta,
    ResponseEnd,
    ResponseStart,
    TextDelta,
    ToolCallDelta,
)
from asyncllm._schema.usage import UNKNOWN_USAGE, Usage
from asyncllm.errors import (
    AsyncLLMError,
    ContentBlockedError,
    ProtocolError,
    RateLimitError,
    ServerError,
    StreamTruncatedError,
)
from recordings import body_of
from response_recordings import ORIGIN, XAI, body, exchanges, here, play, protocol_of, reply_of, sse, whole

CREATED = {
    "type": "response.created",
    "response": {"id": "resp_1", "model": "m-1", "output": [], "status": "in_progress"},
}
HEAD = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress"}


def event(kind: str, **fields: Any) -> dict[str, Any]:
    """An event of the wire; the item at place 0 unless it says otherwise."""
    return {"type": f"response.{kind}", "output_index": 0, **fields}


def added(item: dict[str, Any], at: int = 0) -> dict[str, Any]:
    return event("output_item.added", output_index=at, item=item)


def done(item: dict[str, Any], at: int = 0) -> dict[str, Any]:
    return event("output_item.done", output_index=at, item=item)


def said(delta: str, at: int = 0, place: int = 0) -> dict[str, Any]:
    return event("output_text.delta", output_index=at, content_index=place, item_id="msg_1", delta=delta)


def message(*content: Any, **fields: Any) -> dict[str, Any]:
    """A whole message item."""
    return {**HEAD, "status": "completed", "content": [*content], **fields}


def text(words: str, **fields: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": words, "annotations": [], **fields}


def completed(*output: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "response.completed", "response": whole(*output, **fields)}


def streamed(*events: Any) -> list[Event]:
    """The events of a stream, whole."""
    return play([sse(*events)])


def parts_of(events: list[Event]) -> list[Any]:
    """The finished parts by their number."""
    ends = {found.index: found.part for found in events if isinstance(found, PartEnd)}
    assert sorted(ends) == list(range(len(ends)))
    return [ends[index] for index in sorted(ends)]


def check_grammar(events: list[Event]) -> None:
    """Fails unless parts start in order, deltas fall between start and end, and the end is the last event."""
    assert isinstance(events[0], ResponseStart)
    assert isinstance(events[-1], ResponseEnd)
    running: dict[int, str] = {}
    begun = 0
    for found in events[1:-1]:
        if isinstance(found, PartStart):
            assert begun == found.index
            running[begun] = ""
            begun += 1
        elif isinstance(found, TextDelta):
            running[found.index] += found.text
        elif isinstance(found, ReasoningDelta):
            running[found.index] += found.reasoning
        elif isinstance(found, ToolCallDelta):
            running[found.index] += found.arguments
        elif isinstance(found, PartEnd):
            total = running.pop(found.index)
            if isinstance(found.part, (Text, Reasoning)):
                assert total == found.part.text
            elif isinstance(found.part, ToolCall):
                assert total == found.part.raw_arguments
        else:
            raise AssertionError(found)
    assert {} == running


def test_a_plain_stream() -> None:
    """The events of a text, from the id to the usage of the terminal event."""
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    final = message(text("Hi there"))
    found = streamed(
        CREATED,
        {"type": "response.in_progress", "response": {"id": "other"}},
        added({**HEAD, "content": []}),
        event("content_part.added", content_index=0, part=text("")),
        said("Hi"),
        said(""),
        said(" there"),
        event("output_text.done", content_index=0, text="Hi there"),
        event("content_part.done", content_index=0, part=text("Hi there")),
        done(final),
        completed(final, usage=usage),
    )
    head = {key: value for key, value in final.items() if key != "content"}
    assert [
        ResponseStart(id="resp_1", model="m-1"),
        PartStart(0, Text("", origin=ORIGIN)),
        TextDelta("Hi", 0),
        TextDelta(" there", 0),
        PartEnd(0, Text("Hi there", origin=ORIGIN, extra={"item": head})),
        ResponseEnd(
            "stop",
            raw_finish_reason="completed",
            usage=Usage(input_tokens=3, output_tokens=2, total_tokens=5),
        ),
    ] == found


def test_a_tool_call() -> None:
    """Name and id come with the item, arguments in deltas, the rest with the end."""
    call = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": ""}
    final = {**call, "arguments": '{"a":1}', "status": "completed"}
    found = streamed(
        CREATED,
        added(call),
        event("function_call_arguments.delta", item_id="fc_1", delta='{"a":'),
        event("function_call_arguments.delta", item_id="fc_1", delta=""),
        event("function_call_arguments.delta", item_id="fc_1", delta="1}"),
        event("function_call_arguments.done", item_id="fc_1", arguments='{"a":1}'),
        done(final),
        completed(final),
    )
    start, end = found[1], found[4]
    assert isinstance(start, PartStart)
    assert isinstance(start.part, ToolCall)
    assert ("c1", "f", "") == (start.part.id, start.part.name, start.part.raw_arguments)
    assert [ToolCallDelta('{"a":', 0), ToolCallDelta("1}", 0)] == found[2:4]
    assert isinstance(end, PartEnd)
    assert {"item": {"id": "fc_1", "status": "completed"}} == getattr(end.part, "extra", None)
    assert "tool_calls" == getattr(found[-1], "finish_reason", None)


def test_calls_side_by_side() -> None:
    """Deltas of two calls may alternate; the item at their place is what they belong to."""
    calls = [
        {"type": "function_call", "id": f"fc_{at}", "call_id": f"c{at}", "name": "f", "arguments": ""} for at in (0, 1)
    ]
    custom = {"type": "custom_tool_call", "id": "ct", "call_id": "c2", "name": "sql", "input": ""}
    found = streamed(
        CREATED,
        added(calls[0], 0),
        added(calls[1], 1),
        event("function_call_arguments.delta", output_index=1, item_id="x", delta="{1"),
        event("function_call_arguments.delta", output_index=0, item_id="y", delta="{0"),
        added(custom, 2),
        event("custom_tool_call_input.delta", output_index=2, delta="select"),
        done({**calls[1], "arguments": "{1}"}, 1),
        done({**calls[0], "arguments": "{0}"}, 0),
        done({**custom, "input": "select 1"}, 2),
        completed(),
    )
    check_grammar(found)
    assert [("c0", "{0}", "function"), ("c1", "{1}", "function"), ("c2", "select 1", "custom")] == [
        (part.id, part.raw_arguments, part.kind) for part in parts_of(found)
    ]


def test_reasoning_summaries() -> None:
    """Summaries are parted by an empty line, and the encrypted content is that of the finished item."""
    begun = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "incomplete"}
    texts = [{"type": "summary_text", "text": "ab"}, {"type": "summary_text", "text": "c"}]
    final = {**begun, "summary": texts, "encrypted_content": "whole"}

    def thought(delta: str, place: int) -> dict[str, Any]:
        return event("reasoning_summary_text.delta", summary_index=place, delta=delta)

    found = streamed(
        CREATED,
        added(begun),
        event("reasoning_summary_part.added", summary_index=0, part={"type": "summary_text", "text": ""}),
        thought("a", 0),
        thought("b", 0),
        thought("", 1),
        thought("c", 1),
        done(final),
        completed({**final, "encrypted_content": "another", "id": "rs_2"}),
    )
    assert [PartStart(0, Reasoning(id="rs_1", origin=ORIGIN)), ReasoningDelta("a", 0), ReasoningDelta("b", 0)] == found[
        1:4
    ]
    assert ReasoningDelta("\n\nc", 0) == found[4]
    (part,) = parts_of(found)
    assert ("ab\n\nc", "whole", "rs_1") == (part.text, part.encrypted, part.id)


def test_reasoning_content() -> None:
    """Open models stream their reasoning itself; what speaks first is what is shown."""
    final = {
        "type": "reasoning",
        "id": "r",
        "summary": [{"text": "s"}],
        "content": [{"type": "reasoning_text", "text": "x"}],
    }
    found = streamed(
        CREATED,
        added({"type": "reasoning", "id": "r", "summary": []}),
        event("reasoning_text.delta", content_index=0, delta="x"),
        event("reasoning_summary_text.delta", summary_index=0, delta="s"),
        done(final),
        completed(final),
    )
    check_grammar(found)
    (part,) = parts_of(found)
    assert ("x", {"item": final}) == (part.text, part.extra)


def test_a_refusal() -> None:
    """A refusal is a part without deltas, and the reason of the end."""
    found = streamed(
        CREATED,
        added({**HEAD, "content": []}),
        event("content_part.added", content_index=0, part={"type": "refusal", "refusal": ""}),
        event("refusal.delta", content_index=0, delta="n"),
        event("refusal.delta", content_index=0, delta="o"),
        done(message({"type": "refusal", "refusal": "no"})),
        completed(),
    )
    assert PartStart(0, Refusal("", origin=ORIGIN)) == found[1]
    (part,) = parts_of(found)
    assert ("no", "msg_1") == (part.text, part.extra["item"]["id"])
    assert "refusal" == getattr(found[-1], "finish_reason", None)


def test_a_refusal_that_was_cut_or_never_streamed() -> None:
    """Without its end a refusal is what was streamed; without deltas it is what its end says."""
    found = streamed(
        CREATED,
        added({**HEAD, "content": []}),
        event("refusal.delta", content_index=0, delta="no"),
        done(message({"type": "refusal", "refusal": "never"}, id="m2"), 1),
        completed(),
    )
    check_grammar(found)
    assert ["never", "no"] == sorted(part.text for part in parts_of(found))


def test_several_messages() -> None:
    """Commentary and answer are parts of their own, and a message may hold several."""
    first = message(text("a"), text("b"), {"type": "output_hologram"}, phase="commentary")
    second = message(text("c"), id="msg_2", phase="final_answer")
    found = streamed(
        CREATED,
        added({**HEAD, "content": []}),
        said("a"),
        said("b", place=1),
        done(first),
        added({**HEAD, "id": "msg_2", "content": []}, 1),
        said("c", at=1),
        done(second, 1),
        completed(first, second),
    )
    check_grammar(found)
    parts = parts_of(found)
    assert ["a", "b", "output_hologram", "c"] == [getattr(part, "text", None) or part.type for part in parts]
    assert [first, second] == body([reply_of(found).message])["input"]


def test_hosted_tools_come_whole() -> None:
    """A hosted tool keeps its place and is whole at its end; its progress says nothing."""
    begun = {"type": "web_search_call", "id": "ws_1", "status": "in_progress"}
    final = {**begun, "status": "completed", "action": {"type": "search", "query": "q"}}
    found = streamed(
        CREATED,
        added(begun),
        event("web_search_call.searching", item_id="ws_1"),
        event("something.new", item_id="ws_1"),
        done(final),
        done({"type": "compaction", "id": "c"}, 1),
        completed(),
    )
    check_grammar(found)
    search, compaction = parts_of(found)
    assert isinstance(search, ProviderToolCall)
    assert (final, '{"type":"search","query":"q"}') == (search.raw, search.raw_arguments)
    assert Unknown(type="compaction", raw={"type": "compaction", "id": "c"}, origin=ORIGIN) == compaction


def test_a_tool_with_a_form_of_its_own() -> None:
    """What the caller must run starts early and brings its arguments at its end."""
    begun = {"type": "local_shell_call", "id": "lsh", "call_id": "c1", "action": {"command": []}}
    final = {**begun, "action": {"command": ["ls"]}, "status": "completed"}
    found = streamed(CREATED, added(begun), done(final), completed(final))
    check_grammar(found)
    (call,) = parts_of(found)
    assert ("c1", "local_shell", {"action": {"command": ["ls"]}}) == (call.id, call.name, call.arguments)


def test_a_custom_call_that_the_host_ran() -> None:
    """The input of a host's own search is no argument of a call for the caller."""
    item = {"type": "custom_tool_call", "id": "ct", "call_id": "xs_call_1", "name": "x_search", "input": ""}
    found = play(
        [
            sse(
                CREATED,
                added(item),
                event("custom_tool_call_input.delta", item_id="ct", delta="{}"),
                done({**item, "input": "{}"}),
                completed(),
            )
        ],
        XAI,
    )
    check_grammar(found)
    (part,) = parts_of(found)
    assert (ProviderToolCall, "{}") == (type(part), part.raw_arguments)


def test_what_deltas_left_out_is_streamed_at_the_end() -> None:
    """An item that came without deltas, or with too few, brings its text at its end."""
    call = {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}"}
    thought = {"type": "reasoning", "id": "r", "summary": [{"text": "hm"}]}
    found = streamed(
        CREATED,
        added({**HEAD, "content": []}),
        said("a"),
        done(message(text("ab"))),
        done(call, 1),
        done(thought, 2),
        completed(),
    )
    check_grammar(found)
    assert ["ab", "{}", "hm"] == [getattr(part, "raw_arguments", None) or part.text for part in parts_of(found)]
    assert [TextDelta("a", 0), TextDelta("b", 0)] == [one for one in found if isinstance(one, TextDelta)]


def test_what_was_streamed_is_the_text() -> None:
    """Where the whole item contradicts the deltas, the part is what was shown."""
    call = {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": ""}
    found = streamed(
        CREATED,
        added({**HEAD, "content": []}),
        said("a"),
        said("x", place=1),
        said("y", place=2),
        done(message(text("b"), {"type": "refusal", "refusal": "z"}, phase="final_answer")),
        added(call, 1),
        event("function_call_arguments.delta", output_index=1, delta="{1}"),
        done({**call, "arguments": "{2}"}, 1),
        added(call, 2),
        done({"type": "message"}, 2),
        added({"type": "reasoning"}, 3),
        event("reasoning_text.delta", output_index=3, delta="p"),
        done({"type": "reasoning", "content": [{"text": "q"}]}, 3),
        completed(),
    )
    check_grammar(found)
    assert ["a", "x", "y", "z", "{1}", "", "p"] == [
        getattr(part, "raw_arguments", part) if isinstance(part, ToolCall) else part.text for part in parts_of(found)
    ]


def test_the_terminal_event_fills_gaps() -> None:
    """Items that never ended or never began are taken from the whole response; without it, from the stream."""
    listed = {"type": "mcp_list_tools", "id": "m", "tools": []}
    final = {**listed, "tools": [{"name": "t"}]}
    found = streamed(
        CREATED,
        added(listed),
        added({**HEAD, "content": []}, 1),
        said("a", at=1),
        event("output_text.annotation.added", output_index=1, content_index=0, annotation={"type": "x", "url": "u"}),
        added({**HEAD, "id": "msg_3", "content": []}, 3),
        completed(final, "odd", message(text("b"), id="msg_2")),
    )
    check_grammar(found)
    tools, first, later, silent = parts_of(found)
    assert (final, "a", "b", "message") == (tools.raw, first.text, later.text, silent.type)
    assert ["u"] == [citation.url for citation in first.citations]


def test_items_without_a_place() -> None:
    """Without an output index events go by the item's id; an item that was never announced begins with its delta."""
    found = streamed(
        {"type": "response.output_item.added", "item": {**HEAD, "content": []}},
        {"type": "response.output_text.delta", "item_id": "msg_1", "delta": "a"},
        {"type": "response.output_text.delta", "item_id": "msg_1", "delta": "b"},
        {"type": "response.output_item.done", "item": message(text("ab"))},
        {"type": "response.function_call_arguments.delta", "output_index": 5, "item_id": "fc", "delta": "{}"},
        {"type": "response.reasoning_text.delta", "output_index": 6, "delta": "hm"},
        {"type": "response.output_text.delta", "output_index": 7, "delta": "c"},
        completed(message(text("ab"))),
    )
    check_grammar(found)
    assert ["ab", "{}", "hm", "c"] == [getattr(part, "raw_arguments", None) or part.text for part in parts_of(found)]


def test_an_item_announced_twice() -> None:
    """A place that is used again ends what was there before."""
    found = streamed(
        CREATED, added({**HEAD, "content": []}), said("a"), added({**HEAD, "id": "m2"}), said("b"), completed()
    )
    check_grammar(found)
    assert ["a", "b"] == [part.text for part in parts_of(found)]


@pytest.mark.parametrize(
    ("terminal", "expected"),
    [
        (completed(), ("stop", "completed")),
        ({"type": "response.completed"}, ("stop", "completed")),
        (
            {
                "type": "response.incomplete",
                "response": {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            },
            ("length", "max_output_tokens"),
        ),
        ({"type": "response.incomplete", "response": None}, ("other", "incomplete")),
    ],
)
def test_ends(terminal: dict[str, Any], expected: tuple[str, str]) -> None:
    """The terminal event tells the reason; what follows, ``[DONE]`` included, is not read."""
    found = streamed(CREATED, added({**HEAD}), said("a"), terminal, "data: [DONE]\n\n", "data: rubbish\n\n")
    end = found[-1]
    assert isinstance(end, ResponseEnd)
    assert (*expected, UNKNOWN_USAGE) == (end.finish_reason, end.raw_finish_reason, end.usage)


def test_an_end_without_a_beginning() -> None:
    """A stream that is its terminal event alone is whole."""
    found = streamed(completed(message(text("a"))))
    check_grammar(found)
    assert ("resp_1", "m-1", "a") == (*[getattr(found[0], name) for name in ("id", "model")], reply_of(found).text)


def test_done_is_not_the_end() -> None:
    """``[DONE]`` and a closed connection without the terminal event are a truncated stream."""
    decoder = OpenAIResponses().decoder({"x-request-id": "req_1"}, here())
    frames = [Frame("", b" " + json.dumps(CREATED).encode()), Frame("", b" [DONE]"), Frame("", b" ")]
    assert [ResponseStart(id="resp_1", model="m-1")] == decoder.feed(frames)
    assert (False, "req_1") == (decoder.done, decoder.request_id)
    with pytest.raises(StreamTruncatedError, match=r"without response\.completed") as caught:
        decoder.close()
    assert ("openai", "m", "req_1") == (caught.value.provider, caught.value.model, caught.value.request_id)


def test_after_the_end() -> None:
    """After the terminal event the decoder is done, and closing it is nothing."""
    decoder = OpenAIResponses().decoder({"x-ratelimit-remaining-tokens": "7"}, here())
    decoder.feed([Frame("", json.dumps(completed()).encode())])
    assert (True, [], []) == (decoder.done, decoder.feed([Frame("", b"{}")]), decoder.close())
    assert 7 == getattr(decoder.rate_limits, "tokens_remaining", None)


@pytest.mark.parametrize(
    ("wire", "kind", "words"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "slow"}, RateLimitError, "slow"),
        ({"type": "error", "error": {"code": "server_error", "message": "oh"}}, ServerError, "oh"),
        ({"error": {"message": "upstream", "code": 502}}, ServerError, "upstream"),
        ({"type": "error"}, ServerError, "the provider reported an error in the stream"),
        (
            {"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "slow"}}},
            RateLimitError,
            "slow",
        ),
        ({"type": "response.failed", "response": None}, ServerError, "and not why"),
        ({"type": "response.completed", "response": {"status": "failed"}}, ServerError, "and not why"),
    ],
)
def test_errors_in_the_stream(wire: dict[str, Any], kind: type[AsyncLLMError], words: str) -> None:
    """An error is raised by its code, and what was decoded before it is not lost."""
    frames = [Frame("", json.dumps(one).encode()) for one in (CREATED, added({**HEAD}), said("a"), wire)]
    with pytest.raises(kind, match=words) as caught:
        OpenAIResponses().decoder({"x-request-id": "req_1"}, here()).feed(frames)
    assert TextDelta("a", 0) in caught.value.__dict__["events"]
    assert ("openai", "m", "req_1") == (caught.value.provider, caught.value.model, caught.value.request_id)


def test_an_event_named_error() -> None:
    """The name of a frame alone may say that it is an error."""
    with pytest.raises(ServerError, match="boom"):
        OpenAIResponses().decoder({}, here()).feed([Frame("error", b'{"message": "boom"}')])


def test_nothing_but_a_filter() -> None:
    """A stream that a content filter left empty is an error."""
    with pytest.raises(ContentBlockedError):
        streamed(
            CREATED, {"type": "response.incomplete", "response": {"incomplete_details": {"reason": "content_filter"}}}
        )


@pytest.mark.parametrize(
    "wire",
    [
        ["data: [1]\n\n"],
        ["data: {\n\n"],
        [said("a"), {**said("b"), "delta": 1}],
        [added({"type": "reasoning"}), said("a")],
        [done(message(text("a"))), said("b")],
        [said("a"), event("refusal.delta", content_index=0, delta="b")],
        [added({**HEAD}), event("function_call_arguments.delta", delta="b")],
        [added({**HEAD}), event("reasoning_text.delta", delta="b")],
    ],
)
def test_what_is_not_of_this_protocol(wire: list[Any]) -> None:
    """Events that fit nothing, or lack what they need, are protocol errors."""
    with pytest.raises(ProtocolError) as caught:
        streamed(CREATED, *wire)
    assert ("openai", "m") == (caught.value.provider, caught.value.model)


def recorded_streams() -> list[dict[str, Any]]:
    """Every recorded stream, but for the two that are none."""
    found = exchanges(status=200, response_kind="sse")
    assert 84 == len(found)
    return [exchange for exchange in found if exchange["id"] not in NO_STREAMS]


NO_STREAMS = {
    "openai-responses-110b6ff3b7": (ProtocolError, "chunks of chat completions"),
    "openai-responses-c5cee170b3": (ServerError, "an error event, then response.failed"),
}


def test_every_recorded_stream_decodes() -> None:
    """Every recorded stream of eight hosts follows the grammar, ends and counts its tokens."""
    reasons: Counter[str] = Counter()
    for exchange in recorded_streams():
        found = play([body_of(exchange)], protocol_of(exchange))
        check_grammar(found)
        reply = reply_of(found)
        assert "".join([one.text for one in found]) == reply.text
        assert ("provider", True) == (reply.usage.source, reply.model != "")
        reasons[reply.finish_reason] += 1
    assert {"stop": 53, "tool_calls": 24, "length": 4, "refusal": 1} == reasons


def test_recorded_streams_that_are_errors() -> None:
    """A stream of another protocol, and one that failed, raise what they are."""
    for exchange in exchanges(status=200, response_kind="sse"):
        if exchange["id"] in NO_STREAMS:
            with pytest.raises(NO_STREAMS[exchange["id"]][0]):
                play([body_of(exchange)])


def wire_events(exchange: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a recorded stream, read without the codec."""
    frames = SSEFramer().feed(body_of(exchange))
    return [json.loads(frame.data) for frame in frames if not frame.data.startswith(b"[DONE]")]


def as_one_body(exchange: dict[str, Any]) -> dict[str, Any]:
    """The body that a unary call would have had: the terminal event's, with the items as they ended."""
    events = wire_events(exchange)
    items = {one["output_index"]: one["item"] for one in events if one["type"] == "response.output_item.done"}
    response: dict[str, Any] = next(one["response"] for one in events if one["type"] in ENDS)
    for at, item in enumerate(response["output"]):
        items.setdefault(at, item)
    return {**response, "output": [items[at] for at in sorted(items)]}


ENDS = ("response.completed", "response.incomplete")


def test_a_stream_and_its_unary_twin_agree() -> None:
    """What a stream adds up to is what the whole body says, for every recorded stream."""
    for exchange in recorded_streams():
        answer = json.dumps(as_one_body(exchange)).encode()
        twin = protocol_of(exchange).decode(200, {}, answer, here())
        reply = reply_of(play([body_of(exchange)], protocol_of(exchange)))
        assert (twin.message, twin.finish_reason, twin.raw_finish_reason, twin.usage) == (
            reply.message,
            reply.finish_reason,
            reply.raw_finish_reason,
            reply.usage,
        )


def test_streamed_items_go_back_as_they_came() -> None:
    """Streamed and written again, the items are those of the wire: ids, arguments, encrypted content, order."""
    for exchange in recorded_streams():
        output = as_one_body(exchange)["output"]
        for content in [content for item in output for content in item.get("content") or []]:
            if content["type"] == "output_text":
                content.setdefault("annotations", [])
        reply = reply_of(play([body_of(exchange)], protocol_of(exchange)))
        assert output == body([reply.message], extra_body={"store": True})["input"]


@pytest.mark.slow
def test_recorded_streams_cut_anywhere() -> None:
    """Bytes that arrive in two pieces mean the same, wherever they are cut (200 places of the long ones)."""
    chance = random.Random(7)
    for exchange in recorded_streams():
        content, protocol = body_of(exchange), protocol_of(exchange)
        if len(content) > 30_000:
            content = shortened(content)
        whole_events = play([content], protocol)
        for at in chance.sample(range(1, len(content)), 200):
            assert whole_events == play([content[:at], content[at:]], protocol)


def shortened(content: bytes) -> bytes:
    """A long stream without most of its text deltas, which are all alike."""
    frames = content.replace(b"\r\n", b"\n").split(b"\n\n")
    kept, deltas = [], 0
    for frame in frames:
        deltas += b"output_text.delta" in frame
        if b"output_text.delta" not in frame or deltas <= 20:
            kept.append(frame)
    return b"\n\n".join(kept)


def test_a_stream_byte_by_byte() -> None:
    """One byte at a time means the same as all at once."""
    call = {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": '{"ü":1}'}
    content = sse(
        CREATED, added({**HEAD}), said("grüß"), said(" 😀"), done(message(text("grüß 😀"))), done(call, 1), completed()
    )
    assert play([content]) == play([content[at : at + 1] for at in range(len(content))])


kinds = st.sampled_from(
    [
        *("created", "output_item.added", "output_item.done", "content_part.added", "output_text.delta", "completed"),
        *("refusal.delta", "output_text.annotation.added", "reasoning_summary_text.delta", "reasoning_text.delta"),
        *("function_call_arguments.delta", "custom_tool_call_input.delta", "incomplete", "unheard.of"),
    ]
)
items = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "reasoning", "function_call", "custom_tool_call", "shell_call", "x"])},
    optional={
        "id": st.sampled_from(["a", "b", None]),
        "content": st.lists(
            st.sampled_from([text("ab"), text("b"), {"type": "refusal", "refusal": "a"}, {}, 1]), max_size=3
        ),
        "summary": st.just([{"text": "ab"}]),
        "arguments": st.sampled_from(["", "ab", None, {"a": 1}]),
        "call_id": st.sampled_from(["c", None, 1]),
    },
)
wire = st.fixed_dictionaries(
    {"type": kinds.map(lambda kind: f"response.{kind}")},
    optional={
        "output_index": st.sampled_from([0, 1, 2, None, "0", [0]]),
        "content_index": st.sampled_from([0, 1, None, -1]),
        "item_id": st.sampled_from(["a", "b", None, 1]),
        "item": items,
        "part": st.sampled_from([text(""), {"type": "refusal"}, None]),
        "delta": st.sampled_from(["a", "b", "", None]),
        "annotation": st.sampled_from([{}, None]),
        "response": st.sampled_from([None, whole(), whole(message(text("ab"))), {"status": "failed"}, {"output": [1]}]),
    },
)


@given(st.lists(wire, max_size=12))
def test_any_events_are_read_or_refused(events: list[dict[str, Any]]) -> None:
    """Whatever the order and the fields, a stream ends by its grammar or with an error of ours."""
    try:
        found = streamed(*events)
    except AsyncLLMError:
        return
    check_grammar(found)
    assert replace(reply_of(found), warnings=()).message.role == "assistant"
