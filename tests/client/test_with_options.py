"""A view of a client for another tenant."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from answering_server import serving
from asyncllm import (
    AuthenticationError,
    Client,
    ConfigurationError,
    DeadlineExceededError,
    LimitTimeoutError,
    Provider,
    Route,
    SyncClient,
)
from asyncllm._auth.keys import HeaderKey
from asyncllm._protocols.openai_chat import OpenAIChat
from asyncllm.testing import Simulator

pytestmark = pytest.mark.anyio


def config(simulator: Simulator, **more: Any) -> dict[str, Any]:
    entry = {"api_key": "sk-sim-openai", "base_url": simulator.url("openai"), "fallback_models": ["gpt-sim"]}
    return {"active_provider": "openai", "providers": {"openai": entry}, "retry": {"max_attempts": 1}, **more}


async def test_a_view_has_a_key_of_its_own_and_shares_the_rest() -> None:
    """The tenant's key is sent on the same connections, and booked in the same ledger for the tenant."""
    async with Simulator(require_key=["sk-sim-openai", "sk-tenant"]) as simulator:
        async with Client(config(simulator)) as client:
            tenant = client.with_options(api_key="sk-tenant", user="tenant-1")
            await client.send("Hi")
            await tenant.send("Hi")
            async with tenant.stream("Hi", user="somebody") as stream:
                async for _ in stream:
                    pass
            await tenant.aclose()
            await client.send("Hi")
            assert tenant.ledger is client.ledger
            rows = await client.ledger.report(by=["user"])
            assert {"tenant-1": 1, "somebody": 1} == {
                row.group["user"]: row.requests for row in rows if row.group["user"]
            }
        assert 2 >= simulator.connections  # a stream may still be giving its connection back


async def test_a_bad_key_is_the_tenants_own_matter() -> None:
    """A refused key switches off nothing for the client and for other tenants."""
    keys = ["sk-sim-openai", "sk-good"]
    async with Simulator(require_key=keys) as simulator:  # noqa: SIM117  # the configuration needs its address
        async with Client(config(simulator)) as client:
            bad, good = client.with_options(api_key="sk-bad"), client.with_options(api_key="sk-good")
            for _ in range(3):
                with pytest.raises(Exception, match=r"."):
                    await bad.send("Hi")
            assert "4" == (await good.send("What is 2+2?")).text
            assert "4" == (await client.send("What is 2+2?")).text
            with pytest.raises(AuthenticationError):
                await client.with_options(api_key="sk-bad").send("Hi")


@pytest.mark.parametrize("how", ["view", "header"])
async def test_what_is_left_to_a_tenant_holds_up_nobody_else(how: str) -> None:
    """Under limits the provider's own count is heeded; the count of a tenant's credential is the tenant's own."""
    told = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1h"}
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]}
    with serving(body, headers=told) as server:
        entry = {
            "kind": "openai",
            "api": "chat",
            "api_key": "k",
            "base_url": f"{server.url}/v1",
            "fallback_models": ["m"],
        }
        config = {"active_provider": "p", "providers": {"p": entry}, "limits": {"requests_per_minute": 1000}}
        async with Client(config, environ={}) as client:
            if how == "view":
                await client.with_options(api_key="sk-tenant").send("Hi")
            else:
                await client.send("Hi", extra_headers={"OpenAI-Project": "of-a-tenant"})
            await client.send("Hi", timeout=30)
            with pytest.raises(LimitTimeoutError):  # this count was the client's own
                await client.send("Hi", timeout=0.1)


async def test_views_of_views_and_deadlines() -> None:
    """Options add up; a call's own keyword wins."""
    async with Simulator() as simulator:
        simulator.behave("*", latency=5)
        async with Client(config(simulator)) as client:
            view = client.with_options(user="u").with_options(timeout=0.2)
            with pytest.raises(DeadlineExceededError):
                await view.send("Hi")


async def test_a_host_from_python_takes_another_key() -> None:
    """The header stays, the key changes; a host that signs in another way says so."""

    class Other:
        async def sign(self, method: str, url: str, headers: Any, body: bytes) -> Any:
            return headers

        async def refresh(self) -> bool:
            return False

    async with Simulator() as simulator:
        route = Route(protocol=OpenAIChat())

        def host(name: str, auth: Any) -> Provider:
            url = simulator.url("openai")
            return Provider(name=name, kind=name, base_url=url, auth=auth, resolve=lambda *about: route)

        key = HeaderKey(SecretStr("one"), header="x-key", prefix="")
        async with Client(providers=[host("a", key), host("b", Other())]) as client:
            await client.with_options(api_key="two").send("Hi", model="m")
            with pytest.raises(ConfigurationError, match="b does not sign in with a key"):
                client.with_options(api_key="two", provider="b")
            with pytest.raises(ConfigurationError, match="no provider 'c'"):
                client.with_options(api_key="two", provider="c")
        assert "two" == simulator.requests[-1].headers["x-key"]


def test_the_blocking_twin_has_views_too() -> None:
    """A view of a SyncClient uses its thread, and closing the view leaves it running."""
    with (
        Simulator.in_thread(require_key=["sk-sim-openai", "sk-tenant"]) as simulator,
        SyncClient(config(simulator)) as client,
    ):
        with client.with_options(api_key="sk-tenant") as tenant:
            assert "4" == tenant.send("What is 2+2?").text
        assert "4" == client.send("What is 2+2?").text
