"""What is read from InvokeModel: the older models, and Claude's Messages on this host."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from asyncllm._framing.framer import Frame
from asyncllm._protocols.invoke import FAMILIES, InvokeModel
from asyncllm._protocols.invoke.stream import InvokeStreamDecoder
from asyncllm._protocols.wire_json import WireJSON
from asyncllm._providers.bedrock import build
from asyncllm._providers.provider import Route
from asyncllm._schema.accumulate import Accumulator
from asyncllm._schema.content import Origin, Text
from asyncllm._schema.events import Event, PartEnd, PartStart, ResponseEnd, ResponseStart, TextDelta
from asyncllm._schema.request import Request
from asyncllm._schema.response import Response
from asyncllm._schema.usage import UNKNOWN_USAGE, Usage
from asyncllm.errors import (
    AsyncLLMError,
    ContentBlockedError,
    ContextWindowExceededError,
    ProtocolError,
    RateLimitError,
    StreamTruncatedError,
)
from recordings import body_of, context, headers_of, recorded

OURS = Origin("bedrock", "invoke")
METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 3, "outputTokenCount": 4}}
COUNTED = Usage(input_tokens=3, output_tokens=4)


def decode(family: str, value: Any, headers: dict[str, str] | None = None) -> Response:
    """What a body decodes to."""
    data = json.dumps(value).encode()
    return InvokeModel(FAMILIES[family]).decode(200, headers or {}, data, context("bedrock", "invoke", "m"))


def decoder(family: str) -> InvokeStreamDecoder:
    """A decoder for one stream."""
    return InvokeModel(FAMILIES[family]).decoder({"x-amzn-requestid": "r1"}, context("bedrock", "invoke", "m"))


def events(family: str, *values: Any) -> list[Event]:
    """What a stream decodes to."""
    reader = decoder(family)
    found = reader.feed([Frame("", json.dumps(value).encode()) for value in values])
    return [*found, *reader.close()]


@pytest.mark.parametrize(
    ("family", "value", "reason", "word", "usage"),
    [
        (
            "amazon.titan-t",
            {
                "inputTextTokenCount": 3.0,
                "results": [{"tokenCount": 4.0, "outputText": "Hi", "completionReason": "FINISH"}],
            },
            "stop",
            "FINISH",
            COUNTED,
        ),
        (
            "meta.llama3",
            {"generation": "Hi", "prompt_token_count": 3, "generation_token_count": 4, "stop_reason": "length"},
            "length",
            "length",
            COUNTED,
        ),
        ("mistral.mi", {"outputs": [{"text": "Hi", "stop_reason": "stop"}]}, "stop", "stop", UNKNOWN_USAGE),
        (
            "cohere.command-text",
            {"generations": [{"text": "Hi", "finish_reason": "ERROR_TOXIC"}]},
            "content_filter",
            "ERROR_TOXIC",
            UNKNOWN_USAGE,
        ),
        ("cohere.command-r", {"text": "Hi", "finish_reason": "ODD"}, "other", "ODD", UNKNOWN_USAGE),
        (
            "ai21.j2",
            {"completions": [{"data": {"text": "Hi"}, "finishReason": {"reason": "endoftext"}}]},
            "stop",
            "endoftext",
            UNKNOWN_USAGE,
        ),
    ],
)
def test_whole_answers(family: str, value: Any, reason: str, word: str, usage: Usage) -> None:
    """Text, reason and counts stand where the row says."""
    found = decode(family, value, {"x-amzn-requestid": "r1"})
    assert ((Text("Hi", origin=OURS),), reason, word, usage, "r1") == (
        found.message.content,
        found.finish_reason,
        found.raw_finish_reason,
        found.usage,
        found.request_id,
    )


def test_amazon_counts_in_headers() -> None:
    """What Amazon counted goes before what the body counts."""
    headers = {"x-amzn-bedrock-input-token-count": "8", "x-amzn-bedrock-output-token-count": "9"}
    found = decode("meta.llama3", {"generation": "Hi", "prompt_token_count": 1, "stop_reason": 1}, headers)
    assert (Usage(input_tokens=8, output_tokens=9), None, "other") == (
        found.usage,
        found.raw_finish_reason,
        found.finish_reason,
    )


def test_guardrails() -> None:
    """A guardrail that stepped in is a content filter."""
    value = {"generation": "No.", "stop_reason": "stop", "amazon-bedrock-guardrailAction": "INTERVENED"}
    assert "content_filter" == decode("meta.llama3", value).finish_reason


@pytest.mark.parametrize("value", [None, [], {}, {"outputs": []}, {"outputs": [{"text": 1}]}, {"outputs": {"0": 1}}])
def test_what_is_no_answer(value: Any) -> None:
    """A success without a text is an error of the protocol."""
    with pytest.raises(ProtocolError, match="holds no text"):
        decode("mistral.mi", value)
    with pytest.raises(ProtocolError):
        InvokeModel(FAMILIES["mistral.mi"]).decode(200, {}, b"<", context())


def test_a_stream() -> None:
    """Words come as they are written; the metrics of the last chunk are its end and its usage."""
    reader = decoder("mistral.mi")
    found = reader.feed(
        [
            Frame("", json.dumps(value).encode())
            for value in (
                {"outputs": [{"text": "", "stop_reason": None}]},
                {"outputs": [{"text": "H", "stop_reason": None}]},
                {"outputs": [{"text": "i", "stop_reason": "length"}], **METRICS},
                {"outputs": [{"text": "not read"}]},
            )
        ]
    )
    assert [
        ResponseStart(model="m"),
        PartStart(0, Text("", origin=OURS)),
        TextDelta("H", 0),
        TextDelta("i", 0),
        PartEnd(0, Text("Hi", origin=OURS)),
        ResponseEnd("length", raw_finish_reason="length", usage=COUNTED),
    ] == found
    assert (True, COUNTED, "r1", None) == (reader.done, reader.usage, reader.request_id, reader.rate_limits)
    assert [] == reader.close()


def test_the_end_of_a_stream_without_metrics() -> None:
    """A reason, or a guardrail that stepped in, is an end too; without either the stream was cut."""
    found = events("cohere.command-r", {"text": "Hi"}, {"finish_reason": "COMPLETE", "is_finished": True})
    assert ResponseEnd("stop", raw_finish_reason="COMPLETE") == found[-1]
    blocked = {"outputText": "No.", "inputTextTokenCount": 3.0, "totalOutputTextTokenCount": 4.0}
    found = events("amazon.titan-t", {**blocked, "amazon-bedrock-guardrailAction": "INTERVENED"})
    assert ResponseEnd("content_filter", usage=COUNTED) == found[-1]
    with pytest.raises(StreamTruncatedError, match="without a reason"):
        events("cohere.command-r", {"text": "Hi"})
    with pytest.raises(ContentBlockedError):
        events("cohere.command-text", {"finish_reason": "ERROR_TOXIC", **METRICS})


def test_failures_within_a_stream() -> None:
    """An exception is the error its name says, and what came before it is not lost."""
    reader = decoder("mistral.mi")
    frames = [
        Frame("", b'{"outputs":[{"text":"H"}]}'),
        Frame("throttlingException", b'{"message":"slow"}', "exception"),
    ]
    with pytest.raises(RateLimitError, match="slow") as caught:
        reader.feed(frames)
    assert ("bedrock", 3) == (caught.value.provider, len(caught.value.__dict__["events"]))
    with pytest.raises(ProtocolError, match="no JSON object"):
        decoder("mistral.mi").feed([Frame("", b"[]")])


def route_of(exchange: dict[str, Any]) -> tuple[Route, str]:
    """How a call like this one would travel, and its model."""
    model, _, operation = exchange["endpoint"].partition("/model/")[2].rpartition("/")
    model = unquote(model)
    options = {"region_name": "us-east-1", "api": "invoke", "api_key": SecretStr("x")}
    request = Request(model=model, messages=(), stream="stream" in operation)
    return build("b", options, {}).resolve("chat", model, request), model


def read(exchange: dict[str, Any], *cuts: int) -> Response:
    """What a recorded answer is."""
    route, model = route_of(exchange)
    told = context("bedrock", route.protocol.name, model)
    data, headers = body_of(exchange), headers_of(exchange)
    if exchange["response_kind"] == "json":
        return route.protocol.decode(200, headers, data, told)
    framer, reader, gathered = route.framing(), route.protocol.decoder(headers, told), Accumulator()
    for begin, end in pairwise([0, *cuts, len(data)]):
        gathered.feed(reader.feed(framer.feed(data[begin:end])))
    gathered.feed(reader.feed(framer.close()))
    gathered.feed(reader.close())
    return gathered.response()


def left_over(exchange: dict[str, Any]) -> str | None:
    """Why a recorded answer is not one of this format's; None for one that is."""
    model = route_of(exchange)[1]
    for words, reason in (
        ("embed", "embeddings"),
        ("rerank", "a ranking"),
        ("application-inference-profile", "embeddings"),
        ("sagemaker", "an endpoint of the account's own, whose body only it knows"),
        ("nova", "reached through Converse"),
        ("gpt-oss", "reached through Converse"),
        ("claude-v2", "text completions, which the Messages body stands for"),
        ("claude-instant", "text completions, which the Messages body stands for"),
    ):
        if words in model:
            return reason
    return None


def test_every_recorded_answer() -> None:
    """All 43 recorded answers of these formats are read; the other 28 are of other formats."""
    read_by: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for exchange in recorded("bedrock-invoke", status=200):
        reason = left_over(exchange)
        if reason is not None:
            others[reason] += 1
            continue
        found = read(exchange)
        read_by[f"{route_of(exchange)[0].protocol.name} {exchange['response_kind']}"] += 1
        assert "other" != found.finish_reason
        if "x-amzn-bedrock-input-token-count" in headers_of(exchange) or exchange["response_kind"] == "eventstream":
            assert None not in (found.usage.input_tokens, found.usage.output_tokens)
    expected = {"anthropic json": 12, "anthropic eventstream": 8, "invoke json": 11, "invoke eventstream": 12}
    assert expected == read_by
    assert {
        "reached through Converse": 14,
        "embeddings": 7,
        "text completions, which the Messages body stands for": 5,
        "a ranking": 1,
        "an endpoint of the account's own, whose body only it knows": 1,
    } == others


def test_every_recorded_failure() -> None:
    """The nine recorded failures are what they say they are."""
    kinds: Counter[str] = Counter()
    for exchange in recorded("bedrock-invoke"):
        if exchange["status"] == 200:
            continue
        protocol = route_of(exchange)[0].protocol
        told = context("bedrock", protocol.name)
        found = protocol.decode_error(exchange["status"], headers_of(exchange), body_of(exchange), told)
        kinds[type(found).__name__] += 1
        assert found.request_id == headers_of(exchange).get("x-amzn-requestid")
    assert {
        "PermissionDeniedError": 3,
        "AuthenticationError": 2,
        "OverloadedError": 2,
        "ModelNotFoundError": 2,
    } == kinds


def test_claudes_failures_on_this_host() -> None:
    """A validation error asks its message, a throttled one its quota, also inside a stream."""
    options = {"region_name": "us-east-1", "api": "invoke", "api_key": SecretStr("x")}
    protocol = build("b", options, {}).resolve("chat", "anthropic.claude-sonnet-4-6", None).protocol
    told = context("bedrock", "anthropic")
    headers = {"x-amzn-errortype": "ValidationException:http://x"}
    found = protocol.decode_error(400, headers, b'{"message":"Input Tokens Exceeded"}', told)
    assert isinstance(found, ContextWindowExceededError)
    for name, kind in (("throttlingException", "RateLimitError"), ("validationException", "BadRequestError")):
        with pytest.raises(AsyncLLMError) as caught:
            protocol.decoder({}, told).feed([Frame(name, b'{"message":"no"}', "exception")])
        assert kind == type(caught.value).__name__


def test_cuts_and_bytes() -> None:
    """A recorded stream is the same wherever it is cut."""
    exchange = min(
        (found for found in recorded("bedrock-invoke", response_kind="eventstream") if left_over(found) is None),
        key=lambda found: len(body_of(found)),
    )
    whole = read(exchange)
    assert whole == read(exchange, *range(1, len(body_of(exchange))))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    "outputs text stop_reason results outputText generation generations finish_reason completions "
    "amazon-bedrock-invocationMetrics prompt_token_count".split()
)


@pytest.mark.slow
@given(st.sampled_from(sorted(FAMILIES)), st.lists(st.dictionaries(FIELDS, JSON, max_size=3) | JSON, max_size=4))
def test_anything_is_read_or_refused(family: str, values: list[Any]) -> None:
    """Whatever comes, it is an answer or an error of ours, whole or in chunks."""
    reader = decoder(family)
    with suppress(AsyncLLMError):
        for value in values:
            reader.feed([Frame("", WireJSON().dumps(value))])
        reader.close()
    for value in values:
        with suppress(AsyncLLMError):
            decode(family, value)
