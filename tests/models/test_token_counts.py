"""Counting tokens by the providers' endpoints: the body that counts, from the body that the codec writes."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any
from urllib.parse import unquote

import pytest

from asyncllm._providers.counting import Counting
from asyncllm._providers.provider import Provider
from asyncllm._providers.spec import build_host as build
from asyncllm._schema.content import Audio, CacheMark, Image, Text, Video
from asyncllm._schema.messages import Message
from asyncllm._schema.request import Request, ResponseFormat, Tool, ToolChoice
from asyncllm.errors import AuthenticationError, ProtocolError, UnsupportedContentError
from asyncllm.testing import Fault, Simulator
from catalog_driver import hosts, open_catalog
from recordings import body_of, context, recorded

ENVIRON = {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k", "GEMINI_API_KEY": "k", "AWS_BEARER_TOKEN_BEDROCK": "k"}
OPTIONS: dict[str, dict[str, Any]] = {
    "bedrock": {"region_name": "us-east-1"},
    "vertex": {"project_id": "redacted-project", "location": "global", "access_token": "t"},
}
WEATHER = Tool("get_weather", "Tells the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})


class Token:
    """A credential that needs no network."""

    def get_secret_value(self) -> str:
        return "token"


def host(kind: str, **options: Any) -> Provider:
    given = {**OPTIONS.get(kind, {}), **options}
    if "access_token" in given:
        given["access_token"] = Token()
    return build(kind, kind, given, ENVIRON)


def written(kind: str, request: Request, **options: Any) -> tuple[str, dict[str, Any]]:
    """The path and the body of the question."""
    provider = host(kind, **options)
    assert provider.counting is not None
    counting = provider.counting(request.model)
    assert counting is not None
    route = provider.resolve("count", request.model, request)
    wire = counting.encode(request, route.protocol, context(kind, route.protocol.name, request.model), route.path)
    assert ("POST", "", ()) == (wire.method, wire.query, wire.warnings)
    body: dict[str, Any] = json.loads(wire.body)
    return wire.path, body


def user(model: str, *parts: Any, **fields: Any) -> Request:
    return Request(model=model, messages=(Message.user(*parts),), **fields)


FOX = "The quick brown fox jumps over the lazy dog."
DATA = {"title": {"type": "string", "description": "Content title"}}
ASKED: dict[str, tuple[str, Request]] = {
    "bedrock-misc-5d88374d48": (
        "bedrock",
        user(
            "us.anthropic.claude-sonnet-4-20250514-v1:0",
            Text("The quick brown fox jumps over the lazydog.", cache=CacheMark()),
            "What was next?",
        ),
    ),
    "bedrock-misc-c9ef937195": (
        "bedrock",
        user(
            "anthropic.claude-sonnet-4-20250514-v1:0",
            "What is the weather in Paris?",
            tools=(
                Tool(
                    "get_weather",
                    "Get the weather for a location",
                    {"type": "object", "properties": {"location": {"type": "string"}}},
                ),
            ),
            tool_choice=ToolChoice("auto"),
        ),
    ),
    "vertex-gemini-a43196f511": ("vertex", user("gemini-2.5-flash", FOX)),
}


def test_recorded_questions_are_written_again() -> None:
    """The same conversation gives the body and the path that were recorded, but for what is empty in them."""
    for exchange in recorded("bedrock-misc", "vertex-gemini", kind="count_tokens"):
        if exchange["id"] not in ASKED:
            continue
        kind, request = ASKED[exchange["id"]]
        path, body = written(kind, request)
        asked = exchange["request_json"]
        if kind == "bedrock":
            asked["input"]["converse"].pop("system")
        assert asked == body
        assert unquote(exchange["endpoint"].replace("REDACTED", "global")) == unquote(path)


def test_every_recorded_count_is_read() -> None:
    """The number in each host's answer."""
    found = {}
    for exchange in recorded("anthropic", "bedrock-misc", "gemini", "openai-responses", "vertex-gemini"):
        if exchange["kind"] == "count_tokens" and exchange["status"] == 200:
            found[exchange["id"]] = Counting().decode(json.loads(body_of(exchange)))
    assert {
        "anthropic-33f6f4627b": 669,
        "bedrock-misc-3d740deacb": 11,
        "bedrock-misc-5d88374d48": 23,
        "bedrock-misc-8ef36a26e8": 18,
        "bedrock-misc-c9ef937195": 375,
        "gemini-2a3419dcde": 11,
        "gemini-feae257172": 61,
        "openai-responses-b8cc6eca83": 51,
        "vertex-gemini-4af529004c": 36,
        "vertex-gemini-a43196f511": 10,
    } == found


@pytest.mark.parametrize("value", [None, [], {}, {"input_tokens": "3"}, {"totalTokens": True}, {"inputTokens": -1}])
def test_an_answer_without_a_number(value: Any) -> None:
    """An answer that holds no count of tokens is none."""
    with pytest.raises(ProtocolError):
        Counting().decode(value)


FULL = Request(
    model="m",
    messages=(Message.system("Be brief."), Message.user("Hi")),
    tools=(WEATHER,),
    temperature=0.5,
    top_p=0.9,
    max_tokens=100,
    stop=("x",),
    seed=7,
    stream=True,
)


def full(model: str) -> Request:
    return Request(**{**{name: getattr(FULL, name) for name in FULL.__slots__}, "model": model})


def test_what_makes_an_answer_is_left_out() -> None:
    """Sampling, bounds and streaming do not travel; the prompt and its tools do."""
    assert {"model", "system", "messages", "tools"} == written("anthropic", full("claude-sonnet-4-5"))[1].keys()
    path, body = written("gemini", full("gemini-2.5-flash"))
    assert path.endswith("/models/gemini-2.5-flash:countTokens")
    whole = body["generateContentRequest"]
    assert {"model", "contents", "systemInstruction", "tools"} == whole.keys()
    assert "models/gemini-2.5-flash" == whole["model"]
    assert {"model", "input", "tools"} == written("openai", full("gpt-5.4"))[1].keys()
    assert {"contents", "systemInstruction", "tools"} == written("vertex", full("gemini-2.5-flash"))[1].keys()
    converse = written("bedrock", full("anthropic.claude-sonnet-4-5-20250929-v1:0"))[1]["input"]["converse"]
    assert {"messages", "system", "toolConfig"} == converse.keys()


def test_claude_on_vertex_is_counted_by_name() -> None:
    """One path for all Claude models, with the model in the body."""
    path, body = written("vertex", full("claude-sonnet-4-5"))
    assert path.endswith(
        "/projects/redacted-project/locations/global/publishers/anthropic/models/count-tokens:rawPredict"
    )
    assert "claude-sonnet-4-5" == body["model"]
    assert "anthropic_version" in body


def test_invoke_bodies_are_counted_as_they_are() -> None:
    """InvokeModel's own body travels as base64."""
    path, body = written("bedrock", full("us.anthropic.claude-sonnet-4-5-20250929-v1:0"), api="invoke")
    assert "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/count-tokens" == path
    inner = json.loads(b64decode(body["input"]["invokeModel"]["body"]))
    assert "anthropic_version" in inner


def test_hosts_that_do_not_count() -> None:
    """Azure, partners on Vertex and models of one's own on Bedrock have no endpoint for it."""
    assert (
        build("azure", "azure", {"base_url": "https://r.openai.azure.com"}, {"AZURE_OPENAI_API_KEY": "k"}).counting
        is None
    )
    for kind, model in (("vertex", "meta/llama-4-maas"), ("bedrock", "arn:aws:bedrock:us-east-1:1:imported-model/x")):
        counting = host(kind).counting
        assert counting is not None and counting(model) is None


# --- over the simulator --------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("openai", "gpt-sim"),
        ("anthropic", "claude-sim"),
        ("gemini", "gemini-sim"),
        ("bedrock", "us.anthropic.claude-sim"),
        ("vertex", "gemini-sim"),
        ("vertex", "claude-sim"),
    ],
)
async def test_providers_count(name: str, model: str) -> None:
    """Instructions and tools count: a request with them is longer."""
    async with Simulator() as sim, open_catalog(hosts(sim, name)) as catalog:
        short = await catalog.count_tokens(name, user(model, "Hello"))
        long = await catalog.count_tokens(name, full(model))
        assert ("provider", None, None) == (long.source, long.error_band, long.reason)
        assert 0 < short.input_tokens < int(long)
        assert 2 == sim.count(operation="count_tokens")


@pytest.mark.anyio
async def test_what_nobody_counts_is_estimated() -> None:
    """Without an endpoint, or one that refuses the model, there is an estimate that says so and why."""
    async with Simulator() as sim, open_catalog(hosts(sim)) as catalog:
        found = await catalog.count_tokens("vertex", user("meta/llama-sim-maas", "Hello"))
        assert ("estimated", 0.85) == (found.source, found.error_band)
        assert found.reason is not None and "no endpoint" in found.reason
        sim.models = {"bedrock": ["amazon.nova-sim"]}
        found = await catalog.count_tokens("bedrock", user("a.other", "Hello"))
        assert "estimated" == found.source
        assert found.reason is not None and found.reason.startswith("bedrock did not count: ")


@pytest.mark.anyio
async def test_what_the_counting_format_cannot_say_is_estimated() -> None:
    """OpenAI counts by another format than it chats in; what that has no place for is estimated, or refused by both."""
    async with Simulator() as sim, open_catalog(hosts(sim)) as catalog:
        found = await catalog.count_tokens("openai", user("gpt-sim", Audio(data=b"RIFF", media_type="audio/wav")))
        assert "estimated" == found.source
        assert found.reason is not None and "openai_responses" in found.reason
        with pytest.raises(UnsupportedContentError):
            await catalog.count_tokens("anthropic", user("claude-sim", Video(url="https://x.example/v.mp4")))


@pytest.mark.anyio
async def test_a_refused_key_is_no_reason_to_guess() -> None:
    """A count that fails for another reason than the model is an error."""
    async with Simulator() as sim, open_catalog(hosts(sim)) as catalog:
        sim.on("*", Fault.status(401), operation="count_tokens")
        with pytest.raises(AuthenticationError):
            await catalog.count_tokens("anthropic", user("claude-sim", "Hello"))


def test_pictures_and_schemas_count_too() -> None:
    """A schema for the answer goes with Claude's count, as it is part of the prompt."""
    request = user("claude-sonnet-4-5", "Hi", Image(data=b"x", media_type="image/png"),
                   response_format=ResponseFormat(schema={"type": "object", "properties": DATA}))  # fmt: skip
    body = written("anthropic", request)[1]
    assert "output_config" in body
