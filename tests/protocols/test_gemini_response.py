"""What is read from whole answers of Google's generateContent format."""

from __future__ import annotations

import base64
import contextlib
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncllm._protocols.codec import Context
from asyncllm._protocols.gemini import Gemini, continuation, with_continuation
from asyncllm._schema.content import (
    Audio,
    Citation,
    Document,
    Image,
    Origin,
    ProviderToolCall,
    ProviderToolResult,
    Reasoning,
    Text,
    ToolCall,
    Unknown,
    Video,
)
from asyncllm._schema.messages import Message
from asyncllm._schema.request import Request
from asyncllm._schema.response import Response
from asyncllm.errors import AsyncLLMError, ContentBlockedError, ProtocolError, RateLimitError, ServerError
from recordings import body_of, context, headers_of, recorded

OWN = Origin("gemini", "gemini")


def here() -> Context:
    return context("gemini", "gemini", "gemini-3.8-flash")


def answer(*parts: Any, **candidate: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP", **candidate}]}


def decode(value: Any) -> Response:
    return Gemini().decode(200, {}, json.dumps(value).encode(), here())


def parts_of(*parts: Any) -> list[Any]:
    return list(decode(answer(*parts)).message.content)


def encoded_again(response: Response, model: str = "gemini-2.5-flash") -> list[dict[str, Any]]:
    """The parts of a reply as they go back to the host they came from."""
    request = Request(model=model, messages=(Message.user("hi"), response.message))
    contents = json.loads(Gemini().encode(request, here()).body)["contents"]
    return contents[1]["parts"] if len(contents) > 1 else []


# -- parts ------------------------------------------------------------------------------------------------------------


def test_a_plain_reply() -> None:
    """Text, ids, model, reason and usage of the simplest reply."""
    response = decode(
        answer({"text": "4"})
        | {
            "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 1, "totalTokenCount": 8},
            "modelVersion": "gemini-3.8-flash-001",
            "responseId": "r1",
        }
    )

    assert (Text("4", origin=OWN),) == response.message.content
    assert ("stop", "STOP", "r1", "r1") == (
        response.finish_reason,
        response.raw_finish_reason,
        response.id,
        response.request_id,
    )
    assert ("gemini", "gemini-3.8-flash-001", "gemini-3.8-flash") == (
        response.provider,
        response.model,
        response.requested_model,
    )
    assert (7, 1, 8) == (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens)
    assert response.raw is not None
    assert "candidates" in response.raw


def test_signatures_stay_on_their_part_and_go_back() -> None:
    """Thoughts, signed text, an empty signed text and signed calls keep order and signatures, both ways."""
    wire = [
        {"text": "hm", "thought": True},
        {"text": "deep", "thought": True, "thoughtSignature": "s0"},
        {"text": "a", "thoughtSignature": "s1"},
        {"functionCall": {"id": "c", "name": "f", "args": {"x": 1.5}}, "thoughtSignature": "s2"},
        {"functionCall": {"name": "g", "args": {}}},
        {"text": "", "thoughtSignature": "s3"},
        {"text": "b", "partMetadata": {"k": 1}},
    ]
    response = decode(answer(*wire))

    assert [Reasoning, Reasoning, Text, ToolCall, ToolCall, Text, Text] == [type(p) for p in response.message.content]
    assert ["s0", "s1", "s2", "s3"] == [s for p in response.message.content if (s := getattr(p, "signature", None))]
    assert "hmdeep" == response.reasoning
    assert wire == encoded_again(response)


def test_calls_finish_with_tool_calls() -> None:
    """The wire ends calls with STOP; calls without an id get one, and none is ever empty."""
    response = decode(
        answer({"functionCall": {"name": "f", "args": {"a": [1, "é"]}}}, {"functionCall": {"name": "g", "id": "7"}})
    )
    first, second = response.tool_calls

    assert "tool_calls" == response.finish_reason
    assert ("call_1", '{"a":[1,"é"]}', {"a": [1, "é"]}) == (first.id, first.raw_arguments, first.arguments)
    assert ("7", {}) == (second.id, second.arguments)


def test_empty_text_says_nothing() -> None:
    """Empty unsigned text and thoughts are left out, as are parts with nothing in them."""
    assert [] == parts_of(
        {"text": ""}, {"text": "", "thought": True}, {"text": "", "thought": False}, {}, {"thought": 1}
    )


def test_media_in_a_reply() -> None:
    """The type says which kind a part is; both alphabets of base64 are read; signatures return."""
    data = base64.b64encode(b"\xfb\xff").decode()
    wire = [
        {"inlineData": {"mimeType": "image/png", "data": data}, "thoughtSignature": "s"},
        {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": data}, "thoughtSignature": "t"},
        {"inlineData": {"mimeType": "video/mp4", "data": data}},
        {"inlineData": {"mimeType": "application/pdf", "data": data}},
        {"fileData": {"mimeType": "image/png", "fileUri": "https://x/y"}, "thought": True},
    ]
    response = decode(answer(*wire))
    image, linked = response.message.content[0], response.message.content[-1]

    assert [Image, Audio, Video, Document, Image] == [type(part) for part in response.message.content]
    assert isinstance(image, Image)
    assert (b"\xfb\xff", "image/png", "s") == (image.data, image.media_type, image.signature)
    assert isinstance(linked, Image)
    assert "https://x/y" == linked.url
    assert wire == encoded_again(response)
    urlsafe = parts_of({"inlineData": {"mimeType": "image/png", "data": "-_8"}})[0]
    assert b"\xfb\xff" == urlsafe.data


@pytest.mark.parametrize(
    "part",
    [
        {"hologram": {"x": 1}},
        {"inlineData": {"mimeType": "image/png", "data": "%%%"}},
        {"inlineData": 5},
        {"fileData": {}},
        {"functionCall": {"args": {}}},
        {"functionCall": {"name": "f", "args": [1]}},
        {"functionCall": None},
        {"executableCode": 1},
        {"codeExecutionResult": 1},
        {"toolCall": 1},
        {"toolResponse": 1},
        {"functionResponse": 1},
        {"text": 5},
    ],
)
def test_what_is_not_known_is_kept(part: dict[str, Any]) -> None:
    """Parts that cannot be read are kept as they came and sent back as they came."""
    response = decode(answer(part))

    assert [Unknown(type=next(iter(part)), raw=part, origin=OWN)] == list(response.message.content)
    assert [part] == encoded_again(response)


def test_a_part_that_is_no_object_is_kept() -> None:
    """Even a bare string among the parts is kept."""
    assert [Unknown(type="part", raw="x", origin=OWN)] == parts_of("x")


def test_tools_the_provider_ran() -> None:
    """Code, server tools and functions that the provider answered itself are no calls for the caller."""
    wire = [
        {"executableCode": {"code": "1+1", "language": "PYTHON"}, "thoughtSignature": "s"},
        {"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "2"}},
        {"toolCall": {"id": "t1", "toolType": "FILE_SEARCH", "args": {"q": 1}}},
        {"toolResponse": {"id": "t1", "toolType": "FILE_SEARCH", "response": {"error": "no"}}},
        {"toolCall": {}},
        {"functionCall": {"name": "mcp_f", "args": {"a": 1}}, "thoughtSignature": "u"},
        {"functionCall": {"name": "mine", "args": {}}},
        {"functionResponse": {"name": "mcp_f", "response": {"ok": 1}}},
        {"functionResponse": {"name": "nobody"}},
    ]
    response = decode(answer(*wire))
    code, result, call, reply, bare, mcp, mine, answered, stray = response.message.content

    assert [ToolCall] == [type(part) for part in (mine,)]
    assert (mine,) == response.tool_calls
    for part in (code, call, bare, mcp):
        assert isinstance(part, ProviderToolCall)
    for part in (result, reply, answered, stray):
        assert isinstance(part, ProviderToolResult)
    assert isinstance(code, ProviderToolCall)
    assert isinstance(result, ProviderToolResult)
    assert isinstance(call, ProviderToolCall)
    assert isinstance(reply, ProviderToolResult)
    assert ("code_execution", code.id, True) == (result.name, result.call_id, result.is_error)
    assert ("file_search", "t1", {"q": 1}) == (call.name, call.id, call.arguments)
    assert ("t1", True) == (reply.call_id, reply.is_error)
    assert wire == encoded_again(response)


def test_a_reply_of_a_provider_run_function_is_no_call() -> None:
    """When the provider answered every function itself, the reply just stops."""
    response = decode(
        answer(
            {"functionCall": {"id": "1", "name": "f"}}, {"functionResponse": {"id": "1", "name": "f", "response": {}}}
        )
    )

    assert ("stop", ()) == (response.finish_reason, response.tool_calls)


def test_arguments_in_pieces_are_put_together() -> None:
    """Vertex's pieces of arguments become one object."""
    (call,) = decode(
        answer(
            {
                "functionCall": {
                    "name": "f",
                    "partialArgs": [
                        {"jsonPath": "$.a", "numberValue": 2},
                        {"jsonPath": "$.l[0]", "stringValue": "x", "willContinue": True},
                        {"jsonPath": "$.l[0]", "stringValue": "y"},
                        {"jsonPath": "$.l[1].b", "boolValue": True},
                        {"jsonPath": "$['o p']", "nullValue": "NULL_VALUE"},
                        {"jsonPath": "$.untouched"},
                    ],
                }
            }
        )
    ).tool_calls

    assert {"a": 2, "l": ["xy", {"b": True}], "o p": None} == call.arguments


@pytest.mark.parametrize(
    "piece",
    [
        {},
        {"jsonPath": "a", "numberValue": 1},
        {"jsonPath": "$", "numberValue": 1},
        {"jsonPath": "$.l[9]", "numberValue": 1},
        {"jsonPath": "$" + ".a" * 200, "boolValue": True},
        {"jsonPath": "$..a", "boolValue": True},
    ],
)
def test_pieces_that_do_not_fit_are_an_error(piece: dict[str, Any]) -> None:
    """A path that is none, is endless or would leave a hole is refused."""
    with pytest.raises(ProtocolError):
        decode(answer({"functionCall": {"name": "f", "partialArgs": [piece]}}))


def test_answers_by_id_leave_other_calls_to_the_caller() -> None:
    """Two calls of one function: only the one that was answered was run by the provider."""
    response = decode(
        answer(
            {"functionCall": {"name": "f", "args": {"a": 1}}},
            {"functionCall": {"name": "f", "args": {"a": 2}}},
            {"functionResponse": {"name": "f", "response": {}}},
            {"functionCall": {"id": "9", "name": "f"}},
            {"functionResponse": {"id": "9", "name": "f", "response": {}}},
            {"functionResponse": {"id": "9", "name": "f", "response": {}}},
        )
    )

    assert [{"a": 2}] == [call.arguments for call in response.tool_calls]


# -- how it ended -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("CONTINUATION", "pause"),
        ("SAFETY", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("LANGUAGE", "other"),
        ("NO_IMAGE", "other"),
        ("SOMETHING_NEW", "other"),
        (1, "stop"),
        (2, "length"),
        (None, "other"),
        (True, "other"),
        ([], "other"),
    ],
)
def test_finish_reasons(word: Any, reason: str) -> None:
    """Every word has its place, and words of tomorrow do no harm."""
    assert reason == decode(answer({"text": "x"}, finishReason=word)).finish_reason


def test_calls_that_did_not_end_normally_keep_their_reason() -> None:
    """A reply cut in its calls says so, with the provider's remark."""
    call = {"functionCall": {"name": "f", "args": {}}}
    cut = decode(answer(call, finishReason="MAX_TOKENS"))
    odd = decode(answer(call, finishReason="LANGUAGE", finishMessage="odd"))

    assert ("length", 1) == (cut.finish_reason, len(cut.tool_calls))
    assert ("tool_calls", ("the reply ended with LANGUAGE: odd",)) == (odd.finish_reason, odd.warnings)


@pytest.mark.parametrize("content", [{"content": {}}, {"content": {"role": "model"}}, {}, {"content": None}])
def test_a_reply_may_be_empty(content: dict[str, Any]) -> None:
    """A candidate may lack content or parts and is a reply all the same, if it says why; a block of all is an error."""
    response = decode({"candidates": [{"finishReason": "STOP", **content}]})

    assert ("stop", "", ()) == (response.finish_reason, response.text, response.message.content)
    with pytest.raises(ContentBlockedError, match="SAFETY"):
        decode({"candidates": [{"finishReason": "SAFETY", **content}]})
    with pytest.raises(ServerError, match="gives no reason"):
        decode({"candidates": [content | {"index": 0}]})
    assert "content_filter" == decode(answer({"text": "x"}, finishReason="SAFETY")).finish_reason


def test_a_blocked_prompt_is_an_error_with_its_reason() -> None:
    """Without candidates the feedback says why, and the usage is kept."""
    with pytest.raises(ContentBlockedError, match=r"JAILBREAK.*no way") as caught:
        decode(
            {
                "promptFeedback": {"blockReason": "JAILBREAK", "blockReasonMessage": "no way"},
                "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9},
            }
        )

    assert ("JAILBREAK", 9) == (caught.value.code, vars(caught.value)["usage"].input_tokens)


FAILURES = ["MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "TOO_MANY_TOOL_CALLS", "UNEXPECTED_TOOL_CALL"]


@pytest.mark.parametrize("word", FAILURES)
def test_an_empty_failed_generation_is_an_error(word: str) -> None:
    """When the model produced nothing that could be read, trying again is better than an empty reply."""
    for parts in ((), ({"text": "hm", "thought": True},), ({"text": "", "thoughtSignature": "AAAA"},)):
        with pytest.raises(ServerError, match="oops") as caught:
            decode(answer(*parts, finishReason=word, finishMessage="oops"))

        assert word == caught.value.code


def test_a_call_of_an_undeclared_function_is_a_reply() -> None:
    """The call came whole and can be answered; any other word for a failure makes an error of the same call."""
    called = {"functionCall": {"name": "list_files", "args": {}}, "thoughtSignature": "AAAA"}
    found = decode(answer(called, finishReason="UNEXPECTED_TOOL_CALL", finishMessage="undeclared: list_files"))
    assert ("tool_calls", "UNEXPECTED_TOOL_CALL") == (found.finish_reason, found.raw_finish_reason)
    assert ["list_files"] == [call.name for call in found.tool_calls]
    assert ("the reply ended with UNEXPECTED_TOOL_CALL: undeclared: list_files",) == found.warnings
    with pytest.raises(ServerError):
        decode(answer(called, finishReason="MALFORMED_FUNCTION_CALL"))


UNFINISHED = b'[{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}]'
OTHER_BODIES = [b"", b"<html>", b'"x"', b"5", b"null", b"{}", b"[]", b'{"candidates":[]}', b"\xff", UNFINISHED, b"[5]"]


@pytest.mark.parametrize("body", [*OTHER_BODIES, b'{"candidates":5}'])
def test_what_is_not_this_protocol(body: bytes) -> None:
    """HTML, nothing, scalars, objects that hold no reply and unfinished arrays are protocol errors."""
    with pytest.raises(ProtocolError) as caught:
        Gemini().decode(200, {}, body, here())

    assert ("gemini", "gemini-3.8-flash") == (caught.value.provider, caught.value.model)


@pytest.mark.parametrize("wrap", [lambda error: error, lambda error: [error]])
def test_an_error_inside_a_success(wrap: Any) -> None:
    """An error object with status 200 is raised as what it says."""
    with pytest.raises(RateLimitError) as caught:
        decode(wrap({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}))

    assert 429 == caught.value.status


def test_candidate_0_is_the_reply() -> None:
    """Of several candidates the one with index 0 counts, wherever it stands."""
    first = {"index": 1, "content": {"parts": [{"text": "no"}]}, "finishReason": "STOP"}
    second = {"index": 0, "content": {"parts": [{"text": "yes"}]}, "finishReason": "STOP"}

    assert "yes" == decode({"candidates": [first, second]}).text
    assert "yes" == decode([{"candidates": [first]}, {"candidates": [second]}]).text


def test_an_array_of_chunks_is_read_as_one_reply() -> None:
    """A stream asked for without server-sent events is one JSON array."""
    chunks = [
        {"candidates": [{"content": {"parts": [{"text": "a"}]}}], "responseId": "r", "modelVersion": "m2"},
        answer({"text": "b"}) | {"usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 3}},
    ]
    response = decode(chunks)

    assert ("ab", "stop", "r", "m2", 2) == (
        response.text,
        response.finish_reason,
        response.id,
        response.model,
        response.usage.output_tokens,
    )
    assert {"chunks": chunks} == response.raw


def test_a_pause_can_be_continued() -> None:
    """The token is found in the body, and the next body is the same one with the token."""
    body = answer({"text": "a"}, finishReason="CONTINUATION", continuationToken="dG9r")
    request = {"contents": []}

    assert "dG9r" == continuation(body)
    assert None is continuation(answer())
    assert None is continuation({"candidates": 5})
    assert {"contents": [], "continuationToken": "dG9r"} == with_continuation(request, "dG9r")
    assert {"contents": []} == request


def test_a_model_at_its_end_is_spoken_of() -> None:
    """The status of the model becomes a warning when it is on its way out."""
    ending = {"modelStatus": {"modelStage": "DEPRECATED", "retirementTime": "2027-01-01T00:00:00Z"}}

    assert ("the model is deprecated, its retirement is due 2027-01-01T00:00:00Z",) == decode(
        answer({"text": "x"}) | ending
    ).warnings
    assert () == decode(answer({"text": "x"}) | {"modelStatus": {"modelStage": "STABLE"}}).warnings


# -- citations --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["citationSources", "citations"])
def test_recitations_are_on_the_last_text(key: str) -> None:
    """Both hosts' spellings are read; a span without a start begins at 0."""
    source = {"endIndex": 9, "uri": "https://x", "title": "X"}
    first, last, _ = decode(
        answer(
            {"text": "a"},
            {"text": "b"},
            {"text": "", "thoughtSignature": "s"},
            citationMetadata={key: [source, {"uri": "https://y"}, 5]},
        )
    ).message.content

    assert isinstance(first, Text)
    assert isinstance(last, Text)
    assert () == first.citations
    assert (
        Citation(url="https://x", title="X", start=0, end=9, raw=source),
        Citation(url="https://y", raw={"uri": "https://y"}),
    ) == last.citations


def test_grounding_becomes_citations() -> None:
    """Every supported span names its sources; sources without a span are named as well."""
    chunks = [
        {"web": {"uri": "https://a", "title": "A"}},
        {"retrievedContext": {"title": "doc", "text": "words"}},
        {"image": {"sourceUri": "https://i"}},
    ]
    support = {"segment": {"startIndex": 2, "endIndex": 5}, "groundingChunkIndices": [1, 7, "x"]}
    response = decode(
        answer(
            {"text": "b"},
            groundingMetadata={
                "groundingChunks": chunks,
                "groundingSupports": [support, 5],
                "webSearchQueries": ["q", "r"],
            },
        )
        | {"usageMetadata": {"totalTokenCount": 1}}
    )
    (text,) = response.message.content

    assert isinstance(text, Text)
    assert [("doc", "words", 2, 5), ("A", None, None, None), (None, None, None, None)] == [
        (found.title, found.cited_text, found.start, found.end) for found in text.citations
    ]
    assert [None, "https://a", "https://i"] == [found.url for found in text.citations]
    assert {"web_search": 2} == response.usage.provider_tool_requests
    assert [{"text": "b"}] == encoded_again(response)


def test_citations_without_text_have_a_part_of_their_own() -> None:
    """Sources are not lost when the reply has no text."""
    response = decode(answer(citationMetadata={"citations": [{"uri": "https://x"}]}))
    (text,) = response.message.content

    assert isinstance(text, Text)
    assert ("", 1) == (text.text, len(text.citations))
    assert [] == encoded_again(response)


# -- usage ------------------------------------------------------------------------------------------------------------


def usage_of(**metadata: Any) -> Any:
    return decode(answer({"text": "x"}) | {"usageMetadata": metadata}).usage


def test_usage_adds_thoughts_and_tool_prompts() -> None:
    """Output counts thoughts, input counts what tools put in, and modalities are kept apart."""
    found = usage_of(
        promptTokenCount=100,
        toolUsePromptTokenCount=20,
        candidatesTokenCount=10,
        thoughtsTokenCount=30,
        totalTokenCount=160,
        cachedContentTokenCount=64,
        promptTokensDetails=[{"modality": "AUDIO", "tokenCount": 5}, {"modality": "TEXT", "tokenCount": 95}, 7],
        toolUsePromptTokensDetails=[{"modality": "IMAGE", "tokenCount": 20}],
        candidatesTokensDetails=[{"modality": "IMAGE", "tokenCount": 4}, {"modality": "AUDIO"}],
        serviceTier="flex",
    )

    assert (120, 40, 160, 64, 30) == (
        found.input_tokens,
        found.output_tokens,
        found.total_tokens,
        found.cache_read_tokens,
        found.reasoning_tokens,
    )
    assert (5, 20, 0, 4) == (
        found.input_audio_tokens,
        found.input_image_tokens,
        found.output_audio_tokens,
        found.output_image_tokens,
    )
    assert "flex" == found.service_tier


def test_absent_candidates_follow_from_the_total() -> None:
    """The output is often not counted by itself; then it is the total less the input."""
    assert 84 == usage_of(promptTokenCount=12, thoughtsTokenCount=84, totalTokenCount=96).output_tokens
    assert 7 == usage_of(promptTokenCount=12, totalTokenCount=19).output_tokens
    assert 9 == usage_of(thoughtsTokenCount=9).output_tokens


def test_unknown_usage_is_unknown() -> None:
    """What nobody counted is None, and says that it is unknown."""
    assert ("unknown", None) == (usage_of(trafficType="ON_DEMAND").source, usage_of().output_tokens)
    assert "ON_DEMAND" == usage_of(trafficType="ON_DEMAND").service_tier
    assert "unknown" == decode(answer({"text": "x"}) | {"usageMetadata": 5}).usage.source
    assert None is usage_of(promptTokenCount=True, totalTokenCount=-1).input_tokens


# -- recordings -------------------------------------------------------------------------------------------------------

# A prompt that was blocked, and replies of which a filter left nothing at all, are errors; with any content, replies.
BLOCKED = {
    "vertex-gemini-3c05d3e0d1": "a blocked prompt",
    "gemini-53e3dde4f9": "a reply of which nothing came (SAFETY)",
    "vertex-gemini-727ff9a25b": "a reply of which nothing came (SAFETY)",
    "vertex-gemini-6c43a79451": "a reply of which nothing came (MODEL_ARMOR)",
}


def test_every_recorded_body_is_read() -> None:
    """Every whole answer ever recorded decodes, without one unknown part, and its counts add up."""
    outcomes: Counter[str] = Counter()
    for exchange in recorded("gemini", "vertex-gemini", kind="generate", status=200, response_kind="json"):
        try:
            response = Gemini().decode(200, headers_of(exchange), body_of(exchange), here())
        except ContentBlockedError:
            assert exchange["id"] in BLOCKED
            outcomes["blocked"] += 1
            continue
        outcomes[response.finish_reason] += 1
        assert not [part for part in response.message.content if isinstance(part, Unknown)], exchange["id"]
        usage = response.usage
        if usage.output_tokens is not None and usage.input_tokens is not None:
            assert usage.total_tokens == usage.input_tokens + usage.output_tokens, exchange["id"]

    assert {"stop": 50, "tool_calls": 13, "length": 3, "other": 1, "blocked": 4} == outcomes


def test_recorded_parts_go_back_as_they_came() -> None:
    """Decoded and encoded for the same host, parts keep their order, and signatures their bytes."""
    compared = 0
    for exchange in recorded("gemini", "vertex-gemini", kind="generate", status=200, response_kind="json"):
        value = json.loads(body_of(exchange))
        if isinstance(value, list) or exchange["id"] in BLOCKED:
            continue
        wires = (value["candidates"][0].get("content") or {}).get("parts") or []
        response = Gemini().decode(200, {}, body_of(exchange), here())
        said = [part for part in wires if part.get("text") != "" or "thoughtSignature" in part]
        assert said == encoded_again(response), exchange["id"]
        compared += 1

    assert 58 == compared


# -- anything at all --------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    """candidates content parts text thought thoughtSignature functionCall functionResponse name args id index
    finishReason inlineData fileData mimeType data fileUri executableCode codeExecutionResult toolCall
    toolResponse usageMetadata promptTokenCount totalTokenCount candidatesTokensDetails modality tokenCount
    promptFeedback blockReason error code message status details groundingMetadata groundingChunks
    groundingSupports groundingChunkIndices segment endIndex web citationMetadata citations uri partialArgs
    jsonPath stringValue willContinue responseId modelVersion STOP SAFETY""".split()
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | WORDS | st.just("$.a[0]")
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=20
)
CHUNKS = JSON | st.builds(
    lambda parts, rest: {"candidates": [{"content": {"parts": parts}, **rest}]},
    st.lists(JSON, max_size=4),
    st.dictionaries(WORDS, JSON, max_size=3),
)


@pytest.mark.slow
@settings(deadline=None)
@given(CHUNKS)
def test_any_json_gives_a_response_or_one_of_our_errors(value: Any) -> None:
    """Whatever JSON comes, the answer is a response or a documented error."""
    with contextlib.suppress(AsyncLLMError):
        decode(value)


@pytest.mark.slow
@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_give_one_of_our_errors(body: bytes) -> None:
    """Whatever bytes come, nothing else is raised, and errors are classified without raising."""
    assert isinstance(Gemini().decode_error(500, {}, body, here()), AsyncLLMError)
    with contextlib.suppress(AsyncLLMError):
        Gemini().decode(200, {}, body, here())
