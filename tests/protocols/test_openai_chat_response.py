"""What the chat codec reads from a whole reply: parts, finish words, usage, headers, and what is no reply at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncllm._protocols.openai_chat import ChatDialect, OpenAIChat
from asyncllm._providers.compatible import dialect_of
from asyncllm._schema.content import (
    Audio,
    Citation,
    Image,
    Origin,
    ProviderToolCall,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Unknown,
)
from asyncllm._schema.response import RateLimits, Response
from asyncllm._schema.usage import UNKNOWN_USAGE, Usage
from asyncllm.errors import (
    AsyncLLMError,
    BadRequestError,
    ContentBlockedError,
    ProtocolError,
    ServerError,
)
from chat_recordings import NOT_CHAT, chunk, decode, exchanges, reply_of, streamed
from recordings import context

OWN = Origin("openai", "openai_chat")


def read(
    message: dict[str, Any] | None = None,
    finish: Any = "stop",
    *,
    dialect: ChatDialect | None = None,
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> Response:
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
    if message is not None:
        choice["message"] = {"role": "assistant", **message}
    whole = {"id": "c1", "object": "chat.completion", "model": "m-1", "choices": [choice], **fields}
    return OpenAIChat(dialect or ChatDialect()).decode(200, headers or {}, json.dumps(whole).encode(), context())


def parts(message: dict[str, Any], **fields: Any) -> tuple[Any, ...]:
    return read(message, **fields).message.content


def test_plain_reply() -> None:
    """Text, ids, models, the word for the end, and the body as it came."""
    found = read({"content": "Hi", "refusal": None}, headers={"x-request-id": "r1"})
    assert ("Hi", "stop", "stop", "c1", "r1") == (
        found.text,
        found.finish_reason,
        found.raw_finish_reason,
        found.id,
        found.request_id,
    )
    assert ("m-1", "m", "openai") == (found.model, found.requested_model, found.provider)
    assert (Text("Hi", origin=OWN),) == found.message.content
    assert "chat.completion" == (found.raw or {})["object"]
    assert UNKNOWN_USAGE == found.usage


def test_white_space_before_the_body() -> None:
    """OpenRouter writes blank lines while it waits."""
    whole = b'\n         \n{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]}'
    assert "x" == OpenAIChat().decode(200, {}, whole, context()).text


def test_index_zero_is_the_reply() -> None:
    """With several choices the one with index 0 counts, wherever it stands."""
    choices = [{"index": at, "message": {"content": str(at)}, "finish_reason": "stop"} for at in (2, 0, 1)]
    whole = json.dumps({"choices": choices}).encode()
    assert "0" == OpenAIChat().decode(200, {}, whole, context()).text


def test_calls() -> None:
    """Function and custom calls; arguments as text, object or null; ids missing, empty or the word null."""
    found = parts(
        {
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                {"id": "null", "function": {"name": "g", "arguments": {"b": [2]}}},
                {"type": "function", "index": 2, "function": {"name": "h", "arguments": None}},
                {"id": "c4", "type": "custom", "custom": {"name": "k", "input": "4 + 4"}},
                {"id": "", "custom": {"name": "l", "input": ""}, "x": {"y": 1}},
                {
                    "id": "c6",
                    "type": "function",
                    "function": {"name": "n", "arguments": "null"},
                    "custom": {"name": ""},
                },
                "no call",
            ],
        }
    )
    assert (
        ToolCall("c1", "f", raw_arguments='{"a": 1}', origin=OWN),
        ToolCall("call_1", "g", raw_arguments='{"b":[2]}', origin=OWN),
        ToolCall("call_2", "h", raw_arguments="", origin=OWN),
        ToolCall("c4", "k", raw_arguments="4 + 4", kind="custom", origin=OWN),
        ToolCall("call_3", "l", raw_arguments="", kind="custom", origin=OWN, extra={"x": {"y": 1}}),
        ToolCall("c6", "n", raw_arguments="null", origin=OWN),
    ) == found
    assert ({}, None) == (found[2].arguments, found[5].arguments)


def test_legacy_function_call() -> None:
    """The old ``function_call`` is a call like any other, unless real calls stand beside it."""
    found = read({"content": None, "function_call": {"name": "f", "arguments": "{}"}}, "function_call")
    assert ("tool_calls", "function_call") == (found.finish_reason, found.raw_finish_reason)
    assert (ToolCall("call_1", "f", raw_arguments="{}", origin=OWN),) == found.tool_calls
    assert () == parts({"content": "", "function_call": {"name": "", "arguments": ""}})


@pytest.mark.parametrize(
    ("word", "plain", "with_calls"),
    [
        ("stop", "stop", "tool_calls"),
        ("tool_calls", "other", "tool_calls"),
        ("tool_call", "other", "tool_calls"),
        ("function_call", "other", "tool_calls"),
        ("eos", "stop", "tool_calls"),
        ("", "other", "tool_calls"),
        (None, "other", "tool_calls"),
        ("length", "length", "length"),
        ("model_length", "length", "length"),
        ("content_filter", "content_filter", "content_filter"),
        ("brand_new", "other", "tool_calls"),
        ("MAX_TOKENS", "length", "length"),
        ("TOOL_CALLS", "other", "tool_calls"),
        (7, "other", "tool_calls"),
    ],
)
def test_finish_words(word: Any, plain: str, with_calls: str) -> None:
    """Every word seen on the wire; calls for the caller outrank the words of a normal end."""
    call = {"id": "c", "function": {"name": "f", "arguments": "{}"}}
    assert plain == read({"content": "x"}, word).finish_reason
    assert with_calls == read({"content": "x", "tool_calls": [call]}, word).finish_reason


@pytest.mark.parametrize("word", ["error", "function_call_filter: MALFORMED_FUNCTION_CALL"])
def test_a_failed_generation_is_an_error(word: str) -> None:
    """A router that says that the generation failed gave no reply, whatever came of it."""
    for message in ({"content": None}, {"content": "half"}, {"content": None, "reasoning_content": "hm"}):
        with pytest.raises(ServerError) as caught:
            read(message, word)
        assert ("once", word) == (caught.value.advice.retry, caught.value.code)
    with pytest.raises(ServerError, match="gives no reason"):
        read({"content": None}, None)


def test_a_call_of_an_undeclared_function_is_a_reply() -> None:
    """Gemini's word behind the chat format: with the whole call a reply in both forms, without a call an error."""
    word, function = "UNEXPECTED_TOOL_CALL", {"name": "list_files", "arguments": "{}"}
    whole = read({"content": None, "tool_calls": [{"id": "c", "type": "function", "function": function}]}, word)
    call = {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": function}]}
    for found in (whole, reply_of(streamed(chunk(call), chunk({}, word)))):
        assert ("tool_calls", word) == (found.finish_reason, found.raw_finish_reason)
        assert ["list_files"] == [call.name for call in found.tool_calls]
    with pytest.raises(ServerError):
        read({"content": None, "reasoning_content": "hm"}, word)
    with pytest.raises(ServerError):
        streamed(chunk({"reasoning_content": "hm"}), chunk({}, word))


def test_shapes_of_other_servers() -> None:
    """The text of the older completions and a lone delta are read; a choice with nothing of these is no answer."""
    body = {"choices": [{"index": 0, "text": "old", "finish_reason": "stop"}]}
    assert "old" == OpenAIChat().decode(200, {}, json.dumps(body).encode(), context()).text
    body = {"choices": [{"index": 0, "delta": {"content": "d"}, "finish_reason": "stop"}]}
    assert "d" == OpenAIChat().decode(200, {}, json.dumps(body).encode(), context()).text
    with pytest.raises(ProtocolError, match="without a message"):
        OpenAIChat().decode(200, {}, b'{"choices": [{"index": 0, "answer": "x"}]}', context())


def test_content_may_be_the_json_value_itself() -> None:
    """Hosts that parse the answer give the value in place of its text; the text is put together again."""
    assert '{"a":[1]}' == read({"content": {"a": [1]}}).text
    assert '[{"a":1}]' == read({"content": [{"a": 1}]}).text


def test_calls_of_one_reply_have_ids_of_their_own() -> None:
    """Two calls with one id get two."""
    calls = [{"id": "x", "function": {"name": name, "arguments": "{}"}} for name in ("f", "g")]
    assert ["x", "call_1"] == [call.id for call in read({"tool_calls": calls}, "tool_calls").tool_calls]


def test_half_a_character_costs_its_place() -> None:
    """A lone half of a surrogate pair becomes U+FFFD, with a warning."""
    body = b'{"choices": [{"message": {"content": "cut \\ud83d"}, "finish_reason": "length"}]}'
    found = OpenAIChat().decode(200, {}, body, context())
    assert ("cut \ufffd", 1) == (found.text, len(found.warnings))


def test_refusal() -> None:
    """A refusal is a part and the reason, though the wire says stop."""
    found = read({"content": None, "refusal": "I can't."})
    assert ("refusal", (Refusal("I can't.", origin=OWN),), "") == (
        found.finish_reason,
        found.message.content,
        found.text,
    )
    listed = read({"content": [{"type": "refusal", "refusal": "no"}]})
    assert ("refusal", (Refusal("no", origin=OWN),)) == (listed.finish_reason, listed.message.content)


def test_stop_sequence() -> None:
    """The stop string that hit, where the server tells; token numbers are none."""
    whole = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop", "stop_reason": "END"}]}
    assert "END" == OpenAIChat().decode(200, {}, json.dumps(whole).encode(), context()).stop_sequence
    whole["choices"][0]["stop_reason"] = 151645
    assert None is OpenAIChat().decode(200, {}, json.dumps(whole).encode(), context()).stop_sequence


def test_reasoning_text() -> None:
    """Readable reasoning comes first, under either of its names, once."""
    assert (Reasoning("hm", origin=OWN), Text("a", origin=OWN)) == parts({"content": "a", "reasoning_content": "hm"})
    assert (Reasoning("hm", origin=OWN),) == parts({"content": None, "reasoning": "hm", "reasoning_content": ""})
    assert (Reasoning("hm", origin=OWN),) == parts({"reasoning": "hm", "reasoning_content": "hm"})
    assert "<think>x</think>a" == read({"content": "<think>x</think>a"}).text


def test_reasoning_details() -> None:
    """OpenRouter's details stay verbatim beside the text; signature and encrypted data are at hand."""
    details = [
        {"type": "reasoning.summary", "summary": "hm", "index": 0, "format": "f"},
        {"type": "reasoning.text", "text": "mm", "signature": "sig", "index": 1},
        {"type": "reasoning.encrypted", "data": "xyz", "id": "r1", "index": 2},
        {"type": "reasoning.new", "x": 1},
    ]
    found = parts({"content": "a", "reasoning": None, "reasoning_details": details})
    expected = Reasoning(
        "hmmm", signature="sig", encrypted="xyz", id="r1", origin=OWN, extra={"reasoning_details": details}
    )
    assert (expected, Text("a", origin=OWN)) == found
    assert "other" == read({"reasoning": "other", "reasoning_details": details}).reasoning


def test_content_list() -> None:
    """Mistral's chunks in their order: thinking with its signature, text, and what is unknown."""
    chunk = {
        "type": "thinking",
        "thinking": [{"type": "text", "text": "h"}, {"type": "reference"}, {"type": "text", "text": "m"}],
        "signature": "s",
    }
    reference = {"type": "reference", "reference_ids": [1]}
    found = parts(
        {"content": [chunk, {"type": "text", "text": "a"}, "b", reference, 7, {"type": "thinking", "thinking": "z"}]}
    )
    assert (
        Reasoning("hm", signature="s", origin=OWN, extra={"chunk": chunk}),
        Text("a", origin=OWN),
        Text("b", origin=OWN),
        Unknown(type="reference", raw=reference, origin=OWN),
        Unknown(type="unknown", raw=7, origin=OWN),
        Reasoning("z", origin=OWN, extra={"chunk": {"type": "thinking", "thinking": "z"}}),
    ) == found


def test_citations() -> None:
    """Annotations nested or flat become citations of the text, with their own object."""
    nested = {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 1, "end_index": 2}}
    flat = {"type": "url_citation", "url": "v", "title": "w"}
    (text,) = parts({"content": "a", "annotations": [nested, flat, "odd"]})
    assert (
        Citation(url="u", title="t", start=1, end=2, raw=nested),
        Citation(url="v", title="w", raw=flat),
    ) == text.citations
    (alone,) = parts({"content": None, "annotations": [{"type": "file_citation", "file": 1}]})
    assert ("", {"type": "file_citation", "file": 1}) == (alone.text, alone.citations[0].raw)


def test_sources_beside_the_choices() -> None:
    """Perplexity's search results, or bare URLs, are citations of the text."""
    result = {"title": "t", "url": "u", "date": "2026"}
    (text,) = parts({"content": "a"}, search_results=[result], citations=["u"])
    assert (Citation(url="u", title="t", raw=result),) == text.citations
    (text,) = parts({"content": "a"}, citations=["u", 1])
    assert (Citation(url="u"),) == text.citations


def test_spoken_answer() -> None:
    """Audio has its id to refer back to, its sound and its transcript."""
    audio = {"id": "audio_1", "data": "cmlmZg==", "transcript": "hi", "expires_at": 5}
    (found,) = parts({"content": None, "audio": audio})
    assert Audio(data=b"riff", file_id="audio_1", transcript="hi", origin=OWN, extra={"expires_at": 5}) == found
    assert () == parts({"content": "", "audio": {"data": "", "id": "", "transcript": "", "expires_at": 0}})
    (broken,) = parts({"audio": {"id": "a", "data": "%"}})
    assert None is broken.data


def test_pictures() -> None:
    """Generated pictures are images, by data or by URL, and keep their own object."""
    data = {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}}
    link = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    odd = {"type": "image_url", "image_url": {"url": "data:image/png;base64,%"}}
    assert (
        Image(data=b"png", media_type="image/png", origin=OWN, extra={"image": data}),
        Image(url="https://example.com/a.png", origin=OWN, extra={"image": link}),
        Image(url="data:image/png;base64,%", origin=OWN, extra={"image": odd}),
    ) == parts({"images": [data, link, odd, {"type": "odd"}]})


def test_tools_the_host_ran() -> None:
    """Groq's executed tools are the provider's calls, not the caller's."""
    raw = {"name": "browser.search", "index": 0, "type": "browser_search", "arguments": '{"q":1}', "output": "o"}
    found = read({"content": "a", "executed_tools": [raw]})
    expected = ProviderToolCall(
        id="browser.search:0", name="browser.search", raw_arguments='{"q":1}', raw=raw, origin=OWN
    )
    assert ((expected, Text("a", origin=OWN)), (), "stop") == (
        found.message.content,
        found.tool_calls,
        found.finish_reason,
    )


def test_gemini_signature_of_a_text() -> None:
    """The extra content of Gemini's compatible surface stays with the text."""
    extra = {"google": {"thought_signature": "s"}}
    assert (Text("a", origin=OWN, extra={"extra_content": extra}),) == parts({"content": "a", "extra_content": extra})


def test_usage_in_full() -> None:
    """Every detail OpenAI counts; the tier from the body."""
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 20, "audio_tokens": 5, "image_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 3, "image_tokens": 2},
    }
    assert (
        Usage(
            input_tokens=100,
            output_tokens=50,
            total_tokens=150,
            cache_read_tokens=60,
            cache_write_tokens=20,
            reasoning_tokens=30,
            input_audio_tokens=5,
            input_image_tokens=4,
            output_audio_tokens=3,
            output_image_tokens=2,
            service_tier="default",
        )
        == read({"content": "x"}, usage=usage, service_tier="default").usage
    )


def test_usage_that_is_unknown() -> None:
    """What nobody counted is None, what was counted as zero is zero, and no usage at all is unknown."""

    def of(usage: Any) -> Usage:
        return read({"content": "x"}, usage=usage).usage

    assert UNKNOWN_USAGE == of(None) == of({}) == of("many") == of({"prompt_tokens": None})
    assert Usage(input_tokens=1, output_tokens=0) == of({"prompt_tokens": 1, "completion_tokens": 0})
    assert 0 == of({"prompt_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 0}}).reasoning_tokens
    assert None is of({"prompt_tokens": 1, "completion_tokens_details": None}).reasoning_tokens
    assert (None, 3) == (
        of({"prompt_tokens": True, "total_tokens": 3}).input_tokens,
        of({"prompt_tokens": 3.0}).input_tokens,
    )
    assert None is of({"prompt_tokens": -1, "completion_tokens": 1.5, "total_tokens": 2}).output_tokens


def test_usage_of_other_hosts() -> None:
    """DeepSeek's cache hits, Mistral's and vLLM's names, Groq's place, OpenRouter's searches, Mistral's tier."""
    assert 7 == read({"content": "x"}, usage={"prompt_tokens": 9, "prompt_cache_hit_tokens": 7}).usage.cache_read_tokens
    assert 7 == read({"content": "x"}, usage={"prompt_tokens": 9, "num_cached_tokens": 7}).usage.cache_read_tokens
    details = {"prompt_tokens": 9, "prompt_tokens_details": {"created_cache_tokens": 2}, "service_tier": "standard"}
    found = read({"content": "x"}, usage=details).usage
    assert (2, "standard") == (found.cache_write_tokens, found.service_tier)
    assert 9 == read({"content": "x"}, x_groq={"usage": {"prompt_tokens": 9}}).usage.input_tokens
    searched = {"prompt_tokens": 9, "server_tool_use_details": {"web_search_requests": 1, "tool_calls": 2}}
    assert {"web_search": 1} == read({"content": "x"}, usage=searched).usage.provider_tool_requests


def test_tokens_that_only_the_total_counts_are_output() -> None:
    """Where the total exceeds input and output, as with xAI's reasoning, the rest is output."""
    details = {"completion_tokens_details": {"reasoning_tokens": 227}}
    beside = {"prompt_tokens": 307, "completion_tokens": 26, "total_tokens": 560, **details}
    within = {"prompt_tokens": 307, "completion_tokens": 253, "total_tokens": 560, **details}
    assert [253, 253] == [read({"content": "x"}, usage=usage).usage.output_tokens for usage in (beside, within)]


def test_rate_limits() -> None:
    """The rate-limit headers of OpenAI, and the windows that other hosts name; none are none."""
    headers = {
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-reset-requests": "6m0s",
        "x-ratelimit-limit-tokens": "30000",
        "x-ratelimit-remaining-tokens": "29000",
        "x-ratelimit-reset-tokens": "17ms",
    }
    assert (
        RateLimits(
            requests_limit=500,
            requests_remaining=499,
            requests_reset=360.0,
            tokens_limit=30000,
            tokens_remaining=29000,
            tokens_reset=0.017,
        )
        == read({"content": "x"}, headers=headers).rate_limits
    )
    mistral = {"x-ratelimit-limit-req-minute": "100", "x-ratelimit-remaining-tokens-minute": "9"}
    assert RateLimits(requests_limit=100, tokens_remaining=9) == read({"content": "x"}, headers=mistral).rate_limits
    assert None is read({"content": "x"}, headers={"x-ratelimit-limit-requests": "XXX"}).rate_limits


@pytest.mark.parametrize("name", ["x-request-id", "apim-request-id", "request-id", "mistral-correlation-id", "cf-ray"])
def test_request_ids(name: str) -> None:
    """The id of the request, under the name that each host gives it."""
    assert "r1" == read({"content": "x"}, headers={name: "r1"}).request_id


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b"<!DOCTYPE html><html>", "base_url"),
        (b"upstream", "upstream"),
        (b"[1]", "[1]"),
        (b'"text"', "text"),
        (b"{}", "no choices"),
        (b'{"choices": []}', "no choices"),
        (b'{"choices": null, "message": "gone"}', "gone"),
        (b'{"choices": [1]}', "no choices"),
        (b"\xff\xfe{", "not a chat completion"),
    ],
)
def test_bodies_that_are_no_reply(body: bytes, word: str) -> None:
    """A 200 that is not its protocol is an error with a sentence that says what came."""
    with pytest.raises(ProtocolError) as caught:
        OpenAIChat().decode(200, {"x-request-id": "r1"}, body, context())
    assert word in caught.value.message
    assert ("openai", 200, "r1") == (caught.value.provider, caught.value.status, caught.value.request_id)


def test_errors_inside_a_success() -> None:
    """An error in a 200, in the body or in the choice, is raised as what it says."""
    with pytest.raises(ServerError) as caught:
        read({"content": "x"}, error={"code": 502, "message": "Provider returned error"})
    assert (502, "502") == (caught.value.status, caught.value.code)
    whole = {"choices": [{"index": 0, "error": {"code": 400, "message": "bad"}, "message": {"content": "x"}}]}
    with pytest.raises(BadRequestError, match="bad"):
        OpenAIChat().decode(200, {}, json.dumps(whole).encode(), context())
    with pytest.raises(ServerError, match="gone"):
        OpenAIChat().decode(200, {}, b'{"object": "error", "message": "gone", "code": 500}', context())


def test_blocked_content() -> None:
    """Blocked with nothing at all is an error; blocked after some text is a reply."""
    with pytest.raises(ContentBlockedError):
        read(None, "content_filter")
    with pytest.raises(ContentBlockedError):
        read({"content": ""}, "content_filter")
    assert "content_filter" == read({"content": "some"}, "content_filter").finish_reason
    filtered = {"choices": [], "prompt_filter_results": [{"content_filter_results": {"hate": {"filtered": True}}}]}
    with pytest.raises(ContentBlockedError):
        OpenAIChat().decode(200, {}, json.dumps(filtered).encode(), context())
    filtered["prompt_filter_results"] = [{"content_filter_results": {"hate": {"filtered": False}}}]
    with pytest.raises(ProtocolError):
        OpenAIChat().decode(200, {}, json.dumps(filtered).encode(), context())


def test_recorded_replies() -> None:
    """Every recorded unary reply of every host decodes; those that report a failure raise it."""
    read_ones, counted, empty, failed = 0, 0, 0, {}
    for exchange in exchanges(status=200):
        if exchange["response_kind"] == "sse":
            continue
        try:
            reply = decode(exchange)
        except AsyncLLMError as error:
            failed[exchange["id"]] = type(error)
            continue
        read_ones += 1
        assert reply.finish_reason != "other" or exchange["id"].startswith("snowflake"), exchange["id"]
        empty += not reply.message.content  # a bound too low for any text; a stop at once
        counted += reply.usage.source == "provider"
    assert {
        **dict.fromkeys(NOT_CHAT, ProtocolError),
        "azure-chat-f5148f1027": ContentBlockedError,  # filtered, with no message at all
        "openrouter-0b171646a3": ServerError,
        "openrouter-3f30c3997c": ServerError,
    } == failed
    assert (217, 217, 4) == (read_ones, counted, empty)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    "id model choices index message finish_reason stop_reason content type text refusal tool_calls function "
    "custom name arguments input reasoning reasoning_content reasoning_details thinking data signature "
    "annotations url_citation audio images image_url url executed_tools function_call usage prompt_tokens "
    "prompt_tokens_details error code metadata raw headers detail loc msg x_groq service_tier search_results "
    "citations extra_content innererror prompt_filter_results object delta".split()
)
wire_values = st.recursive(
    json_values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25
)
messages = st.dictionaries(KEYS, wire_values, max_size=8)
bodies = st.builds(
    lambda message, choice, body: {**body, "choices": [{**choice, "message": message}]},
    messages,
    st.dictionaries(KEYS, json_values, max_size=3).map(lambda found: {**found, "index": 0, "error": None}),
    st.dictionaries(KEYS, wire_values, max_size=4).map(lambda found: {**found, "error": None, "object": None}),
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(bodies | wire_values)
def test_any_json_is_read_or_refused(body: Any) -> None:
    """Whatever JSON comes, it is a reply or one of our own errors."""
    for kind in ("mistral", "openrouter"):
        try:
            OpenAIChat(dialect_of(kind)).decode(200, {}, json.dumps(body).encode(), context())
        except AsyncLLMError:
            continue
