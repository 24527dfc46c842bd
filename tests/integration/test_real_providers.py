"""The real providers, one cheap call of each sort: `pytest -m integration` with credentials in the environment.

Each is skipped, with a message, where its variables are not set. Well under a cent a run. Other models are named by
``ASYNCLLM_TEST_OPENAI_MODEL`` and its like for ``ANTHROPIC``, ``GEMINI``, ``BEDROCK`` and ``VERTEX``.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

import asyncllm

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


@dataclass(frozen=True)
class Target:
    """A provider and a cheap current model of it (November 2026).

    Attributes:
        variables: sets of variables, one of which must be set as a whole.
        options: key of the entry -> the variable it is read from, where that is set.
        fixed: further keys of the entry.
        tells_request_id: the provider's answers carry an id of the request.
    """

    provider: str
    model: str
    variables: tuple[tuple[str, ...], ...]
    options: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    tells_request_id: bool = True

    @property
    def chosen(self) -> str:
        """The model to ask."""
        return os.environ.get(f"ASYNCLLM_TEST_{self.provider.upper()}_MODEL", self.model)

    def missing(self) -> str:
        """What would have to be set; empty where enough is."""
        if any(all(os.environ.get(name) for name in names) for names in self.variables):
            return ""
        return "; or ".join(" and ".join(names) for names in self.variables)

    def entry(self) -> dict[str, Any]:
        """The provider's entry of the configuration; credentials that it does not hold are found by the library."""
        found = {key: os.environ[name] for key, name in self.options.items() if os.environ.get(name)}
        return {**self.fixed, **found, "fallback_models": [self.chosen]}


TARGETS = [
    Target("openai", "gpt-6-luna", (("OPENAI_API_KEY",),)),
    Target("anthropic", "claude-haiku-5-5", (("ANTHROPIC_API_KEY",),)),
    Target("gemini", "gemini-3.5-flash-lite", (("GEMINI_API_KEY",), ("GOOGLE_API_KEY",)), tells_request_id=False),
    Target(
        "bedrock",
        "amazon.nova-micro-v1:0",
        (("AWS_BEARER_TOKEN_BEDROCK",), ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_PROFILE",)),
        {"profile_name": "AWS_PROFILE"},
        {} if os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") else {"region_name": "us-east-1"},
    ),
    Target(
        "vertex",
        "gemini-3.5-flash-lite",
        (
            ("GOOGLE_CLOUD_PROJECT", "GOOGLE_APPLICATION_CREDENTIALS"),
            ("GOOGLE_CLOUD_PROJECT", "ASYNCLLM_TEST_VERTEX_ACCESS_TOKEN"),
        ),
        {"access_token": "ASYNCLLM_TEST_VERTEX_ACCESS_TOKEN"},
        tells_request_id=False,
    ),
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
    if found.missing():
        pytest.skip(f"no credentials for {found.provider}: set {found.missing()}")
    return found


@pytest.fixture
async def client(target: Target) -> AsyncIterator[asyncllm.Client]:
    config = {"active_provider": target.provider, "providers": {target.provider: target.entry()}}
    async with asyncllm.Client(config) as made:
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
    assert reply.request_id or not target.tells_request_id
    assert reply.cost is None or reply.cost > 0


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
        await client.send("Hello", model="no-such-model-of-anyone", fallback=[])
    assert caught.value.status in (400, 404)  # Bedrock's "The provided model identifier is invalid" is a 400
    assert target.provider == caught.value.provider
    assert "no-such-model-of-anyone" == caught.value.model


async def test_the_models_are_listed(client: asyncllm.Client, target: Target) -> None:
    """The provider's own list of models is not empty; the model that answers can be used, an invented one cannot."""
    refreshed = await client.refresh_models(target.provider)
    assert refreshed.ok, refreshed
    assert await client.models(target.provider)
    found = await client.validate_model(target.provider, target.chosen)
    assert found.usable, found
    assert not (await client.validate_model(target.provider, "no-such-model-of-anyone")).usable
