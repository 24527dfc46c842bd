"""What knows httpx sees our traffic: tests as a user with respx would write them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import respx

import asyncllm

pytestmark = pytest.mark.anyio
URL = "https://api.openai.com/v1/chat/completions"
CONFIG: dict[str, Any] = {
    "active_provider": "openai",
    "active_model": "gpt-6-luna",
    "providers": {"openai": {"api_key": "sk-test"}, "anthropic": {"api_key": "sk-ant-test", "fallback_models": ["c"]}},
}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-6-luna",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
}


def events(*choices: dict[str, Any]) -> bytes:
    """A whole stream, one event a choice."""
    chunks = [b"data: " + json.dumps({"choices": [{"index": 0, **choice}]}).encode() + b"\n\n" for choice in choices]
    return b"".join([*chunks, b"data: [DONE]\n\n"])


async def test_a_mocked_answer() -> None:
    """A mocked URL answers a send, and the request can be looked at."""
    with respx.mock() as router:
        route = router.post(URL).mock(httpx.Response(200, json=ANSWER))
        async with asyncllm.Client(CONFIG) as client:
            reply = await client.send("What is 2+2?")
    assert ("4", 10) == (reply.text, reply.usage.total_tokens)
    sent = route.calls.last.request
    assert "Bearer sk-test" == sent.headers["authorization"]
    assert [{"role": "user", "content": "What is 2+2?"}] == json.loads(sent.content)["messages"]


async def test_a_mocked_stream() -> None:
    """A mocked body of server-sent events is streamed."""
    body = events({"delta": {"content": "4"}}, {"delta": {}, "finish_reason": "stop"})
    headers = {"content-type": "text/event-stream"}
    with respx.mock() as router:
        router.post(URL).mock(httpx.Response(200, content=body, headers=headers))
        async with asyncllm.Client(CONFIG) as client:
            assert "4" == "".join([text async for text in client.stream("What is 2+2?").text()])


async def test_mocked_errors_and_the_next_model() -> None:
    """Mocked failures raise our errors, and a side effect makes the next attempt succeed."""
    with respx.mock() as router:
        route = router.post(URL)
        route.side_effect = [httpx.ConnectError("refused"), httpx.Response(200, json=ANSWER)]
        async with asyncllm.Client({**CONFIG, "retry": {"max_attempts": 1}}) as client:
            reply = await client.send("Hi", fallback=["gpt-6-sol"])
            assert [asyncllm.ConnectError, type(None)] == [type(one.error) for one in reply.attempts]
            route.side_effect = None
            route.mock(httpx.Response(401, json={"error": {"message": "bad key", "code": "invalid_api_key"}}))
            with pytest.raises(asyncllm.AuthenticationError):
                await client.send("Hi")


async def test_a_client_of_the_users_own() -> None:
    """A user's httpx.AsyncClient carries the traffic, with its own headers, and stays open."""
    with respx.mock() as router:
        route = router.post("https://api.anthropic.com/v1/messages").mock(httpx.Response(404, json={}))
        async with httpx.AsyncClient(headers={"x-team": "a"}) as http:
            async with asyncllm.Client(CONFIG, http_client=http) as client:
                with pytest.raises(asyncllm.NotFoundError):
                    await client.send("Hi", provider="anthropic")
            assert not http.is_closed
    sent = route.calls.last.request.headers
    assert ("a", "sk-ant-test") == (sent["x-team"], sent.get("x-api-key"))
