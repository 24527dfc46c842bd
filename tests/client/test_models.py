"""What models there are, from the client: listed, validated, counted, and their refused parameters left out."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from asyncllm import errors
from asyncllm.testing import Fault, Simulator
from clients import OpenClient

pytestmark = pytest.mark.anyio


async def test_models_are_what_the_providers_list(open_client: OpenClient) -> None:
    """Nothing before the first refresh; then each provider's models, and a failing provider spoils none."""
    async with Simulator() as sim, open_client(sim) as client:
        assert () == await client.models()
        sim.on("*", Fault(status=500), provider="anthropic", operation="models")
        result = await client.refresh_models()
        names = [info.name for info in await client.models("openai")]
        assert {"gpt-sim", "gpt-sim-mini", "gpt-sim-nano"} <= set(names)
        assert () == await client.models("anthropic")
    assert result.hosts["anthropic"].errors
    assert not result.hosts["openai"].errors


async def test_a_model_that_vanishes_is_deprecated_and_still_usable(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Three models, then two: the third is marked, never removed, and warned of once."""
    async with Simulator(models=["a", "b", "c"]) as sim, open_client(sim) as client:
        await client.refresh_models("openai")
        sim.models = ["a", "b"]
        await client.refresh_models("openai")
        assert ["a", "b"] == [info.name for info in await client.models("openai")]
        assert 3 == len(await client.models("openai", include_deprecated=True))
        assert (False, True) == (await client.is_deprecated("openai", "a"), await client.is_deprecated("openai", "c"))
        sim.models = ["a", "b", "c"]
        with caplog.at_level(logging.WARNING, "asyncllm"):
            for _ in range(2):
                assert (await client.send("Hi", model="c", fallback=[])).text
    assert 1 == sum(
        " c:" in record.getMessage() and "no longer lists" in record.getMessage() for record in caplog.records
    )


async def test_a_model_is_validated_by_a_real_question(open_client: OpenClient) -> None:
    """A model that exists is usable, one that does not is said to be unknown."""
    async with Simulator(models=["a"]) as sim, open_client(sim) as client:
        assert (await client.validate_model("openai", "a")).usable
        assert "unknown" == (await client.validate_model("openai", "z")).problem
        with pytest.raises(errors.ConfigurationError):
            await client.validate_model("nobody", "a")


async def test_tokens_are_counted_where_the_provider_counts(open_client: OpenClient) -> None:
    """Anthropic counts by an endpoint of its own; a chat server does not, so its count is marked as an estimate."""
    async with Simulator() as sim, open_client(sim) as client:
        counted = await client.count_tokens("Hello there", provider="anthropic")
        sim.on("*", Fault(status=404), provider="openai", operation="count_tokens")
        estimated = await client.count_tokens([{"role": "user", "content": "Hello there"}], provider="openai")
    assert ("provider", "estimated") == (counted.source, estimated.source)
    assert counted.input_tokens > 0
    assert estimated.input_tokens > 0


async def test_refused_sampling_is_left_out_or_refused(open_client: OpenClient) -> None:
    """A model known to take no temperature gets none, with a warning; or the call is refused, as configured."""
    known = {"capabilities": {"gpt-sim": {"sampling": False}}}
    async with Simulator() as sim:
        async with open_client(sim, catalog=known) as client:
            reply = await client.send("Hi", temperature=0.5)
            assert any("temperature was left out" in warning for warning in reply.warnings)
            assert "temperature" not in sim.requests[-1].body
        async with open_client(sim, catalog=known, unsupported_parameters="error") as client:
            with pytest.raises(errors.UnsupportedParameterError):
                await client.send("Hi", temperature=0.5, fallback=[])


async def test_models_are_asked_for_at_the_start_only_when_told_to(open_client: OpenClient) -> None:
    """refresh_on_start asks with the first call; without it nobody is asked."""
    async with Simulator() as sim:
        async with open_client(sim) as client:
            await client.send("Hi")
        assert 0 == sim.count(operation="models")
        async with open_client(sim, catalog={"refresh_on_start": True}) as client:
            await client.send("Hi")
            await client.send("Hi", timeout=5)
            for _ in range(200):
                if await client.models("openai"):
                    break
            assert await client.models("openai")


@pytest.mark.anyio
async def test_every_verb_refuses_what_is_no_name(open_client: OpenClient) -> None:
    """A provider or model that is no string is named, whichever verb gets it."""
    wrong: Any = ["openai"]
    async with Simulator() as sim, open_client(sim) as client:
        for call in (
            lambda: client.count_tokens("Hi", provider=wrong),
            lambda: client.count_tokens("Hi", model=wrong),
            lambda: client.estimate("Hi", model=wrong),
            lambda: client.estimate("Hi", max_tokens=wrong),
            lambda: client.models(wrong),
            lambda: client.refresh_models(wrong),
            lambda: client.validate_model(wrong, "m"),
            lambda: client.validate_model("openai", wrong),
            lambda: client.is_deprecated("openai", wrong),
        ):
            with pytest.raises(errors.BadRequestError, match=r"provider|model|max_tokens"):
                await call()
        for act in (lambda: client.conversation(provider=wrong), lambda: client.reset_health(wrong)):
            with pytest.raises(errors.BadRequestError, match="provider"):
                act()
        assert 0 == sim.count()
