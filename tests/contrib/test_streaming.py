"""Streams and runs as HTTP responses: events, statuses, hang-ups, and the AI SDK's format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from asyncllm import Client, Image, PartEnd, PostponeTool, ProviderToolCall, ProviderToolResult, ResponseStart, errors
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


async def written(source: Any, kind: Any = ui_messages) -> list[Any]:
    """What a reader of a stream or a run gets."""

    async def page(_: Request) -> Response:
        found: Response = await kind(source)
        return found

    app = Starlette(routes=[Route("/", page)])
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
        answer = await http.get("/")
    return [json.loads(line[6:]) for line in answer.text.split("\n\n") if line[6:] not in ("", "[DONE]")]


async def test_a_run_that_goes_on_shows_its_calls_first(open_client: OpenClient) -> None:
    """The front end takes no result of a call that it has not seen."""

    def model(request: ModelRequest) -> Reply | str:
        return "It is 3." if request.tool_results else Reply(tool_calls=(ToolUse("add", {"a": 1, "b": 2}),))

    async with Simulator(reply=model) as sim, open_client(sim) as client:
        run = await client.run("hi", tools=[add], before_tool=lambda call, context: PostponeTool())
        found = await written(client.run_stream(run, tools=[add]))
    assert ["start", "tool-input-available", "tool-output-available", "start-step"] == [
        one["type"] for one in found[:4]
    ]
    assert ({"a": 1, "b": 2}, "add") == (found[1]["input"], found[1]["toolName"])
    assert {"type": "finish", "finishReason": "stop"} == found[-1]


async def test_refusals_are_shown(open_client: OpenClient) -> None:
    """A refusal is text for the front end, and an event of its own for others."""
    async with Simulator(reply=Reply(refusal="I will not.")) as sim, open_client(sim) as client:
        found = await written(client.stream("hi", provider="openai"))
        plain = await written(client.stream("hi", provider="openai"), sse)
    assert "I will not." == "".join(one["delta"] for one in found if one["type"] == "text-delta")
    assert "content-filter" == found[-1]["finishReason"]
    assert {"type": "refusal", "text": "I will not."} in plain


async def test_an_exception_of_the_application_is_an_event_without_its_words(open_client: OpenClient) -> None:
    """The reader learns that it failed; the server's log has the exception."""

    def leaky() -> None:
        raise ValueError("password is 1234")

    async with Simulator(reply=Reply(tool_calls=(ToolUse("leaky"),))) as sim, open_client(sim) as client:
        for kind in (ui_messages, sse):
            found = await written(client.run_stream("hi", tools=[leaky], on_tool_error="raise"), kind)
            assert "error" == found[-1]["type"]
            assert "1234" not in json.dumps(found)


class Events:
    """Events in the place of a stream."""

    def __init__(self, *events: Any) -> None:
        self._events = list(events)

    async def started(self) -> None:
        return None

    async def aclose(self) -> None:
        return None

    async def __anext__(self) -> Any:
        if not self._events:
            raise StopAsyncIteration
        return self._events.pop(0)


async def test_pictures_and_what_the_provider_ran_are_shown() -> None:
    """A picture is a file, with its bytes in its address; a provider's tool is marked as run by the provider."""
    parts = (
        Image(data=b"\x89PNG", media_type="image/png"),
        ProviderToolCall(id="s1", name="web_search", raw_arguments='{"query": "x"}', raw={"type": "server_tool_use"}),
        ProviderToolResult(call_id="s1", name="web_search", raw={"found": 1}),
    )
    ends = [PartEnd(place, part) for place, part in enumerate(parts)]
    found = {one["type"]: one for one in await written(Events(ResponseStart(id="m", model="x"), *ends))}
    assert ("data:image/png;base64,iVBORw==", "image/png") == (found["file"]["url"], found["file"]["mediaType"])
    called, answered = found["tool-input-available"], found["tool-output-available"]
    assert ({"query": "x"}, True, True) == (called["input"], called["providerExecuted"], answered["providerExecuted"])
    kinds = [one["type"] for one in await written(Events(*ends), sse)]
    assert ["image", "provider_tool_call", "provider_tool_result"] == kinds


READER = Path(__file__).with_name("ai_sdk")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # what is read is the same on trio
@pytest.mark.skipif(not (READER / "node_modules").is_dir(), reason="needs the npm package `ai`: nox -s ai_sdk")
async def test_the_ai_sdk_itself_reads_runs(open_client: OpenClient) -> None:
    """The npm package `ai` makes a message of a run: text, results, failures and what a run that goes on answers."""
    calls = (ToolUse("add", {"a": 1, "b": 2}), ToolUse("broken"), ToolUse("nothing"), ToolUse("add", {"a": "x"}))

    def broken() -> None:
        raise ValueError("no luck")

    def model(request: ModelRequest) -> Reply | str:
        return "Grüße 😀" if request.tool_results else Reply(text="Let me see.", tool_calls=calls)

    async with Simulator(reply=model) as sim, open_client(sim) as client:
        tools = [add, broken]
        run = await client.run("hi", tools=tools, before_tool=lambda call, context: PostponeTool())
        bodies = []
        for source in (
            client.run_stream("hi", tools=tools),
            client.run_stream(run, tools=tools),
            client.stream("hi", provider="anthropic"),
        ):
            chunks = await written(source)
            bodies.append("".join([f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]) + "data: [DONE]\n\n")
    ended = await anyio.run_process(["node", str(READER / "read.mjs")], input=json.dumps(bodies).encode())
    for number, read in enumerate(json.loads(ended.stdout)):
        assert [] == read["errors"]
        states = [part["state"] for part in read["message"]["parts"] if part["type"].startswith("tool-")]
        if number < 2:
            assert ["output-available", "output-error", "output-error", "output-error"] == states
        texts = [part["text"] for part in read["message"]["parts"] if part["type"] == "text"]
        assert "Grüße 😀" in texts or number == 2


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
        with anyio.fail_after(10):
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
