"""A host that the library does not know is added in each of the three ways, without touching the package."""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import SecretStr

from asyncllm import (
    AuthenticationError,
    Client,
    Image,
    Message,
    Provider,
    Reasoning,
    Route,
    StreamInterruptedError,
    Tool,
    UnsupportedContentError,
)
from asyncllm._auth.keys import HeaderKey
from asyncllm._protocols.openai_chat import ChatDialect, OpenAIChat
from asyncllm.testing import Simulator

pytestmark = pytest.mark.anyio
EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "own_wire_format.py"


@dataclass
class OddServer:
    """A server of the chat format with odd paths and an odd header for its key; keeps what it received."""

    url: str
    received: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def odd_server() -> Iterator[OddServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            server.received.append({"path": self.path, "headers": dict(self.headers), "body": body})
            known = self.headers["x-odd-key"] == "odd" and self.path == "/tenants/7/generate?trace=1"
            message = {"role": "assistant", "content": "Hello.", "thoughts": "Hm."}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            answer = {"id": "1", "model": body["model"], "choices": [choice]} if known else {"error": {"message": "no"}}
            data = json.dumps(answer).encode()
            self.send_response(200 if known else 401)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = OddServer(f"http://127.0.0.1:{listening.server_port}")
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    listening.shutdown()
    listening.server_close()
    thread.join()


def odd_host(url: str, key: str = "odd") -> Provider:
    """The host from Python: its dialect, its path, its header."""

    def adapt(body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "tenant": 7, "messages": [{**message, "lang": "en"} for message in body["messages"]]}

    dialect = ChatDialect(
        max_tokens_field="limit",
        reasoning_fields=("thoughts",),
        reasoning_back="field",
        reasoning_back_field="thoughts",
        adapt=adapt,
    )
    route = Route(protocol=OpenAIChat(dialect), path="/tenants/7/generate", query="trace=1")
    return Provider(
        name="odd",
        kind="odd",
        base_url=url,
        auth=HeaderKey(SecretStr(key), header="x-odd-key", prefix=""),
        resolve=lambda operation, model, request: route,
        headers={"x-odd-region": "north"},
    )


async def test_a_compatible_server_is_an_entry_of_the_configuration() -> None:
    """A name, a kind, a base URL: send, stream and tools work, and the key travels in the usual header."""
    tool = Tool("weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
    async with Simulator(require_key="rack-key") as simulator:
        entry = {"kind": "openai_compatible", "base_url": simulator.url("openai_compatible"), "api_key": "${RACK_KEY}"}
        config = {"active_provider": "rack", "providers": {"rack": {**entry, "fallback_models": ["qwen3-32b"]}}}
        async with Client(config, environ={"RACK_KEY": "rack-key"}) as client:
            reply = await client.send("What is 2+2?")
            streamed = "".join([text async for text in client.stream("Count to 3").text()])
            called = await client.send("What is the weather in Oslo?", tools=[tool])
    assert ("4", "rack", "qwen3-32b") == (reply.text, reply.provider, reply.model)
    assert "1 2 3" == streamed
    assert ["weather"] == [call.name for call in called.tool_calls]


async def test_a_host_with_its_own_ways_is_a_value(odd_server: OddServer) -> None:
    """Odd paths, another header for the key and quirks of the body are said in Python, and the host needs no entry."""
    async with Client(providers=[odd_host(odd_server.url)]) as client:
        reply = await client.send("Hello", model="odd-1", max_tokens=50)
        again = await client.send([Message.user("Hello"), reply.message, Message.user("Again")], model="odd-1")
    assert ("Hello.", "Hm.", "odd") == (reply.text, reply.reasoning, reply.provider)
    first, second = odd_server.received
    assert "/tenants/7/generate?trace=1" == first["path"]
    assert ("odd", "north") == (first["headers"]["x-odd-key"], first["headers"]["x-odd-region"])
    assert "authorization" not in {name.lower() for name in first["headers"]}
    assert {"model": "odd-1", "limit": 50, "tenant": 7} == {
        key: first["body"][key] for key in ("model", "limit", "tenant")
    }
    assert "en" == first["body"]["messages"][0]["lang"]
    assert "Hm." == second["body"]["messages"][1]["thoughts"]
    assert () == again.warnings


async def test_a_host_of_ones_own_is_an_origin_of_its_own(odd_server: OddServer) -> None:
    """What another host thought is not told to it, though it takes reasoning back."""
    async with Simulator() as simulator:
        config = simulator.config(cross_provider_fallback=True)
        config["providers"]["odd"] = {"kind": "odd", "fallback_models": ["odd-1"]}
        async with Client(config, providers=[odd_host(odd_server.url)], environ={}) as client:
            said = await client.send("Hello", provider="anthropic", reasoning="low")
            reply = await client.send([Message.user("Hello"), said.message, Message.user("Again")], provider="odd")
    assert any(isinstance(part, Reasoning) for part in said.message.content)
    assert "thoughts" not in odd_server.received[-1]["body"]["messages"][1]
    assert reply.warnings


async def test_a_wrong_key_of_an_added_host_falls_back_like_any_other(odd_server: OddServer) -> None:
    """An added host stands in chains, with the same errors as the others."""
    async with Simulator() as simulator:
        config = simulator.config()
        config["providers"]["odd"] = {"kind": "odd", "fallback_models": ["odd-1"]}
        async with Client(config, providers=[odd_host(odd_server.url, "wrong")], environ={}) as client:
            with pytest.raises(AuthenticationError):
                await client.send("Hello", provider="odd")
            client.reset_health("odd")
            reply = await client.send("What is 2+2?", provider="odd", fallback=[("openai", "gpt-sim")])
    assert ("4", "openai") == (reply.text, reply.provider)
    assert ["error", "ok"] == [attempt.outcome for attempt in reply.attempts]


@pytest.fixture(scope="module")
def example() -> ModuleType:
    """The example of a wire format, as a module."""
    spec = importlib.util.spec_from_file_location("own_wire_format", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def plain_url(example: ModuleType) -> Iterator[str]:
    listening = ThreadingHTTPServer(("127.0.0.1", 0), example.Server)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}"
    listening.shutdown()
    listening.server_close()
    thread.join()


async def test_a_wire_format_of_ones_own(example: ModuleType, plain_url: str) -> None:
    """Four verbs are enough: whole answers, streams, warnings and the errors of the tree."""
    async with Client(providers=[example.plain_host(plain_url, "my-key")]) as client:
        reply = await client.send("Hello", model="any/model", temperature=0.5)
        async with client.stream("Hello", model="any/model") as stream:
            texts = [event.text async for event in stream]
        with pytest.raises(UnsupportedContentError, match="plain cannot take a Image part"):
            await client.send([Message.user(Image(url="https://x.test/a.png"))], model="any/model")
    assert ("You said 'Hello'.", "stop", "end") == (reply.text, reply.finish_reason, reply.raw_finish_reason)
    assert ("plain has no temperature; it was left out",) == reply.warnings
    assert "".join(texts) == stream.response.text
    assert "stop" == stream.response.finish_reason
    assert "plain" == reply.message.content[0].origin.protocol


async def test_errors_and_cuts_of_a_wire_format_of_ones_own(
    example: ModuleType, plain_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused key is the tree's error; a stream that ends early is never a success."""
    async with Client(providers=[example.plain_host(plain_url, "wrong")]) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.send("Hello", model="m")
    assert (401, "plain", "m") == (caught.value.status, caught.value.provider, caught.value.model)
    monkeypatch.setattr(example.Server, "_answer", _shortened(example.Server._answer))
    config = {"active_provider": "plain", "providers": {"plain": {"kind": "plain", "retry": {"max_attempts": 1}}}}
    async with Client(config, providers=[example.plain_host(plain_url, "my-key")], environ={}) as client:
        with pytest.raises(StreamInterruptedError) as cut:
            async with client.stream("Hello there", model="m") as stream:
                async for _ in stream:
                    pass
    assert cut.value.partial is not None
    assert cut.value.partial.text.startswith("You said")


def _shortened(answer: Any) -> Any:
    def shortened(self: Any, status: int, body: bytes) -> None:
        answer(self, status, body.replace(b'data: {"why": "end"}\n\n', b""))

    return shortened
