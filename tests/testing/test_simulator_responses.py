"""The simulator's Responses API: the order of its events, what it seals, what it refuses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from asyncllm.testing import Fault, Reply, Simulator, ToolUse

pytestmark = pytest.mark.anyio

HI = {"model": "gpt-sim", "input": "What is 2+2?"}
WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": False}
THINKING = {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=5) as client:
        yield client


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(seed=7) as running:
        yield running


async def post(sim: Simulator, http: httpx.AsyncClient, kind: str = "openai", **changes: Any) -> httpx.Response:
    base = sim.url(kind) + ("/openai/v1" if kind == "azure" else "")
    return await http.post(f"{base}/responses", json=HI | changes)


def events_of(text: str) -> list[dict[str, Any]]:
    """The events of a stream; each is named twice."""
    found = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        name, _, data = block.partition("\ndata: ")
        found.append(json.loads(data))
        assert f"event: {found[-1]['type']}" == name
    return found


@pytest.mark.parametrize("kind", ["openai", "azure"])
async def test_whole(sim: Simulator, http: httpx.AsyncClient, kind: str) -> None:
    """A response object has its message, its usage and what was asked."""
    answer = await post(sim, http, kind, store=False)
    body = answer.json()
    (message,) = body["output"]
    assert ("response", "completed", False) == (body["object"], body["status"], body["store"])
    assert ("4", "final_answer") == (message["content"][0]["text"], message["phase"])
    assert body["usage"]["total_tokens"] == body["usage"]["input_tokens"] + body["usage"]["output_tokens"]
    assert answer.headers["x-request-id"].startswith("req_")


async def test_stream(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Events come in the API's order and are numbered; the last one holds the whole response."""
    text = (await post(sim, http, stream=True, input="Count to 9")).text
    events = events_of(text)
    expected = [
        *("response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"),
        *(["response.output_text.delta"] * 3),
        *("response.output_text.done", "response.content_part.done", "response.output_item.done"),
        "response.completed",
    ]
    assert expected == [event["type"] for event in events]
    assert list(range(len(events))) == [event["sequence_number"] for event in events]
    assert "1 2 3 4 5 6 7 8 9" == "".join(event.get("delta", "") for event in events)
    assert "1 2 3 4 5 6 7 8 9" == events[-1]["response"]["output"][0]["content"][0]["text"]
    assert events[-2]["item"] == events[-1]["response"]["output"][0]
    assert all("obfuscation" in event for event in events if event["type"].endswith(".delta"))
    bare = await post(sim, http, stream=True, stream_options={"include_obfuscation": False})
    assert "obfuscation" not in bare.text


async def test_reasoning_there_and_back(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Reasoning is sealed only when asked for, must come back as it was, and a call must come back with it."""
    asked = {"input": [{"role": "user", "content": "Weather in Oslo?"}], "tools": [WEATHER], **THINKING}
    events = events_of((await post(sim, http, stream=True, **asked)).text)
    thought, call = events[-1]["response"]["output"]
    assert ("reasoning", "function_call") == (thought["type"], call["type"])
    added = [event["item"] for event in events if event["type"] == "response.output_item.added"]
    assert ("", "", "in_progress") == (added[0]["encrypted_content"], added[1]["arguments"], added[1]["status"])
    unsealed = (await post(sim, http, **{**asked, "include": []})).json()["output"][0]
    assert "encrypted_content" not in unsealed

    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "3 C"}
    answer = await post(sim, http, input=[*asked["input"], thought, call, result], tools=[WEATHER])
    assert "The tool answered: 3 C" == answer.json()["output"][0]["content"][0]["text"]
    refused = {
        "invalid_encrypted_content": [{**thought, "encrypted_content": thought["encrypted_content"][:-4] + "AAAA"}],
        "item_not_found": [unsealed],
        None: [],
    }
    for code, before in refused.items():
        answer = await post(sim, http, input=[*asked["input"], *before, call, result], tools=[WEATHER])
        assert (404 if code == "item_not_found" else 400, code) == (answer.status_code, answer.json()["error"]["code"])
    garbage = {**thought, "encrypted_content": "gAAAAABx"}
    assert 400 == (await post(sim, http, input=[garbage])).status_code


async def test_endings(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Limits and filters leave a response incomplete; a refusal is a part of its own."""
    short = (await post(sim, http, input="Count to 100", max_output_tokens=16)).json()
    assert ("incomplete", {"reason": "max_output_tokens"}) == (short["status"], short["incomplete_details"])
    stream = events_of((await post(sim, http, input="Count to 100", max_output_tokens=16, stream=True)).text)
    assert "response.incomplete" == stream[-1]["type"]
    sim.behave("*", reply=Reply(text="Well", finish="content_filter"))
    assert {"reason": "content_filter"} == (await post(sim, http)).json()["incomplete_details"]
    sim.behave("*", reply=Reply(refusal="No."))
    refused = events_of((await post(sim, http, stream=True)).text)
    assert "No." == "".join(event["delta"] for event in refused if event["type"] == "response.refusal.delta")
    assert [{"type": "refusal", "refusal": "No."}] == refused[-1]["response"]["output"][0]["content"]


async def test_failures_inside_a_200(sim: Simulator, http: httpx.AsyncClient) -> None:
    """A model that fails is a failed response; other errors are events of their own."""
    sim.on("*", Fault.error_event(status=500, times=2))
    last = events_of((await post(sim, http, stream=True)).text)[-1]
    assert ("response.failed", "server_error") == (last["type"], last["response"]["error"]["code"])
    whole = await post(sim, http)
    assert (200, "failed", "server_error") == (whole.status_code, whole.json()["status"], whole.json()["error"]["code"])
    sim.on("*", Fault.error_event(status=503, after_events=1))
    events = events_of((await post(sim, http, stream=True)).text)
    assert ("error", "server_is_overloaded") == (events[-1]["type"], events[-1]["code"])
    assert "response.output_text.delta" == events[-2]["type"]


async def test_tools_and_schemas(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Choices of tools, parallel calls and formats are understood; marks for the cache are counted."""
    other = {**WEATHER, "name": "other"}
    sim.behave("*", tool_use="always")
    for choice, expected in (
        ({"type": "function", "name": "other"}, "other"),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "other"}]}, "other"),
        ("required", "get_weather"),
    ):
        body = (await post(sim, http, tools=[WEATHER, other], tool_choice=choice)).json()
        assert expected == body["output"][0]["name"]
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    wanted = {"format": {"type": "json_schema", "name": "x", "schema": schema}}
    assert '{"n": 1}' == (await post(sim, http, text=wanted)).json()["output"][0]["content"][0]["text"]
    part = {"type": "input_text", "text": "long " * 100, "prompt_cache_breakpoint": {"mode": "explicit"}}
    image = {"type": "input_image", "image_url": "https://x/y.png"}
    marked = {"input": [{"role": "user", "content": [part, image]}, {"role": "assistant", "content": "ok"}]}
    first, second = [(await post(sim, http, **marked)).json()["usage"]["input_tokens_details"] for _ in range(2)]
    assert (0, 125) == (first["cached_tokens"], first["cache_write_tokens"])
    assert (125, 0) == (second["cached_tokens"], second["cache_write_tokens"])
    sim.behave("*", reply=Reply(text="Let me see.", tool_calls=(ToolUse("f", "{broken"),)))
    message, call = (await post(sim, http)).json()["output"]
    assert ("Let me see.", "{broken") == (message["content"][0]["text"], call["arguments"])


async def test_count(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Input tokens can be counted."""
    answer = await http.post(f"{sim.url('openai')}/responses/input_tokens", json=HI | {"instructions": "Be brief."})
    assert {"object": "response.input_tokens", "input_tokens": 6} == answer.json()
    assert ["count_tokens"] == [request.operation for request in sim.requests]
    assert 404 == (await http.get(f"{sim.url('openai')}/responses/resp_1")).status_code


CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}


@pytest.mark.parametrize(
    ("changes", "param", "words"),
    [
        ({"model": None}, "model", "Missing required parameter: 'model'."),
        ({"input": None}, "input", "Missing required parameter: 'input'."),
        ({"input": 5}, "input", "Invalid type for 'input'"),
        ({"input": []}, "input", "empty array"),
        ({"input": ["hi"]}, "input[0]", "expected an object"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role", "Invalid value: 'tool'"),
        ({"input": [{"role": "user"}]}, "input[0].content", "Missing required parameter"),
        ({"messages": []}, "messages", "Unknown parameter: 'messages'."),
        ({"stop": ["x"]}, "stop", "Unknown parameter: 'stop'."),
        ({"max_output_tokens": 3}, "max_output_tokens", "Expected a value >= 16, but got 3"),
        ({"temperature": 3}, "temperature", "Expected a value <= 2, but got 3"),
        ({"temperature": -1}, "temperature", "Expected a value >= 0, but got -1"),
        ({"stream_options": {}}, "stream_options", "only allowed when 'stream'"),
        ({"previous_response_id": "resp_1"}, "previous_response_id", "'resp_1' not found"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0].name", "Missing required parameter"),
        ({"tools": [{"name": "f"}]}, "tools[0].type", "Missing required parameter"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name", "Missing required"),
        ({"input": [{**CALL, "type": "function_call_output", "output": "1"}]}, "input", "No tool call found"),
        ({"input": [CALL]}, "input", "No tool output found for function call call_1."),
    ],
)
async def test_refused(sim: Simulator, http: httpx.AsyncClient, changes: Any, param: str, words: str) -> None:
    """What the API would refuse is a 400 that names the parameter."""
    answer = await post(sim, http, **changes)
    error = answer.json()["error"]
    assert (400, "invalid_request_error", param) == (answer.status_code, error["type"], error["param"])
    assert words in error["message"]


async def test_more_refusals(http: httpx.AsyncClient) -> None:
    """Broken JSON, a wrong key, an unknown model and a prompt that is too long are refused."""
    async with Simulator(models=["gpt-sim"], require_key=True) as sim:
        url = f"{sim.url('openai')}/responses"
        assert 401 == (await post(sim, http)).status_code
        http.headers["authorization"] = "Bearer sk-sim-openai"
        assert 400 == (await http.post(url, content=b"{")).status_code
        assert "model_not_found" == (await post(sim, http, model="other")).json()["error"]["code"]
        sim.behave("*", context_window=2)
        assert "context_length_exceeded" == (await post(sim, http)).json()["error"]["code"]
    async with Simulator(check_signatures=False) as sim:
        thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "theirs"}
        assert 200 == (await post(sim, http, input=[thought, {"role": "user", "content": "hi"}])).status_code
