"""A catalog over real sockets: what a client is to it, in a few lines."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from asyncllm._engine.background import Background
from asyncllm._models.asking import exchange
from asyncllm._models.catalog import Catalog
from asyncllm._models.lookup import FactBook
from asyncllm._models.prices import PriceBook
from asyncllm._protocols.wire_json import WireJSON
from asyncllm._providers.kinds import build
from asyncllm._providers.provider import Provider
from asyncllm._transport.base import Timeouts
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
            exchange=partial(exchange, transport, timeouts or Timeouts()),
            json=WireJSON(),
            kinds={name: provider.kind for name, provider in providers.items()},
            provider_of=providers.__getitem__,
            now=now,
            path=path,
            capabilities=capabilities,
            prices=prices,
        )
    finally:
        await transport.aclose()
        background.stop()
