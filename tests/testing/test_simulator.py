"""The simulator over real sockets: its lifetime, its records, and what it says in plain."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest

from asyncllm.testing import ModelRequest, Reply, Simulator, ToolUse

pytestmark = pytest.mark.anyio

HI = {"model": "gpt-sim", "messages": [{"role": "user", "content": "What is 2+2?"}]}
CLAUDE = {"model": "claude-sim", "max_tokens": 500, "messages": [{"role": "user", "content": "What is 2+2?"}]}
VERSION = {"anthropic-version": "2026-10-21"}
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=5) as client:
        yield client


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(seed=7) as running:
        yield running


def chat(sim: Simulator, kind: str = "openai") -> str:
    return f"{sim.url(kind)}/chat/completions"


def messages(sim: Simulator) -> str:
    return f"{sim.url('anthropic')}/v1/messages"


def data_of(text: str) -> list[Any]:
    """The JSON of every data line but the terminator."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


async def test_openai_unary(sim: Simulator, http: httpx.AsyncClient) -> None:
    """A chat completion has OpenAI's shape, headers and consistent usage."""
    answer = await http.post(chat(sim), json=HI)
    body = answer.json()
    assert (200, "application/json") == (answer.status_code, answer.headers["content-type"])
    assert "4" == body["choices"][0]["message"]["content"]
    assert "stop" == body["choices"][0]["finish_reason"]
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]
    assert answer.headers["x-request-id"].startswith("req_")
    assert "5000" == answer.headers["x-ratelimit-limit-requests"]


async def test_openai_stream(sim: Simulator, http: httpx.AsyncClient) -> None:
    """A chat stream gives the role, the text, the finish reason, the usage if asked for, and [DONE]."""
    asked = {**HI, "messages": [{"role": "user", "content": "Count to 10"}], "stream": True}
    text = (await http.post(chat(sim), json={**asked, "stream_options": {"include_usage": True}})).text
    chunks = data_of(text)
    assert "1 2 3 4 5 6 7 8 9 10" == "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks[:-1])
    assert "stop" == chunks[-2]["choices"][0]["finish_reason"]
    assert ([], 5) == (chunks[-1]["choices"], chunks[-1]["usage"]["completion_tokens"])
    assert text.endswith("data: [DONE]\n\n")
    bare = data_of((await http.post(chat(sim), json=asked)).text)
    assert "usage" not in bare[0]
    assert bare[-1]["choices"][0]["finish_reason"] == "stop"


async def test_anthropic_unary(sim: Simulator, http: httpx.AsyncClient) -> None:
    """A message has Anthropic's shape and headers."""
    answer = await http.post(messages(sim), headers=VERSION, json=CLAUDE)
    body = answer.json()
    assert [{"type": "text", "text": "4"}] == body["content"]
    assert ("message", "end_turn", None) == (body["type"], body["stop_reason"], body["stop_sequence"])
    assert answer.headers["request-id"].startswith("req_")


async def test_anthropic_stream(sim: Simulator, http: httpx.AsyncClient) -> None:
    """A message stream comes in Anthropic's order: start, blocks with their deltas, message_delta, message_stop."""
    answer = await http.post(messages(sim), headers=VERSION, json={**CLAUDE, "stream": True})
    assert [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ] == [event["type"] for event in data_of(answer.text)]
    names = [line[7:] for line in answer.text.splitlines() if line.startswith("event: ")]
    assert names == [event["type"] for event in data_of(answer.text)]


@pytest.mark.parametrize("stream", [False, True])
async def test_tool_round_trip(sim: Simulator, http: httpx.AsyncClient, stream: bool) -> None:
    """A tool the prompt speaks of is called with arguments that fit, and its result is quoted."""
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}
    ask = {"role": "user", "content": "How is the weather in Oslo?"}
    body = {"model": "gpt-sim", "messages": [ask], "tools": [tool]}
    answer = await http.post(chat(sim), json={**body, "stream": stream})
    if stream:
        deltas = [chunk["choices"][0]["delta"] for chunk in data_of(answer.text)]
        calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
        arguments = "".join(call["function"]["arguments"] for call in calls)
        call = {**calls[0], "function": {**calls[0]["function"], "arguments": arguments}}
    else:
        (call,) = answer.json()["choices"][0]["message"]["tool_calls"]
        assert "tool_calls" == answer.json()["choices"][0]["finish_reason"]
    assert ("get_weather", {"city": "Oslo"}) == (call["function"]["name"], json.loads(call["function"]["arguments"]))
    turn = {"role": "assistant", "content": None, "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": call["id"], "content": "3 C"}
    final = await http.post(chat(sim), json={**body, "messages": [ask, turn, result]})
    assert "The tool answered: 3 C" == final.json()["choices"][0]["message"]["content"]


async def test_anthropic_tool_round_trip_with_thinking(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Thinking comes with a signature that must come back, and the tool result is quoted."""
    ask = {"role": "user", "content": "How is the weather in Oslo?"}
    body: dict[str, Any] = {
        **CLAUDE,
        "thinking": {"type": "adaptive"},
        "tools": [{"name": "get_weather", "input_schema": WEATHER}],
        "messages": [ask],
    }
    first = (await http.post(messages(sim), headers=VERSION, json=body)).json()
    assert ["thinking", "tool_use"] == [block["type"] for block in first["content"]]
    assert ("tool_use", {"city": "Oslo"}) == (first["stop_reason"], first["content"][1]["input"])
    assert first["usage"]["output_tokens_details"]["thinking_tokens"] > 0
    result = {"type": "tool_result", "tool_use_id": first["content"][1]["id"], "content": "3 C"}
    body["messages"] = [ask, {"role": "assistant", "content": first["content"]}, {"role": "user", "content": [result]}]
    second = (await http.post(messages(sim), headers=VERSION, json=body)).json()
    assert "The tool answered: 3 C" == second["content"][-1]["text"]
    first["content"][0]["signature"] = "forged"
    refused = await http.post(messages(sim), headers=VERSION, json=body)
    assert 400 == refused.status_code
    assert "signature" in refused.json()["error"]["message"]


async def test_omitted_and_redacted_thinking(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Thinking may be shown, left empty with its signature, or be encrypted."""
    body = {**CLAUDE, "thinking": {"type": "adaptive", "display": "omitted"}}
    block = (await http.post(messages(sim), headers=VERSION, json=body)).json()["content"][0]
    assert ("thinking", "") == (block["type"], block["thinking"])
    assert block["signature"]
    sim.behave("claude-sim", redacted=True)
    block = (await http.post(messages(sim), headers=VERSION, json=body)).json()["content"][0]
    assert {"type", "data"} == set(block)


async def test_reasoning_content_of_compatible_hosts(sim: Simulator, http: httpx.AsyncClient) -> None:
    """A compatible host shows its reasoning, OpenAI itself only counts it."""
    body = {**HI, "reasoning_effort": "low"}
    own = (await http.post(chat(sim), json=body)).json()
    other = (await http.post(chat(sim, "deepseek"), json=body)).json()
    streamed = await http.post(chat(sim, "deepseek"), json={**body, "stream": True})
    assert "reasoning_content" not in own["choices"][0]["message"]
    assert own["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    assert other["choices"][0]["message"]["reasoning_content"]
    assert "reasoning_content" in streamed.text


async def test_replies_of_ones_own(sim: Simulator, http: httpx.AsyncClient) -> None:
    """A model says what it is told to: a text, a Reply, or what a function of the request gives."""

    def shout(request: ModelRequest) -> str:
        return request.prompt.upper()

    sim.behave("*", reply="fixed")
    sim.behave("gpt-a", reply=shout)
    sim.behave("gpt-b", reply=Reply(refusal="No.", input_tokens=11, output_tokens=3))
    sim.behave("gpt-c", reply=Reply(tool_calls=(ToolUse("f", '{"broken"'),), finish="stop"))
    said = [(await http.post(chat(sim), json={**HI, "model": f"gpt-{name}"})).json() for name in "xabc"]
    assert ["fixed", "WHAT IS 2+2?", None, None] == [body["choices"][0]["message"]["content"] for body in said]
    assert "No." == said[2]["choices"][0]["message"]["refusal"]
    assert (11, 14) == (said[2]["usage"]["prompt_tokens"], said[2]["usage"]["total_tokens"])
    assert '{"broken"' == said[3]["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]


async def test_refusal_of_anthropic(sim: Simulator, http: httpx.AsyncClient) -> None:
    """A refusal is Anthropic's stop reason with its details; without words it has no content."""
    sim.behave("claude-sim", reply=Reply(refusal="No."))
    body = (await http.post(messages(sim), headers=VERSION, json=CLAUDE)).json()
    assert ("No.", "refusal", "No.") == (
        body["content"][0]["text"],
        body["stop_reason"],
        body["stop_details"]["explanation"],
    )
    sim.behave("claude-sim", reply=Reply(refusal=""))
    body = (await http.post(messages(sim), headers=VERSION, json=CLAUDE)).json()
    assert ([], "refusal") == (body["content"], body["stop_reason"])


async def test_a_failing_reply_function_is_raised_on_exit(http: httpx.AsyncClient) -> None:
    """The client gets a 500, and the exception comes out where the simulator is closed."""

    def broken(request: ModelRequest) -> str:
        raise ZeroDivisionError("no reply")

    with pytest.raises(ZeroDivisionError):
        await _ask_once(Simulator(reply=broken), http, 500)


async def _ask_once(sim: Simulator, http: httpx.AsyncClient, expected: int) -> None:
    async with sim:
        assert expected == (await http.post(chat(sim), json=HI)).status_code


async def test_cache_usage(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Marked prompts are written to the cache the first time and read the second."""
    system = [{"type": "text", "text": "Be brief. " * 40, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    first, second = [
        (await http.post(messages(sim), headers=VERSION, json={**CLAUDE, "system": system})).json()["usage"]
        for _ in range(2)
    ]
    assert (100, 0) == (first["cache_creation_input_tokens"], first["cache_read_input_tokens"])
    assert 100 == first["cache_creation"]["ephemeral_1h_input_tokens"]
    assert (0, 100) == (second["cache_creation_input_tokens"], second["cache_read_input_tokens"])
    assert first["input_tokens"] == second["input_tokens"] > 0
    marked = [{"type": "text", "text": "x" * 400, "prompt_cache_breakpoint": {"mode": "explicit"}}]
    body = {**HI, "messages": [{"role": "user", "content": marked}]}
    details = [(await http.post(chat(sim), json=body)).json()["usage"]["prompt_tokens_details"] for _ in range(2)]
    assert [(100, 0), (0, 100)] == [(each["cache_write_tokens"], each["cached_tokens"]) for each in details]


async def test_listings_and_counts(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Models are listed and found in both formats, by pages for Anthropic; Anthropic counts tokens."""
    listed = (await http.get(f"{sim.url('openai')}/models")).json()
    assert ["gpt-sim", "gpt-sim-mini", "gpt-sim-nano"] == [model["id"] for model in listed["data"]]
    assert "gpt-sim" == (await http.get(f"{sim.url('openai')}/models/gpt-sim")).json()["id"]
    base = f"{sim.url('anthropic')}/v1/models"
    page = (await http.get(f"{base}?limit=2", headers=VERSION)).json()
    rest = (await http.get(f"{base}?limit=2&after_id={page['last_id']}", headers=VERSION)).json()
    assert (True, False) == (page["has_more"], rest["has_more"])
    assert ["claude-sim", "claude-sim-mini", "claude-sim-nano"] == [it["id"] for it in page["data"] + rest["data"]]
    assert "claude-x" == (await http.get(f"{base}/claude-x", headers=VERSION)).json()["id"]
    count = await http.post(f"{messages(sim)}/count_tokens", headers=VERSION, json=CLAUDE)
    assert {"input_tokens": 3} == count.json()


async def test_records_and_counts(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Every request is remembered without its credentials, and counted by what was answered."""
    await http.post(chat(sim), json=HI, headers={"authorization": "Bearer secret"})
    await http.post(chat(sim), json={"model": "gpt-sim"})
    await http.post(messages(sim), json=CLAUDE, headers=VERSION)
    await http.get(f"{sim.url('openai')}/models")
    first, second, third, fourth = sim.requests
    assert (1, "openai", "openai_chat", "generate", "gpt-sim") == (
        first.number,
        first.provider,
        first.wire,
        first.operation,
        first.model,
    )
    assert (True, HI) == (first.authenticated, first.body)
    assert "secret" not in repr(sim.requests)
    assert (200, 400, 200, "models") == (first.status, second.status, third.status, fourth.operation)
    assert (2, 1, 1, 3) == (
        sim.count(model="gpt-sim"),
        sim.count(status=400),
        sim.count(provider="anthropic"),
        sim.count(),
    )
    sim.reset()
    assert (0, 0) == (sim.count(), len(sim.requests))


async def test_urls_without_a_kind(sim: Simulator, http: httpx.AsyncClient) -> None:
    """A plain /v1 URL works for programs that know only one provider; an unknown one is a 404."""
    root = f"http://127.0.0.1:{sim.port}"
    assert 200 == (await http.post(f"{root}/v1/chat/completions", json=HI)).status_code
    assert 200 == (await http.post(f"{root}/v1/messages", json=CLAUDE, headers=VERSION)).status_code
    assert 404 == (await http.get(f"{root}/nothing")).status_code
    answer = await http.post(f"{sim.url('openai')}/nothing")
    assert "Invalid URL (POST /openai/v1/nothing)" == answer.json()["error"]["message"]
    assert 404 == (await http.delete(f"{sim.url('anthropic')}/v1/models")).status_code


async def test_the_same_seed_says_the_same(http: httpx.AsyncClient) -> None:
    """Two simulators with one seed answer alike but for the time."""
    said = []
    for seed in (3, 3, 4):
        async with Simulator(seed=seed) as sim:
            body = (await http.post(chat(sim), json={**HI, "messages": [{"role": "user", "content": "Ahoy"}]})).json()
            said.append({**body, "created": 0})
    assert said[0] == said[1]
    assert said[0]["id"] != said[2]["id"]


async def test_many_at_once(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Requests are answered at the same time, and the busiest moment is known."""
    sim.behave("*", latency=0.02)
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(lambda: http.post(chat(sim), json=HI))
    assert 8 == sim.count()
    assert sim.peak_in_flight > 4
    assert 0 == sim.in_flight


async def test_delays_and_writes(sim: Simulator, http: httpx.AsyncClient) -> None:
    """A stream can be slowed, grouped, and cut into bytes anywhere, and stays the same stream."""
    body = {**HI, "messages": [{"role": "user", "content": "Count to 30"}], "stream": True}

    async def text(**changes: Any) -> str:
        sim.behave("gpt-sim", events_per_write=1, write_size=None, chunk_delay=0.0, first_chunk_delay=0.0)
        sim.behave("gpt-sim", **changes)
        chunks = data_of((await http.post(chat(sim), json=body)).text)
        return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)

    whole = " ".join(map(str, range(1, 31)))
    assert whole == await text()
    single = sim.requests[-1].writes
    assert whole == await text(events_per_write=5, chunk_delay=0.001, first_chunk_delay=0.001)
    assert -(-single // 5) == sim.requests[-1].writes
    assert whole == await text(events_per_write=None)
    assert 1 == sim.requests[-1].writes
    assert whole == await text(write_size=7)
    assert sim.requests[-1].writes > single


async def test_config_names_every_main_provider(sim: Simulator) -> None:
    """The configuration has an entry with key, URL and models for each provider, and takes changes."""
    config = sim.config(retry={"max_attempts": 1})
    assert ("openai", "gpt-sim", {"max_attempts": 1}) == (
        config["active_provider"],
        config["active_model"],
        config["retry"],
    )
    assert f"http://127.0.0.1:{sim.port}/openai/v1" == config["providers"]["openai"]["base_url"]
    assert f"http://127.0.0.1:{sim.port}/anthropic" == config["providers"]["anthropic"]["base_url"]
    with pytest.raises(ValueError, match="not simulated"):
        sim.url("nobody")


async def test_odd_but_legal_requests(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Custom and allowed tools, JSON mode, parts of every kind and broken arguments are understood."""
    sim.behave("broken", reply=Reply(tool_calls=(ToolUse("f", '{"a"'), ToolUse("g", "[1]"), ToolUse("h", "{}"))))
    sim.behave("odd", reply=Reply(finish="pause", text="..."))
    tools = [
        {"type": "custom", "custom": {"name": "free"}},
        {"type": "function", "function": {"name": "f"}},
        {"type": "function", "function": {"name": "g"}},
    ]
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}
    body = {**HI, "tools": tools, "tool_choice": {"type": "allowed_tools", "allowed_tools": allowed}}
    called = (await http.post(chat(sim), json=body)).json()["choices"][0]["message"]["tool_calls"]
    assert ["g"] == [call["function"]["name"] for call in called]
    body["tool_choice"] = {"type": "function", "function": {"name": "f"}}
    called = (await http.post(chat(sim), json=body)).json()["choices"][0]["message"]["tool_calls"]
    assert ["f"] == [call["function"]["name"] for call in called]
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    parts = [{"type": "text", "text": "1+1"}, picture]
    system = {"role": "system", "content": [{"type": "text", "text": "x"}]}
    body = {
        "model": "m",
        "messages": [system, {"role": "user", "content": parts}],
        "response_format": {"type": "json_object"},
        "stream": True,
        "stream_options": {"include_obfuscation": False},
    }
    chunks = data_of((await http.post(chat(sim), json=body)).text)
    assert {"answer": "2"} == json.loads("".join(c["choices"][0]["delta"].get("content") or "" for c in chunks))
    assert "obfuscation" not in chunks[0]
    answers = [
        (await http.post(messages(sim), headers=VERSION, json={**CLAUDE, "model": model, "cache_control": {}})).json()
        for model in ("broken", "odd")
    ]
    assert ([{}, {}, {}], "pause_turn") == ([use["input"] for use in answers[0]["content"]], answers[1]["stop_reason"])
    gemini = {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"responseMimeType": "application/json"}}
    url = f"{sim.url('gemini')}/v1/models"
    made = (await http.post(f"{url}/m:generateContent", json=gemini)).json()["candidates"][0]["content"]["parts"]
    assert ["answer"] == list(json.loads(made[0]["text"]))
    broken = (await http.post(f"{url}/broken:generateContent", json=gemini)).json()["candidates"][0]["content"]["parts"]
    assert [{}, {}, {}] == [part["functionCall"]["args"] for part in broken]
