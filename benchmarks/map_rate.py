"""What `Client.map` costs beside a hand-written loop with a semaphore, and how much memory many inputs take.

    python benchmarks/map_rate.py [--prompts 2000] [--width 64] [--rounds 6]

Both ask the same server with the same client, in turns. Printed is the CPU of the loop as a share of the CPU of the
map (0.95 and more is the goal), the same for the time on the wall, and how much memory a map of ten times as many
inputs takes beside the first one.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from asyncllm import Client

SERVER = Path(__file__).with_name("peer_server.py")


async def by_loop(client: Client, prompts: int, width: int) -> None:
    """What a user writes without `map`."""
    free = asyncio.Semaphore(width)
    answered = 0

    async def ask(prompt: str) -> None:
        nonlocal answered
        async with free:
            reply = await client.send(prompt)
            answered += bool(reply.text)

    await asyncio.gather(*[ask(f"prompt {number}") for number in range(prompts)])
    assert answered == prompts


async def by_map(client: Client, prompts: int, width: int) -> None:
    """The same by `map`."""
    answered = 0
    async with client.map((f"prompt {number}" for number in range(prompts)), concurrency=width) as items:
        async for item in items:
            answered += bool(item.text)
    assert answered == prompts


def resident() -> float:
    """Megabytes that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


async def measure(url: str, prompts: int, width: int, rounds: int) -> None:
    entry = {"api_key": "k", "base_url": f"{url}/v1", "fallback_models": ["gpt-4o-mini"]}
    ways: list[Callable[[Client, int, int], Awaitable[None]]] = [by_loop, by_map]
    cpu: list[float] = []
    wall: list[float] = []
    async with Client({"active_provider": "openai", "providers": {"openai": entry}}) as client:
        for way in ways:
            await way(client, prompts // 4, width)
        for number in range(rounds):
            spent = {}
            for way in ways if number % 2 else reversed(ways):
                gc.collect()
                began, ticks = time.perf_counter(), time.process_time()
                await way(client, prompts, width)
                spent[way] = (time.process_time() - ticks, time.perf_counter() - began)
            cpu.append(spent[by_loop][0] / spent[by_map][0])
            wall.append(spent[by_loop][1] / spent[by_map][1])
        print(f"CPU of the loop / CPU of the map: {statistics.median(cpu):.3f} ({min(cpu):.3f} to {max(cpu):.3f})")
        print(f"the same on the wall: {statistics.median(wall):.3f} ({min(wall):.3f} to {max(wall):.3f})")
        sizes = []
        for many in (prompts // 2, 5 * prompts):
            await by_map(client, many, width)
            gc.collect()
            sizes.append(resident())
        print(f"memory after {prompts // 2} prompts {sizes[0]:.1f} MB, after {5 * prompts} more {sizes[1]:.1f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=2000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=6)
    given = parser.parse_args()
    with subprocess.Popen([sys.executable, str(SERVER)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            asyncio.run(measure(server.stdout.readline().strip(), given.prompts, given.width, given.rounds))
        finally:
            server.kill()
