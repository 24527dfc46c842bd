"""The same over real HTTP: every pair of hosts, through the client, before a server that checks as the host would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import pytest
from speakers import TOOLS

from asyncllm import Client, Message, Response
from asyncllm.testing import Simulator

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Place:
    """An entry of the configuration and the model asked there."""

    entry: str
    model: str
    kind: str
    settings: tuple[tuple[str, str], ...] = ()
    credential: str = "api_key"


_VERTEX = (("project_id", "sim-project"), ("location", "us-central1"))
_BEDROCK = (("region_name", "us-east-1"),)
PLACES = (
    Place("openai", "gpt-sim", "openai"),
    Place("responses", "gpt-sim", "openai", (("api", "responses"),)),
    Place("azure", "gpt-sim", "azure"),
    Place("anthropic", "claude-sim", "anthropic"),
    Place("gemini", "gemini-sim", "gemini"),
    Place("bedrock", "anthropic.claude-sim", "bedrock", _BEDROCK),
    Place("bedrock-nova", "us.amazon.nova-sim:0", "bedrock", _BEDROCK),
    Place("bedrock-invoke", "anthropic.claude-sim", "bedrock", (*_BEDROCK, ("api", "invoke"))),
    Place("vertex", "gemini-sim", "vertex", _VERTEX, "access_token"),
    Place("vertex-claude", "claude-sim", "vertex", _VERTEX, "access_token"),
    Place("vertex-open", "meta/llama-sim-maas", "vertex", _VERTEX, "access_token"),
    Place("mistral", "sim", "mistral"),
    Place("deepseek", "sim", "deepseek"),
    Place("openrouter", "sim", "openrouter"),
)
# Beginnings of what the simulator signs and seals.
OPAQUE = ("Esim", "gAAAAAB")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.in_thread(tool_use="always", tool_calls=2) as running:
        yield running


@pytest.fixture
async def client(simulator: Simulator, anyio_backend: str) -> Any:
    entries = {
        place.entry: {
            "kind": place.kind,
            place.credential: f"sk-sim-{place.entry}",
            "base_url": simulator.url(place.kind),
            "fallback_models": [place.model],
            **dict(place.settings),
        }
        for place in PLACES
    }
    config = simulator.config(providers=entries, active_provider="openai", active_model=None, retry={"max_attempts": 1})
    async with Client(config, environ={}) as made:
        yield made


async def ask(client: Client, place: Place, messages: list[Message]) -> Response:
    """One call; a stream on two kinds of host, so that both ways to answer are taken."""
    options: dict[str, Any] = {"provider": place.entry, "model": place.model, "tools": TOOLS, "reasoning": "low"}
    if place.kind in ("openai", "vertex"):
        async with client.stream(messages, **options) as stream:
            async for _ in stream:
                pass
        return stream.response
    return await client.send(messages, **options)


def answered(reply: Response) -> list[Message]:
    """The reply and the results of its calls."""
    results = [Message.tool(call.id, {"n": number}) for number, call in enumerate(reply.tool_calls)]
    return [reply.message, *results]


def sent(simulator: Simulator) -> str:
    """What the server received last."""
    return str(simulator.requests[-1].body)


@pytest.mark.parametrize(("begun", "continued"), list(permutations(PLACES, 2)), ids=lambda place: place.entry)
async def test_there_and_back(client: Client, simulator: Simulator, begun: Place, continued: Place) -> None:
    """Two calls on one host, answered on the other, two more there, answered back home: every request is accepted."""
    conversation = [Message.system("Be brief."), Message.user("Use a tool.")]
    first = await ask(client, begun, conversation)
    assert 2 == len(first.tool_calls)
    conversation += answered(first)
    second = await ask(client, continued, conversation)
    assert "The tool answered" in second.text
    if (begun.kind, begun.settings) != (continued.kind, continued.settings):
        assert not any(word in sent(simulator) for word in OPAQUE)
    conversation += [second.message, Message.user("Use a tool again.")]
    third = await ask(client, continued, conversation)
    conversation += answered(third)
    fourth = await ask(client, begun, conversation)
    assert "The tool answered" in fourth.text
    assert [200] == [attempt.status for attempt in fourth.attempts]
    if begun.entry != "mistral":  # the simulator's ids are not of nine characters
        assert all(call.id in sent(simulator) for call in first.tool_calls)
