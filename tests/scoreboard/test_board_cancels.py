"""Calls that are cancelled, streams that are left: nothing stays taken."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import time
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from asyncllm import Client
from asyncllm.testing import Simulator

pytestmark = pytest.mark.slow
AT_ONCE = 50
SLOTS = 10
LATEST = 0.03  # seconds until the latest cancellation
LONG = "one two three four five six seven eight nine ten eleven twelve"
Call = Callable[[], Awaitable[object]]


async def native(call: Call, delay: float) -> None:
    """Cancels as ``asyncio.wait_for`` and every web framework do."""
    task = asyncio.ensure_future(call())
    await asyncio.sleep(delay)
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()


async def scoped(call: Call, delay: float) -> None:
    """Cancels as anyio and trio do."""
    with anyio.move_on_after(delay):
        await call()


async def sweep(library: str, cancels: int, cancel: Callable[[Call, float], Awaitable[None]]) -> tuple[int, int]:
    """How many of ten calls at once succeed after all the cancelled ones, and what the server still works on."""
    config: dict[str, Any] = {"http": {"library": library, "max_connections": SLOTS}, "limits": {"concurrent": SLOTS}}
    async with Simulator(reply=LONG, latency=0.002, chunk_delay=0.0002, keep=0) as sim:
        async with Client(sim.config(**config), environ={}) as client:

            async def streamed() -> None:
                async for _ in client.stream("Hi"):
                    pass

            calls: tuple[Call, ...] = (lambda: client.send("Hi"), streamed)
            for start in range(0, cancels, AT_ONCE):
                async with anyio.create_task_group() as tasks:
                    for number in range(start, min(start + AT_ONCE, cancels)):
                        tasks.start_soon(cancel, calls[number % 2], LATEST * (number * 7 % cancels) / cancels)
            good = 0

            async def healthy() -> None:
                nonlocal good
                answered = bool((await client.send("Hi")).text)
                good += answered

            with anyio.move_on_after(5):
                async with anyio.create_task_group() as tasks:
                    for _ in range(SLOTS):
                        tasks.start_soon(healthy)
            assert 0 == client.health()[0].queue_depth
            assert "closed" == client.health()[0].state
        with anyio.move_on_after(3):
            while sim.open_connections:
                await anyio.sleep(0.01)
        return good, sim.open_connections


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
@pytest.mark.parametrize(
    ("backend", "cancel"), [("asyncio", native), ("asyncio", scoped), ("trio", scoped)], ids=["native", "scope", "trio"]
)
def test_cancels_at_every_moment(
    record: Any, full: bool, library: str, backend: str, cancel: Callable[[Call, float], Awaitable[None]]
) -> None:
    """After thousands of cancelled calls and streams on ten connections, ten calls at once succeed."""
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    cancels = 5000 if full else 200
    good, left = anyio.run(sweep, library, cancels, cancel, backend=backend)
    record(
        f"{cancels} cancels, {library}, {backend}, {cancel.__name__}",
        f"{good} of {SLOTS} calls after, {left} connections left",
        "10 of 10, 0 left",
    )
    assert (SLOTS, 0) == (good, left)


@pytest.mark.anyio
async def test_leaving_a_stream_without_closing_it(record: Any, full: bool, anyio_backend: str) -> None:
    """``break`` and forget: no warning, and the only connection is free within 100 ms of the collection."""
    waits = []
    config: dict[str, Any] = {"http": {"max_connections": 1}, "limits": {"concurrent": 1}}
    async with Simulator(reply=LONG, chunk_delay=0.002) as sim, Client(sim.config(**config), environ={}) as client:

        async def leave() -> None:
            async for event in client.stream("Hi"):
                if event.text:
                    break

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(100 if full else 5):
                await leave()
                gc.collect()
                collected = time.monotonic()
                async for _event in client.stream("Hi"):
                    waits.append(time.monotonic() - collected)
                    break
                gc.collect()
                await anyio.sleep(0.01)
    record(f"slot back after a break, {anyio_backend}", f"worst {max(waits) * 1000:.1f} ms", "< 100 ms, no warning")
    assert max(waits) < 0.1
