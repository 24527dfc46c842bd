"""A catalog over real sockets: what a client is to it, in a few lines."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from asyncllm._engine.attempt import Engine
from asyncllm._engine.health import Health
from asyncllm._engine.lifetime import Background, Watch
from asyncllm._engine.limits import USUAL_QUESTION_LIMITS, LimitRules, Limits
from asyncllm._engine.questions import Questions
from asyncllm._engine.target import RetryPolicy, Target
from asyncllm._models.catalog import Catalog
from asyncllm._models.lookup import FactBook
from asyncllm._models.prices import PriceBook
from asyncllm._protocols.wire_json import WireJSON
from asyncllm._providers.provider import Provider
from asyncllm._providers.spec import build_host as build
from asyncllm._transport.base import Timeouts, Transport
from asyncllm._transport.http import HTTPTransport
from asyncllm.testing import Simulator

MAIN = ("openai", "anthropic", "gemini", "bedrock", "vertex")


def hosts(sim: Simulator, *names: str, **options: Any) -> dict[str, Provider]:
    """The providers of the simulator's own configuration, or some of them."""
    entries = sim.config()["providers"]
    found = {}
    for name in names or MAIN:
        entry = {**entries[name], **options}
        secrets = {word: SecretStr(entry[word]) for word in ("api_key", "access_token") if word in entry}
        found[name] = build(name, name, {**entry, **secrets}, {})
    return found


def questions(
    transport: Transport, background: Background, *, timeouts: Timeouts | None = None, now: Callable[[], float]
) -> Questions:
    """Questions that go through a transport, once each."""
    health = Health()
    engine = Engine(
        transport=transport,
        background=background,
        watch=Watch(background),
        json=WireJSON(),
        new_id=lambda prefix: f"{prefix}1",
        now=now,
        health=health,
        question_limits=Limits(LimitRules(), health.now, usual=USUAL_QUESTION_LIMITS),
        draw=lambda: 0.0,
    )
    once = RetryPolicy(max_attempts=1)

    async def ready() -> Engine:
        return engine

    return Questions(ready, lambda provider, model: Target(provider, model, timeouts or Timeouts(), once), now)


@asynccontextmanager
async def open_catalog(
    providers: Mapping[str, Provider],
    *,
    path: Path | None = None,
    now: Callable[[], float] = time.time,
    capabilities: FactBook | None = None,
    prices: PriceBook | None = None,
    timeouts: Timeouts | None = None,
) -> AsyncIterator[Catalog]:
    """A catalog whose questions go through a transport of its own."""
    background = Background()
    transport = HTTPTransport(spawn=background.spawn)
    try:
        yield Catalog(
            asker=questions(transport, background, timeouts=timeouts, now=now),
            kinds={name: provider.kind for name, provider in providers.items()},
            provider_of=providers.__getitem__,
            path=path,
            capabilities=capabilities,
            prices=prices,
        )
    finally:
        await transport.aclose()
        background.stop()
