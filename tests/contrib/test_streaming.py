"""Streams and runs as HTTP responses: events, statuses, hang-ups, and the AI SDK's format."""

from __future__ import annotations

import json
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from asyncllm import Client, errors
from asyncllm.contrib.asgi import sse, status_of, ui_messages
from asyncllm.testing import Fault, ModelRequest, Reply, Simulator, ToolUse
from clients import OpenClient

pytestmark = pytest.mark.anyio


def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


def app_of(client: Client) -> Starlette:
    """The five lines that an application has for each kind."""

    async def chat(request: Request) -> Response:
        return await sse(client.stream((await request.json())["question"]))

    async def agent(request: Request) -> Response:
        return await ui_messages(client.run_stream((await request.json())["question"], tools=[add]))

    return Starlette(routes=[Route("/chat", chat, methods=["POST"]), Route("/agent", agent, methods=["POST"])])


async def post(client: Client, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app_of(client)), base_url="http://app") as http:
        return await http.post(path, json={"question": "hi"})


def chunks(answer: httpx.Response) -> list[Any]:
    """The JSON of each event; the last one is the word that ends the stream."""
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert "[DONE]" == lines.pop()
    return [json.loads(line) for line in lines]


async def test_a_stream_becomes_server_sent_events(open_client: OpenClient) -> None:
    """Text in pieces, then the finish reason and the usage; no proxy may hold it back."""
    async with Simulator(reply="Hello there, Anna") as sim, open_client(sim) as client:
        answer = await post(client, "/chat")
    found = chunks(answer)
    assert "text/event-stream; charset=utf-8" == answer.headers["content-type"]
    assert ("no-cache", "no") == (answer.headers["cache-control"], answer.headers["x-accel-buffering"])
    assert "Hello there, Anna" == "".join(one["text"] for one in found if one["type"] == "text")
    assert ("start", "end", "stop") == (found[0]["type"], found[-1]["type"], found[-1]["finish_reason"])


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(status=429, retry_after=7), 429),
        (Fault(status=503), 503),
        (Fault(status=401), 502),
        (Fault(status=400), 400),
    ],
)
async def test_a_failure_before_the_first_content_is_a_status(
    open_client: OpenClient, fault: Fault, status: int
) -> None:
    """Half a page is never begun; Retry-After is handed on; a refused key is the application's own trouble."""
    async with Simulator() as sim, open_client(sim) as client:
        sim.on("*", fault)
        answer = await post(client, "/chat")
    assert status == answer.status_code
    assert answer.json()["error"]["message"]
    assert ("7" if status == 429 else None) == answer.headers.get("retry-after")


async def test_a_later_failure_is_an_event(open_client: OpenClient) -> None:
    """What came is there, then the error; the stream is ended as it should."""
    async with Simulator(reply="word " * 20) as sim, open_client(sim) as client:
        sim.on("*", Fault.cut(after_events=5))
        answer = await post(client, "/chat")
    found = chunks(answer)
    assert (200, "StreamInterruptedError") == (answer.status_code, found[-1]["error"])
    assert "word" in "".join(one["text"] for one in found if one["type"] == "text")


async def test_a_run_becomes_a_message_of_the_ai_sdk(open_client: OpenClient) -> None:
    """Steps, tool input and output, and text, with the ids that the front end joins them by."""

    def model(request: ModelRequest) -> Reply | str:
        return "The sum is 3." if request.tool_results else Reply(tool_calls=(ToolUse("add", {"a": 1, "b": 2}),))

    async with Simulator(reply=model) as sim, open_client(sim) as client:
        answer = await post(client, "/agent")
    found = chunks(answer)
    assert "v1" == answer.headers["x-vercel-ai-ui-message-stream"]
    kinds = [one["type"] for one in found]
    for kind in ("tool-input-delta", "text-delta"):
        kinds = [one for place, one in enumerate(kinds) if one != kind or kinds[place - 1] != kind]
    assert [
        "start",
        "start-step",
        "tool-input-start",
        "tool-input-delta",
        "tool-input-available",
        "finish-step",
        "tool-output-available",
        "start-step",
        "text-start",
        "text-delta",
        "text-end",
        "finish-step",
        "finish",
    ] == kinds
    by_kind = {one["type"]: one for one in found}
    assert {"a": 1, "b": 2} == by_kind["tool-input-available"]["input"]
    assert 3 == by_kind["tool-output-available"]["output"]
    assert 1 == len({one["toolCallId"] for one in found if "toolCallId" in one})
    assert "The sum is 3." == "".join(one["delta"] for one in found if one["type"] == "text-delta")


async def test_a_reader_who_hangs_up_ends_the_call(open_client: OpenClient) -> None:
    """The connection to the provider is closed, and nothing goes on."""
    async with Simulator(reply="word " * 1000, chunk_delay=0.02) as sim, open_client(sim) as client:
        app = app_of(client)
        gone = anyio.Event()
        sent: list[Any] = []
        asked = [{"type": "http.request", "body": b'{"question": "hi"}', "more_body": False}]

        async def receive() -> Any:
            if asked:
                return asked.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)
            if len(sent) == 4:
                gone.set()

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/chat",
            "headers": [],
            "query_string": b"",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
        }
        with anyio.fail_after(5):
            await app(scope, receive, send)
            while sim.in_flight:
                await anyio.sleep(0.01)
        (record,) = [one async for one in client.ledger.records()]
    assert ("cancelled", "estimated") == (record.status, record.usage.source)


def test_every_error_has_a_status() -> None:
    """An error of this library is never a status of success; a chain counts as its last failure."""
    assert 429 == status_of(errors.RateLimitError("slow"))
    whole = errors.AllFallbacksFailedError("all failed")
    whole.__cause__ = errors.OverloadedError("busy")
    assert (503, 500) == (status_of(whole), status_of(ValueError()))
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.AsyncLLMError):
            assert 400 <= status_of(kind("x")) < 600
