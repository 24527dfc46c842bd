"""Streams of Google's generateContent format."""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_gemini_response import CHUNKS

from asyncllm._framing.framer import Frame
from asyncllm._framing.sse import SSEFramer
from asyncllm._protocols.codec import StreamDecoder
from asyncllm._protocols.gemini import Gemini, GeminiDialect
from asyncllm._protocols.gemini.stream import GeminiStreamDecoder
from asyncllm._schema.accumulate import Accumulator
from asyncllm._schema.content import (
    Image,
    Origin,
    ProviderToolCall,
    ProviderToolResult,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
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
from asyncllm.errors import (
    AsyncLLMError,
    ContentBlockedError,
    OverloadedError,
    ProtocolError,
    RateLimitError,
    ServerError,
    StreamTruncatedError,
)
from recordings import body_of, context, recorded

OWN = Origin("gemini", "gemini")


def decoder(provider: str = "gemini") -> StreamDecoder:
    return Gemini().decoder({}, context(provider, "gemini", "gemini-3.8-flash"))


def frame(value: Any) -> Frame:
    return Frame("", json.dumps(value).encode())


def chunk(*parts: Any, **candidate: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "index": 0, **candidate}]}


def run(*chunks: Any) -> list[Event]:
    """The events of a stream of these chunks, the close included."""
    found = decoder()
    return [event for value in chunks for event in found.feed([frame(value)])] + found.close()


def gather(events: Iterable[Event]) -> Response:
    accumulator = Accumulator()
    accumulator.feed(events)
    return accumulator.response()


STOP = chunk(finishReason="STOP")


def test_the_events_of_a_reply() -> None:
    """Thoughts and text are parts of their own, each with start, deltas and end."""
    events = run(
        chunk({"text": "h", "thought": True}) | {"responseId": "r", "modelVersion": "m"},
        chunk({"text": "m", "thought": True}),
        chunk({"text": "4"}, {"text": "2"}),
        chunk({"text": "!"}, finishReason="STOP")
        | {"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3}},
    )

    assert [
        ResponseStart(id="r", model="m"),
        PartStart(0, Reasoning("", origin=OWN)),
        ReasoningDelta("h", 0),
        ReasoningDelta("m", 0),
        PartEnd(0, Reasoning("hm", origin=OWN)),
        PartStart(1, Text("", origin=OWN)),
        TextDelta("4", 1),
        TextDelta("2", 1),
        TextDelta("!", 1),
        PartEnd(1, Text("42!", origin=OWN)),
    ] == events[:-1]
    end = events[-1]
    assert isinstance(end, ResponseEnd)
    assert ("stop", "STOP", 3) == (end.finish_reason, end.raw_finish_reason, end.usage.total_tokens)


def test_a_signed_part_stands_alone() -> None:
    """A part with a signature is not merged with the text before or after it, even an empty one."""
    response = gather(
        run(
            chunk({"text": "a"}),
            chunk({"text": "b", "thoughtSignature": "s1"}),
            chunk({"text": "c"}),
            chunk({"text": "", "thoughtSignature": "s2"}),
            chunk({"text": "t", "thought": True, "thoughtSignature": "s3"}),
            STOP,
        )
    )

    assert [("a", None), ("b", "s1"), ("c", None), ("", "s2"), ("t", "s3")] == [
        (part.text, part.signature) for part in response.message.content if isinstance(part, Text | Reasoning)
    ]


def test_empty_text_makes_no_part() -> None:
    """Empty unsigned text begins nothing and ends nothing."""
    events = run(chunk({"text": ""}), chunk({"text": "a"}), chunk({"text": ""}), chunk({"text": "b"}), STOP)

    assert "ab" == gather(events).text
    assert 1 == sum(isinstance(event, PartStart) for event in events)
    assert 2 == sum(isinstance(event, TextDelta) for event in events)


def test_calls_arrive_whole() -> None:
    """A call starts with its id, name and signature, gets its arguments in one delta, and ends at the close."""
    events = run(
        chunk(
            {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "s"},
            {"functionCall": {"name": "g"}},
        ),
        chunk({"text": ""}, finishReason="STOP"),
    )
    first = ToolCall("1", "f", {"a": 1}, signature="s", origin=OWN)
    second = ToolCall("call_1", "g", {}, origin=OWN, extra={"functionCall": {"id": None}})

    assert (
        [
            PartStart(0, ToolCall("1", "f", raw_arguments="", signature="s", origin=OWN)),
            ToolCallDelta('{"a":1}', 0),
            PartStart(1, ToolCall("call_1", "g", raw_arguments="", origin=OWN, extra=second.extra)),
            ToolCallDelta("{}", 1),
            PartEnd(0, first),
            PartEnd(1, second),
            ResponseEnd("tool_calls", raw_finish_reason="STOP", usage=events[-1].usage),  # type: ignore[union-attr]
        ]
        == events[1:]
    )


def test_text_after_calls_ends_them() -> None:
    """A call is over when something that is no call follows."""
    events = run(chunk({"functionCall": {"name": "f"}}), chunk({"text": "x"}), STOP)
    kinds = [type(event).__name__ for event in events[1:]]

    assert [
        "PartStart",
        "ToolCallDelta",
        "PartEnd",
        "PartStart",
        "TextDelta",
        "PartEnd",
        "ResponseEnd",
    ] == kinds
    assert "tool_calls" == gather(events).finish_reason


def test_what_the_provider_ran_itself() -> None:
    """A function that the stream answers later is no call for the caller; code and media are whole parts."""
    response = gather(
        run(
            chunk({"text": "a"}),
            chunk({"functionCall": {"name": "mcp", "args": {"a": 1}}}, finishReason="STOP"),
            chunk({"functionResponse": {"name": "mcp", "response": {}}}),
            chunk({"functionResponse": {"name": "nobody", "response": {}}}),
            chunk({"executableCode": {"code": "1"}}, {"codeExecutionResult": {"outcome": "OUTCOME_OK"}}),
            chunk({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
            chunk({"hologram": 1}),
            STOP,
        )
    )

    assert [
        Text,
        ProviderToolCall,
        ProviderToolResult,
        ProviderToolResult,
        ProviderToolCall,
        ProviderToolResult,
        Image,
        Unknown,
    ] == [type(part) for part in response.message.content]
    assert "stop" == response.finish_reason


def test_arguments_in_pieces() -> None:
    """Vertex's streamed arguments become one call, whatever is open when the next one or the end comes."""
    response = gather(
        run(
            chunk({"functionCall": {"name": "f", "willContinue": True}, "thoughtSignature": "s"}),
            chunk(
                {
                    "functionCall": {
                        "partialArgs": [{"jsonPath": "$.city", "stringValue": "Os", "willContinue": True}],
                        "willContinue": True,
                    }
                }
            ),
            chunk(
                {"functionCall": {"partialArgs": [{"jsonPath": "$.city", "stringValue": "lo"}], "willContinue": True}}
            ),
            chunk({"functionCall": {}}),
            chunk({"functionCall": {"name": "g", "id": "2", "willContinue": True}}),
            chunk({"functionCall": {"name": "h", "partialArgs": [{"jsonPath": "$.n", "numberValue": 1}]}}),
            chunk({"functionCall": {"name": "i", "willContinue": True}}, finishReason="STOP"),
        )
    )

    assert [("f", {"city": "Oslo"}), ("g", {}), ("h", {"n": 1}), ("i", {})] == [
        (call.name, call.arguments) for call in response.tool_calls
    ]
    assert "s" == response.tool_calls[0].signature


def test_a_piece_of_a_call_that_never_began_is_kept() -> None:
    """Pieces of arguments without a name before them are unknown content, not a call."""
    response = gather(
        run(
            chunk({"functionCall": {"willContinue": True}}),
            chunk({"functionCall": {"name": "f", "willContinue": True}}),
            chunk({"functionCall": {"name": 5, "willContinue": True}}),
            STOP,
        )
    )

    assert [Unknown, ToolCall, Unknown] == [type(part) for part in response.message.content]
    assert "tool_calls" == response.finish_reason


def test_nothing_is_done_before_the_close() -> None:
    """Chunks may follow a finish reason, so a stream is done when its bytes end; a second close gives nothing."""
    found = decoder()
    found.feed([frame(chunk({"text": "a"}, finishReason="STOP"))])
    assert found.done is False
    found.feed([frame({"usageMetadata": {"promptTokenCount": 2, "totalTokenCount": 5}})])
    found.feed([frame({"usageMetadata": {"trafficType": "ON_DEMAND"}})])
    found.feed([frame({"responseId": "late", "candidates": []})])
    end = found.close()[-1]

    assert isinstance(end, ResponseEnd)
    assert (3, True, []) == (end.usage.output_tokens, found.done, found.close())


def test_the_last_reason_holds() -> None:
    """Old models name a reason in every chunk; the last one counts."""
    events = run(chunk({"text": "a"}, finishReason="STOP"), chunk(finishReason="RECITATION"))

    assert "content_filter" == gather(events).finish_reason


@pytest.mark.parametrize("chunks", [(), (chunk({"text": "a"}),), ({"usageMetadata": {}},)])
def test_an_end_without_a_reason_is_a_cut(chunks: tuple[Any, ...]) -> None:
    """A stream that never named a finish reason was truncated."""
    with pytest.raises(StreamTruncatedError):
        run(*chunks)


def test_a_blocked_prompt() -> None:
    """A block before anything came is an error at the close; after content it is a filtered reply."""
    block = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"totalTokenCount": 4}}
    with pytest.raises(ContentBlockedError, match="SAFETY") as caught:
        run(block)
    assert 4 == vars(caught.value)["usage"].total_tokens
    response = gather(run(chunk({"text": "a"}), block))

    assert ("a", "content_filter", "SAFETY") == (response.text, response.finish_reason, response.raw_finish_reason)
    assert "stop" == gather(run(chunk({"text": "a"}) | {"promptFeedback": {"safetyRatings": []}}, STOP)).finish_reason


def test_an_empty_reply_may_be_a_failed_generation() -> None:
    """A stream that only says that the model produced nonsense is an error worth another try; an empty STOP is not."""
    with pytest.raises(ServerError, match="MALFORMED_FUNCTION_CALL"):
        run(chunk({"text": "hm", "thought": True}), chunk(finishReason="MALFORMED_FUNCTION_CALL"))
    assert "" == gather(run(STOP)).text


@pytest.mark.parametrize("wrap", [lambda error: error, lambda error: [error]])
def test_an_error_in_the_stream(wrap: Any) -> None:
    """An error among the chunks is raised as what it says, and what came before it in the same read is not lost."""
    found = decoder()
    error = wrap({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}})
    with pytest.raises(OverloadedError) as caught:
        found.feed([frame(chunk({"text": "a"})), frame(error)])

    assert ["ResponseStart", "PartStart", "TextDelta"] == [type(e).__name__ for e in vars(caught.value)["events"]]
    assert 503 == caught.value.status


@pytest.mark.parametrize("data", [b"{", b"[5]", b'{"candidates":[5]}'])
def test_what_is_not_this_protocol(data: bytes) -> None:
    """A chunk that is no chunk is a protocol error."""
    with pytest.raises(ProtocolError):
        decoder().feed([Frame("", data)])


def test_an_array_in_one_frame_is_several_chunks() -> None:
    """Chunks wrapped in an array are taken one by one."""
    assert "ab" == gather(run([chunk({"text": "a"}), chunk({"text": "b"}, finishReason="STOP")])).text


def test_a_bare_error_line_is_no_event() -> None:
    """JSON lines without a field name are no event of the framing: the stream then counts as truncated."""
    framer, found = SSEFramer(), decoder()
    body = b'data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}]}\n\n{"error":{"code":500,"message":"x"}}\n\n'
    assert "a" == "".join(map(str, found.feed(framer.feed(body))))
    with pytest.raises(StreamTruncatedError):
        found.close()


def test_other_candidates_are_not_the_reply() -> None:
    """Only candidate 0 is read."""
    other = {"index": 1, "content": {"parts": [{"text": "no"}]}, "finishReason": "SAFETY"}
    response = gather(run({"candidates": [other, chunk({"text": "yes"}, finishReason="STOP")["candidates"][0]]}))

    assert ("yes", "stop") == (response.text, response.finish_reason)


def test_citations_are_on_the_text_they_came_with() -> None:
    """Sources named by chunks end on the open text, once each, also when a signed part ends it."""
    source = {"citationMetadata": {"citationSources": [{"uri": "https://x", "endIndex": 3}]}}
    searched = {"groundingMetadata": {"webSearchQueries": ["q"], "groundingChunks": [{"web": {"uri": "https://y"}}]}}
    events = run(
        chunk({"text": "a"}, **source),
        chunk({"text": "b"}, **source),
        chunk({"text": "", "thoughtSignature": "s"}, finishReason="STOP", **searched)
        | {"usageMetadata": {"totalTokenCount": 1}},
    )
    text, signed = gather(events).message.content

    assert isinstance(text, Text)
    assert isinstance(signed, Text)
    assert ["https://x", "https://y"] == [found.url for found in text.citations]
    assert () == signed.citations
    assert {"web_search": 1} == gather(events).usage.provider_tool_requests


def test_late_citations_have_a_part_of_their_own() -> None:
    """Sources that come when no text is open are not lost."""
    late = {"citationMetadata": {"citations": [{"uri": "https://x"}]}}
    response = gather(run(chunk({"functionCall": {"name": "f"}}), chunk(finishReason="STOP", **late)))
    last = response.message.content[-1]

    assert isinstance(last, Text)
    assert ("", "https://x") == (last.text, last.citations[0].url)


def test_a_pause_keeps_its_token() -> None:
    """The last token to go on with is on the decoder."""
    found = GeminiStreamDecoder({}, context("gemini", "gemini"), GeminiDialect())
    found.feed([frame(chunk({"text": "a"}, continuationToken="t1"))])
    found.feed([frame(chunk({"text": "b"}, continuationToken="t2", finishReason="CONTINUATION"))])
    found.feed([frame(chunk(continuationToken=5))])
    end = found.close()[-1]

    assert isinstance(end, ResponseEnd)
    assert ("t2", "pause") == (found.continuation_token, end.finish_reason)


def test_stream_and_whole_answer_agree() -> None:
    """The same parts as chunks and as one body give the same reply."""
    parts = [
        {"text": "hm", "thought": True},
        {"text": "yes"},
        {"functionCall": {"id": "1", "name": "f", "args": {"a": [1]}}, "thoughtSignature": "s"},
        {"functionCall": {"name": "g", "args": {}}},
    ]
    usage = {"usageMetadata": {"promptTokenCount": 1, "thoughtsTokenCount": 2, "totalTokenCount": 9}}
    streamed = gather(run(*(chunk(part) for part in parts), STOP | usage))
    body = json.dumps(chunk(*parts, finishReason="STOP") | usage).encode()
    whole = Gemini().decode(200, {}, body, context("gemini", "gemini", "gemini-3.8-flash"))

    assert (whole.message, whole.finish_reason, whole.usage) == (
        streamed.message,
        streamed.finish_reason,
        streamed.usage,
    )


def test_the_request_id_is_the_answers_own() -> None:
    """The hosts send no request id; the id of the answer stands in for it."""
    found = decoder()
    assert (None, None) == (found.request_id, found.rate_limits)
    found.feed([frame(STOP | {"responseId": "r1"})])

    assert "r1" == found.request_id


# -- recordings -------------------------------------------------------------------------------------------------------

LEFT_OVER = {
    "gemini-fb21fdde1b": "a blocked prompt; the event that says so, the last one, lacks its blank line and counts",
    "vertex-gemini-56b3e61848": "a blocked prompt",
}


def replay(exchange: dict[str, Any], *cuts: int) -> list[Event]:
    """The events of a recorded stream whose body arrives in pieces."""
    body = body_of(exchange)
    framer, found = SSEFramer(), decoder(_host(exchange))
    edges = [0, *cuts, len(body)]
    events: list[Event] = []
    for start, end in pairwise(edges):
        events += found.feed(framer.feed(body[start:end]))
    return events + found.feed(framer.close()) + found.close()


def _host(exchange: dict[str, Any]) -> str:
    return "vertex" if str(exchange["id"]).startswith("vertex") else "gemini"


def streams() -> list[dict[str, Any]]:
    found = recorded("gemini", "vertex-gemini", kind="generate", status=200, response_kind="sse")
    return [exchange for exchange in found if exchange["id"] not in LEFT_OVER]


def test_every_recorded_stream_is_read() -> None:
    """Every stream ever recorded decodes, its text equals its deltas, and every part that starts ends."""
    outcomes: Counter[str] = Counter()
    for exchange in streams():
        events = replay(exchange)
        response = gather(events)
        outcomes[response.finish_reason] += 1
        assert response.text == "".join(map(str, events)), exchange["id"]
        started = [event.index for event in events if isinstance(event, PartStart)]
        assert sorted(started) == sorted(event.index for event in events if isinstance(event, PartEnd))
        assert started == list(range(len(started)))
        assert not [part for part in response.message.content if isinstance(part, Unknown)], exchange["id"]

    assert {"stop": 41, "tool_calls": 11, "length": 5, "content_filter": 2} == outcomes


def test_a_streamed_call_of_an_undeclared_function_is_a_reply() -> None:
    """The call came whole and can be answered; after thoughts only, the same word is an error."""
    call = {"functionCall": {"name": "list_files", "args": {}}}
    for part, replies in ((call, True), ({"text": "hm", "thought": True}, False)):
        found = decoder()
        events = found.feed([frame(chunk(part, finishReason="UNEXPECTED_TOOL_CALL"))])
        if replies:
            response = gather(events + found.close())
            assert ("tool_calls", ["list_files"]) == (response.finish_reason, [x.name for x in response.tool_calls])
        else:
            with pytest.raises(ServerError):
                found.close()


def test_the_streams_left_over() -> None:
    """Two recorded streams hold no reply: their prompts were blocked."""
    for exchange in recorded("gemini", "vertex-gemini", kind="generate", status=200, response_kind="sse"):
        if exchange["id"] in LEFT_OVER:
            with pytest.raises(ContentBlockedError, match="the prompt was blocked"):
                replay(exchange)


@pytest.mark.slow
def test_streams_cut_anywhere_give_the_same_events() -> None:
    """A body split at any byte, or at many, gives identical events."""
    dice = random.Random(7)
    for exchange in streams():
        size = len(body_of(exchange))
        whole = replay(exchange)
        offsets = range(1, size) if size <= 1500 else dice.sample(range(1, size), 200)
        for offset in offsets:
            assert whole == replay(exchange, offset), (exchange["id"], offset)
        assert whole == replay(exchange, *sorted(dice.sample(range(1, size), min(size - 1, 200))))


@pytest.mark.slow
def test_one_stream_cut_at_every_byte() -> None:
    """One handwritten stream with every kind of part, split at each of its bytes, gives identical events."""
    chunks = [
        chunk({"text": "hé ", "thought": True}),
        chunk({"text": "a\u2028b\x85"}),
        chunk({"functionCall": {"name": "f", "args": {"é": "\u2028"}}, "thoughtSignature": "s"}),
        chunk({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, finishReason="STOP"),
    ]
    body = b"".join(b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\r\n\r\n" for value in chunks)
    exchange = {"id": "own", "response_body": body.decode()}
    whole = replay(exchange)

    assert "a\u2028b\x85" == gather(whole).text
    for offset in range(1, len(body)):
        assert whole == replay(exchange, offset)


# -- histories --------------------------------------------------------------------------------------------------------

OTHER_IDS = {
    "gemini-8ec637ff22": "its client invented the id of the call",
    "gemini-f72eac63a5": "its client invented the ids of the calls",
    "gemini-f875a1a533": "its client invented the ids of the calls",
    "vertex-gemini-79e939fe39": "its client left out the id of the call",
    "vertex-gemini-c7e5e81a82": "its client invented the id of the call",
}
NOT_COMPARABLE = {
    "gemini-091410ee5b": "its client left out the signature",
    "gemini-3c9cfc4401": "its client left out the signature",
    "gemini-b44844683a": "its client wrote what the file search found into the part that the host had sent without it",
    "vertex-gemini-fd0c6f04ab": "its client sent the arguments back in pieces",
}


def _snake_to_camel(value: Any) -> Any:
    if isinstance(value, list):
        return [_snake_to_camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    names = {"function_call": "functionCall", "thought_signature": "thoughtSignature", "tool_type": "toolType"}
    return {names.get(key, key): _snake_to_camel(item) for key, item in value.items()}


def _clean(part: dict[str, Any], *, ids: bool) -> dict[str, Any]:
    """A part as it can be compared: signatures in one alphabet (some clients write them anew), ids if they are real."""
    part = dict(part)
    if "thoughtSignature" in part:
        part["thoughtSignature"] = part["thoughtSignature"].replace("-", "+").replace("_", "/")
    if "functionCall" in part and not ids:
        part["functionCall"] = {key: value for key, value in part["functionCall"].items() if key != "id"}
    return part


def test_recorded_histories_are_what_we_would_send() -> None:
    """In recorded conversations, each reply goes back exactly as the recorded client sent it, signatures included."""
    exchanges = recorded("gemini", "vertex-gemini", kind="generate", status=200)
    by_place = {(exchange["source_path"], exchange["idx"]): exchange for exchange in exchanges}
    compared = 0
    for exchange in exchanges:
        before = by_place.get((exchange["source_path"], exchange["idx"] - 1))
        if before is None or "in-sequence" not in exchange["tags"] or "in-sequence" not in before["tags"]:
            continue
        sent = [content for content in exchange["request_json"]["contents"] if content["role"] == "model"]
        if not sent or exchange["id"] in NOT_COMPARABLE:
            continue
        ids = exchange["id"] not in OTHER_IDS
        theirs = [_clean(part, ids=ids) for part in _snake_to_camel(sent[-1]["parts"])]
        ours = [_clean(part, ids=ids) for part in _resent(before) if part.get("thought") is not True]
        assert theirs == ours, exchange["id"]
        compared += 1

    assert 17 == compared


def _resent(exchange: dict[str, Any]) -> list[dict[str, Any]]:
    where = context(_host(exchange), "gemini", "gemini-2.5-flash")
    if exchange["response_kind"] == "sse":
        message = gather(replay(exchange)).message
    else:
        message = Gemini().decode(200, {}, body_of(exchange), where).message
    results = [ToolResult(call.id, (Text("x"),)) for call in message.tool_calls]
    request = Request(model="gemini-2.5-flash", messages=(Message.user("hi"), message, Message("tool", tuple(results))))
    contents = json.loads(Gemini().encode(request, where).body)["contents"]
    for call, result in zip(
        (part["functionCall"] for part in contents[1]["parts"] if "functionCall" in part),
        (part["functionResponse"] for part in (contents[2]["parts"] if results else [])),
        strict=True,
    ):
        assert (call.get("id"), call["name"]) == (result.get("id"), result["name"])
    parts: list[dict[str, Any]] = contents[1]["parts"]
    return parts


# -- anything at all --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(CHUNKS, max_size=6))
def test_any_chunks_give_events_or_one_of_our_errors(values: list[Any]) -> None:
    """Whatever chunks come, the events keep the grammar, or a documented error is raised."""
    accumulator, found = Accumulator(), decoder()
    try:
        for value in values:
            accumulator.feed(found.feed([frame(value)]))
        accumulator.feed(found.close())
    except AsyncLLMError as error:
        accumulator.feed(vars(error).get("events", ()))
    else:
        assert accumulator.end is not None
    accumulator.response()


def test_an_unlucky_signature_is_kept() -> None:
    """Signatures are opaque: one in the URL-safe alphabet goes back as it came."""
    signature = base64.urlsafe_b64encode(b"\xfb\xff\xfe").decode()
    message = gather(run(chunk({"text": "a", "thoughtSignature": signature}), STOP)).message
    request = Request(model="gemini-3.8-flash", messages=(Message.user("hi"), message))

    assert signature.encode() in Gemini().encode(request, context("gemini", "gemini")).body


def test_a_rate_limit_in_the_stream_says_how_long() -> None:
    """The wait that Google names travels with the error."""
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2.5s"}]
    error = {"error": {"code": 429, "message": "x", "status": "RESOURCE_EXHAUSTED", "details": details}}
    with pytest.raises(RateLimitError) as caught:
        decoder().feed([frame(error)])

    assert 2.5 == caught.value.retry_after
