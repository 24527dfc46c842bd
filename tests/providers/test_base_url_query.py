"""A query in ``base_url`` goes with every request."""

from __future__ import annotations

from typing import Any

import pytest

from answering_server import serving
from asyncllm import Client, errors

pytestmark = pytest.mark.anyio
CHAT = {
    "id": "c",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
GEMINI = {"candidates": [{"content": {"role": "model", "parts": [{"text": "ok"}]}, "finishReason": "STOP"}]}
CLAUDE = {
    "id": "m", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "ok"}],
    "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1},
}  # fmt: skip
CONVERSE = {
    "output": {"message": {"role": "assistant", "content": [{"text": "ok"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
}


def config(kind: str, url: str, **more: Any) -> dict[str, Any]:
    """A client of one entry."""
    entry = {"kind": kind, "base_url": url, "api_key": "k", "fallback_models": ["m"], **more}
    return {"active_provider": "p", "providers": {"p": entry}, "retry": {"max_attempts": 1}}


@pytest.mark.parametrize(
    ("kind", "path", "answer", "asked", "more"),
    [
        ("openai_compatible", "/v1", CHAT, "/v1/chat/completions?tenant=a&x=b%20c", {}),
        ("openai", "/v1/", CHAT, "/v1/chat/completions?tenant=a&x=b%20c", {}),
        ("anthropic", "", CLAUDE, "/v1/messages?tenant=a&x=b%20c", {}),
        ("gemini", "", GEMINI, "/v1/models/m:generateContent?tenant=a&x=b%20c", {}),
        ("bedrock", "", CONVERSE, "/model/m/converse?tenant=a&x=b%20c", {"region_name": "us-east-1"}),
        ("azure", "", CHAT, "/openai/v1/chat/completions?tenant=a&x=b%20c", {}),
        ("azure", "/openai/deployments/mine", CHAT, "/openai/deployments/mine/chat/completions?tenant=a&x=b%20c", {}),
    ],
)
async def test_a_query_goes_with_every_request(
    kind: str, path: str, answer: dict[str, Any], asked: str, more: dict[str, Any]
) -> None:
    """The path of a request stands before the query of its base URL, on every wire."""
    with serving(answer) as server:
        async with Client(config(kind, f"{server.url}{path}?tenant=a&x=b%20c", **more), environ={}) as client:
            assert (await client.send("hi")).text == "ok"
    assert [asked] == server.paths


async def test_a_query_is_joined_with_that_of_the_wire() -> None:
    """A Gemini stream asks for server-sent events besides."""
    with serving([GEMINI]) as server:
        async with Client(config("gemini", f"{server.url}?tenant=a"), environ={}) as client:
            assert "ok" == "".join([str(event) async for event in client.stream("hi")])
    assert ["/v1/models/m:streamGenerateContent?alt=sse&tenant=a"] == server.paths


async def test_the_list_of_models_has_the_query_too() -> None:
    """Questions that no model answers go the same way."""
    with serving({"object": "list", "data": []}) as server:
        async with Client(config("openai_compatible", f"{server.url}/v1?tenant=a"), environ={}) as client:
            await client.refresh_models()
    assert ["/v1/models?tenant=a"] == server.paths


def test_a_dated_api_version_belongs_to_the_address_of_a_deployment() -> None:
    """On Azure's newer surface it is refused with what to write instead."""
    with pytest.raises(errors.ConfigurationError, match="deployments/NAME"):
        Client(config("azure", "https://r.openai.azure.com?api-version=2024-10-21"), environ={})


async def test_a_query_in_a_variable_is_refused() -> None:
    """It is refused by name; a base URL of the configuration can have one."""
    async with Client.from_env({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "https://gateway.example/v1?a=b"}) as client:
        with pytest.raises(errors.ConfigurationError, match="has a query"):
            await client.send("hi")
