"""No output of the management endpoints holds a key: not of the configuration, not of what a server echoes."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from asyncllm import Client
from asyncllm.errors import AsyncLLMError
from asyncllm.testing import Fault, Simulator

pytest.importorskip("starlette", reason="needs asyncllm-client[asgi]")
from asyncllm.contrib.asgi import admin

pytestmark = pytest.mark.anyio
CANARY = "sk-canary-9f8e7d6c5b4a3210"
PAGES = ("/", "/providers/costs/export?format=jsonl", "/providers/costs/export?format=csv", "/nothing/here")


async def test_no_answer_of_any_endpoint_holds_a_key(tmp_path: Path) -> None:
    """Keys, headers, the webhook's address and secret, and the key in a server's error are in no body and no header."""
    async with Simulator() as sim:
        config = sim.config(
            cost_tracking={
                "database": f"sqlite:///{tmp_path}/costs.db",
                "alert_webhook": {"url": f"https://h.example/x?k={CANARY}", "secret": CANARY},
            }
        )
        for entry in config["providers"].values():
            entry.update({name: CANARY for name in ("api_key", "access_token") if name in entry})
            entry["headers"] = {"x-secret": CANARY}
        sim.on("*", Fault.status(400, message=f"the key {CANARY} is bad"))
        async with Client(config, environ={"OPENAI_API_KEY": CANARY}) as client:
            with pytest.raises(AsyncLLMError) as caught:
                await client.send("Hi", provider="openai", user="u", tags={"a": "b"})
            assert CANARY not in f"{caught.value}{caught.value!r}"
            transport = httpx.ASGITransport(admin(client, token="a-token-of-its-own"))
            headers = {"authorization": "Bearer a-token-of-its-own", "origin": "http://localhost"}
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as http:
                paths = (await http.get("/openapi.json")).json()["paths"]
                asked = [(method, re.sub(r"\{\w+\}", "openai", path)) for path, how in paths.items() for method in how]
                assert len(asked) >= 11
                for method, path in [*asked, *(("get", page) for page in PAGES)]:
                    answer = await http.request(method, path)
                    assert answer.status_code < 500
                    assert CANARY not in answer.text + str(answer.headers)
                calls = (await http.get("/calls")).text
                assert "is bad" in calls or "BadRequestError" in calls
