"""What the Messages codec reads from a whole body, and that it goes back as it came."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm._protocols.anthropic import AnthropicMessages
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
from asyncllm._schema.messages import Message
from asyncllm._schema.request import Request
from asyncllm._schema.response import RateLimits, Response
from asyncllm._schema.usage import UNKNOWN_USAGE, Usage
from asyncllm.errors import AsyncLLMError, ContentBlockedError, OverloadedError, ProtocolError
from recordings import body_of, context, headers_of, recorded

OURS = Origin("anthropic", "anthropic")
PROTOCOL = AnthropicMessages()
FILES = ("anthropic", "azure", "vertex-anthropic")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def decode(value: Any, headers: dict[str, str] | None = None, status: int = 200) -> Response:
    """The decoded body."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return PROTOCOL.decode(status, headers or {}, data, context("anthropic", "anthropic", "claude-x"))


def message(*content: Any, **fields: Any) -> dict[str, Any]:
    """A body with this content."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x-1",
        "content": list(content),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 2},
        **fields,
    }


def sent_back(reply: Message) -> list[dict[str, Any]]:
    """The blocks an assistant turn is written as, when it is sent back to where it came from."""
    request = Request(model="claude-x", messages=(Message.user("q"), reply, Message.user("r")))
    encoded = PROTOCOL.encode(request, context("anthropic", "anthropic"))
    content = json.loads(encoded.body)["messages"][1]["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def normal(content: Any) -> list[dict[str, Any]]:
    """Blocks without what says nothing: null or empty citations, marks, and empty text beside other blocks."""
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    found = []
    for block in blocks:
        kept = {key: value for key, value in block.items() if key != "cache_control"}
        if not kept.get("citations"):
            kept.pop("citations", None)
        if kept != {"type": "text", "text": ""} or len(blocks) == 1:
            found.append(kept)
    return found


def told(value: Any) -> Any:
    """A value without nulls, and without ``caller``, which some of the recorded clients leave out."""
    if isinstance(value, list):
        return [told(item) for item in value]
    if isinstance(value, dict):
        return {key: told(item) for key, item in value.items() if item is not None and key != "caller"}
    return value


def test_a_plain_reply() -> None:
    """Text, ids, the model that answered, usage and the reason to stop."""
    reply = decode(message({"type": "text", "text": "Hello"}), {"request-id": "req_1"})
    assert (Text("Hello", origin=OURS),) == reply.message.content
    assert ("stop", "end_turn", None) == (reply.finish_reason, reply.raw_finish_reason, reply.stop_sequence)
    assert ("msg_1", "claude-x-1", "claude-x", "anthropic", "req_1") == (
        reply.id,
        reply.model,
        reply.requested_model,
        reply.provider,
        reply.request_id,
    )
    assert Usage(input_tokens=3, output_tokens=2) == reply.usage
    assert reply.raw is not None
    assert "msg_1" == reply.raw["id"]


def test_every_kind_of_block_in_order() -> None:
    """Each block becomes a part in its place, with what only its wire knows."""
    search = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"encrypted_content": "x"}]}
    asked = {"type": "mcp_tool_use", "id": "m1", "name": "ask", "server_name": "wiki", "input": {}}
    failed = {"type": "mcp_tool_result", "tool_use_id": "m1", "is_error": True, "content": []}
    lone = {"type": "code_execution_tool_result", "tool_use_id": "c", "content": {"type": "x_tool_result_error"}}
    new = {"type": "compaction", "content": "c"}
    reply = decode(
        message(
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "redacted_thinking", "data": "blob"},
            search,
            found,
            asked,
            failed,
            lone,
            new,
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}, "caller": {"type": "direct"}},
            stop_reason="tool_use",
        )
    )
    assert (
        Reasoning("hm", signature="sig", origin=OURS),
        Reasoning(encrypted="blob", origin=OURS),
        ProviderToolCall(id="s1", name="web_search", raw_arguments='{"query":"q"}', raw=search, origin=OURS),
        ProviderToolResult(call_id="s1", name="web_search", raw=found, origin=OURS),
        ProviderToolCall(id="m1", name="ask", raw_arguments="{}", raw=asked, origin=OURS),
        ProviderToolResult(call_id="m1", name="ask", raw=failed, is_error=True, origin=OURS),
        ProviderToolResult(call_id="c", name="code_execution", raw=lone, is_error=True, origin=OURS),
        Unknown(type="compaction", raw=new, origin=OURS),
        ToolCall("t1", "f", raw_arguments='{"a":1}', origin=OURS, extra={"caller": {"type": "direct"}}),
    ) == reply.message.content
    assert ("tool_calls", ["t1"], "hm") == (
        reply.finish_reason,
        [call.id for call in reply.tool_calls],
        reply.reasoning,
    )


@pytest.mark.parametrize(
    ("raw", "citation"),
    [
        (
            {
                "type": "char_location",
                "cited_text": "c",
                "document_title": "t",
                "start_char_index": 0,
                "end_char_index": 3,
            },
            Citation(title="t", cited_text="c", start=0, end=3),
        ),
        (
            {"type": "page_location", "cited_text": "c", "start_page_number": 1, "end_page_number": 2},
            Citation(cited_text="c", start=1, end=2),
        ),
        (
            {"type": "web_search_result_location", "cited_text": "c", "title": "t", "url": "https://x.test"},
            Citation(url="https://x.test", title="t", cited_text="c"),
        ),
        (
            {"type": "search_result_location", "source": "kb", "start_block_index": 4, "end_block_index": 5},
            Citation(url="kb", start=4, end=5),
        ),
    ],
)
def test_citations(raw: dict[str, Any], citation: Citation) -> None:
    """A citation says what it cites, and keeps the wire's own object."""
    (part,) = decode(message({"type": "text", "text": "a", "citations": [raw]})).message.content
    expected = Citation(
        url=citation.url,
        title=citation.title,
        cited_text=citation.cited_text,
        start=citation.start,
        end=citation.end,
        raw=raw,
    )
    assert Text("a", citations=(expected,), origin=OURS) == part


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text"},
        {"type": "thinking", "thinking": 1},
        {"type": "redacted_thinking"},
        {"type": "tool_use", "id": "t"},
        {"type": "server_tool_use", "name": "n"},
        {"type": "web_search_tool_result"},
        {"type": 7},
        {},
        "loose",
    ],
)
def test_blocks_that_are_not_what_they_say_are_kept(block: Any) -> None:
    """A block without what its kind needs is unknown content, not an error."""
    (part,) = decode(message(block)).message.content
    assert (Unknown, block) == (type(part), part.raw)  # type: ignore[union-attr]


def test_a_tool_call_without_an_id_gets_one() -> None:
    """An id is never empty; a call without input has empty arguments."""
    (call,) = decode(message({"type": "tool_use", "name": "f"})).tool_calls
    assert ("toolu_1", "", {}) == (call.id, call.raw_arguments, call.arguments)


@pytest.mark.parametrize(
    ("word", "calls", "expected"),
    [
        ("end_turn", False, "stop"),
        ("end_turn", True, "tool_calls"),
        ("tool_use", True, "tool_calls"),
        ("tool_use", False, "stop"),
        ("stop_sequence", False, "stop"),
        ("max_tokens", True, "length"),
        ("model_context_window_exceeded", False, "length"),
        ("pause_turn", True, "pause"),
        ("refusal", True, "refusal"),
        ("compaction", False, "other"),
        ("new_reason", True, "tool_calls"),
        (None, True, "tool_calls"),
    ],
)
def test_finish_reasons(word: str | None, calls: bool, expected: str) -> None:
    """Every reason has a word of ours; calls for the caller make a normal end a call for tools."""
    content = [{"type": "tool_use", "id": "t", "name": "f", "input": {}}] if calls else []
    assert expected == decode(message(*content, stop_reason=word)).finish_reason


def test_a_stop_sequence_is_told() -> None:
    """The sequence that ended the reply is on it."""
    assert "END" == decode(message(stop_reason="stop_sequence", stop_sequence="END")).stop_sequence


def test_a_refusal_that_says_nothing_is_an_error() -> None:
    """Nothing at all came, so there is no reply to give."""
    body = message(stop_reason="refusal", stop_details={"category": "cyber", "explanation": "No."})
    with pytest.raises(ContentBlockedError, match=r"said nothing \(cyber\): No\.") as caught:
        decode(body)
    assert "cyber" == caught.value.code


def test_usage_in_full() -> None:
    """Cached tokens are part of the input; splits, tiers and tool requests are kept."""
    usage = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 5,
        "cache_read_input_tokens": 100,
        "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3},
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 4},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
        "service_tier": "standard",
    }
    assert (
        Usage(
            input_tokens=115,
            output_tokens=7,
            total_tokens=122,
            cache_read_tokens=100,
            cache_write_tokens=5,
            cache_write_tokens_by_ttl={"5m": 2, "1h": 3},
            reasoning_tokens=4,
            provider_tool_requests={"web_search": 2, "web_fetch": 0},
            service_tier="standard",
        )
        == decode(message(usage=usage)).usage
    )


def test_usage_of_a_compaction_is_added() -> None:
    """The pass that summarised the conversation was billed, though the totals leave it out."""
    split = {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 0}
    usage = {
        "input_tokens": 10,
        "output_tokens": 2,
        "cache_creation_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "iterations": [
            {
                "type": "compaction",
                "input_tokens": 90,
                "output_tokens": 8,
                "cache_creation_input_tokens": 50,
                "cache_creation": split,
            },
            {"type": "message", "input_tokens": 10, "output_tokens": 2},
            {"type": "advisor_message", "input_tokens": 1000, "output_tokens": 1000},
            None,
        ],
    }
    found = decode(message(usage=usage)).usage
    assert (150, 10, 50, {"5m": 50, "1h": 0}) == (
        found.input_tokens,
        found.output_tokens,
        found.cache_write_tokens,
        found.cache_write_tokens_by_ttl,
    )


@pytest.mark.parametrize("usage", [None, {}, [], {"input_tokens": None, "output_tokens": "3"}])
def test_unknown_usage_is_unknown(usage: Any) -> None:
    """A number nobody told us is not 0."""
    assert UNKNOWN_USAGE == decode(message(usage=usage)).usage


def test_usage_that_is_half_known() -> None:
    """What is told is kept, the rest stays unknown."""
    assert Usage(output_tokens=3) == decode(message(usage={"output_tokens": 3, "input_tokens": -1})).usage


def test_rate_limits() -> None:
    """Limits come from the headers; a reset time becomes seconds from now."""
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2026-11-18T11:06:50Z",
        "anthropic-ratelimit-input-tokens-limit": "1000",
        "anthropic-ratelimit-input-tokens-remaining": "900",
        "anthropic-ratelimit-input-tokens-reset": "2026-11-18T11:07:40",
    }
    assert (
        RateLimits(
            requests_limit=50,
            requests_remaining=49,
            requests_reset=10.0,
            tokens_limit=1000,
            tokens_remaining=900,
            tokens_reset=60.0,
        )
        == decode(message(), headers).rate_limits
    )


def test_rate_limits_of_other_hosts() -> None:
    """Hosts in front of the API have headers and durations of their own; what cannot be read is unknown."""
    headers = {
        "x-ratelimit-limit-tokens": "9",
        "x-ratelimit-reset-tokens": "1m0s",
        "x-ratelimit-reset-requests": "soon",
    }
    assert RateLimits(tokens_limit=9, tokens_reset=60.0) == decode(message(), headers).rate_limits
    assert decode(message(), {}).rate_limits is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not JSON"),
        (b"<html>busy</html>", "<html>busy"),
        (b"[]", "no JSON object"),
        (b"{}", "no content"),
        (b'{"type":"message","content":"x"}', "no content"),
    ],
)
def test_what_is_no_message(data: bytes, words: str) -> None:
    """A success that is not its protocol is an error that shows how it began."""
    with pytest.raises(ProtocolError, match=words) as caught:
        decode(data)
    assert ("anthropic", 200) == (caught.value.provider, caught.value.status)


@pytest.mark.parametrize("body", [{"type": "error", "error": {"type": "overloaded_error"}}, {"error": {"code": 529}}])
def test_an_error_inside_a_success(body: Any) -> None:
    """An error is classified, whatever the status in front of it."""
    with pytest.raises(OverloadedError):
        decode(body)


def test_every_recorded_reply_decodes() -> None:
    """Real replies of three hosts decode without loss: text, calls and usage are where they were."""
    replies = recorded(*FILES, protocol="anthropic-messages", response_kind="json", status=200)
    assert 55 == len(replies)
    for exchange in replies:
        raw = json.loads(body_of(exchange))
        reply = decode(body_of(exchange), headers_of(exchange))
        assert len(raw["content"]) == len(reply.message.content)
        assert "".join(block["text"] for block in raw["content"] if block["type"] == "text") == reply.text
        assert [b["input"] for b in raw["content"] if b["type"] == "tool_use"] == [
            c.arguments for c in reply.tool_calls
        ]
        assert reply.usage.total_tokens is not None
        assert "other" != reply.finish_reason


def test_recorded_turns_go_back_as_they_came() -> None:
    """Every assistant turn in the recordings, received or sent, survives decoding and encoding block by block."""
    turns = [
        json.loads(body_of(exchange))["content"]
        for exchange in recorded(*FILES, protocol="anthropic-messages", response_kind="json", status=200)
    ]
    for exchange in recorded(*FILES, protocol="anthropic-messages"):
        turns += [
            turn["content"] if isinstance(turn["content"], list) else [{"type": "text", "text": turn["content"]}]
            for turn in (exchange.get("request_json") or {}).get("messages", ())
            if turn["role"] == "assistant"
        ]
    turns = [turn for turn in turns if turn]
    assert 87 == len(turns)
    for content in turns:
        reply = decode(message(*content)).message
        assert normal(content) == normal(sent_back(reply))


def test_recorded_conversations_continue_as_they_did() -> None:
    """The turn we send back equals the one the recorded client sent, where a recording goes on."""
    exchanges = recorded(*FILES, protocol="anthropic-messages")
    by_place = {(exchange["source_path"], exchange["idx"]): exchange for exchange in exchanges}
    compared = 0
    for (path, index), exchange in by_place.items():
        following = by_place.get((path, index + 1))
        if exchange["response_kind"] != "json" or following is None or "in-sequence" not in following["tags"]:
            continue
        asked, went_on = exchange["request_json"]["messages"], following["request_json"]["messages"]
        if asked != went_on[: len(asked)]:
            continue  # the client changed its own part of the history
        ours = normal(sent_back(decode(body_of(exchange)).message))
        assert told(normal(went_on[len(asked)]["content"])) == told(ours)
        compared += 1
    assert 5 <= compared


@given(JSON)
def test_any_json_decodes_or_is_an_error_of_ours(value: Any) -> None:
    """Arbitrary JSON raises nothing but the library's own errors."""
    with suppress(AsyncLLMError):
        decode(value)


BLOCK = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "x_tool_result"]
        )
    },
    optional=dict.fromkeys(
        ("text", "citations", "thinking", "signature", "data", "id", "name", "input", "tool_use_id", "content"), JSON
    ),
)


@given(st.lists(BLOCK | JSON, max_size=4), JSON, JSON)
def test_any_content_decodes_and_goes_back(content: list[Any], usage: Any, stop: Any) -> None:
    """Whatever the blocks hold, there is a part for each, and encoding it fails with errors of ours at most."""
    with suppress(AsyncLLMError):
        reply = decode(message(*content, usage=usage, stop_reason=stop))
        assert len(content) == len(reply.message.content)
        sent_back(Message.assistant("x", *reply.message.content))
