"""Azure OpenAI, built from an entry and the environment; and which wire format OpenAI and Azure speak."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from asyncllm._config.kinds import KINDS
from asyncllm._models.lookup import FactBook
from asyncllm._providers import azure, openai
from asyncllm._providers.spec import build_host
from asyncllm._schema.content import Audio, Origin, Text
from asyncllm._schema.facts import ModelFacts
from asyncllm._schema.messages import Message
from asyncllm._schema.request import ProviderTool, Request, Tool
from asyncllm._transport.base import Headers
from asyncllm.errors import ConfigurationError, UnsupportedParameterError

ENDPOINT = "https://mine.openai.azure.com"
KEY = {"api_key": SecretStr("key-of-entry")}
TOKEN = {"access_token": SecretStr("token-of-entry")}
ENVIRON = {"AZURE_OPENAI_ENDPOINT": f"{ENDPOINT}/", "AZURE_OPENAI_API_KEY": "key-of-environ"}


def about(model: str) -> ModelFacts:
    """What the package knows of a model of OpenAI."""
    return FactBook().find("openai", model)


def format_of(provider: Any, model: str) -> str:
    """The name of the wire format that a model is spoken to in."""
    return str(provider.resolve("validate", model, None).protocol.name)


@pytest.mark.parametrize(
    ("written", "base_url"),
    [
        (ENDPOINT, f"{ENDPOINT}/openai/v1"),
        (f"{ENDPOINT}/", f"{ENDPOINT}/openai/v1"),
        (f"{ENDPOINT}/openai", f"{ENDPOINT}/openai/v1"),
        (f"{ENDPOINT}/openai/v1/", f"{ENDPOINT}/openai/v1"),
        ("http://127.0.0.1:1/azure/v1", "http://127.0.0.1:1/azure/v1"),
    ],
)
def test_the_endpoint_becomes_the_v1_surface(written: str, base_url: str) -> None:
    """What is missing of /openai/v1 is added to the endpoint."""
    found = azure.build("a", {**KEY, "base_url": written}, {})
    assert ("a", "azure", base_url) == (found.name, found.kind, found.base_url)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("options", "environ", "header"),
    [
        (KEY, {"AZURE_OPENAI_AD_TOKEN": "t"}, ("api-key", "key-of-entry")),
        ({**KEY, **TOKEN}, {}, ("api-key", "key-of-entry")),
        (TOKEN, ENVIRON, ("authorization", "Bearer token-of-entry")),
        ({}, {**ENVIRON, "AZURE_OPENAI_AD_TOKEN": "t"}, ("api-key", "key-of-environ")),
        ({}, {"AZURE_OPENAI_AD_TOKEN": "t"}, ("authorization", "Bearer t")),
    ],
)
async def test_the_first_credential_counts(
    options: dict[str, Any], environ: dict[str, str], header: tuple[str, str]
) -> None:
    """The entry's key, its token, the environment's key, its token: each in the header it belongs in."""
    found = azure.build("a", {**options, "base_url": ENDPOINT}, environ)
    assert (header,) == await found.auth.sign("POST", found.base_url, Headers(), b"")
    assert header[1] not in repr(found)


@pytest.mark.parametrize(
    ("options", "environ", "words"),
    [
        (KEY, {}, r"providers\.a has no endpoint.*AZURE_OPENAI_ENDPOINT"),
        ({"base_url": ENDPOINT}, {}, r"providers\.a\.api_key.*AZURE_OPENAI_API_KEY.*AZURE_OPENAI_AD_TOKEN"),
        ({**KEY, "base_url": ENDPOINT, "api": "invoke"}, {}, r"providers\.a\.api must be one of auto, chat, responses"),
        ({**KEY, "base_url": "mine"}, {}, r"providers\.a\.base_url must begin with http"),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, Any], environ: dict[str, str], words: str) -> None:
    """A bad entry names the key that is wrong, and what to set."""
    with pytest.raises(ConfigurationError, match=words):
        azure.build("a", options, environ)


def test_azure_speaks_what_the_entry_says() -> None:
    """Chat completions, without files, for a deployment of which nothing is known; or what the entry says."""
    chat = azure.build("a", KEY, ENVIRON)
    protocol = chat.resolve("chat", "my-deployment", None).protocol
    assert "openai_chat" == protocol.name
    assert protocol.dialect.file_parts is False
    assert "openai_responses" == format_of(azure.build("a", {**KEY, "api": "responses"}, ENVIRON), "my-deployment")


def test_azure_is_a_kind() -> None:
    """An entry of kind azure is built here, and the configuration knows every key that is read."""
    assert "azure" == build_host("azure", "a", KEY, ENVIRON).kind
    assert {"api_key", "access_token", "base_url", "api"} == set(KINDS["azure"].keys)
    assert ("auto", "chat", "responses") == KINDS["azure"].keys["api"].choices


@pytest.mark.parametrize(
    ("options", "model", "expected"),
    [
        ({}, "gpt-6-sol", "openai_chat"),
        ({}, "gpt-4o-mini", "openai_chat"),
        ({}, "gpt-5.5-pro-2026-04-23", "openai_responses"),
        ({}, "o3-deep-research", "openai_responses"),
        ({}, "gpt-5.1-codex-max", "openai_responses"),
        ({"api": "auto", "base_url": "https://eu.api.openai.com/v1"}, "o3-pro", "openai_responses"),
        ({"base_url": "https://proxy.test/v1"}, "o3-pro", "openai_chat"),
        ({"base_url": "https://api.openai.com.evil.test/v1"}, "o3-pro", "openai_chat"),
        ({"api": "chat"}, "o3-pro", "openai_chat"),
        ({"api": "responses"}, "gpt-4o-mini", "openai_responses"),
        ({"api": "responses", "base_url": "https://proxy.test/v1"}, "any", "openai_responses"),
    ],
)
def test_which_format_openai_is_spoken_to_in(options: dict[str, Any], model: str, expected: str) -> None:
    """Chat, but Responses for models that exist only there and only at OpenAI's own; or what the entry says."""
    found = openai.build("main", {**KEY, **options, "facts_of": about}, {})
    assert expected == format_of(found, model)


def test_openai_knows_no_other_format() -> None:
    """An api that does not exist is refused, with those that do."""
    with pytest.raises(ConfigurationError, match=r"providers\.main\.api must be one of auto, chat, responses"):
        openai.build("main", {**KEY, "api": "assistants"}, {})


def test_the_names_of_formats_fit_the_configuration() -> None:
    """What the configuration lets through is what the host knows."""
    for kind in ("openai", "azure"):
        for api in KINDS[kind].keys["api"].choices:
            assert kind == build_host(kind, "x", {**KEY, "base_url": ENDPOINT, "api": api}, {}).kind


TOOL = Tool("f", "d", {"type": "object", "properties": {}})
SEARCH = ProviderTool({"type": "web_search"})
HI = Message.user("Hi")
SAID = Origin("openai", "openai_responses")
TOLD = Message.assistant(Text("Hello", origin=SAID))
ROUTES: dict[str, tuple[str, dict[str, Any], str]] = {
    "plain": ("gpt-6-luna", {}, "openai_chat"),
    "seed decides nothing": ("gpt-6-luna", {"seed": 1}, "openai_chat"),
    "tools, reasons by default": ("gpt-6-luna", {"tools": (TOOL,)}, "openai_responses"),
    "tools, reasoning off": ("gpt-6-luna", {"tools": (TOOL,), "reasoning": "none"}, "openai_chat"),
    "tools, reasoning cannot be off": ("gpt-6.2-sol", {"tools": (TOOL,), "reasoning": "none"}, "openai_responses"),
    "tools without effort": ("gpt-5.4", {"tools": (TOOL,)}, "openai_chat"),
    "tools with effort": ("gpt-5.4", {"tools": (TOOL,), "reasoning": "low"}, "openai_responses"),
    "tools, 5.5": ("gpt-5.5", {"tools": (TOOL,)}, "openai_responses"),
    "tools, does not reason": ("gpt-4o", {"tools": (TOOL,), "reasoning": "low"}, "openai_chat"),
    "tools, unknown model": ("ft:gpt-9:me", {"tools": (TOOL,)}, "openai_chat"),
    "a tool of OpenAI's": ("gpt-4o", {"tools": (SEARCH,)}, "openai_responses"),
    "a field of Responses": ("gpt-4o", {"extra_body": {"previous_response_id": "r"}}, "openai_responses"),
    "stop": ("gpt-6-luna", {"stop": ("x",)}, "openai_chat"),
    "only there": ("o3-pro", {}, "openai_responses"),
    "history": ("gpt-6-luna", {"messages": (HI, TOLD, HI)}, "openai_responses"),
    "history of another host": (
        "gpt-6-luna",
        {"messages": (HI, Message.assistant(Text("Hello", origin=Origin("azure", "openai_responses"))), HI)},
        "openai_chat",
    ),
    "history, stop": ("gpt-6-luna", {"messages": (HI, TOLD, HI), "stop": ("x",)}, "openai_chat"),
    "history, audio": (
        "gpt-6-luna",
        {"messages": (HI, TOLD, Message.user(Audio(data=b"x", media_type="audio/wav")))},
        "openai_chat",
    ),
}


@pytest.mark.parametrize(("model", "keywords", "expected"), ROUTES.values(), ids=ROUTES)
def test_the_route_follows_the_request(model: str, keywords: dict[str, Any], expected: str) -> None:
    """Responses where chat refuses the request, chat where only it can, else the API of the last answer, else chat."""
    request = Request(model=model, **{"messages": (HI,), **keywords})
    found = openai.build("main", {**KEY, "facts_of": about}, {})
    assert expected == found.resolve("chat", model, request).protocol.name
    elsewhere = openai.build("main", {**KEY, "facts_of": about, "base_url": "http://127.0.0.1:1/v1"}, {})
    assert "openai_chat" == elsewhere.resolve("chat", model, request).protocol.name


def test_azure_follows_the_request_as_well() -> None:
    """On Azure's own URLs a deployment that is named as its model has the routes of OpenAI."""
    found = azure.build("a", {**KEY, "facts_of": about}, ENVIRON)
    request = Request(model="gpt-6-luna", messages=(HI,), tools=(TOOL,))
    assert "openai_responses" == found.resolve("chat", "gpt-6-luna", request).protocol.name


@pytest.mark.parametrize(
    ("model", "keywords", "keyword"),
    [
        ("o3-pro", {"stop": ("x",)}, "stop"),
        ("gpt-6-luna", {"tools": (TOOL,), "stop": ("x",)}, "stop"),
        ("gpt-4o", {"tools": (SEARCH,), "extra_body": {"n": 2}}, "n"),
    ],
)
def test_what_neither_api_can_do_is_refused(model: str, keywords: dict[str, Any], keyword: str) -> None:
    """The error names the keyword, the model and why the other API is needed."""
    found = openai.build("main", {**KEY, "facts_of": about}, {})
    with pytest.raises(UnsupportedParameterError, match=f"^{keyword} cannot be sent: {model} is asked through"):
        found.resolve("chat", model, Request(model=model, messages=(HI,), **keywords))
