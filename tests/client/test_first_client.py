"""The shortest ways to a client: from the environment, or one provider in the call itself."""

from __future__ import annotations

from typing import Any

import pytest

from asyncllm import Client, SyncClient, errors
from asyncllm.testing import Simulator


def environment(sim: Simulator) -> dict[str, str]:
    return {"OPENAI_API_KEY": "sk-sim-openai", "OPENAI_BASE_URL": sim.url("openai"), "ASYNCLLM_MODEL": "gpt-sim"}


@pytest.mark.anyio
async def test_a_client_without_an_argument_reads_the_environment() -> None:
    """Client() is Client.from_env()."""
    async with Simulator(reply="ok") as sim, Client(environ=environment(sim)) as client:
        assert ("ok", "openai") == ((reply := await client.send("Hi")).text, reply.provider)


@pytest.mark.anyio
async def test_a_client_of_one_provider_needs_no_file() -> None:
    """The kind, the model and the key are enough; where the API is can be said too."""
    async with Simulator(reply="ok") as sim:
        key, url = "sk-sim-openai", sim.url("openai")
        async with Client(provider="openai", model="gpt-sim", api_key=key, base_url=url, environ={}) as client:
            reply = await client.send("Hi")
    assert ("ok", "openai", "gpt-sim") == (reply.text, reply.provider, reply.requested_model)


def test_the_key_of_one_provider_may_be_the_environment_s() -> None:
    """Without api_key= the provider's usual variable is read; the blocking twin takes the same words."""
    with (
        Simulator.in_thread(reply="ok") as sim,
        SyncClient(
            provider="openai",
            model="gpt-sim",
            base_url=sim.url("openai"),
            environ={"OPENAI_API_KEY": "sk-sim-openai"},
        ) as client,
    ):
        assert "ok" == client.send("Hi").text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"config": {}, "provider": "openai"}, "not both"),
        ({"api_key": "sk-x"}, "api_key= needs provider="),
        ({"model": "m"}, "model= needs provider="),
        ({"provider": "opnai", "model": "m"}, "openai"),
        ({}, "OPENAI_API_KEY"),
    ],
)
def test_what_does_not_make_a_client_is_told(options: dict[str, Any], words: str) -> None:
    """Contradictions and missing keys are configuration errors that say what to write."""
    with pytest.raises(errors.ConfigurationError) as caught:
        Client(environ={}, **options)
    assert words in str(caught.value)
    assert "sk-x" not in str(caught.value)
