"""Calls that are cancelled at some moment, by either way to cancel; shared with ``benchmarks/cancels.py``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import anyio
from loopback import Peer, Visit, chunk, chunked

Call = Callable[[], Awaitable[object]]
Cancel = Callable[[Call, float], Awaitable[None]]

HEALTHY = 10


async def slowly(peer: Peer, visit: Visit) -> None:
    """Every moment of a call takes a while, so that a cancellation can fall into it."""
    await anyio.sleep(0.0005)
    await peer.send(chunked())
    await anyio.sleep(0.0005)
    await peer.send(chunk(b"first"))
    await anyio.sleep(0.0005)
    await peer.send(chunk(b"last") + chunk(b""))


async def native(call: Call, delay: float) -> None:
    """Cancels as ``asyncio.wait_for`` and every web framework do."""
    task = asyncio.ensure_future(call())
    await asyncio.sleep(delay)
    task.cancel()
    await asyncio.wait([task])


async def scope(call: Call, delay: float) -> None:
    """Cancels as anyio and trio do."""
    with anyio.move_on_after(delay):
        await call()


async def healthy(call: Callable[[], Awaitable[bytes]]) -> int:
    """How many of ten calls at once bring the body that `slowly` sends."""
    bodies: list[bytes] = []

    async def one() -> None:
        bodies.append(await call())

    with anyio.move_on_after(5):
        async with anyio.create_task_group() as tasks:
            for _ in range(HEALTHY):
                tasks.start_soon(one)
    return bodies.count(b"firstlast")
