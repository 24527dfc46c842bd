"""Sampling hints that a model refuses: left out with a warning, or an error, as the configuration says."""

from __future__ import annotations

from typing import Any

import pytest

from asyncllm import Client, UnsupportedParameterError
from asyncllm.testing import Simulator

pytestmark = pytest.mark.anyio
HINTS: dict[str, Any] = {"temperature": 0.2, "top_p": 0.5}


def config(sim: Simulator, kind: str, **more: Any) -> dict[str, Any]:
    """The simulator's configuration with this kind as the active provider."""
    return sim.config(**{"active_provider": kind, "active_model": None, **more})


@pytest.mark.parametrize("model", ["gpt-5", "gpt-6-luna", "o3"])
async def test_hints_are_left_out_for_models_that_reason(model: str) -> None:
    """The request goes without them, and the reply says so, one sentence a keyword."""
    async with Simulator() as sim, Client(config(sim, "openai"), environ={}) as client:
        reply = await client.send("Hi", model=model, **HINTS)
        body = sim.requests[-1].body
    assert set() == HINTS.keys() & body.keys()
    assert ["temperature was left out", "top_p was left out"] == [said.partition(":")[0] for said in reply.warnings]


@pytest.mark.parametrize(("model", "hints"), [("gpt-5.4", {}), ("gpt-6-luna", {"reasoning": "none"}), ("gpt-4o", {})])
async def test_hints_are_sent_where_nothing_is_against_them(model: str, hints: dict[str, Any]) -> None:
    """A model that does not reason, or is told not to, gets them."""
    async with Simulator() as sim, Client(config(sim, "openai"), environ={}) as client:
        reply = await client.send("Hi", model=model, **HINTS, **hints)
        body = sim.requests[-1].body
    assert (HINTS, ()) == ({name: body.get(name) for name in HINTS}, tuple(reply.warnings))


@pytest.mark.parametrize(
    ("kind", "model", "asked"),
    [
        ("openai", "gpt-5", {"top_p": 0.5}),
        ("anthropic", "claude-sonnet-5-5", {"temperature": 0.2}),
        ("anthropic", "claude-haiku-4-5", {"seed": 7}),
    ],
)
async def test_or_they_are_an_error(kind: str, model: str, asked: dict[str, Any]) -> None:
    """With ``unsupported_parameters: error`` the call is refused by name, and nothing is sent."""
    async with Simulator(models={kind: [model]}) as sim:
        async with Client(config(sim, kind, unsupported_parameters="error"), environ={}) as client:
            with pytest.raises(UnsupportedParameterError, match=f"{next(iter(asked))} cannot be sent") as caught:
                await client.send("Hi", model=model, **asked)
        assert 0 == sim.count()
    assert (kind, model) == (caught.value.provider, caught.value.model)


async def test_other_keywords_that_are_left_out_are_no_error() -> None:
    """The configuration's word is about sampling hints alone."""
    strict = {"unsupported_parameters": "error"}
    async with Simulator() as sim, Client(config(sim, "openai", **strict), environ={}) as client:
        reply = await client.send("Hi", model="gpt-4o", reasoning="high")
    assert ("reasoning was left out: gpt-4o does not reason",) == tuple(reply.warnings)
