"""The Claude API as a host."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from asyncllm._providers.anthropic import build
from asyncllm._schema.messages import Message
from asyncllm._schema.request import Request
from asyncllm._transport.base import Headers
from asyncllm.errors import ConfigurationError
from recordings import context

KEY = {"api_key": SecretStr("sk-ant-test")}


def headers(options: dict[str, Any], **keywords: Any) -> dict[str, str]:
    """The headers that a request to this host gets from its codec."""
    route = build("a", {**KEY, **options}, {}).resolve("chat", "claude-x", None)
    request = Request(model="claude-x", messages=(Message.user("Hi"),), **keywords)
    return dict(route.protocol.encode(request, context("anthropic", "anthropic")).headers)


@pytest.mark.anyio
async def test_the_key_goes_into_its_own_header() -> None:
    """The key is sent as x-api-key, never shown."""
    provider = build("claude", KEY, {})
    signed = await provider.auth.sign("POST", "https://x.test", Headers(), b"")
    assert (("x-api-key", "sk-ant-test"),) == signed
    assert "sk-ant-test" not in repr(provider)
    assert ("claude", "anthropic", "https://api.anthropic.com", 32 * 1024 * 1024) == (
        provider.name,
        provider.kind,
        provider.base_url,
        provider.max_request_bytes,
    )


@pytest.mark.anyio
async def test_the_environment_fills_in() -> None:
    """Key and address come from the environment where the entry holds none."""
    environ = {"ANTHROPIC_API_KEY": "sk-env", "ANTHROPIC_BASE_URL": "https://proxy.test/"}
    provider = build("a", {}, environ)
    assert (("x-api-key", "sk-env"),) == await provider.auth.sign("GET", "", Headers(), b"")
    assert "https://proxy.test" == provider.base_url
    assert "https://own.test" == build("a", {"base_url": "https://own.test"}, environ).base_url


def test_options_reach_the_codec() -> None:
    """A pinned version stays even beside a sampling parameter, and beta features are asked for."""
    assert "2026-10-21" == headers({})["anthropic-version"]
    assert "2023-06-01" == headers({}, temperature=1.0)["anthropic-version"]
    pinned = headers({"api_version": "2026-10-21", "beta": ["x", "y"]}, temperature=1.0)
    assert ("2026-10-21", "x,y") == (pinned["anthropic-version"], pinned["anthropic-beta"])
    assert "x,y" == headers({"beta": "x, y"})["anthropic-beta"]
    protocol: Any = build("a", {**KEY, "max_tokens": 50}, {}).resolve("chat", "m", None).protocol
    assert 50 == protocol.dialect.max_tokens


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "providers.a has no key: set providers.a.api_key, or the environment variable ANTHROPIC_API_KEY"),
        ({"api_key": SecretStr("")}, "providers.a.api_key is empty"),
        ({**KEY, "base_url": "https://x.test/v1/"}, "must not end in /v1"),
        ({**KEY, "beta": [1]}, "providers.a.beta"),
        ({**KEY, "max_tokens": 0}, "providers.a.max_tokens"),
        ({**KEY, "max_tokens": True}, "providers.a.max_tokens"),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, Any], words: str) -> None:
    """A bad entry names the key that is wrong."""
    with pytest.raises(ConfigurationError, match=words):
        build("a", options, {})
