"""Does a pool survive cancellation? 5,000 requests cancelled at every moment of their lives, then ten that are not.

    python benchmarks/cancels.py [--cancels 5000] [--slots 10]

For each HTTP library, event loop and way to cancel it prints how many of the ten succeeded and how many connections
the server still held; and the same for the library's own client where that is asked for (``--stock``).
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import trio

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "transport"))

from cancelling import Call, Cancel, healthy, native, scope, slowly  # what the tests do
from loopback import ask, opened, serving  # the tests' server

AT_ONCE = 50
SLOWEST = 0.012  # seconds until the latest cancellation


async def measure(whole: Callable[[], Awaitable[bytes]], streamed: Call, cancels: int, how: Cancel) -> int:
    """How many of ten healthy calls succeed after the cancelled ones."""
    for start in range(0, cancels, AT_ONCE):
        async with anyio.create_task_group() as tasks:
            for number in range(start, min(start + AT_ONCE, cancels)):
                tasks.start_soon(how, streamed if number % 2 else whole, SLOWEST * (number * 7 % cancels) / cancels)
    return await healthy(whole)


async def ours(library: str, slots: int, cancels: int, how: Cancel) -> tuple[int, int]:
    """This library's transport."""
    async with serving(slowly) as server, opened(library, max_connections=slots) as transport:

        async def whole() -> bytes:
            return (await transport.send(ask(server.url))).body

        async def streamed() -> None:
            exchange = await transport.stream(ask(server.url))
            try:
                while await exchange.receive() is not None:
                    pass
            finally:
                exchange.release()

        good = await measure(whole, streamed, cancels, how)
        await anyio.sleep(0.1)
        return good, server.open


async def stock(library: str, slots: int, cancels: int, how: Cancel) -> tuple[int, int]:
    """The library's own client."""
    module = importlib.import_module(library)
    limits = module.Limits(max_connections=slots)
    async with serving(slowly) as server, module.AsyncClient(limits=limits, timeout=3) as client:

        async def whole() -> bytes:
            try:
                return bytes((await client.post(server.url, content=b"{}")).content)
            except module.HTTPError:
                return b""

        async def streamed() -> None:
            try:
                async with client.stream("POST", server.url, content=b"{}") as response:
                    async for _ in response.aiter_raw():
                        pass
            except module.HTTPError:
                pass

        good = await measure(whole, streamed, cancels, how)
        return good, server.open


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--cancels", type=int, default=5000)
    options.add_argument("--slots", type=int, default=10)
    options.add_argument("--stock", action="store_true")
    chosen = options.parse_args()
    print(f"{'pool':<6} {'library':<8} {'loop':<8} {'cancelled by':<12} {'of ten':>6} {'open':>5} {'seconds':>8}")
    for pool in (ours, stock) if chosen.stock else (ours,):
        for library in ("httpx", "httpx2"):
            for loop, how in ((asyncio, native), (asyncio, scope), (trio, scope)):
                began = time.perf_counter()
                work = (pool, library, chosen.slots, chosen.cancels, how)
                good, left = asyncio.run(pool(*work[1:])) if loop is asyncio else trio.run(*work)
                took = time.perf_counter() - began
                names = f"{pool.__name__:<6} {library:<8} {loop.__name__:<8} {how.__name__:<12}"
                print(f"{names} {good:>6} {left:>5} {took:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
