"""What the Messages codec reads from a stream."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm._framing.framer import Frame
from asyncllm._framing.sse import SSEFramer
from asyncllm._protocols.anthropic import AnthropicDialect, AnthropicMessages
from asyncllm._protocols.anthropic.stream import AnthropicStreamDecoder
from asyncllm._schema.accumulate import Accumulator
from asyncllm._schema.content import (
    Citation,
    Origin,
    ProviderToolCall,
    ProviderToolResult,
    Reasoning,
    Text,
    ToolCall,
    Unknown,
)
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
from asyncllm._schema.response import Response
from asyncllm._schema.usage import Usage
from asyncllm.errors import (
    AsyncLLMError,
    ContentBlockedError,
    OverloadedError,
    ProtocolError,
    RateLimitError,
    ServerError,
    StreamTruncatedError,
)
from recordings import body_of, context, headers_of, recorded

OURS = Origin("anthropic", "anthropic")
FILES = ("anthropic", "azure", "vertex-anthropic")
START = {
    "type": "message_start",
    "message": {"id": "msg_1", "model": "claude-x-1", "content": [], "usage": {"input_tokens": 5, "output_tokens": 1}},
}
STOP = {"type": "message_stop"}


def ended(reason: str | None = "end_turn", **usage: Any) -> list[dict[str, Any]]:
    """The end of a message."""
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [{"type": "message_delta", "delta": delta, "usage": {"output_tokens": 9, **usage}}, STOP]


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    """One block from its start to its stop."""
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def said(*words: str) -> list[dict[str, Any]]:
    """A text block."""
    return block(0, {"type": "text", "text": ""}, *({"type": "text_delta", "text": word} for word in words))


def decoder(headers: dict[str, str] | None = None, dialect: AnthropicDialect | None = None) -> AnthropicStreamDecoder:
    """A decoder for one stream."""
    protocol = AnthropicMessages(dialect or AnthropicDialect())
    return protocol.decoder(headers or {}, context("anthropic", "anthropic", "claude-x"))


def frames(*wire: Any) -> list[Frame]:
    """These events as frames without names."""
    return [Frame("", json.dumps(event).encode()) for event in wire]


def events(*wire: Any) -> list[Event]:
    """What a whole stream decodes to."""
    reader = decoder()
    found = reader.feed(frames(*wire))
    return [*found, *reader.close()]


def response(found: list[Event]) -> Response:
    """The reply these events make."""
    gathered = Accumulator()
    gathered.feed(found)
    return gathered.response()


def read(exchange: dict[str, Any], *cuts: int) -> list[Event]:
    """What a recorded stream decodes to, its bytes cut at these places."""
    body = body_of(exchange)
    framer, reader = SSEFramer(), decoder(headers_of(exchange))
    places = [0, *cuts, len(body)]
    found: list[Event] = []
    for begin, end in pairwise(places):
        found += reader.feed(framer.feed(body[begin:end]))
    found += reader.feed(framer.close())
    return [*found, *reader.close()]


def check_grammar(found: list[Event]) -> None:
    """Asserts that events follow the grammar: a start, parts that end, an end."""
    assert isinstance(found[0], ResponseStart)
    assert isinstance(found[-1], ResponseEnd)
    alive: set[int] = set()
    begun = 0
    for event in found[1:-1]:
        if isinstance(event, PartStart):
            assert begun == event.index
            begun += 1
            alive.add(event.index)
        elif isinstance(event, PartEnd):
            alive.remove(event.index)
        else:
            assert event.index in alive  # type: ignore[union-attr]
    assert not alive


def test_a_plain_stream() -> None:
    """Text comes delta by delta, and the end says why and what it cost."""
    assert [
        ResponseStart(id="msg_1", model="claude-x-1"),
        PartStart(0, Text("", origin=OURS)),
        TextDelta("Hel", 0),
        TextDelta("lo", 0),
        PartEnd(0, Text("Hello", origin=OURS)),
        ResponseEnd("stop", raw_finish_reason="end_turn", usage=Usage(input_tokens=5, output_tokens=9)),
    ] == events(START, {"type": "ping"}, *said("Hel", "", "lo"), {"type": "new_event", "x": 1}, *ended())


def test_thinking_and_its_signature() -> None:
    """Thinking streams, its signature is assigned and not appended, and encrypted thinking comes whole."""
    found = events(
        START,
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "hm"},
            {"type": "signature_delta", "signature": "first"},
            {"type": "signature_delta", "signature": "sig"},
        ),
        *block(1, {"type": "redacted_thinking", "data": "blob"}),
        *ended(),
    )
    assert [
        PartStart(0, Reasoning("", origin=OURS)),
        ReasoningDelta("hm", 0),
        PartEnd(0, Reasoning("hm", signature="sig", origin=OURS)),
        PartStart(1, Reasoning(encrypted="blob", origin=OURS)),
        PartEnd(1, Reasoning(encrypted="blob", origin=OURS)),
    ] == found[1:-1]


def test_a_tool_call_in_pieces() -> None:
    """Arguments come as the model writes them, and calls make the end a call for tools."""
    tool = {"type": "tool_use", "id": "t1", "name": "f", "input": {}, "caller": {"type": "direct"}}
    pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", '{"a":', " 1}")]
    found = events(START, *block(0, tool, *pieces), *ended("tool_use"))
    extra = {"caller": {"type": "direct"}}
    assert [
        PartStart(0, ToolCall("t1", "f", raw_arguments="", origin=OURS, extra=extra)),
        ToolCallDelta('{"a":', 0),
        ToolCallDelta(" 1}", 0),
        PartEnd(0, ToolCall("t1", "f", raw_arguments='{"a": 1}', origin=OURS, extra=extra)),
    ] == found[1:-1]
    assert "tool_calls" == response(found).finish_reason


def test_a_tool_call_that_starts_whole() -> None:
    """Input that comes with the start becomes one delta; no input at all is an empty text."""
    whole = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
    none = {"type": "tool_use", "id": "t2", "name": "g", "input": {}}
    found = events(START, *block(0, whole), *block(1, none, {"type": "input_json_delta", "partial_json": ""}), *ended())
    assert [ToolCallDelta('{"a":1}', 0)] == [event for event in found if isinstance(event, ToolCallDelta)]
    assert [{"a": 1}, {}] == [call.arguments for call in response(found).tool_calls]


def test_a_tool_call_without_an_id_gets_one() -> None:
    """The id made at the start is the one at the end."""
    found = events(START, *block(0, {"type": "tool_use", "name": "f", "input": {}}), *ended())
    assert ["toolu_1", "toolu_1"] == [event.part.id for event in found[1:-1]]  # type: ignore[union-attr]


def test_what_the_provider_ran() -> None:
    """A call of a server tool gathers its input in the raw block; its result comes whole and knows its name."""
    call = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
    result = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"encrypted_content": "x"}]}
    found = events(
        START,
        *block(0, call, {"type": "input_json_delta", "partial_json": '{"query": "q"}'}),
        *block(1, result),
        *block(2, {**call, "id": "s2"}, {"type": "input_json_delta", "partial_json": "{"}),
        *ended(),
    )
    assert (
        ProviderToolCall(
            id="s1",
            name="web_search",
            raw_arguments='{"query": "q"}',
            raw={**call, "input": {"query": "q"}},
            origin=OURS,
        ),
        ProviderToolResult(call_id="s1", name="web_search", raw=result, origin=OURS),
        ProviderToolCall(
            id="s2",
            name="web_search",
            raw_arguments="{",
            raw={**call, "id": "s2", "input": {"INVALID_JSON": "{"}},
            origin=OURS,
        ),
    ) == response(found).message.content
    assert "stop" == response(found).finish_reason


def test_citations_are_collected() -> None:
    """Citations come between the text's deltas and stand in the finished part."""
    raw = {"type": "page_location", "cited_text": "c", "start_page_number": 1, "end_page_number": 2}
    start = {"type": "text", "text": "A", "citations": None}
    deltas = [{"type": "citations_delta", "citation": raw}, {"type": "text_delta", "text": "b"}]
    found = events(START, *block(0, start, *deltas), *ended())
    assert [PartStart(0, Text("", origin=OURS)), TextDelta("A", 0), TextDelta("b", 0)] == found[1:4]
    cited = Citation(cited_text="c", start=1, end=2, raw=raw)
    assert (Text("Ab", citations=(cited,), origin=OURS),) == response(found).message.content


def test_deltas_of_unknown_types_are_merged() -> None:
    """What a delta brings is kept under its field: text appended, anything else replaced."""
    found = events(
        START,
        *block(
            0,
            {"type": "compaction", "content": None},
            {"type": "compaction_delta", "content": "sum"},
            {"type": "compaction_delta", "content": "mary"},
        ),
        *block(1, {"type": "text", "text": ""}, {"type": "mood_delta", "mood": ["calm"]}),
        *ended(),
    )
    assert (
        Unknown(type="compaction", raw={"type": "compaction", "content": "summary"}, origin=OURS),
        Text("", origin=OURS, extra={"mood": ["calm"]}),
    ) == response(found).message.content


def test_blocks_may_overlap() -> None:
    """Parts are numbered as they start, whatever the wire calls them, and open ones are ended at the end."""
    tool = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    first, second = block(7, {"type": "text", "text": ""}), block(3, tool)
    found = events(
        START,
        first[0],
        second[0],
        {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
        {"type": "content_block_delta", "index": 7, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "content_block_stop", "index": 99},
        second[-1],
        *ended(),
    )
    check_grammar(found)
    assert [ToolCallDelta("{}", 1), TextDelta("a", 0)] == found[3:5]


def test_a_block_that_starts_again_ends_first() -> None:
    """A server that leaves out the stop of a block is understood."""
    found = events(START, *said("a")[:-1], *said("b"), *ended())
    check_grammar(found)
    assert "ab" == response(found).text


def test_content_in_the_first_event() -> None:
    """A message that begins with blocks in it loses none."""
    begun = {"type": "message_start", "message": {**START["message"], "content": [{"type": "text", "text": "a"}]}}  # type: ignore[dict-item]
    found = events(begun, *ended())
    check_grammar(found)
    assert "a" == response(found).text


def test_usage_is_overwritten_by_what_is_not_null() -> None:
    """The last word on usage is cumulative; what it leaves out or null stays as it was."""
    head = {"input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 1, "service_tier": "standard"}
    start = {"type": "message_start", "message": {"usage": head}}
    end = ended(input_tokens=6, cache_read_input_tokens=None, output_tokens_details={"thinking_tokens": 2})
    reader = decoder()
    first, *_ = reader.feed(frames(start))
    assert ResponseStart(id=None, model="claude-x") == first
    assert Usage(input_tokens=12, cache_read_tokens=7, service_tier="standard") == reader.usage
    (last,) = reader.feed(frames(*end))
    assert isinstance(last, ResponseEnd)
    assert Usage(
        input_tokens=13, output_tokens=9, cache_read_tokens=7, reasoning_tokens=2, service_tier="standard"
    ) == (last.usage)


def test_an_end_without_a_reason() -> None:
    """A message that ends without its delta ended for an unknown reason, with an unknown output."""
    end = events(START, *said("a"), STOP)[-1]
    assert ResponseEnd("other", usage=Usage(input_tokens=5)) == end


def test_a_stop_sequence_is_told() -> None:
    """The sequence that ended the reply is on the end."""
    delta = {"type": "message_delta", "delta": {"stop_reason": "stop_sequence", "stop_sequence": "END"}}
    end = events(START, *said("a"), delta, STOP)[-1]
    assert isinstance(end, ResponseEnd)
    assert ("stop", "END") == (end.finish_reason, end.stop_sequence)


def test_nothing_is_read_after_the_end() -> None:
    """What follows message_stop is not part of the answer, be it another message or no JSON."""
    reader = decoder()
    found = reader.feed([*frames(START, *said("a"), *ended(), START), Frame("", b"[DONE]")])
    assert (True, [], []) == (reader.done, reader.feed([Frame("", b"[DONE]")]), reader.close())
    assert 1 == sum(isinstance(event, ResponseStart) for event in found)


def test_a_cut_stream_is_truncated() -> None:
    """Bytes that end before message_stop are no success."""
    reader = decoder({"request-id": "req_1"})
    reader.feed(frames(START, *said("a"), ended()[0]))
    assert reader.done is False
    with pytest.raises(StreamTruncatedError, match="without message_stop") as caught:
        reader.close()
    assert ("anthropic", "req_1") == (caught.value.provider, caught.value.request_id)


def test_an_error_event() -> None:
    """An error in the stream is classified, and what was decoded before it is not lost."""
    failure = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_e"}
    with pytest.raises(OverloadedError, match="Overloaded") as caught:
        decoder().feed(frames(START, *said("a"), failure))
    assert ("req_e", "overloaded_error", None) == (caught.value.request_id, caught.value.code, caught.value.status)
    assert TextDelta("a", 0) in caught.value.__dict__["events"]


def test_an_error_without_a_type() -> None:
    """A gateway's bare error object is an error as well."""
    with pytest.raises(ServerError, match="upstream"):
        decoder().feed(frames({"error": {"message": "upstream"}}))


def test_an_exception_frame() -> None:
    """A frame that its framing marks as a failure is classified by its name."""
    dialect = AnthropicDialect(codes={"throttlingexception": RateLimitError})
    for data in (b'{"message": "slow"}', b"slow"):
        with pytest.raises(RateLimitError, match="slow"):
            decoder(dialect=dialect).feed([Frame("throttlingException", data, "exception")])


def test_a_refusal_that_says_nothing_is_an_error() -> None:
    """Nothing at all came, so there is no reply to give."""
    delta = {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": {"category": "bio"}}}
    with pytest.raises(ContentBlockedError, match="bio"):
        events(START, delta, STOP)


def test_what_the_headers_say() -> None:
    """The request's id and the limits are known from the start."""
    reader = decoder({"request-id": "req_1", "anthropic-ratelimit-requests-remaining": "3"})
    assert ("req_1", 3) == (reader.request_id, reader.rate_limits and reader.rate_limits.requests_remaining)


@pytest.mark.parametrize(
    "wire",
    [
        [[1]],
        [STOP],
        [START, START],
        [*said("a")],
        [START, {"type": "content_block_start", "index": "0", "content_block": {}}],
        [START, {"type": "content_block_start", "index": 0, "content_block": None}],
        [START, {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}],
        [START, *block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": 1})],
        [START, *block(0, {"type": "text", "text": ""}, {"type": "thinking_delta", "thinking": "a"})],
        [START, said("a")[0], {"type": "content_block_delta", "index": 0, "delta": "a"}],
    ],
)
def test_what_is_not_of_this_protocol(wire: list[Any]) -> None:
    """Events out of place or without what they need are protocol errors."""
    with pytest.raises(ProtocolError) as caught:
        decoder().feed(frames(*wire))
    assert ("anthropic", "claude-x") == (caught.value.provider, caught.value.model)


def test_a_frame_that_is_no_json() -> None:
    """An event of broken JSON is a protocol error that keeps what came before; data that is no JSON says nothing."""
    with pytest.raises(ProtocolError) as caught:
        decoder().feed([*frames(START), Frame("", b'{"type":')])
    assert 1 == len(caught.value.events)
    assert 1 == len(decoder().feed([*frames(START), Frame("ping", b""), Frame("", b": keepalive")]))


def recorded_streams() -> list[dict[str, Any]]:
    return recorded(*FILES, protocol="anthropic-messages", response_kind="sse", status=200)


def first_message(exchange: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of a recorded stream up to its first end, read without the codec."""
    for line in body_of(exchange).decode().splitlines():
        if line.startswith("data:"):
            event = json.loads(line[5:])
            yield event
            if event["type"] == "message_stop":
                return


def as_one_body(exchange: dict[str, Any]) -> dict[str, Any]:
    """The body that a unary call would have had, put together without the codec."""
    body: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    texts: dict[int, str] = {}
    for event in first_message(exchange):
        kind, index = event["type"], event.get("index", -1)
        if kind == "message_start":
            body = dict(event["message"])
            body["usage"] = {key: value for key, value in body["usage"].items() if key != "output_tokens"}
        elif kind == "content_block_start":
            blocks[index] = dict(event["content_block"])
        elif kind == "content_block_delta":
            delta = event["delta"]
            if "citation" in delta:
                blocks[index]["citations"] = [*(blocks[index].get("citations") or []), delta["citation"]]
            elif "partial_json" in delta:
                texts[index] = texts.get(index, "") + delta["partial_json"]
            elif "signature" in delta:
                blocks[index]["signature"] = delta["signature"]
            else:
                (field,) = set(delta) - {"type"}
                blocks[index][field] += delta[field]
        elif kind == "message_delta":
            body.update(event["delta"])
            body["usage"].update({key: value for key, value in event["usage"].items() if value is not None})
    for index, text in texts.items():
        if text:
            blocks[index]["input"] = json.loads(text)
    return {**body, "content": list(blocks.values())}


def test_every_recorded_stream_decodes() -> None:
    """Real streams of three hosts follow the grammar and end as they should."""
    streams = recorded_streams()
    assert 52 == len(streams)
    for exchange in streams:
        found = read(exchange)
        check_grammar(found)
        assert "".join(str(event) for event in found) == response(found).text
        assert "other" != response(found).finish_reason


def test_a_stream_and_its_unary_twin_agree() -> None:
    """Every recorded stream decodes to what the same message decodes to in one body."""
    for exchange in recorded_streams():
        streamed = response(read(exchange))
        body = json.dumps(as_one_body(exchange)).encode()
        whole = AnthropicMessages().decode(200, {}, body, context("anthropic", "anthropic", "claude-x"))
        assert [plain(part) for part in whole.message.content] == [plain(part) for part in streamed.message.content]
        assert (whole.usage, whole.finish_reason, whole.id, whole.model) == (
            streamed.usage,
            streamed.finish_reason,
            streamed.id,
            streamed.model,
        )


def plain(part: Any) -> Any:
    """A part, its arguments read: their spelling is the model's in a stream and ours in a body."""
    if isinstance(part, ToolCall):
        return part.id, part.name, part.arguments, part.extra
    if isinstance(part, ProviderToolCall):
        return part.id, part.name, part.arguments, part.raw
    return part


@pytest.mark.slow
def test_every_cut_gives_the_same_events() -> None:
    """Wherever the network cuts a stream in two, the events are the same."""
    chance = random.Random(7)  # cuts, not secrets
    for exchange in recorded_streams():
        size = len(body_of(exchange))
        places = range(size) if size <= 3000 else sorted(chance.sample(range(size), 200))
        whole = read(exchange)
        for place in places:
            assert whole == read(exchange, place)


def test_byte_by_byte() -> None:
    """A stream that arrives in single bytes is the same stream."""
    exchange = min(recorded_streams(), key=lambda found: len(body_of(found)))
    assert read(exchange) == read(exchange, *range(1, len(body_of(exchange))))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
BLOCKS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "thinking", "tool_use", "server_tool_use", "x_tool_result", "new"])},
    optional={"text": JSON, "thinking": JSON, "id": JSON, "name": JSON, "input": JSON, "citations": JSON},
)
DELTAS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text_delta", "thinking_delta", "input_json_delta", "citations_delta", "new_delta"])},
    optional={"text": JSON, "thinking": JSON, "partial_json": JSON, "citation": JSON, "input": JSON},
)
EVENTS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"]
        )
    },
    optional={
        "index": st.integers(0, 2) | JSON,
        "content_block": BLOCKS | JSON,
        "delta": DELTAS | JSON,
        "usage": JSON,
    },
)


@given(st.lists(EVENTS | JSON, max_size=8))
def test_any_events_decode_or_are_an_error_of_ours(wire: list[Any]) -> None:
    """Arbitrary events raise nothing but the library's own errors, and what decodes follows the grammar."""
    with suppress(AsyncLLMError):
        check_grammar(events(START, *wire, STOP))
