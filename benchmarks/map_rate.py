"""What `Client.map` costs beside a hand-written loop with a semaphore, and how much memory many inputs take.

    python benchmarks/map_rate.py [--prompts 2000] [--width 64] [--rounds 6]

Both ask the same server with the same client, in turns, with the ledger in a file. Printed is the CPU of the loop as a
share of the CPU of the map (0.95 and more is the goal), the prompts a second of both on the wall, and the memory after
maps of more and more inputs, which must not grow: SQLite's cache fills in the first of them.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

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


async def measure(url: str, folder: str, prompts: int, width: int, rounds: int) -> None:
    entry = {"api_key": "k", "base_url": f"{url}/v1", "fallback_models": ["gpt-4o-mini"]}
    tracking = {"database": f"sqlite:///{folder}/books.db"}
    ways: list[Callable[[Client, int, int], Awaitable[None]]] = [by_loop, by_map]
    cpu: list[float] = []
    rates: dict[Any, list[float]] = {way: [] for way in ways}
    async with Client(
        {"active_provider": "openai", "providers": {"openai": entry}, "cost_tracking": tracking}
    ) as client:
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
            for way in ways:
                rates[way].append(prompts / spent[way][1])
        print(f"CPU of the loop / CPU of the map: {statistics.median(cpu):.3f} ({min(cpu):.3f} to {max(cpu):.3f})")
        shares = [asked / looped for looped, asked in zip(rates[by_loop], rates[by_map], strict=True)]
        print(
            f"on the wall: loop {statistics.median(rates[by_loop]):.0f} prompts/s, map "
            f"{statistics.median(rates[by_map]):.0f} prompts/s; map / loop {statistics.median(shares):.3f} "
            f"({min(shares):.3f} to {max(shares):.3f})"
        )
        for _ in range(3):
            await by_map(client, 5 * prompts, width)
            gc.collect()
            print(f"memory after {5 * prompts} more prompts: {resident():.1f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=2000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=6)
    given = parser.parse_args()
    with subprocess.Popen([sys.executable, str(SERVER)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            with tempfile.TemporaryDirectory() as folder:
                url = server.stdout.readline().strip()
                asyncio.run(measure(url, folder, given.prompts, given.width, given.rounds))
        finally:
            server.kill()
