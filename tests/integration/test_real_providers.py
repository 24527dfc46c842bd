"""The real providers, one cheap call of each sort: `pytest -m integration` with the keys in the environment.

Costs well under a cent a run. ``ASYNCLLM_TEST_OPENAI_MODEL`` and ``ASYNCLLM_TEST_ANTHROPIC_MODEL`` name other models.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

import asyncllm

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


@dataclass(frozen=True)
class Target:
    """A provider, the variable of its key, and a cheap current model (November 2026)."""

    provider: str
    key: str
    model: str


TARGETS = [
    Target("openai", "OPENAI_API_KEY", os.environ.get("ASYNCLLM_TEST_OPENAI_MODEL", "gpt-5.4-mini")),
    Target("anthropic", "ANTHROPIC_API_KEY", os.environ.get("ASYNCLLM_TEST_ANTHROPIC_MODEL", "claude-haiku-5-5")),
]
WEATHER = asyncllm.Tool(
    "weather",
    "The weather in a city, now.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
)


@pytest.fixture
def anyio_backend() -> str:
    """One event loop is enough where every call costs money."""
    return "asyncio"


@pytest.fixture(params=TARGETS, ids=lambda target: target.provider)
def target(request: pytest.FixtureRequest) -> Target:
    found: Target = request.param
    if not os.environ.get(found.key):
        pytest.skip(f"{found.key} is not set")
    return found


@pytest.fixture
async def client(target: Target) -> AsyncIterator[asyncllm.Client]:
    entry = {"api_key": os.environ[target.key], "fallback_models": [target.model]}
    async with asyncllm.Client({"active_provider": target.provider, "providers": {target.provider: entry}}) as made:
        yield made


async def test_a_question_is_answered(client: asyncllm.Client, target: Target) -> None:
    """One send brings text, the provider's own token counts and the ids its support asks for."""
    reply = await client.send("What is 2+2? Answer with the digit only.", max_tokens=2000)
    assert "4" in reply.text
    assert "stop" == reply.finish_reason
    assert target.provider == reply.provider
    assert "provider" == reply.usage.source
    assert reply.usage.input_tokens
    assert reply.usage.output_tokens
    assert reply.request_id


async def test_a_stream_ends_whole(client: asyncllm.Client) -> None:
    """The deltas of a stream are the text of its response, and the usage arrives at the end."""
    async with client.stream("Count from 1 to 10, separated by spaces.", max_tokens=2000) as stream:
        texts = [str(event) async for event in stream]
    assert "".join(texts) == stream.response.text
    assert "10" in stream.response.text
    assert "stop" == stream.response.finish_reason
    assert stream.response.usage.output_tokens


async def test_a_tool_is_called_and_answered(client: asyncllm.Client) -> None:
    """A tool call goes out and back: the model asks, reads the result, and answers with it."""
    messages: list[asyncllm.Message] = [asyncllm.Message.user("What is the weather in Oslo? Use the tool.")]
    asked = await client.send(messages, tools=[WEATHER], max_tokens=2000)
    assert "tool_calls" == asked.finish_reason
    (call,) = asked.tool_calls
    assert "weather" == call.name
    assert "oslo" in str(call.arguments).lower()
    result = asyncllm.Message.tool(call.id, {"degrees_celsius": 17})
    answered = await client.send([*messages, asked.message, result], tools=[WEATHER], max_tokens=2000)
    assert "17" in answered.text


async def test_a_model_that_does_not_exist_is_named(client: asyncllm.Client, target: Target) -> None:
    """A wrong model raises the error of that name, with the provider, the status and the model in it."""
    with pytest.raises(asyncllm.ModelNotFoundError) as caught:
        await client.send("Hello", model="no-such-model-of-anyone")
    assert 404 == caught.value.status
    assert target.provider == caught.value.provider
    assert "no-such-model-of-anyone" == caught.value.model
