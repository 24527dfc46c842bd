"""What the Responses codec reads from whole answers: parts, finish reasons, usage, and what is no answer at all."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm._protocols.openai_responses import OpenAIResponses, ResponsesDialect
from asyncllm._schema.content import (
    Citation,
    Part,
    ProviderToolCall,
    ProviderToolResult,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Unknown,
)
from asyncllm._schema.response import RateLimits
from asyncllm._schema.usage import UNKNOWN_USAGE, Usage
from asyncllm.errors import AsyncLLMError, ContentBlockedError, ProtocolError, RateLimitError, ServerError
from recordings import body_of
from response_recordings import ORIGIN, body, decode, exchanges, here, read, whole


def message(*content: Any, **fields: Any) -> dict[str, Any]:
    """A message item."""
    return {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [*content],
        **fields,
    }


def text(words: str, **fields: Any) -> dict[str, Any]:
    """A text of a message."""
    return {"type": "output_text", "text": words, "annotations": [], **fields}


CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"}


def only(item: dict[str, Any], dialect: ResponsesDialect | None = None) -> Part:
    """The one part of an output item."""
    (part,) = read(item, dialect=dialect).message.content
    return part


def test_a_plain_reply() -> None:
    """Ids, model, text, usage and the headers' facts are where they belong."""
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    answer = whole(message(text("Hi")), usage=usage, service_tier="default")
    headers = {"x-request-id": "req_1", "x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "6ms"}
    found = OpenAIResponses().decode(200, headers, json.dumps(answer).encode(), here())
    head = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
    assert (Text("Hi", origin=ORIGIN, extra={"item": head}),) == found.message.content
    assert ("resp_1", "m-1", "m", "openai", "req_1") == (
        found.id,
        found.model,
        found.requested_model,
        found.provider,
        found.request_id,
    )
    assert ("stop", "completed", None) == (found.finish_reason, found.raw_finish_reason, found.stop_sequence)
    assert RateLimits(requests_remaining=9, requests_reset=0.006) == found.rate_limits
    assert (5, "default", answer) == (found.usage.total_tokens, found.usage.service_tier, found.raw)


def test_several_messages() -> None:
    """Commentary and final answer are texts of their own, each with its phase; a message may hold several."""
    found = read(
        message(text("a"), text("b", logprobs=[1]), phase="commentary"),
        message(text("c"), id="msg_2", phase="final_answer"),
    )
    extras = [part.extra for part in found.message.content if isinstance(part, Text)]
    assert ["commentary", "commentary", "final_answer"] == [(extra or {})["item"]["phase"] for extra in extras]
    assert ("abc", {"logprobs": [1]}) == (found.text, (extras[1] or {})["content"])


def test_citations() -> None:
    """Annotations of every kind are citations, with the wire's own object."""
    web = {"type": "url_citation", "url": "u", "title": "t", "start_index": 1, "end_index": 2}
    file = {"type": "file_citation", "file_id": "f", "filename": "a.txt", "index": 3}
    part = only(message({"type": "output_text", "text": "x", "annotations": [web, file, "?"]}))
    assert isinstance(part, Text)
    assert (
        Citation(url="u", title="t", start=1, end=2, raw=web),
        Citation(title="a.txt", raw=file),
    ) == part.citations


def test_a_refusal() -> None:
    """A refusal is a part, and the reason of the end."""
    found = read(message({"type": "refusal", "refusal": "no"}))
    (part,) = found.message.content
    assert isinstance(part, Refusal)
    assert ("no", "refusal", "") == (part.text, found.finish_reason, found.text)


def test_reasoning() -> None:
    """Summaries are joined by an empty line; without them the content is the text; the encrypted part is kept."""
    summary = [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": ""}, {"text": "b"}]
    item = {"type": "reasoning", "id": "rs_1", "summary": summary, "content": [{"text": "c"}], "encrypted_content": "e"}
    part = only(item)
    assert isinstance(part, Reasoning)
    assert ("a\n\nb", "rs_1", "e") == (part.text, part.id, part.encrypted)
    assert {key: value for key, value in item.items() if key != "encrypted_content"} == (part.extra or {})["item"]
    bare = only({"type": "reasoning", "id": "", "summary": [], "content": [{"text": "c"}], "encrypted_content": None})
    assert isinstance(bare, Reasoning)
    assert ("c", None, None) == (bare.text, bare.id, bare.encrypted)


def test_calls() -> None:
    """Functions and custom tools are the caller's; what else the item holds is kept; odd values are read with care."""
    found = read(
        {**CALL, "namespace": "n"},
        {"type": "custom_tool_call", "id": "ctc", "call_id": "c2", "name": "sql", "input": "select 1"},
        {"type": "function_call", "id": "fc_3", "name": "g", "arguments": {"x": 1}},
        {"type": "function_call"},
    )
    assert [
        ("c1", "f", "{}", "function", {"item": {"id": "fc_1", "status": "completed", "namespace": "n"}}),
        ("c2", "sql", "select 1", "custom", {"item": {"id": "ctc"}}),
        ("fc_3", "g", '{"x":1}', "function", {"item": {"id": "fc_3"}}),
        ("call_1", "", "", "function", None),
    ] == [(call.id, call.name, call.raw_arguments, call.kind, call.extra) for call in found.tool_calls]
    assert ("tool_calls", "completed") == (found.finish_reason, found.raw_finish_reason)


@pytest.mark.parametrize(
    ("item", "name", "arguments"),
    [
        ({"type": "web_search_call", "id": "i", "action": {"query": "q"}}, "web_search", '{"query":"q"}'),
        ({"type": "file_search_call", "id": "i", "queries": ["q"]}, "file_search", '{"queries":["q"]}'),
        ({"type": "code_interpreter_call", "id": "i", "code": "1"}, "code_interpreter", '{"code":"1"}'),
        ({"type": "image_generation_call", "id": "i", "result": "eA=="}, "image_generation", ""),
        ({"type": "mcp_call", "id": "i", "name": "ask", "arguments": '{"a":1}'}, "ask", '{"a":1}'),
        ({"type": "mcp_list_tools", "id": "i", "tools": []}, "mcp_list_tools", ""),
        ({"type": "mcp_approval_request", "id": "i", "name": "ask", "arguments": "{}"}, "ask", "{}"),
        (
            {"type": "tool_search_call", "id": "i", "execution": "server", "arguments": {"p": 1}},
            "tool_search",
            '{"p":1}',
        ),
        ({"type": "program", "id": "i", "code": "1", "fingerprint": "f"}, "program", '{"code":"1"}'),
        (
            {
                "type": "shell_call",
                "id": "i",
                "action": {"commands": ["ls"]},
                "environment": {"type": "container_reference"},
            },
            "shell",
            '{"commands":["ls"]}',
        ),
    ],
)
def test_what_the_provider_ran(item: dict[str, Any], name: str, arguments: str) -> None:
    """Hosted tools are shown with what they were given, whole in ``raw``, and are no calls for the caller."""
    part = only(item)
    assert isinstance(part, ProviderToolCall)
    assert ("i", name, arguments, item, ORIGIN) == (part.id, part.name, part.raw_arguments, part.raw, part.origin)
    assert "stop" == read(item).finish_reason


def test_what_hosted_tools_gave_back() -> None:
    """An output item is the result of the call with its id, and says whether it failed."""
    item = {"type": "shell_call_output", "id": "o", "call_id": "c", "status": "completed", "output": []}
    assert ProviderToolResult(call_id="c", name="shell", raw=item, origin=ORIGIN) == only(item)
    failed = only({"type": "program_output", "call_id": "c", "status": "incomplete"})
    assert isinstance(failed, ProviderToolResult)
    assert (True, "program") == (failed.is_error, failed.name)


@pytest.mark.parametrize(
    ("item", "name", "arguments"),
    [
        ({"type": "local_shell_call", "action": {"command": ["ls"]}}, "local_shell", {"action": {"command": ["ls"]}}),
        ({"type": "apply_patch_call", "operation": {"path": "a"}}, "apply_patch", {"operation": {"path": "a"}}),
        ({"type": "computer_call", "actions": []}, "computer", {"actions": []}),
        ({"type": "shell_call", "environment": None}, "shell", {"environment": None}),
        ({"type": "tool_search_call", "execution": "client"}, "tool_search", {"execution": "client"}),
    ],
)
def test_what_the_caller_must_run(item: dict[str, Any], name: str, arguments: dict[str, Any]) -> None:
    """A tool with a form of its own that runs at the caller's is a call with that form as arguments."""
    found = read({"id": "i", "call_id": "c", "status": "completed", **item})
    (call,) = found.tool_calls
    assert ("c", name, arguments, "function") == (call.id, call.name, call.arguments, call.kind)
    assert "tool_calls" == found.finish_reason


def test_a_custom_call_that_the_host_ran() -> None:
    """A host (xAI) shows its own searches as custom calls; by their ids they are not the caller's."""
    item = {"type": "custom_tool_call", "id": "ctc", "call_id": "xs_call_1", "name": "x_search", "input": '{"q":1}'}
    part = only(item)
    assert isinstance(part, ProviderToolCall)
    assert ("xs_call_1", "x_search", '{"q":1}') == (part.id, part.name, part.raw_arguments)
    assert isinstance(only({**item, "call_id": "call_1"}), ToolCall)


def test_what_is_unknown_is_kept() -> None:
    """Items and content of other types stay as they came; a message without content too."""
    item = {"type": "compaction", "id": "c", "encrypted_content": "x"}
    assert Unknown(type="compaction", raw=item, origin=ORIGIN) == only(item)
    assert Unknown(type="unknown", raw={"a": 1}, origin=ORIGIN) == only({"a": 1})
    assert Unknown(type="message", raw=message(), origin=ORIGIN) == only(message())
    assert Unknown(type="x", raw=message({"type": "x"}), origin=ORIGIN) == only(message({"type": "x"}))
    assert Unknown(type="output_text", raw=message(text(None)), origin=ORIGIN) == only(message(text(None)))  # type: ignore[arg-type]  # on purpose
    assert () == read("no item", 1).message.content


@pytest.mark.parametrize(
    ("fields", "output", "expected"),
    [
        ({}, [message(text("a"))], ("stop", "completed")),
        ({"status": "complete"}, [message(text("a"))], ("stop", "complete")),
        ({"status": None}, [message(text("a"))], ("stop", None)),
        ({}, [CALL, message({"type": "refusal", "refusal": "no"})], ("tool_calls", "completed")),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            [CALL],
            ("length", "max_output_tokens"),
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            [message(text("a"))],
            ("content_filter", "content_filter"),
        ),
        ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, [], ("other", "steered")),
        ({"status": "incomplete", "incomplete_details": None}, [message(text("a"))], ("other", "incomplete")),
        ({"status": "queued"}, [], ("other", "queued")),
    ],
)
def test_finish_reasons(fields: dict[str, Any], output: list[Any], expected: tuple[str, str | None]) -> None:
    """The status and the reason of an incomplete reply in our words, with the wire's own beside it."""
    found = read(*output, **fields)
    assert expected == (found.finish_reason, found.raw_finish_reason)


@pytest.mark.parametrize("details", [None, {}, {"reason": None}, {"reason": ""}, []])
@pytest.mark.parametrize("output", [[], [message(text(""))], [{"type": "reasoning", "id": "rs_1", "summary": []}]])
def test_an_incomplete_reply_of_nothing_that_does_not_say_why_is_an_error(output: list[Any], details: Any) -> None:
    """Nothing came, and `incomplete` is no reason: the same as an empty answer on any wire."""
    with pytest.raises(ServerError, match="gives no reason"):
        read(*output, status="incomplete", incomplete_details=details)


def test_a_response_that_was_cancelled_is_no_reply() -> None:
    """What was broken off is an error, also with text in it."""
    with pytest.raises(ServerError, match=r"failed \(cancelled\)"):
        read(message(text("a")), status="cancelled")


def test_usage() -> None:
    """Cached, written (by lifetime) and reasoning tokens are breakdowns; hosted tools are counted by name."""
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {
            "cached_tokens": 40,
            "cache_write_tokens": 30,
            "cache_write_tokens_details": {"ttl_30m_tokens": 10, "ttl_12h_tokens": 20, "other": 1},
        },
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 8},
        "total_tokens": 120,
    }
    tool_usage = {"image_gen": {"total_tokens": 0}, "web_search": {"num_requests": 2}}
    assert (
        Usage(
            input_tokens=100,
            output_tokens=20,
            total_tokens=120,
            cache_read_tokens=40,
            cache_write_tokens=30,
            cache_write_tokens_by_ttl={"30m": 10, "12h": 20},
            reasoning_tokens=8,
            provider_tool_requests={"web_search": 2},
            service_tier="priority",
        )
        == read(usage=usage, tool_usage=tool_usage, service_tier="priority").usage
    )


def test_usage_of_other_hosts() -> None:
    """What a host does not count is unknown, never 0; xAI counts its tools in the usage."""
    details = {"web_search_calls": 1, "mcp_calls": 0, "note": "x"}
    found = read(usage={"input_tokens": 2.0, "output_tokens": -1, "server_side_tool_usage_details": details}).usage
    assert (2, None, None, {"web_search": 1, "mcp": 0}) == (
        found.input_tokens,
        found.output_tokens,
        found.cache_read_tokens,
        found.provider_tool_requests,
    )
    for usage in (None, {}, "x", {"input_tokens": True}):
        assert read(usage=usage).usage == UNKNOWN_USAGE


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty body"),
        (b"  <html>no</html>", "a page instead of JSON: is base_url right"),
        (b"[1]", "not a response"),
        (b"{", "not a response"),
        (b'{"choices": []}', "holds no output"),
        (b'{"output": null}', "holds no output"),
    ],
)
def test_what_is_no_response(content: bytes, words: str) -> None:
    """A success that is not of this format is a protocol error that says what it is."""
    with pytest.raises(ProtocolError, match=words) as caught:
        OpenAIResponses().decode(200, {"x-request-id": "r"}, content, here())
    assert ("openai", "m", 200, "r") == (
        caught.value.provider,
        caught.value.model,
        caught.value.status,
        caught.value.request_id,
    )


def test_a_failure_inside_a_success() -> None:
    """A response that failed raises what failed, by its code."""
    failed: dict[str, Any] = {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}}
    with pytest.raises(RateLimitError, match="slow"):
        read(**failed)
    with pytest.raises(ServerError, match="and not why"):
        read(status="failed")
    with pytest.raises(ServerError, match="bad gateway"):
        read(error={"message": "bad gateway", "code": 502})


def test_nothing_but_a_filter() -> None:
    """A reply that a content filter left empty is an error."""
    with pytest.raises(ContentBlockedError, match="nothing of it came"):
        read(status="incomplete", incomplete_details={"reason": "content_filter"})


def test_every_recorded_body_decodes() -> None:
    """Every recorded unary answer of nine hosts is read, counted and ended."""
    found = [decode(exchange) for exchange in exchanges(status=200, response_kind="json")]
    assert 85 == len(found)
    assert {"stop": 67, "tool_calls": 14, "length": 3, "refusal": 1} == Counter(reply.finish_reason for reply in found)
    assert {"provider"} == {reply.usage.source for reply in found}
    assert {True} == {reply.model != "" and reply.id is not None for reply in found}


def test_every_recorded_body_goes_back_as_it_came() -> None:
    """Read and written again, the items of every recorded answer are the same, byte for byte where it matters."""
    for exchange in exchanges(status=200, response_kind="json"):
        output = json.loads(body_of(exchange))["output"]
        for content in [content for item in output for content in item.get("content") or []]:
            if content["type"] == "output_text":
                content.setdefault("annotations", [])
        assert output == body([decode(exchange).message], extra_body={"store": True})["input"]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("type", "id", "call_id", "content", "text", "summary", "arguments", "name", "status", "output"),
                    *("annotations", "refusal", "action", "error", "usage", "input", "environment", "execution"),
                ]
            ),
            inner
            | st.sampled_from(
                ["message", "output_text", "refusal", "reasoning", "function_call", "shell_call", "x_call", "x_output"]
            ),
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(st.lists(values, max_size=3), values)
def test_any_output_is_read_or_refused(output: list[Any], rest: Any) -> None:
    """Whatever an answer holds, it is read or refused by an error of ours, and what is read can be sent back."""
    answer = {**(rest if isinstance(rest, dict) else {}), "output": output}
    try:
        found = OpenAIResponses().decode(200, {}, json.dumps(answer).encode(), here())
    except AsyncLLMError:
        return
    assert isinstance(body([found.message])["input"], list)
