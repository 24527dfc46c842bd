"""What the Converse codec reads from streams."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm._framing.eventstream import EventStreamFramer
from asyncllm._framing.framer import Frame
from asyncllm._protocols.converse import Converse
from asyncllm._protocols.converse.stream import ConverseStreamDecoder
from asyncllm._protocols.wire_json import WireJSON
from asyncllm._schema.accumulate import Accumulator
from asyncllm._schema.content import (
    Citation,
    Image,
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
from asyncllm._schema.messages import Message
from asyncllm._schema.request import Request
from asyncllm._schema.response import Response
from asyncllm._schema.usage import UNKNOWN_USAGE, Usage
from asyncllm.errors import (
    AsyncLLMError,
    BadRequestError,
    ContentBlockedError,
    ContextWindowExceededError,
    OverloadedError,
    ProtocolError,
    ProviderTimeoutError,
    RateLimitError,
    ServerError,
    StreamTruncatedError,
)
from recordings import body_of, context, headers_of, recorded

OURS = Origin("bedrock", "converse")
START = ("messageStart", {"role": "assistant", "p": "abc"})
METADATA = (
    "metadata",
    {"usage": {"inputTokens": 5, "outputTokens": 9, "totalTokens": 14}, "metrics": {"latencyMs": 1}, "p": "a"},
)
Wire = tuple[str, Any]


def start(index: int, **what: Any) -> Wire:
    """A block that is announced."""
    return "contentBlockStart", {"contentBlockIndex": index, "start": what}


def delta(index: int, **what: Any) -> Wire:
    """A piece of a block."""
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": what, "p": "abcdef"}


def stop(index: int) -> Wire:
    """The end of a block."""
    return "contentBlockStop", {"contentBlockIndex": index}


def ended(reason: str = "end_turn", **more: Any) -> list[Wire]:
    """The end of a message."""
    return [("messageStop", {"stopReason": reason, **more}), METADATA]


def decoder(headers: dict[str, str] | None = None) -> ConverseStreamDecoder:
    """A decoder for one stream."""
    return Converse().decoder(headers or {}, context("bedrock", "converse", "m"))


def frames(*wire: Wire) -> list[Frame]:
    """These events as frames."""
    return [Frame(name, json.dumps(value).encode()) for name, value in wire]


def events(*wire: Wire) -> list[Event]:
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
    data = body_of(exchange)
    framer, reader = EventStreamFramer(), decoder(headers_of(exchange))
    found: list[Event] = []
    for begin, end in pairwise([0, *cuts, len(data)]):
        found += reader.feed(framer.feed(data[begin:end]))
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
    """Text begins with its first words, and the usage comes after the end."""
    assert [
        ResponseStart(model="m"),
        PartStart(0, Text("", origin=OURS)),
        TextDelta("Hel", 0),
        TextDelta("lo", 0),
        PartEnd(0, Text("Hello", origin=OURS)),
        ResponseEnd(
            "stop", raw_finish_reason="end_turn", usage=Usage(input_tokens=5, output_tokens=9, total_tokens=14)
        ),
    ] == events(
        START,
        delta(0, text=""),
        delta(0, text="Hel"),
        ("newEvent", {"x": 1}),
        delta(0, text=""),
        delta(0, text="lo"),
        stop(0),
        *ended(),
    )


def test_reasoning_and_its_signature() -> None:
    """Reasoning streams without an announcement; signatures and blobs come in pieces."""
    assert [
        PartStart(0, Reasoning("", origin=OURS)),
        ReasoningDelta("h", 0),
        ReasoningDelta("m", 0),
        PartEnd(0, Reasoning("hm", signature="sig", origin=OURS)),
        PartStart(1, Reasoning(encrypted="", origin=OURS)),
        PartEnd(1, Reasoning(encrypted="YWI=", origin=OURS)),
    ] == events(
        START,
        delta(0, reasoningContent={"text": "h"}),
        delta(0, reasoningContent={"text": "m"}),
        delta(0, reasoningContent={"text": ""}),
        delta(0, reasoningContent={"signature": "si"}),
        delta(0, reasoningContent={"signature": "g"}),
        stop(0),
        delta(1, reasoningContent={"redactedContent": "YQ=="}),
        delta(1, reasoningContent={"redactedContent": "Yg=="}),
        stop(1),
        *ended(),
    )[1:-1]


def test_tool_calls_in_pieces() -> None:
    """Arguments come as the model writes them; parallel calls may alternate; no input at all is an empty text."""
    found = events(
        START,
        start(0, toolUse={"toolUseId": "t1", "name": "f", "type": "tool_use"}),
        start(1, toolUse={"toolUseId": "t2", "name": "g"}),
        delta(0, toolUse={"input": '{"a":'}),
        delta(1, toolUse={"input": ""}),
        delta(0, toolUse={"input": " 1}"}),
        stop(0),
        *ended("tool_use"),
    )
    check_grammar(found)
    assert [ToolCallDelta('{"a":', 0), ToolCallDelta(" 1}", 0)] == [
        event for event in found if isinstance(event, ToolCallDelta)
    ]
    assert (
        ToolCall("t1", "f", raw_arguments='{"a": 1}', origin=OURS),
        ToolCall("t2", "g", raw_arguments="", origin=OURS),
    ) == response(found).tool_calls
    assert "tool_calls" == response(found).finish_reason


def test_a_tool_call_without_an_id_gets_one() -> None:
    """The id made at the start is the one at the end."""
    found = events(START, start(0, toolUse={"name": "f"}), *ended())
    assert ["tooluse_1", "tooluse_1"] == [event.part.id for event in found[1:-1]]  # type: ignore[union-attr]


def test_tools_that_bedrock_ran() -> None:
    """Their results are gathered as a whole answer would hold them."""
    call = {"toolUseId": "s1", "name": "nova_code_interpreter", "type": "server_tool_use"}
    result = {"toolUseId": "s1", "type": "x_result", "status": "success"}
    found = response(
        events(
            START,
            start(0, toolUse=call),
            delta(0, toolUse={"input": '{"snippet":"1"}'}),
            stop(0),
            start(1, toolResult=result),
            delta(1, toolResult=[{"json": {"a": 1}}]),
            delta(1, toolResult=[{"text": "b"}]),
            delta(1, toolResult=[{"text": "c"}, {"text": "d"}]),
            stop(1),
            *ended("tool_use"),
        )
    )
    content = [{"json": {"a": 1}}, {"text": "bcd"}]
    assert (
        ProviderToolCall(
            id="s1",
            name="nova_code_interpreter",
            raw_arguments='{"snippet":"1"}',
            raw={"toolUse": {**call, "input": {"snippet": "1"}}},
            origin=OURS,
        ),
        ProviderToolResult(
            call_id="s1",
            name="nova_code_interpreter",
            raw={"toolResult": {**result, "content": content}},
            origin=OURS,
        ),
    ) == found.message.content
    assert "stop" == found.finish_reason


def test_citations_belong_to_the_text_of_their_block() -> None:
    """A citation may come before the words it is for, or after them."""
    source = {"title": "t", "location": {"documentChar": {"start": 1, "end": 2}}}
    cited = Text("So.", citations=(Citation(title="t", start=1, end=2, raw=source),), origin=OURS)
    for order in ([delta(0, citation=source), delta(0, text="So.")], [delta(0, text="So."), delta(0, citation=source)]):
        found = events(START, *order, stop(0), *ended())
        check_grammar(found)
        assert (cited,) == response(found).message.content


def test_pictures() -> None:
    """A picture comes in pieces of base64, which are one blob."""
    found = events(
        START,
        start(0, image={"format": "png"}),
        delta(0, image={"source": {"bytes": "YQ=="}}),
        delta(0, image={"source": {"bytes": "Yg=="}}),
        stop(0),
        *ended(),
    )
    assert (Image(data=b"ab", media_type="image/png", origin=OURS),) == response(found).message.content
    broken = events(
        START, delta(0, image={"source": {"bytes": "?"}}), delta(0, image={"source": {"bytes": "!"}}), *ended()
    )
    raw = {"image": {"source": {"bytes": "?!"}}}
    assert (Unknown(type="image", raw=raw, origin=OURS),) == response(broken).message.content


def test_unknown_blocks_are_gathered() -> None:
    """Pieces of a kind unknown here are merged, each as its value lets it."""
    found = events(
        START,
        start(0, new={"a": "x"}),
        delta(0, new={"a": "y", "b": {"c": [1]}}),
        delta(0, new={"b": {"c": [2]}, "d": None}),
        stop(0),
        delta(1, other="a"),
        delta(1, other="b"),
        *ended(),
    )
    check_grammar(found)
    assert [
        {"new": {"a": "xy", "b": {"c": [1, 2]}, "d": None}},
        {"other": {"delta": "ab"}},
    ] == [part.raw for part in response(found).message.content]  # type: ignore[union-attr]


def test_another_kind_under_the_same_number_is_another_part() -> None:
    """A block that changes its kind, or begins twice, becomes two parts."""
    found = events(
        START,
        delta(0, reasoningContent={"text": "hm"}),
        delta(0, text="So"),
        start(0, toolUse={"toolUseId": "t", "name": "f"}),
        *ended(),
    )
    check_grammar(found)
    assert [Reasoning, Text, ToolCall] == [type(part) for part in response(found).message.content]


def test_an_announced_text_begins_with_its_words() -> None:
    """An announcement says nothing of a text."""
    found = events(START, start(0, text=""), delta(0, text="a"), *ended())
    assert (Text("a", origin=OURS),) == response(found).message.content


def test_the_end() -> None:
    """The end knows the stop sequence where it was asked for, and metadata may come before it."""
    found = events(
        START, METADATA, ("messageStop", {"stopReason": "x", "additionalModelResponseFields": {"stop_sequence": "E"}})
    )
    usage = Usage(input_tokens=5, output_tokens=9, total_tokens=14)
    assert ResponseEnd("other", raw_finish_reason="x", stop_sequence="E", usage=usage) == found[-1]


def test_done_means_done() -> None:
    """After the metadata nothing is read any more."""
    reader = decoder({"x-amzn-requestid": "r1"})
    assert (UNKNOWN_USAGE, False) == (reader.usage, reader.done)
    reader.feed(frames(START, *ended()))
    assert (True, 14, "r1", None) == (reader.done, reader.usage.total_tokens, reader.request_id, reader.rate_limits)
    assert [] == reader.feed([Frame("x", b"no JSON")])
    assert [] == reader.close()


def test_an_end_without_metadata() -> None:
    """The reply is whole when its end was told, only its usage is unknown."""
    reader = decoder()
    reader.feed(frames(START, delta(0, text="a"), ("messageStop", {"stopReason": "end_turn"})))
    assert not reader.done
    assert [ResponseEnd("stop", raw_finish_reason="end_turn")] == reader.close()
    assert reader.done


def test_a_cut_stream() -> None:
    """Before the end was told, the end of the bytes is a failure."""
    for wire in ([], [START], [START, delta(0, text="a"), stop(0)]):
        reader = decoder({"x-amzn-requestid": "r1"})
        reader.feed(frames(*wire))
        with pytest.raises(StreamTruncatedError, match="without messageStop") as caught:
            reader.close()
        assert ("bedrock", "m", "r1") == (caught.value.provider, caught.value.model, caught.value.request_id)


@pytest.mark.parametrize(
    ("name", "message", "kind"),
    [
        ("throttlingException", "slow", RateLimitError),
        ("internalServerException", "oh", ServerError),
        ("serviceUnavailableException", "busy", OverloadedError),
        ("modelStreamErrorException", "model", ServerError),
        ("modelTimeoutException", "late", ProviderTimeoutError),
        ("validationException", "bad", BadRequestError),
        ("validationException", "Input is too long", ContextWindowExceededError),
        ("new", "odd", ServerError),
    ],
)
def test_exceptions_within(name: str, message: str, kind: type[AsyncLLMError]) -> None:
    """A failure in the stream is the error its name says, and what came before it is not lost."""
    data = json.dumps({"message": message}).encode()
    for frame_kind in ("exception", "error"):
        with pytest.raises(kind, match=message) as caught:
            decoder({"x-amzn-requestid": "r1"}).feed(
                [*frames(START, delta(0, text="a")), Frame(name, data, frame_kind)]
            )
        found = caught.value
        assert kind is type(found)
        assert (name, "r1", "bedrock", None) == (found.code, found.request_id, found.provider, found.status)
        assert [ResponseStart, PartStart, TextDelta] == [type(event) for event in found.__dict__["events"]]


def test_an_answer_blocked_whole_is_an_error() -> None:
    """Nothing at all came, so there is no reply to give."""
    with pytest.raises(ContentBlockedError, match="nothing of it came"):
        events(START, *ended("guardrail_intervened"))
    reader = decoder()
    reader.feed(frames(START, ("messageStop", {"stopReason": "content_filtered"})))
    with pytest.raises(ContentBlockedError):
        reader.close()


@pytest.mark.parametrize(
    "wire",
    [
        [START, START],
        [delta(0, text="a")],
        [("messageStop", {"stopReason": "end_turn"})],
        [start(0, toolUse={"name": "f"})],
        [START, *ended()[:1], delta(0, text="a")],
        [START, *ended()[:1], start(0, toolUse={"name": "f"})],
        [START, *ended()[:1], *ended()],
        [START, *ended()[:1], START],
        [START, ("contentBlockStart", {"start": {}})],
        [START, ("contentBlockStart", {"contentBlockIndex": 0, "start": 1})],
        [START, ("contentBlockDelta", {"contentBlockIndex": 0})],
        [START, ("contentBlockDelta", {"delta": {"text": "a"}})],
        [START, delta(0, text=1)],
        [START, delta(0, toolUse={"input": "{}"})],
        [START, start(0, toolUse={"name": "f"}), delta(0, toolUse={})],
        [("messageStart", [])],
    ],
)
def test_what_is_no_stream(wire: list[Wire]) -> None:
    """Events out of place are errors of the protocol."""
    with pytest.raises(ProtocolError):
        events(*wire)


def recorded_streams() -> list[dict[str, Any]]:
    """Every recorded stream that is not the failure of one."""
    exchanges = recorded("bedrock-converse-stream", status=200)
    return [exchange for exchange in exchanges if b"validationException" not in body_of(exchange)]


def test_every_recorded_stream() -> None:
    """All 52 recorded streams are read to their end; in the 53rd the provider refuses."""
    exchanges = recorded_streams()
    assert 52 == len(exchanges)
    for exchange in exchanges:
        found = read(exchange)
        check_grammar(found)
        reply = response(found)
        assert reply.message.content
        assert not any(isinstance(part, Unknown) for part in reply.message.content)
        assert reply.finish_reason != "other"
        assert reply.usage.input_tokens is not None
        assert reply.usage.input_tokens + (reply.usage.output_tokens or 0) == reply.usage.total_tokens
        assert reply.text == "".join([event.text for event in found])
    for exchange in recorded("bedrock-converse-stream", status=200):
        if exchange not in exchanges:
            with pytest.raises(BadRequestError, match="MIME type"):
                read(exchange)


def test_every_recorded_stream_goes_back_as_a_whole_answer_would() -> None:
    """What was streamed and what a whole answer with the same blocks holds are the same message, which can be sent."""
    for exchange in recorded_streams():
        reply = response(read(exchange))
        request = Request(model="m", messages=(Message.user("x"), reply.message))
        wire = Converse().encode(request, context("bedrock", "converse", "m"))
        blocks = json.loads(wire.body)["messages"][1]["content"]
        body = {"output": {"message": {"content": blocks}}, "stopReason": reply.raw_finish_reason}
        again = Converse().decode(200, {}, json.dumps(body).encode(), context("bedrock", "converse", "m"))
        assert plain(reply.message) == plain(again.message)
        assert reply.finish_reason == again.finish_reason


def plain(message: Message) -> list[Any]:
    """The parts of a message, calls by their meaning; blank texts do not go back, since Bedrock refuses them."""
    said = [part for part in message.content if not isinstance(part, Text) or part.text.strip()]
    return [(part.id, part.name, part.arguments) if isinstance(part, ToolCall) else part for part in said]


@pytest.mark.slow
def test_every_cut_gives_the_same_events() -> None:
    """Wherever the network cuts a stream in two, the events are the same."""
    chance = random.Random(11)  # cuts, not secrets
    for exchange in recorded_streams():
        size = len(body_of(exchange))
        whole = read(exchange)
        for place in sorted(chance.sample(range(size), min(size, 200))):
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
KINDS = st.sampled_from("text toolUse toolResult reasoningContent citation image new".split())
INNER = st.dictionaries(
    st.sampled_from("text signature redactedContent input content toolUseId name type source".split()), JSON, max_size=3
)
EVENTS = st.tuples(
    st.sampled_from("contentBlockStart contentBlockDelta contentBlockStop messageStop metadata new".split()),
    st.fixed_dictionaries(
        {"contentBlockIndex": st.integers(0, 1)},
        optional={
            "delta": st.dictionaries(KINDS, INNER | JSON, max_size=2),
            "start": st.dictionaries(KINDS, INNER | JSON, max_size=2),
            "stopReason": JSON,
            "usage": JSON,
        },
    ),
)


@pytest.mark.slow
@given(st.lists(EVENTS, max_size=8))
def test_any_stream_is_read_or_refused(wire: list[Wire]) -> None:
    """Whatever comes, it is events in their grammar, or an error of ours."""
    reader = decoder()
    found = reader.feed(frames(START))
    try:
        for name, value in wire:
            found += reader.feed([Frame(name, WireJSON().dumps(value))])
        found += reader.close()
    except AsyncLLMError:
        return
    check_grammar(found)
    assert response(found).text == "".join([event.text for event in found])
