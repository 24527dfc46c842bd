"""Chains of which all but the last target are dead, and replies that speak of one caller's request only."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest

from asyncllm import Client, errors
from asyncllm.testing import Fault, Simulator

pytestmark = pytest.mark.anyio
Record = Callable[[str, str, str], None]
MODELS = ("gpt-sim", "gpt-sim-b", "gpt-sim-c", "gpt-sim-d", "gpt-sim-e")
DEAD: dict[str, Fault] = {
    "401": Fault.status(401),
    "404": Fault.status(404),
    "429": Fault.status(429, retry_after=7),
    "500": Fault.status(500),
    "503": Fault.status(503),
    "529": Fault.status(529),
    "stall": Fault.stall(after="request"),
}
# Within a provider a refused key is refused for all its models, and so is a port where nobody listens.
WITHIN = sorted(DEAD.keys() - {"401"})
ACROSS = sorted({*DEAD, "refused"})
# A request without an answer before the total deadline would use it up: a unary call has no other bound.
STREAMED_ONLY = frozenset({"stall"})


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Hundreds of hops are not worth printing."""
    logger = logging.getLogger("asyncllm")
    before, logger.level = logger.level, logging.CRITICAL
    yield
    logger.setLevel(before)


async def answered(client: Client, streamed: bool, **keywords: Any) -> tuple[bool, set[str]]:
    """Whether the call is answered, and the providers and models that it asked."""
    try:
        if streamed:
            stream = client.stream("Hi", **keywords)
            async for _ in stream:
                pass
            reply = stream.response
        else:
            reply = await client.send("Hi", **keywords)
    except errors.AsyncLLMError as error:
        return False, {f"{attempt.provider}/{attempt.model}" for attempt in error.attempts}
    return True, {f"{attempt.provider}/{attempt.model}" for attempt in reply.attempts}


def settings(sim: Simulator, providers: dict[str, Any]) -> dict[str, Any]:
    return {
        "active_provider": next(iter(providers)),
        "providers": providers,
        "cost_tracking": {"enabled": False},
        "timeouts": {"first_content": 0.3, "total": 20},
        "retry": {"base_delay": 0.02},
    }


@pytest.mark.slow
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_row_29_the_last_of_a_dead_chain_answers(full: bool, record: Record, anyio_backend: str) -> None:
    """Each first call of a client is answered by the only living target, and every other one was asked."""
    cases = good = 0
    missed: list[str] = []
    async with Simulator(reply="ok") as sim:
        url = sim.url("openai")
        for length, streamed in itertools.product((2, 3, 4, 5) if full else (3, 5), (False, True)):
            for how in WITHIN:
                if how in STREAMED_ONLY and not streamed:
                    continue
                sim.off()
                chain = MODELS[:length]
                for model in chain[:-1]:
                    sim.on(model, DEAD[how])
                entry = {"api_key": "k", "base_url": url, "fallback_models": list(chain)}
                async with Client(settings(sim, {"openai": entry}), environ={}) as client:
                    right, asked = await answered(client, streamed)
                cases += 1
                good += right and len(asked) == length
                if not (right and len(asked) == length):
                    missed.append(f"within, {length}, {how}, {'streamed' if streamed else 'unary'}: {sorted(asked)}")
            for how in ACROSS:
                if how in STREAMED_ONLY and not streamed:
                    continue
                sim.off()
                for model in MODELS[: length - 1]:
                    if how in DEAD:
                        sim.on(model, DEAD[how])
                entries = {}
                for number, model in enumerate(MODELS[:length]):
                    dead = how == "refused" and number < length - 1
                    entries[f"p{number}"] = {
                        "kind": "openai",
                        "api_key": "k",
                        "base_url": "http://127.0.0.1:9/v1" if dead else url,
                        "fallback_models": [model],
                    }
                config = {**settings(sim, entries), "cross_provider_fallback": True}
                async with Client(config, environ={}) as client:
                    right, asked = await answered(client, streamed)
                cases += 1
                good += right and len(asked) == length
                if not (right and len(asked) == length):
                    missed.append(f"across, {length}, {how}, {'streamed' if streamed else 'unary'}: {sorted(asked)}")
    record("29  dead chains: answered, everybody asked", f"{good} of {cases}", "100%")
    assert [] == missed


OF_ONE_CALLER: tuple[tuple[str, Fault], ...] = (
    ("a file", Fault.status(404, message="File not found: file_0123", code="not_found")),
    ("an item", Fault.status(404, message="Item 'rs_1' not found.", code="not_found")),
    (
        "an earlier reply",
        Fault.status(404, message="Previous response with id 'resp_x' not found.", code="previous_response_not_found"),
    ),
    ("no endpoint", Fault.status(404, message="No endpoints found that support tool use.", code="404")),
    ("no endpoint for pictures", Fault.status(404, message="No endpoints found that support image input", code="404")),
    ("credits", Fault.status(402, message="This requires more credits, but can only afford 2345.", code="402")),
    ("a firewall", Fault.status(403, message="Request blocked by the web application firewall", code="403")),
    ("a cached content", Fault.status(403, message="CachedContent not found (or permission denied)", code="403")),
    ("too large", Fault.status(413, message="Request body too large", code="413")),
    (
        "too large for a minute",
        Fault.status(429, message="Request too large for gpt-sim on tokens per min (TPM)", code="rate_limit_exceeded"),
    ),
)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_row_30_one_caller_takes_nothing_from_the_others(record: Record, anyio_backend: str) -> None:
    """After ten refusals of one caller's requests twenty good calls at once are answered by the first target."""
    async with Simulator(reply="ok") as sim:
        config = sim.config(cost_tracking={"enabled": False})
        async with Client(config, environ={}) as client:
            for what, fault in OF_ONE_CALLER:
                sim.off()
                sim.on("gpt-sim", fault)
                with pytest.raises(errors.AsyncLLMError):
                    await client.send("bad", fallback=[])
                assert "closed" == client.health()[0].state, what
            sim.off()
            models: list[str] = []

            async def good() -> None:
                models.append((await client.send("good")).model)

            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(good)
    first = models.count("gpt-sim")
    record("30  good calls after ten refusals of one caller", f"{first} of 20 by the first target", "20 of 20")
    assert 20 == first


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("layout", ["entries", "deployments", "load_balance"])
async def test_row_31_keys_that_are_throttled_or_dead_delay_nobody(
    record: Record, anyio_backend: str, layout: str
) -> None:
    """Three keys of a model, one throttled for six seconds, one refused: every call is answered, and none waits."""
    async with Simulator(reply="ok") as a, Simulator(reply="ok") as b, Simulator(reply="ok") as c:
        a.on("*", Fault.status(429, retry_after=6))
        b.on("*", Fault.status(401))
        keys = {
            name: {"api_key": f"key-{name}", "base_url": sim.url("openai")}
            for name, sim in zip("abc", (a, b, c), strict=True)
        }
        entry = {"kind": "openai", "fallback_models": ["gpt-sim"]}
        if layout == "deployments":
            entries: dict[str, Any] = {"a": {**entry, "deployments": [{"name": n, **key} for n, key in keys.items()]}}
        else:
            entries = {name: {**entry, **key} for name, key in keys.items()}
        config = {**settings(a, entries), "cross_provider_fallback": True}
        if layout == "load_balance":
            targets = [{"provider": name, "model": "gpt-sim"} for name in keys]
            config["routing"] = {"strategy": "load_balance", "targets": targets}
        answered_by: list[str | None] = []
        waits = 0
        async with Client(config, environ={}) as client:

            async def call() -> None:
                nonlocal waits
                asked = [attempt.deployment or attempt.provider for attempt in (await client.send("Hi")).attempts]
                answered_by.append(asked[-1])
                waits += len(asked) - len(set(asked))  # a second attempt with the same key comes after a pause

            for calls in (1, 20, 20):
                async with anyio.create_task_group() as tasks:
                    for _ in range(calls):
                        tasks.start_soon(call)
    good = answered_by.count("c")
    record(f"31  a throttled and a dead key, {layout}", f"{good} of 41 answered, {waits} waited", "41 of 41, 0")
    assert (41, 0) == (good, waits)
