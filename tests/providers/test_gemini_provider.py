"""The Gemini API as a configured host."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from asyncllm._protocols.codec import WireProtocol
from asyncllm._providers.gemini import build
from asyncllm._providers.spec import build_host
from asyncllm._schema.messages import Message
from asyncllm._schema.request import Request
from asyncllm._transport.base import Headers
from asyncllm.errors import ConfigurationError
from recordings import context

KEY = {"api_key": SecretStr("k-1")}


def protocol(options: dict[str, Any], environ: dict[str, str] | None = None) -> WireProtocol:
    found = build("gemini", {**KEY, **options}, environ or {}).resolve("chat", "m", None).protocol
    assert "gemini" == found.name
    return found


@pytest.mark.anyio
async def test_the_key_goes_in_its_own_header() -> None:
    """The key is signed into x-goog-api-key, bare, and stands in no repr."""
    provider = build("gemini", KEY, {"GOOGLE_API_KEY": "other"})
    signed = await provider.auth.sign("POST", provider.base_url, Headers(()), b"")

    assert (("x-goog-api-key", "k-1"),) == tuple(signed)
    assert "k-1" not in repr(provider)
    assert not await provider.auth.refresh()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("environ", "key"),
    [
        ({"GOOGLE_API_KEY": "a", "GEMINI_API_KEY": "b"}, "a"),
        ({"GEMINI_API_KEY": "b"}, "b"),
        ({"GOOGLE_API_KEY": "", "GEMINI_API_KEY": "b"}, "b"),
    ],
)
async def test_the_environment_may_hold_the_key(environ: dict[str, str], key: str) -> None:
    """Without a key in the entry the vendor's variables are read, in the vendor's order."""
    signed = await build("gemini", {}, environ).auth.sign("POST", "", Headers(()), b"")

    assert (("x-goog-api-key", key),) == tuple(signed)


def test_a_missing_key_says_what_to_set() -> None:
    """The error names the entry, the option and both variables."""
    with pytest.raises(ConfigurationError, match=r"providers\.mine.*api_key.*GOOGLE_API_KEY or GEMINI_API_KEY"):
        build("mine", {}, {})


@pytest.mark.parametrize(
    ("options", "environ", "url"),
    [
        ({}, {}, "https://generativelanguage.googleapis.com"),
        ({}, {"GOOGLE_GEMINI_BASE_URL": "https://proxy/"}, "https://proxy"),
        ({"base_url": "https://mine/gemini/"}, {"GOOGLE_GEMINI_BASE_URL": "https://proxy"}, "https://mine/gemini"),
    ],
)
def test_where_it_is(options: dict[str, Any], environ: dict[str, str], url: str) -> None:
    """The entry's address comes before the environment's, and that before the vendor's."""
    assert url == build("gemini", {**KEY, **options}, environ).base_url


def test_an_address_with_a_version_is_refused() -> None:
    """The version is an option of its own."""
    with pytest.raises(ConfigurationError, match="leave out /v1beta"):
        build("gemini", {**KEY, "base_url": "https://x/v1beta"}, {})


@pytest.mark.parametrize(
    ("options", "environ", "version"),
    [
        ({}, {}, None),
        ({"api_version": "v1alpha"}, {}, "v1alpha"),
        ({"api_version": "beta"}, {}, "v1beta"),
        ({}, {"GOOGLE_GENAI_API_VERSION": "v1beta"}, "v1beta"),
    ],
)
def test_the_version_can_be_chosen(options: dict[str, Any], environ: dict[str, str], version: str | None) -> None:
    """The entry or the environment may name the version; else it follows from the model."""
    assert version == protocol(options, environ).dialect.version


@pytest.mark.parametrize(
    "options", [{"api_version": "../x"}, {"safety_settings": ["OFF"]}, {"safety_settings": [{"category": "x"}]}]
)
def test_bad_options_are_named(options: dict[str, Any]) -> None:
    """An option that is not what it must be is an error that names it."""
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        protocol(options)


@pytest.mark.parametrize(
    "settings",
    [[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}], {"HARM_CATEGORY_HARASSMENT": "OFF"}],
)
def test_safety_settings_are_sent(settings: Any) -> None:
    """Safety settings of the entry, in either form, are in every request."""
    request = Request(model="gemini-3.8-flash", messages=(Message.user("hi"),))
    wire = protocol({"safety_settings": settings}).encode(request, context("gemini", "gemini"))

    assert b'"safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"OFF"}]' in wire.body


def test_the_kind_is_known() -> None:
    """An entry of kind gemini is built by this module."""
    provider = build_host("gemini", "mine", KEY, {})

    assert ("mine", "gemini") == (provider.name, provider.kind)
