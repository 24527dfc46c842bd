"""What the Converse codec reads from whole answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm._protocols.converse import Converse
from asyncllm._protocols.wire_json import WireJSON
from asyncllm._schema.content import (
    Citation,
    Image,
    Origin,
    Part,
    ProviderToolCall,
    ProviderToolResult,
    Reasoning,
    Text,
    ToolCall,
    Unknown,
)
from asyncllm._schema.messages import Message
from asyncllm._schema.request import Request
from asyncllm._schema.response import Response
from asyncllm._schema.usage import UNKNOWN_USAGE, Usage
from asyncllm.errors import AsyncLLMError, ContentBlockedError, ProtocolError, ServerError
from recordings import body_of, context, headers_of, recorded

OURS = Origin("bedrock", "converse")
USAGE = {"inputTokens": 5, "outputTokens": 9, "totalTokens": 14}


def decode(value: Any, **headers: str) -> Response:
    """What a body decodes to."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    names = {name.replace("_", "-"): text for name, text in headers.items()}
    return Converse().decode(200, names, data, context("bedrock", "converse", "m"))


def answer(*blocks: Any, reason: str = "end_turn", **more: Any) -> dict[str, Any]:
    """A body with this content."""
    message = {"role": "assistant", "content": list(blocks)}
    return {"output": {"message": message}, "stopReason": reason, "usage": USAGE, "metrics": {"latencyMs": 1}, **more}


def parts(*blocks: Any) -> tuple[Part, ...]:
    """The parts these blocks become."""
    return decode(answer(*blocks)).message.content


def encoded(message: Message, model: str = "m") -> Any:
    """The blocks a message becomes on its way back."""
    request = Request(model=model, messages=(Message.user("x"), message))
    wire = Converse().encode(request, context("bedrock", "converse", model))
    messages = json.loads(wire.body)["messages"]
    return messages[1]["content"] if len(messages) > 1 else []


def test_a_plain_reply() -> None:
    """Text, the reason, the usage and the id of the request."""
    body = answer({"text": "Hello"}, serviceTier={"type": "flex"})
    expected = Response(
        message=Message("assistant", (Text("Hello", origin=OURS),)),
        finish_reason="stop",
        raw_finish_reason="end_turn",
        usage=Usage(input_tokens=5, output_tokens=9, total_tokens=14, service_tier="flex"),
        provider="bedrock",
        model="m",
        requested_model="m",
        request_id="r1",
        raw=body,
    )
    assert expected == decode(body, x_amzn_requestid="r1")


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("tool_use", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("new_word", "other"),
    ],
)
def test_why_it_ended(word: str, reason: str) -> None:
    """Each word of the wire has one of ours; calls make an end a call for tools."""
    assert (reason, word) == (decode(answer({"text": "x"}, reason=word)).finish_reason, word)
    call = {"toolUse": {"toolUseId": "t1", "name": "f", "input": {}}}
    expected = "tool_calls" if reason in ("stop", "other") else reason
    assert expected == decode(answer(call, reason=word)).finish_reason


@pytest.mark.parametrize("word", ["malformed_model_output", "malformed_tool_use"])
def test_a_failed_generation_is_an_error(word: str) -> None:
    """What came of it is no reply, also where it is text."""
    for content in ((), ({"text": "x"},), ({"reasoningContent": {"reasoningText": {"text": "hm"}}},)):
        with pytest.raises(ServerError, match=word) as caught:
            decode(answer(*content, reason=word))
        assert ("once", "real", word) == (caught.value.advice.retry, caught.value.advice.ledger, caught.value.code)


def test_nothing_without_a_reason_is_an_error() -> None:
    """An answer that holds nothing and does not say why is no reply."""
    with pytest.raises(ServerError, match="gives no reason"):
        decode(answer(reason=None))


def test_the_sequence_that_stopped_it() -> None:
    """It is known where the request asked for it."""
    found = decode(
        answer({"text": "x"}, reason="stop_sequence", additionalModelResponseFields={"stop_sequence": "END"})
    )
    assert "END" == found.stop_sequence


def test_the_model_a_router_chose() -> None:
    """A prompt router's trace names the model that answered."""
    found = decode(answer({"text": "x"}, trace={"promptRouter": {"invokedModelId": "arn:chosen"}}))
    assert ("arn:chosen", "m") == (found.model, found.requested_model)


def test_usage_adds_up_the_cache() -> None:
    """Cached tokens stand beside the input on the wire, and are part of it here; lifetimes are kept apart."""
    usage = {
        "inputTokens": 3,
        "outputTokens": 61,
        "totalTokens": 2435,
        "cacheReadInputTokens": 2074,
        "cacheWriteInputTokens": 297,
        "cacheDetails": [
            {"ttl": "5m", "inputTokens": 200},
            {"ttl": "1h", "inputTokens": 90},
            {"ttl": "5m", "inputTokens": 7},
            {"ttl": "?"},
            1,
        ],
    }
    assert (
        Usage(
            input_tokens=2374,
            output_tokens=61,
            total_tokens=2435,
            cache_read_tokens=2074,
            cache_write_tokens=297,
            cache_write_tokens_by_ttl={"5m": 207, "1h": 90},
        )
        == decode(answer({"text": "x"}, usage=usage)).usage
    )
    older = {"inputTokens": 3, "cacheReadInputTokenCount": 4}
    assert (7, 4) == (
        decode(answer(usage=older)).usage.input_tokens,
        decode(answer(usage=older)).usage.cache_read_tokens,
    )
    assert Usage(output_tokens=2) == decode(answer(usage={"outputTokens": 2})).usage
    assert UNKNOWN_USAGE == decode(answer(usage=None)).usage


def test_tool_calls() -> None:
    """A call keeps its id; one without gets one; the type that every call has is not kept."""
    first = {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": "ö"}, "type": "tool_use"}}
    second = {"toolUse": {"name": "g", "new": 1}}
    assert (
        ToolCall("t1", "f", raw_arguments='{"a":"ö"}', origin=OURS),
        ToolCall("tooluse_1", "g", raw_arguments="", origin=OURS, extra={"new": 1}),
    ) == parts(first, second)


def test_reasoning() -> None:
    """Readable reasoning with its signature, hidden reasoning as the blob it is."""
    assert (
        Reasoning("hm", signature="sig", origin=OURS),
        Reasoning("hm", origin=OURS),
        Reasoning(encrypted="YQ==", origin=OURS),
    ) == parts(
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        {"reasoningContent": {"reasoningText": {"text": "hm"}}},
        {"reasoningContent": {"redactedContent": "YQ=="}},
    )


def test_citations() -> None:
    """Cited text carries its sources, wherever they are."""
    page = {
        "title": "t",
        "sourceContent": [{"text": "a"}, {"text": "b"}],
        "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}},
    }
    web = {"location": {"web": {"url": "https://x.test", "domain": "x.test"}}}
    block = {"citationsContent": {"content": [{"text": "So."}], "citations": [page, web]}}
    assert (
        Text(
            "So.",
            citations=(
                Citation(title="t", cited_text="ab", start=1, end=2, raw=page),
                Citation(url="https://x.test", raw=web),
            ),
            origin=OURS,
        ),
    ) == parts(block)


def test_tools_that_bedrock_ran() -> None:
    """Their calls and results are no calls for the caller."""
    call = {"toolUse": {"toolUseId": "s1", "name": "nova_code_interpreter", "input": {}, "type": "server_tool_use"}}
    result = {"toolResult": {"toolUseId": "s1", "content": [], "status": "error", "type": "x_result"}}
    orphan = {"toolResult": {"toolUseId": "s2", "content": [], "type": "x_result"}}
    found = decode(answer(call, result, orphan, reason="tool_use"))
    assert (
        ProviderToolCall(id="s1", name="nova_code_interpreter", raw_arguments="{}", raw=call, origin=OURS),
        ProviderToolResult(call_id="s1", name="nova_code_interpreter", raw=result, is_error=True, origin=OURS),
        ProviderToolResult(call_id="s2", name="x", raw=orphan, origin=OURS),
    ) == found.message.content
    assert "stop" == found.finish_reason


ODD: list[Any] = [
    1,
    {},
    {"text": 1},
    {"text": "a", "role": "assistant"},
    {"new": {}},
    {"new": 1},
    {"toolUse": {"toolUseId": "t"}},
    {"toolResult": {}},
    {"reasoningContent": {}},
    {"reasoningContent": {"reasoningText": {"text": "a", "new": 1}}},
    {"citationsContent": {"content": 1}},
    {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/k"}}}},
    {"image": {"format": "png", "source": {"bytes": "!"}}},
]


@pytest.mark.parametrize("block", ODD)
def test_what_no_part_can_say_is_kept_whole(block: Any) -> None:
    """A block that is not understood to the end is kept as it came, and goes back so."""
    kind = next(iter(block)) if isinstance(block, dict) and len(block) == 1 else ""
    assert (Unknown(type=kind, raw=block, origin=OURS),) == parts(block)
    if isinstance(block, dict):
        assert [block] == encoded(decode(answer(block)).message)


def test_cited_text_that_is_more_than_that_is_kept_whole() -> None:
    """Several texts under one citation are read as one, and go back as they came."""
    source = {"title": "t"}
    for body in (
        {"content": [{"text": "a"}, {"text": "b"}], "citations": [source]},
        {"content": [{"text": "ab"}], "citations": []},
        {"content": [{"text": "ab"}], "citations": [source], "new": 1},
        {"content": [{"text": "ab", "new": 1}], "citations": [source, 1]},
    ):
        found = decode(answer({"citationsContent": body}))
        assert "ab" == found.text
        assert [{"citationsContent": body}] == encoded(found.message)


def test_pictures() -> None:
    """A picture the model made is bytes."""
    block = {"image": {"format": "png", "source": {"bytes": "YQ=="}}}
    assert (Image(data=b"a", media_type="image/png", origin=OURS),) == parts(block)
    assert [block] == encoded(decode(answer(block)).message)


def test_an_answer_blocked_whole_is_an_error() -> None:
    """Nothing at all came, so there is no reply to give."""
    with pytest.raises(ContentBlockedError, match="nothing of it came") as caught:
        decode(answer(reason="guardrail_intervened"), x_amzn_requestid="r")
    assert ("guardrail_intervened", "r") == (caught.value.code, caught.value.request_id)
    assert "content_filter" == decode(answer({"text": "Blocked."}, reason="guardrail_intervened")).finish_reason


@pytest.mark.parametrize("data", [b"", b"<html>", b"[]", b'{"output":{}}', b'{"output":{"message":{"content":"x"}}}'])
def test_what_is_no_message(data: bytes) -> None:
    """A success that is no message is an error of the protocol."""
    with pytest.raises(ProtocolError, match="holds no message"):
        decode(data)


def recorded_replies() -> list[dict[str, Any]]:
    """Every whole answer that was a success."""
    return recorded("bedrock-converse", status=200)


def test_every_recorded_reply() -> None:
    """All 69 recorded replies are read: no content is unknown, and totals add up."""
    exchanges = recorded_replies()
    assert 69 == len(exchanges)
    for exchange in exchanges:
        found = Converse().decode(200, headers_of(exchange), body_of(exchange), context("bedrock", "converse"))
        assert found.message.content
        assert "other" != found.finish_reason
        assert not any(isinstance(part, Unknown) for part in found.message.content)
        usage = found.usage
        assert usage.input_tokens is not None
        assert usage.output_tokens is not None
        assert usage.input_tokens + usage.output_tokens == usage.total_tokens


def normal(block: dict[str, Any]) -> dict[str, Any]:
    """A block without the type that every call has."""
    call = block.get("toolUse")
    if call is not None and call.get("type") == "tool_use":
        return {"toolUse": {key: value for key, value in call.items() if key != "type"}}
    return block


def test_every_recorded_reply_goes_back_as_it_came() -> None:
    """Decoded and encoded again, every block is the same: order, ids and signatures."""
    for exchange in recorded_replies():
        body = json.loads(body_of(exchange))
        blocks = [normal(block) for block in body["output"]["message"]["content"]]
        found = Converse().decode(200, headers_of(exchange), body_of(exchange), context("bedrock", "converse", "m"))
        assert blocks == encoded(found.message)


def test_recorded_histories_are_what_we_would_send() -> None:
    """The assistant's turns that clients sent back are the ones we make of the replies before."""
    exchanges = recorded("bedrock-converse")
    by_place = {(exchange["source_path"], exchange["idx"]): exchange for exchange in exchanges}
    compared = 0
    for (path, index), exchange in by_place.items():
        follower = by_place.get((path, index + 1))
        if follower is None or "in-sequence" not in exchange["tags"] or exchange["status"] != 200:
            continue
        before = len(exchange["request_json"]["messages"])
        sent = follower["request_json"]["messages"]
        if len(sent) <= before or sent[before]["role"] != "assistant":
            continue  # another conversation in the same recording
        found = Converse().decode(200, headers_of(exchange), body_of(exchange), context("bedrock", "converse", "m"))
        theirs = [normal(block) for block in sent[before]["content"]]
        if "<think>" in str(theirs[0].get("text")):
            continue  # a client that says reasoning as text
        ours = encoded(found.message)
        if exchange["source_repo"] == "crewAIInc/crewAI":  # it does not send the words beside a call
            ours = [block for block in ours if "toolUse" in block]
        assert theirs == ours
        compared += 1
    assert 9 == compared


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KINDS = ["text", "toolUse", "toolResult", "reasoningContent", "citationsContent", "image", "new"]
INNER = st.dictionaries(
    st.sampled_from("text content citations toolUseId name input type status format source reasoningText".split()),
    JSON,
    max_size=4,
)
BLOCKS = st.dictionaries(st.sampled_from(KINDS), INNER | JSON, max_size=2)


@pytest.mark.slow
@given(st.lists(BLOCKS | JSON, max_size=4), JSON, JSON)
def test_any_content_is_read_or_refused(content: list[Any], reason: Any, usage: Any) -> None:
    """Whatever the content is, it becomes a reply, or an error of ours."""
    body = {"output": {"message": {"content": content}}, "stopReason": reason, "usage": usage}
    try:
        found = decode(WireJSON().dumps(body))
    except AsyncLLMError:
        return
    assert len(content) == len(found.message.content)
    assert len(content) >= len(encoded(found.message))


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Noise is an error of the protocol, in answers and in failures."""
    with pytest.raises(AsyncLLMError):
        decode(data)
    assert isinstance(Converse().decode_error(500, {}, data, context()), AsyncLLMError)
