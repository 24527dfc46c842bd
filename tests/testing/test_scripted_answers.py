"""Scripted answers, assertions on what was sent, and the simulator without a socket."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
import respx

import asyncllm
from asyncllm.testing import Fault, Reply, ScriptUsedUpError, Simulator, ToolUse

pytestmark = pytest.mark.anyio
REAL: dict[str, Any] = {
    "active_provider": "openai",
    "active_model": "gpt-6-luna",
    "providers": {
        "openai": {"api_key": "sk-test"},
        "anthropic": {"api_key": "sk-ant-test", "fallback_models": ["claude-haiku-5-5"]},
        "gemini": {"api_key": "AIza-test", "fallback_models": ["gemini-3-flash"]},
        "groq": {"api_key": "gsk-test", "fallback_models": ["llama"]},
        "deepseek": {"api_key": "sk-test", "fallback_models": ["deepseek-chat"]},
        "bedrock": {
            "api_key": "bedrock-test",
            "region_name": "us-east-1",
            "fallback_models": ["amazon.nova-lite-v1:0"],
        },
        "azure": {
            "api_key": "azure-test",
            "base_url": "https://me.openai.azure.com/openai/v1",
            "fallback_models": ["d"],
        },
    },
}


async def test_a_script_answers_in_order() -> None:
    """Texts, tool calls, faults and functions are given to one request each, also to streams."""
    async with Simulator() as sim, asyncllm.Client(sim.config()) as client:
        sim.script("one", ToolUse("get_weather", {"city": "Oslo"}), Fault.status(500), Reply(text="after the retry"))
        sim.script(lambda request: request.prompt.upper())
        assert "one" == (await client.send("a")).text
        called = await client.send("b", tools=[asyncllm.Tool(name="get_weather")])
        assert [("get_weather", {"city": "Oslo"})] == [(call.name, call.arguments) for call in called.tool_calls]
        assert [500, 200] == [attempt.status for attempt in (await client.send("c")).attempts]
        assert 1 == sim.script_left
        assert "LOUD" == "".join([text async for text in client.stream("loud").text()])
        assert 0 == sim.script_left


async def test_a_model_may_have_a_script_of_its_own() -> None:
    """The script of a model is for it alone; other models use the common one, or the built-in model."""
    async with Simulator() as sim, asyncllm.Client(sim.config()) as client:
        sim.script("for the small one", model="gpt-sim-mini")
        assert "4" == (await client.send("What is 2+2?")).text
        assert "for the small one" == (await client.send("Hi", model="gpt-sim-mini")).text


async def test_a_request_after_the_script_is_refused_and_told() -> None:
    """It is refused without a retry, and the simulator raises when it closes."""
    with pytest.raises(ScriptUsedUpError, match="has 1 answers, and one more request came, for gpt-sim"):
        async with Simulator() as sim, asyncllm.Client(sim.config()) as client:
            sim.script("one")
            await client.send("a")
            with pytest.raises(asyncllm.BadRequestError, match="the script of the simulator"):
                await client.send("b")
            assert 2 == sim.count()


async def test_what_was_sent_can_be_asserted() -> None:
    """Facts of the request are the same on every wire; a failure lists what was sent."""
    async with Simulator() as sim, asyncllm.Client(sim.config()) as client:
        await client.send("Hello Ada", temperature=0.5, tools=[asyncllm.Tool(name="look_up")])
        await client.send("Bye", provider="anthropic")
        one, two = sim.assert_sent()
        assert ("Hello Ada", "Bye") == (one.asked.prompt, two.asked.prompt)  # type: ignore[union-attr]
        sim.assert_sent(times=1, prompt="Hello Ada", model="gpt-sim", tools=["look_up"], stream=False)
        sim.assert_sent(times=1, prompt=re.compile("^B"), provider="anthropic")
        sim.assert_sent(body={"temperature": 0.5, "messages": [{"role": "user"}]})
        sim.assert_sent(times=0, prompt="Never said")
        with pytest.raises(AssertionError) as caught:
            sim.assert_sent(times=2, prompt="Bye")
    assert (
        "expected 2 requests with prompt='Bye', but 1 fit. Sent were:\n"
        "  1. openai/gpt-sim: prompt=\"Hello Ada\", tools=['look_up'] -> 200\n"
        '  2. anthropic/claude-sim: prompt="Bye" -> 200'
    ) == str(caught.value)


@pytest.mark.parametrize("provider", sorted(REAL["providers"]))
async def test_respx_is_answered_by_the_simulator(provider: str) -> None:
    """`Simulator.respond` is a side effect for the provider's real address: no wire JSON in a test of one's own."""
    sim = Simulator(reply="from the mock")
    with respx.mock(assert_all_called=False) as router:
        router.route().mock(side_effect=sim.respond)
        async with asyncllm.Client(REAL, environ={}) as client:
            assert "from the mock" == (await client.send("Hi", provider=provider)).text
            assert "from the mock" == "".join([text async for text in client.stream("Hi", provider=provider).text()])
    assert [provider, provider] == [request.provider for request in sim.requests]


async def test_faults_reach_a_mocked_library() -> None:
    """A status is an answer, and a broken connection an error of the library."""
    sim = Simulator()
    sim.script(Fault.status(429, retry_after=0), Fault.reset(), "third time")
    with respx.mock() as router:
        router.route().mock(side_effect=sim.respond)
        async with asyncllm.Client(REAL, environ={}) as client:
            reply = await client.send("Hi")
    assert [429, None, 200] == [attempt.status for attempt in reply.attempts]
    assert "third time" == reply.text


def test_it_is_a_handler_of_mock_transport() -> None:
    """Httpx alone is enough; blocking clients too."""
    sim = Simulator(reply="Hello")
    with httpx.Client(transport=httpx.MockTransport(sim.respond)) as http:
        body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
        answer = http.post("https://api.openai.com/v1/chat/completions", json=body)
    assert "Hello" == json.loads(answer.content)["choices"][0]["message"]["content"]


def test_no_real_address_is_needed() -> None:
    """An unknown host is answered by the path, as on a socket."""
    sim = Simulator(reply="Hello")
    with httpx.Client(transport=httpx.MockTransport(sim.respond)) as http:
        assert 404 == http.get("https://example.com/nothing").status_code
