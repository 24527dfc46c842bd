"""What a user does first, on servers that nobody of this project wrote."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import BaseModel
from real_servers import ask
from targets import WIRES, Wire

import asyncllm
from asyncllm import Client
from asyncllm.cli.main import main

pytestmark = [pytest.mark.field, pytest.mark.anyio, pytest.mark.parametrize("wire", WIRES, ids=lambda one: one.title)]
REFUSALS = (
    (400, asyncllm.BadRequestError),
    (401, asyncllm.AuthenticationError),
    (403, asyncllm.PermissionDeniedError),
    (404, asyncllm.NotFoundError),
)
EMBEDDERS = {"gemini": "gemini-embedding-001", "bedrock": "amazon.titan-embed-text-v2:0", "llamacpp": "smollm2-135m"}
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    ],
}


class City(BaseModel):
    """A city."""

    name: str
    people: int


@asyncllm.tool
async def weather(city: str) -> str:
    """The weather in a city, now."""
    return f"17 degrees in {city}"


@pytest.fixture
def url(servers: Any, wire: Wire, request: pytest.FixtureRequest) -> str:
    verb = request.node.originalname.removeprefix("test_")
    if verb in wire.lacks:
        pytest.skip(wire.lacks[verb])
    found: str = servers(wire.server)
    if wire.server == "llmock":
        ask(f"{found}/_llmock/reset", {})
    return found


@pytest.fixture
async def client(url: str, wire: Wire) -> AsyncIterator[Client]:
    async with Client(wire.config(url), environ={}) as made:
        yield made


async def test_send(client: Client) -> None:
    """One call brings text, a reason why it ended, and the server's own token counts."""
    reply = await client.send("What is 2+2?", max_tokens=32)
    assert reply.text
    assert reply.finish_reason in ("stop", "length")
    assert "provider" == reply.usage.source
    assert reply.usage.input_tokens
    assert reply.usage.output_tokens
    rows = await client.ledger.report(by=["provider"])
    assert (1, reply.usage.input_tokens) == (rows[0].requests, rows[0].input_tokens)


async def test_stream(client: Client) -> None:
    """The deltas are the text of the response, and usage stands at its end."""
    async with client.stream("Count from 1 to 10.", max_tokens=32) as stream:
        deltas = [str(event) async for event in stream]
    assert stream.response.text == "".join(deltas) != ""
    assert sum(map(bool, deltas)) > 1
    assert stream.response.finish_reason in ("stop", "length")
    assert stream.response.usage.output_tokens


async def test_tools(client: Client, wire: Wire) -> None:
    """A tool is called, its result goes back, and the model answers; also in a stream."""
    question = "What is the weather in Oslo? Use the tool."
    if wire.server == "llama":  # so small a model does not call tools: the definition and a whole round are taken
        reply = await client.send(question, tools=[weather], max_tokens=16)
        assert reply.text or reply.tool_calls
        history = [asyncllm.Message.user(question), CALLED, asyncllm.Message.tool("call_1", "17 degrees")]
        assert (await client.send(history, tools=[weather], max_tokens=16)).text
        return
    run = await client.run(question, tools=[weather], max_steps=3)
    assert len(run.steps) == 2
    assert run.text
    async with client.run_stream(question, tools=[weather], max_steps=3) as events:
        kinds = [type(event).__name__ async for event in events]
    assert {"ToolStart", "ToolEnd"} <= set(kinds)


async def test_structured(client: Client) -> None:
    """An answer is of the type that was asked for; its stream too."""
    reply = await client.send("Tell me of a city as JSON.", response_format=City, max_tokens=60)
    assert isinstance(reply.parsed, City)
    async with client.stream("Tell me of a city as JSON.", response_format=City, max_tokens=60) as stream:
        async for _ in stream:
            pass
    assert isinstance(stream.response.parsed, City)


async def test_errors(client: Client, wire: Wire, url: str) -> None:
    """What goes wrong at the server is the error of that name."""
    once = {"fallback": [], "timeout": 20}
    if wire.server == "llama":
        with pytest.raises(asyncllm.ContextWindowExceededError):
            await client.send("word " * 3000, **once)
        return
    if wire.server == "aimock":
        config = wire.config(url, retry={"max_attempts": 1})
        async with Client(config, environ={}) as hasty:
            with pytest.raises(asyncllm.RateLimitError):
                await hasty.send("This is too fast", **once)
            with pytest.raises(asyncllm.RateLimitError):
                async for _ in hasty.stream("This is too fast", **once):
                    pass
        return
    for status, error in REFUSALS:
        ask(f"{url}/_llmock/scenario", {"behaviors": [{"type": "fail", "status": status}]})
        with pytest.raises(error):
            await client.send(f"refused with {status}", **once)
    later = [{"type": "fail", "status": 429, "retry_after": 1}, {"type": "fail", "status": 503}]
    ask(f"{url}/_llmock/scenario", {"behaviors": later})
    assert 3 == len((await client.send("asked again", **once)).attempts)
    for kind in ("disconnect", "truncate", "malformed"):
        fault = {"type": "stream_fault", "kind": kind, "after_chunks": 6}
        ask(f"{url}/_llmock/scenario", {"behaviors": [fault, {"type": "reply", "text": "A long story. " * 9}]})
        with pytest.raises((asyncllm.StreamInterruptedError, asyncllm.StreamTruncatedError)) as caught:
            async for _ in client.stream(f"A long story of {kind}", **once):
                pass
        assert caught.value.partial.text
        await anyio.sleep(0.3)  # its verdict wants the call asked again, a little later
        async with client.stream(f"A long story of {kind}", **once) as stream:
            async for _ in stream:
                pass
        assert "stop" == stream.response.finish_reason
    verdict = ask(f"{url}/_llmock/verdict")
    assert (True, []) == (verdict["passed"], verdict["findings"])


async def test_counts(client: Client) -> None:
    """The tokens of a prompt are counted."""
    counted = await client.count_tokens("What is 2+2? Answer with one digit.")
    assert counted


async def test_models(client: Client) -> None:
    """The server's list of models is read."""
    found = await client.refresh_models()
    assert found


async def test_embed(client: Client, wire: Wire) -> None:
    """Vectors of two texts, in order."""
    found = await client.embed(["one", "two"], model=EMBEDDERS.get(wire.kind, "text-embedding-3-small"))
    assert 2 == len(found.vectors)
    assert len(found.vectors[0]) == len(found.vectors[1]) > 0


def test_check(wire: Wire, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``asyncllm check`` finds the model working."""
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(wire.config(url)), encoding="utf-8")  # JSON is YAML
    code = main(["check", "--config", str(path)])
    said = capsys.readouterr().out
    assert 0 == code, said


async def test_map(wire: Wire, url: str, tmp_path: Path) -> None:
    """Many prompts at once are answered, and each is a row of the ledger."""
    number = 8 if wire.server == "llama" else 20  # a real model takes a second for each
    tracking = {"database": f"sqlite:///{tmp_path / 'books.db'}"}
    prompts = [f"Say the number {turn}." for turn in range(number)]
    async with Client(wire.config(url, cost_tracking=tracking), environ={}) as client:
        items = [item async for item in client.map(prompts, concurrency=8, max_tokens=4)]
        rows = await client.ledger.report(by=["provider"])
    assert [] == [item.error for item in items if item.error is not None]
    assert number == len(items) == rows[0].requests
