"""The simulator refuses what the providers would refuse, in their words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from asyncllm._testing.wires.gemini import signature
from asyncllm.testing import Simulator

pytestmark = pytest.mark.anyio

HI = [{"role": "user", "content": "hi"}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
USE = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "1"}
VERSION = {"anthropic-version": "2023-06-01"}
PARTS = [{"role": "user", "parts": [{"text": "hi"}]}]
ASKED = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}
TOLD = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "1"}}}]}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=5) as client:
        yield client


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator() as running:
        yield running


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"messages": HI}, None, "you must provide a model parameter"),
        ({"model": "m"}, "messages", "Missing required parameter: 'messages'."),
        ({"model": "m", "messages": "hi"}, "messages", "Invalid type for 'messages'"),
        ({"model": "m", "messages": []}, "messages", "empty array"),
        ({"model": "m", "messages": [{"role": "boss"}]}, "messages[0].role", "Invalid value: 'boss'"),
        ({"model": "m", "messages": [{"role": "user"}]}, "messages[0].content", "got null"),
        ({"model": "m", "messages": HI, "temperature": 99.0}, "temperature", "Expected a value <= 2, but got 99.0"),
        ({"model": "m", "messages": HI, "top_p": 2}, "top_p", "Expected a value <= 1"),
        ({"model": "m", "messages": HI, "max_tokens": 1, "max_completion_tokens": 1}, "max_tokens", "at the same time"),
        ({"model": "m", "messages": HI, "stream_options": {}}, "stream_options", "only allowed when 'stream'"),
        ({"model": "m", "messages": HI, "tools": [{"name": "f"}]}, "tools[0].type", "Missing required parameter"),
        (
            {"model": "m", "messages": HI, "tools": [{"type": "function", "function": {}}]},
            "tools[0].function.name",
            "Missing required parameter",
        ),
        (
            {"model": "m", "messages": [{"role": "tool", "tool_call_id": "x", "content": "1"}]},
            "messages.[0].role",
            "must be a response to a preceeding message",
        ),
        (
            {"model": "m", "messages": [{"role": "assistant", "tool_calls": [CALL]}]},
            "messages",
            "did not have response messages: call_1",
        ),
        (
            {"model": "m", "messages": [{"role": "assistant", "tool_calls": [CALL]}, *HI]},
            "messages",
            "did not have response messages: call_1",
        ),
    ],
)
async def test_openai(sim: Simulator, http: httpx.AsyncClient, body: Any, param: str | None, words: str) -> None:
    """OpenAI's 400 names the parameter and says what is wrong with it."""
    answer = await http.post(f"{sim.url('openai')}/chat/completions", json=body)
    error = answer.json()["error"]
    assert (400, "invalid_request_error", param) == (answer.status_code, error["type"], error["param"])
    assert words in error["message"]


@pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini"])
async def test_bodies_that_are_not_json(sim: Simulator, http: httpx.AsyncClient, kind: str) -> None:
    """A body that is not JSON is a 400 of each provider."""
    paths = {
        "openai": "/chat/completions",
        "anthropic": "/v1/messages",
        "gemini": "/v1/models/m:generateContent",
    }
    for content in (b"{", b"", b"[1]"):
        answer = await http.post(f"{sim.url(kind)}{paths[kind]}", content=content, headers=VERSION)
        assert 400 == answer.status_code
        assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": None}, "model: Field required"),
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"max_tokens": -1}, "max_tokens: Input should be"),
        ({"messages": None}, "messages: Field required"),
        ({"messages": []}, "at least one message"),
        ({"temperature": 1.5}, "temperature: range: 0..1"),
        ({"thinking": {"type": "enabled", "budget_tokens": 100}}, "must be greater than `thinking.budget_tokens`"),
        ({"messages": [{"role": "boss", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages.0.content.0.type: Field required"),
        ({"messages": [{"role": "user", "content": ""}]}, "must be non-empty"),
        ({"messages": [{"role": "user", "content": [RESULT]}]}, "unexpected `tool_use_id`"),
        ({"messages": [*HI, {"role": "assistant", "content": [USE]}]}, "messages.1: `tool_use` ids were found"),
        ({"messages": [*HI, {"role": "assistant", "content": [USE]}, *HI]}, "messages.1: `tool_use` ids were found"),
        ({"tools": [{"input_schema": {"type": "object"}}]}, "tools.0.custom.name: Field required"),
        ({"tools": [{"name": "f"}]}, "tools.0.custom.input_schema.type"),
    ],
)
async def test_anthropic(sim: Simulator, http: httpx.AsyncClient, changes: dict[str, Any], words: str) -> None:
    """Anthropic's 400 says where the fault is."""
    body = {"model": "m", "max_tokens": 100, "messages": HI} | changes
    answer = await http.post(f"{sim.url('anthropic')}/v1/messages", json=body, headers=VERSION)
    assert (400, "invalid_request_error") == (answer.status_code, answer.json()["error"]["type"])
    assert words in answer.json()["error"]["message"]
    assert "false" == answer.headers["x-should-retry"]


async def test_anthropic_versions(sim: Simulator, http: httpx.AsyncClient) -> None:
    """The version header is demanded, and the newest version refuses sampling parameters."""
    body = {"model": "m", "max_tokens": 100, "messages": HI, "temperature": 1, "tools": [{"type": "bash_20250124"}]}
    url = f"{sim.url('anthropic')}/v1/messages"
    answers = [
        await http.post(url, json=body, headers=headers)
        for headers in ({}, VERSION, {"anthropic-version": "2026-10-21"})
    ]
    assert [400, 200, 400] == [answer.status_code for answer in answers]
    assert "temperature: Extra inputs are not permitted" == answers[2].json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "contents is not specified"),
        ({"contents": [{"role": "system", "parts": [{"text": "x"}]}]}, "valid role"),
        ({"contents": [{"parts": []}]}, "must not be empty"),
        (
            {"contents": PARTS, "generationConfig": {"responseSchema": {}, "responseJsonSchema": {}}},
            "cannot both be set",
        ),
        ({"contents": [*PARTS, ASKED]}, "number of function response parts"),
        ({"contents": [*PARTS, ASKED, TOLD]}, "missing a thought_signature"),
        (
            {"contents": [*PARTS, {**ASKED, "parts": [{**ASKED["parts"][0], "thoughtSignature": "no"}]}, TOLD]},
            "Thought signature is not valid",
        ),
    ],
)
async def test_gemini(sim: Simulator, http: httpx.AsyncClient, body: Any, words: str) -> None:
    """Gemini's 400 is an INVALID_ARGUMENT."""
    answer = await http.post(f"{sim.url('gemini')}/v1/models/m:generateContent", json=body)
    assert (400, "INVALID_ARGUMENT") == (answer.status_code, answer.json()["error"]["status"])
    assert words in answer.json()["error"]["message"]


async def test_gemini_accepts_foreign_history(http: httpx.AsyncClient) -> None:
    """Google's documented dummy stands for a signature, and the check can be switched off."""
    dummy = {"role": "model", "parts": [{**ASKED["parts"][0], "thoughtSignature": "skip_thought_signature_validator"}]}
    async with Simulator() as sim:
        url = f"{sim.url('gemini')}/v1beta/models/m:generateContent"
        assert 200 == (await http.post(url, json={"contents": [*PARTS, dummy, TOLD]})).status_code
        old = [*PARTS, ASKED, TOLD, {"role": "model", "parts": [{"text": "1"}]}, *PARTS]
        assert 200 == (await http.post(url, json={"contents": old})).status_code
    async with Simulator(check_signatures=False) as sim:
        url = f"{sim.url('gemini')}/v1beta/models/m:generateContent"
        answer = await http.post(url, json={"contents": [*PARTS, ASKED, TOLD]})
        assert "The tool answered: 1" == answer.json()["candidates"][0]["content"]["parts"][0]["text"]


async def test_gemini_signature_in_either_alphabet(sim: Simulator, http: httpx.AsyncClient) -> None:
    """A signature in the URL-safe alphabet, padded or not, is the same bytes; other bytes are refused."""
    url = f"{sim.url('gemini')}/v1beta/models/m:generateContent"
    calls = [{"name": "f", "args": {"at": at}} for at in range(20)]
    call = next(call for call in calls if {"+", "/"} & set(signature(call)))
    safe = signature(call).replace("+", "-").replace("/", "_")
    for given, status in ((safe, 200), (safe.rstrip("="), 200), ("AAAA" + safe[4:], 400)):
        asked = {"role": "model", "parts": [{"functionCall": call, "thoughtSignature": given}]}
        assert status == (await http.post(url, json={"contents": [*PARTS, asked, TOLD]})).status_code


async def test_gemini_listings_and_counts(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Gemini's models come by pages; tokens are counted; streams need alt=sse."""
    base = f"{sim.url('gemini')}/v1beta/models"
    page = (await http.get(f"{base}?pageSize=2")).json()
    rest = (await http.get(f"{base}?pageSize=2&pageToken={page['nextPageToken']}")).json()
    assert "nextPageToken" not in rest
    assert ["models/gemini-sim", "models/gemini-sim-mini", "models/gemini-sim-nano"] == [
        model["name"] for model in page["models"] + rest["models"]
    ]
    assert "models/x" == (await http.get(f"{base}/x")).json()["name"]
    assert 404 == (await http.post(f"{base}/x:noSuchVerb", json={})).status_code
    count = await http.post(f"{base}/m:countTokens", json={"contents": PARTS})
    assert 1 == count.json()["totalTokens"]
    assert 400 == (await http.post(f"{base}/m:streamGenerateContent", json={"contents": PARTS})).status_code


@pytest.mark.parametrize(
    ("kind", "path", "header", "missing", "wrong"),
    [
        ("openai", "/models", "authorization", 401, 401),
        ("groq", "/models", "authorization", 401, 401),
        ("azure", "/openai/v1/models", "api-key", 401, 401),
        ("anthropic", "/v1/models", "x-api-key", 401, 401),
        ("gemini", "/v1/models", "x-goog-api-key", 403, 400),
    ],
)
async def test_keys(http: httpx.AsyncClient, kind: str, path: str, header: str, missing: int, wrong: int) -> None:
    """Keys can be demanded: those of the configuration, or given ones; a wrong key is not repeated whole."""
    prefix = "Bearer " if header == "authorization" else ""
    for required, good in ((True, f"sk-sim-{kind}"), ("open", "open"), (("a", "b"), "b")):
        async with Simulator(require_key=required) as sim:
            url = f"{sim.url(kind)}{path}"
            headers: list[dict[str, str]] = [{}, {header: f"{prefix}wrong"}, {header: f"{prefix}{good}"}]
            answers = [await http.get(url, headers={**VERSION, **each}) for each in headers]
            assert [missing, wrong, 200] == [answer.status_code for answer in answers]
            long = await http.get(url, headers={**VERSION, header: f"{prefix}sk-a-long-secret-key-of-somebody"})
            assert "long-secret" not in long.text


async def test_unknown_models(http: httpx.AsyncClient) -> None:
    """With a list of models, others are a 404 and the list is the listing."""
    async with Simulator(models=["only"]) as sim:
        base = sim.url("openai")
        assert 404 == (await http.get(f"{base}/models/other")).status_code
        answer = await http.post(f"{base}/chat/completions", json={"model": "other", "messages": HI})
        assert (404, "model_not_found") == (answer.status_code, answer.json()["error"]["code"])
        assert ["only"] == [model["id"] for model in (await http.get(f"{base}/models")).json()["data"]]
        assert ["only"] == sim.config()["providers"]["openai"]["fallback_models"]
