"""Vertex AI as a configured host: where it is, who we are, and which model travels how."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from asyncllm import Client
from asyncllm._auth.google import GoogleAuth
from asyncllm._protocols.codec import WireRequest
from asyncllm._providers.provider import Provider, Route
from asyncllm._providers.spec import build_host
from asyncllm._providers.vertex import build, host_of
from asyncllm._schema.content import Document
from asyncllm._schema.messages import Message
from asyncllm._schema.request import Request
from asyncllm._transport.base import Headers
from asyncllm.errors import (
    AsyncLLMError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ContextWindowExceededError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    UnsupportedContentError,
)
from credential_server import Asked, Told, credential_server
from recordings import context

PLACE = {"project_id": "my-p", "location": "us-central1", "access_token": SecretStr("ya29.canary")}
PARENT = "projects/my-p/locations/us-central1"


def vertex(options: dict[str, Any] | None = None, environ: dict[str, str] | None = None) -> Provider:
    return build("v", {**PLACE, **(options or {})}, environ or {})


def travel(model: str, *, stream: bool = False, **keywords: Any) -> tuple[Route, WireRequest, dict[str, Any]]:
    """How a request to this model leaves: its route, the request with the route's path, and its body."""
    options = keywords.pop("options", {})
    request = Request(model=model, messages=(Message.user("Hi"),), stream=stream, **keywords)
    route = vertex(options).resolve("chat", model, request)
    wire = route.protocol.encode(request, context("vertex", route.protocol.name, model))
    return route, wire, json.loads(wire.body)


def path_of(route: Route, wire: WireRequest) -> str:
    path = wire.path if route.path is None else route.path
    query = wire.query if route.query is None else route.query
    return f"{path}?{query}" if query else path


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("global", "https://aiplatform.googleapis.com"),
        ("us", "https://aiplatform.us.rep.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
        ("us-central1", "https://us-central1-aiplatform.googleapis.com"),
        ("europe-west4", "https://europe-west4-aiplatform.googleapis.com"),
    ],
)
def test_every_sort_of_location_has_its_host(location: str, host: str) -> None:
    """Regions, groups of regions and the global location are served by hosts of their own."""
    assert host == host_of(location) == vertex({"location": location}).base_url


@pytest.mark.anyio
async def test_the_environment_fills_in() -> None:
    """Project, location and host come from the environment where the entry holds none; the location may be missing."""
    options = {"access_token": PLACE["access_token"]}
    google = {"GOOGLE_CLOUD_PROJECT": "g", "GOOGLE_CLOUD_LOCATION": "eu"}
    claude = {"ANTHROPIC_VERTEX_PROJECT_ID": "a", "CLOUD_ML_REGION": "us-east5"}
    assert "https://aiplatform.eu.rep.googleapis.com" == build("v", options, {**google, **claude}).base_url
    assert "https://us-east5-aiplatform.googleapis.com" == build("v", options, claude).base_url
    provider = build("v", options, {"GOOGLE_CLOUD_PROJECT": "g", "GOOGLE_VERTEX_BASE_URL": "https://mine.test/"})
    assert "https://mine.test" == provider.base_url
    path = provider.resolve("chat", "claude-x", None).path
    assert "/v1/projects/g/locations/global/publishers/anthropic/models/claude-x:rawPredict" == path


def test_a_service_account_knows_its_project(tmp_path: Path) -> None:
    """Without a project anywhere else it is that of the credentials file."""
    (tmp_path / "key.json").write_text('{"type": "service_account", "project_id": "from-file"}', encoding="utf8")
    provider = build("v", {"credentials_path": tmp_path / "key.json"}, {})
    assert isinstance(provider.auth, GoogleAuth)
    assert "/projects/from-file/" in str(provider.resolve("chat", "claude-x", None).path)


@pytest.mark.anyio
async def test_the_token_is_sent_and_never_shown() -> None:
    """A token of the entry is a bearer header, in no repr."""
    provider = vertex()
    signed = await provider.auth.sign("POST", provider.base_url, Headers(), b"")
    assert (("authorization", "Bearer ya29.canary"),) == signed
    assert "canary" not in repr(provider)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-3.8-flash", f"{PARENT}/publishers/google/models/gemini-3.8-flash"),
        ("google/gemini-3.8-flash", f"{PARENT}/publishers/google/models/gemini-3.8-flash"),
        ("publishers/google/models/gemini-x", f"{PARENT}/publishers/google/models/gemini-x"),
        ("endpoints/123", f"{PARENT}/endpoints/123"),
        ("projects/7/locations/eu/endpoints/9", "projects/7/locations/eu/endpoints/9"),
    ],
)
def test_models_of_google(model: str, path: str) -> None:
    """Google's own and tuned models speak Gemini, and stream as server-sent events."""
    route, wire, _ = travel(model)
    assert ("gemini", f"/v1beta1/{path}:generateContent") == (route.protocol.name, path_of(route, wire))
    route, wire, _ = travel(model, stream=True)
    assert f"/v1beta1/{path}:streamGenerateContent?alt=sse" == path_of(route, wire)


@pytest.mark.parametrize(
    "model", ["claude-opus-4-5@20251101", "anthropic/claude-opus-4-5@20251101", "publishers/anthropic/models/{}"]
)
def test_claude(model: str) -> None:
    """Claude speaks the Messages format: the model in the path, the version in the body, the verb by the stream."""
    model = model.format("claude-opus-4-5@20251101")
    path = f"/v1/{PARENT}/publishers/anthropic/models/claude-opus-4-5@20251101"
    route, wire, body = travel(model)
    assert ("anthropic", f"{path}:rawPredict") == (route.protocol.name, path_of(route, wire))
    assert "2026-10-21" == body["anthropic_version"]
    assert "model" not in body
    assert "anthropic-version" not in dict(wire.headers)
    route, wire, body = travel(model, stream=True)
    assert (f"{path}:streamRawPredict", True) == (path_of(route, wire), body["stream"])
    _, _, body = travel(model, temperature=0.5)
    assert "vertex-2023-10-16" == body["anthropic_version"]
    assert 77 == travel(model, options={"max_tokens": 77})[2]["max_tokens"]


def test_claude_has_no_files_here() -> None:
    """A file's id cannot be sent: there is no file store on this host."""
    request = Request(model="claude-x", messages=(Message("user", (Document(file_id="f"),)),))
    with pytest.raises(UnsupportedContentError):
        vertex().resolve("chat", "claude-x", None).protocol.encode(request, context("vertex", "anthropic"))


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        ("meta/llama-4-maverick-17b-128e-instruct-maas", "meta/llama-4-maverick-17b-128e-instruct-maas"),
        ("openai/gpt-oss-120b-maas", "openai/gpt-oss-120b-maas"),
        ("publishers/qwen/models/qwen3-maas", "qwen/qwen3-maas"),
    ],
)
def test_open_models(model: str, sent: str) -> None:
    """Models of other publishers speak chat completions at one endpoint, which finds the model in the body."""
    for stream in (False, True):
        route, wire, body = travel(model, stream=stream)
        assert ("openai_chat", f"/v1/{PARENT}/endpoints/openapi/chat/completions") == (
            route.protocol.name,
            path_of(route, wire),
        )
        assert sent == body["model"]


@pytest.mark.parametrize(
    ("model", "version"), [("mistralai/mistral-medium-4", "v1"), ("ai21/jamba-2-large", "v1beta1")]
)
def test_raw_chat(model: str, version: str) -> None:
    """Mistral and AI21 speak chat completions at their own models."""
    publisher, _, name = model.partition("/")
    path = f"/{version}/{PARENT}/publishers/{publisher}/models/{name}"
    route, wire, body = travel(model)
    assert ("openai_chat", f"{path}:rawPredict", name) == (route.protocol.name, path_of(route, wire), body["model"])
    route, wire, body = travel(model, stream=True, seed=3)
    assert f"{path}:streamRawPredict" == path_of(route, wire)
    assert publisher != "mistralai" or 3 == body["random_seed"]


@pytest.mark.parametrize("model", ["gpt-5.4", "openai/gpt-5.4"])
def test_models_of_openai(model: str) -> None:
    """GPT speaks the Responses API."""
    route, wire, body = travel(model)
    assert ("openai_responses", f"/v1/{PARENT}/publishers/openai/v1/responses", "gpt-5.4") == (
        route.protocol.name,
        path_of(route, wire),
        body["model"],
    )


def test_a_name_stays_inside_its_path() -> None:
    """A model's name can add no segment, query or fragment to the path."""
    for model in ("claude-x?a=b#c", "mistralai/x?y", "claude-%2e"):
        path = str(vertex().resolve("chat", model, None).path)
        assert not set("?#") & set(path)
        assert 9 == path.count("/")
    assert "models/claude-%252e:" in str(vertex().resolve("chat", "claude-%2e", None).path)
    for model in ("google/../../x", "anthropic/", "mistralai/"):
        with pytest.raises(BadRequestError):
            travel(model)


GOOGLE = {"error": {"code": 429, "message": "Resource exhausted.", "status": "RESOURCE_EXHAUSTED"}}
CLAUDE = {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 2 > 1"}}


def google(status: str, message: str = "no") -> dict[str, Any]:
    return {"error": {"code": 1, "message": message, "status": status}}


@pytest.mark.parametrize("model", ["gemini-x", "claude-x", "meta/llama", "mistralai/x", "openai/gpt-x"])
@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (429, GOOGLE, RateLimitError),
        (429, [GOOGLE], RateLimitError),
        (401, google("UNAUTHENTICATED"), AuthenticationError),
        (403, google("PERMISSION_DENIED"), PermissionDeniedError),
        (404, google("NOT_FOUND", "The model MODEL was not found."), ModelNotFoundError),
        (503, google("UNAVAILABLE"), OverloadedError),
        (400, [google("INVALID_ARGUMENT", "told so")], BadRequestError),
    ],
)
def test_errors_of_google_are_read_by_every_format(
    model: str, status: int, body: Any, expected: type[AsyncLLMError]
) -> None:
    """Google's own errors come for its partners' models as well, in a list or not, and keep their words."""
    protocol = vertex().resolve("chat", model, None).protocol
    told = replace(context("vertex", protocol.name), model=model)
    text = json.dumps(body).replace("MODEL", model)
    error = protocol.decode_error(status, {}, text.encode(), told)
    assert expected is type(error)
    whole = json.loads(text)
    found = whole[0] if isinstance(whole, list) else whole
    assert found["error"]["message"] in str(error)


def test_errors_of_anthropic_pass_through() -> None:
    """An error of Claude's own keeps its meaning."""
    protocol = vertex().resolve("chat", "claude-x", None).protocol
    error = protocol.decode_error(400, {}, json.dumps(CLAUDE).encode(), context("vertex", "anthropic"))
    assert ContextWindowExceededError is type(error)


@pytest.mark.parametrize(
    ("options", "environ", "words"),
    [
        ({"project_id": None}, {}, r"providers\.v has no project: set project_id, or .* GOOGLE_CLOUD_PROJECT"),
        ({"project_id": "a/b"}, {}, r"providers\.v\.project_id must be like"),
        ({"project_id": "../x"}, {}, "project_id"),
        ({"location": "us.evil.test/"}, {}, r"providers\.v\.location must be like us-central1"),
        ({"location": None}, {"GOOGLE_CLOUD_LOCATION": "US"}, "location"),
        ({"base_url": "https://x.test/v1"}, {}, "leave out /v1"),
        ({"base_url": "x.test"}, {}, "base_url"),
        ({"api_version": "../v1"}, {}, "api_version"),
        ({"max_tokens": 0}, {}, r"providers\.v\.max_tokens"),
        ({"access_token": SecretStr("")}, {}, "access_token is empty"),
    ],
)
def test_bad_entries_say_what_is_wrong(options: dict[str, Any], environ: dict[str, str], words: str) -> None:
    """An option that is not what it must be is named, with what it should be."""
    with pytest.raises(ConfigurationError, match=words):
        vertex(options, environ)


def test_the_version_can_be_chosen() -> None:
    """Gemini's version follows the entry, then the environment; "beta" is Google's short word."""
    for options, environ, version in (
        ({"api_version": "v1"}, {"GOOGLE_GENAI_API_VERSION": "v9"}, "v1"),
        ({}, {"GOOGLE_GENAI_API_VERSION": "beta"}, "v1beta1"),
    ):
        protocol: Any = vertex(options, environ).resolve("chat", "gemini-x", None).protocol
        assert version == protocol.dialect.version


def test_the_kind_is_known() -> None:
    """An entry of kind vertex is built by this module."""
    provider = build_host("vertex", "mine", PLACE, {})
    assert ("mine", "vertex") == (provider.name, provider.kind)


@pytest.mark.anyio
@pytest.mark.parametrize("model", ["gemini-3.8-flash", "claude-opus-5", "meta/llama-4-maas"])
async def test_the_project_of_the_machine_is_found_out_by_the_first_call(model: str) -> None:
    """On Google's machines the metadata server names the project; it is asked once, and not where a client is made."""
    asked: list[str] = []

    def script(seen: Asked) -> Told:
        asked.append(seen.path)
        flavor = {"Metadata-Flavor": "Google"}
        if seen.path.endswith("project-id"):
            return Told("machine-project", headers=flavor)
        if "/token" in seen.path:
            return Told({"access_token": "ya29.machine", "expires_in": 3600, "token_type": "Bearer"}, headers=flavor)
        return Told({"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}, 400)

    with credential_server(script) as server:
        entry = {"kind": "vertex", "base_url": server.url, "location": "us-central1", "fallback_models": [model]}
        environ = {"GCE_METADATA_HOST": server.host}
        async with Client({"active_provider": "v", "providers": {"v": entry}}, environ=environ) as client:
            assert [] == asked
            for _ in range(2):
                with pytest.raises(BadRequestError):
                    await client.send("hi")
    assert 1 == sum(path.endswith("project-id") for path in asked)
    calls = [path for path in asked if "/projects/" in path]
    assert 2 == len(calls)
    assert all("/projects/machine-project/locations/us-central1/" in path for path in calls)


def test_without_a_machine_of_google_a_missing_project_is_told_at_once() -> None:
    """Nobody waits for a metadata server that cannot be there."""
    with pytest.raises(ConfigurationError, match="has no project"):
        build("v", {}, {"HOME": "/nowhere"})
