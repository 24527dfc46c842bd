"""The simulator's Vertex AI and Azure: paths, tokens, errors in either form, the Model Garden."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from asyncllm._protocols.gemini.stream import PartialArguments
from asyncllm.testing import Fault, Reply, Simulator, ToolUse
from recordings import context

pytestmark = pytest.mark.anyio

PLACE = "projects/sim-project/locations/us-central1"
PARTS = {"contents": [{"role": "user", "parts": [{"text": "What is 2+2?"}]}]}
MESSAGES = [{"role": "user", "content": "What is 2+2?"}]
CLAUDE = {"anthropic_version": "2026-10-21", "max_tokens": 99, "messages": MESSAGES}
GEMINI_PATH = f"/v1beta1/{PLACE}/publishers/google/models/gemini-sim:"
CLAUDE_PATH = f"/v1/{PLACE}/publishers/anthropic/models/claude-sim@20260601:"
CHAT_PATH = f"/v1/{PLACE}/endpoints/openapi/chat/completions"
GOOD: list[tuple[str, dict[str, Any]]] = [
    (f"{GEMINI_PATH}generateContent", PARTS),
    (f"{CLAUDE_PATH}rawPredict", CLAUDE),
    (CHAT_PATH, {"model": "meta/llama-sim", "messages": MESSAGES}),
    (f"/v1/{PLACE}/publishers/mistralai/models/large:rawPredict", {"model": "large", "messages": MESSAGES}),
    (f"/v1/{PLACE}/publishers/openai/v1/responses", {"model": "gpt-sim", "input": "What is 2+2?"}),
]


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=5) as client:
        yield client


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(seed=7) as running:
        yield running


@pytest.mark.parametrize(("path", "body"), GOOD)
async def test_every_publisher(sim: Simulator, http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    """Each publisher is answered in its own format."""
    answer = await http.post(sim.url("vertex") + path, json=body)
    assert (200, True) == (answer.status_code, '"4"' in answer.text)
    assert sim.requests[0].model


async def test_streams(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Verbs say whether there is a stream; all are server-sent events."""
    base = sim.url("vertex")
    gemini = await http.post(f"{base}{GEMINI_PATH}streamGenerateContent?alt=sse", json=PARTS)
    claude = await http.post(f"{base}{CLAUDE_PATH}streamRawPredict", json=CLAUDE | {"stream": True})
    mistral = await http.post(
        f"{base}/v1/{PLACE}/publishers/mistralai/models/large:streamRawPredict",
        json={"model": "large", "messages": MESSAGES, "stream": True},
    )
    for answer, end in ((gemini, "STOP"), (claude, "message_stop"), (mistral, "[DONE]")):
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert end in answer.text
    assert claude.headers["request-id"].startswith("req_vrtx_")


@pytest.mark.parametrize(
    "args", [{"n": [1, 2.5], "a b": {"it's": None}, "yes": True, "text": "long enough", "": ""}, {}]
)
async def test_arguments_in_pieces(sim: Simulator, http: httpx.AsyncClient, args: dict[str, Any]) -> None:
    """Arguments come in pieces where that was asked for, each with its path, and the library puts them together."""
    sim.behave("*", reply=Reply(tool_calls=(ToolUse("f", args),)))
    body = {**PARTS, "toolConfig": {"functionCallingConfig": {"streamFunctionCallArguments": True}}}
    text = (await http.post(f"{sim.url('vertex')}{GEMINI_PATH}streamGenerateContent?alt=sse", json=body)).text
    chunks = [json.loads(line.removeprefix("data: ")) for line in text.split("\r\n\r\n") if line]
    parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    assert ("f", True, {}) == (calls[0]["name"], calls[0]["willContinue"], calls[-1])
    whole = PartialArguments(context("vertex", "gemini", "gemini-sim"))
    for call in calls:
        whole.feed(call.get("partialArgs"))
    assert args == whole.close()


async def test_empty_arguments_stay_whole(sim: Simulator, http: httpx.AsyncClient) -> None:
    """What has no form in pieces comes whole."""
    sim.behave("*", reply=Reply(tool_calls=(ToolUse("f", {"a": []}),)))
    body = {**PARTS, "toolConfig": {"functionCallingConfig": {"streamFunctionCallArguments": True}}}
    text = (await http.post(f"{sim.url('vertex')}{GEMINI_PATH}streamGenerateContent?alt=sse", json=body)).text
    assert '"args":{"a":[]}' in text


async def test_counts(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Tokens are counted for Gemini, and for Claude under a model's name of its own."""
    base = sim.url("vertex")
    assert 3 == (await http.post(f"{base}{GEMINI_PATH}countTokens", json=PARTS)).json()["totalTokens"]
    body = {"anthropic_version": "2026-10-21", "model": "claude-sim", "messages": MESSAGES}
    path = f"/v1/{PLACE}/publishers/anthropic/models/count-tokens:rawPredict"
    assert {"input_tokens": 3} == (await http.post(base + path, json=body)).json()
    assert "claude-sim" == sim.requests[-1].model


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "claude-sim"}, "model: Extra inputs"),
        ({"anthropic_version": "bedrock-2023-05-31"}, "Invalid API version"),
        ({"temperature": 0.5}, "temperature: Extra inputs"),
        ({"max_tokens": None}, "max_tokens: Field required"),
    ],
)
async def test_claude_refuses(sim: Simulator, http: httpx.AsyncClient, changes: dict[str, Any], words: str) -> None:
    """What Claude refuses it says in Anthropic's form; an older version takes sampling parameters."""
    url = f"{sim.url('vertex')}{CLAUDE_PATH}rawPredict"
    answer = await http.post(url, json=CLAUDE | changes)
    assert (400, "error") == (answer.status_code, answer.json()["type"])
    assert words in answer.json()["error"]["message"]
    older = CLAUDE | {"anthropic_version": "vertex-2023-10-16", "temperature": 0.5}
    assert 200 == (await http.post(url, json=older)).status_code


@pytest.mark.parametrize(("path", "body"), GOOD[:4])
async def test_errors(sim: Simulator, http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    """What the host refuses is Google's error, on the chat endpoint in a list; the model's failures are its own."""
    for status, word in ((429, "RESOURCE_EXHAUSTED"), (401, "UNAUTHENTICATED")):
        sim.on("*", Fault.status(status, times=1))
        error = (await http.post(sim.url("vertex") + path, json=body)).json()
        error = error[0] if isinstance(error, list) else error
        assert word == error["error"]["status"]
    sim.on("*", Fault.status(500))
    text = (await http.post(sim.url("vertex") + path, json=body)).text
    assert ("api_error" if "anthropic" in path else "INTERNAL") in text


async def test_errors_in_streams(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Errors inside a stream are events of its format, Claude's in Anthropic's words."""
    sim.on("*", Fault.error_event(status=429))
    chat = {"model": "meta/llama-sim", "messages": MESSAGES, "stream": True}
    assert "RESOURCE_EXHAUSTED" in (await http.post(sim.url("vertex") + CHAT_PATH, json=chat)).text
    claude = await http.post(f"{sim.url('vertex')}{CLAUDE_PATH}streamRawPredict", json=CLAUDE | {"stream": True})
    assert "event: error\ndata: " in claude.text
    assert "rate_limit_error" in claude.text


async def test_tokens_and_models(http: httpx.AsyncClient) -> None:
    """A token can be demanded, and models that are not there are named with their place."""
    async with Simulator(require_key=True, models=["gemini-sim"]) as sim:
        for path, body in GOOD[:4]:
            url = sim.url("vertex") + path
            assert 401 == (await http.post(url, json=body)).status_code
            wrong = await http.post(url, json=body, headers={"authorization": "Bearer ya29.wrong"})
            assert (401, True) == (wrong.status_code, "invalid authentication" in wrong.text)
            there = await http.post(url, json=body, headers={"authorization": "Bearer sk-sim-vertex"})
            assert (200 if "gemini" in path else 404) == there.status_code
            assert "gemini" in path or "Publisher Model `projects/" in there.text
        config = sim.config()["providers"]["vertex"]
        assert ("sk-sim-vertex", "sim-project") == (config["access_token"], config["project_id"])
        headers = {"authorization": "Bearer sk-sim-vertex"}
        unknown = await http.post(
            f"{sim.url('vertex')}{GEMINI_PATH.replace('gemini-sim', 'x')}generateContent", json=PARTS, headers=headers
        )
        assert (404, "NOT_FOUND") == (unknown.status_code, unknown.json()["error"]["status"])


async def test_model_garden(sim: Simulator, http: httpx.AsyncClient) -> None:
    """The listing is by publisher and by pages, and tells nothing of deprecation."""
    base = f"{sim.url('vertex')}/v1beta1/publishers"
    sim.models = ["gemini-a", "gemini-b", "claude-a", "meta/llama-a"]
    page = (await http.get(f"{base}/google/models?pageSize=1")).json()
    rest = (await http.get(f"{base}/google/models?pageToken={page['nextPageToken']}")).json()
    assert ["publishers/google/models/gemini-a", "publishers/google/models/gemini-b"] == [
        model["name"] for model in page["publisherModels"] + rest["publisherModels"]
    ]
    (claude,) = (await http.get(f"{base}/anthropic/models")).json()["publisherModels"]
    assert ("publishers/anthropic/models/claude-a", "GA") == (claude["name"], claude["launchStage"])
    one = await http.get(f"{base}/meta/models/llama-a")
    assert (200, "publishers/meta/models/llama-a") == (one.status_code, one.json()["name"])
    assert 404 == (await http.get(f"{base}/meta/models/llama-b")).status_code
    assert 404 == (await http.post(f"{base}/google/models/gemini-a:noSuchVerb", json={})).status_code


async def test_azure(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Azure judges the prompt in a chunk of its own, and a blocked one is a 400 with the verdict."""
    url = f"{sim.url('azure')}/openai/v1/chat/completions"
    body = {"model": "gpt-sim", "messages": MESSAGES}
    whole = await http.post(url, json=body)
    assert ("4", False) == (
        whole.json()["choices"][0]["message"]["content"],
        whole.json()["prompt_filter_results"][0]["content_filter_results"]["hate"]["filtered"],
    )
    assert whole.headers["apim-request-id"]
    text = (await http.post(url, json=body | {"stream": True})).text
    first = json.loads(text.partition("\n")[0].removeprefix("data: "))
    assert ([], True) == (first["choices"], "prompt_filter_results" in first)
    sim.on("*", Fault.status(400, code="content_filter", times=1))
    blocked = (await http.post(url, json=body)).json()["error"]
    assert ("content_filter", "ResponsibleAIPolicyViolation") == (blocked["code"], blocked["innererror"]["code"])
    sim.on("*", Fault.status(429, times=1))
    assert "too_many_requests" == (await http.post(url, json=body)).json()["error"]["type"]
    sim.on("*", Fault.error_event(status=500))
    assert "server_error" in (await http.post(url, json=body | {"stream": True})).text
