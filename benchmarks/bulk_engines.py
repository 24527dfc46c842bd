"""What a row costs by each way to answer many: the CPU of this process and rows a second on the wall.

    python benchmarks/bulk_engines.py [--rows 1000] [--width 32] [--postgres postgresql://...]

All ask the same server, in turns, in one process. PostgreSQL and DBOS are measured where a server's URL is given.
"""

from __future__ import annotations

import argparse
import asyncio
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
Way = Callable[[Client, str, int], Awaitable[None]]


def rows(number: int) -> list[dict[str, Any]]:
    return [{"id": f"r{index}", "text": f"prompt {index}"} for index in range(number)]


def by_map(folder: str, width: int, kept: bool) -> Way:
    async def work(client: Client, run: str, number: int) -> None:
        checkpoint = f"{folder}/{run}.db" if kept else None
        inputs = (row["text"] for row in rows(number))
        async with client.map(inputs, concurrency=width, checkpoint=checkpoint) as items:
            assert number == len([item async for item in items if item.error is None])

    return work


def by_bulk(engine: Any, width: int) -> Way:
    async def work(client: Client, run: str, number: int) -> None:
        job = client.bulk(run, rows(number), key="id", prompt="{text}", engine=engine, concurrency=width)
        assert number == (await job.run()).done

    return work


async def measure(url: str, folder: str, given: argparse.Namespace) -> None:
    entry = {"api_key": "k", "base_url": f"{url}/v1", "fallback_models": ["gpt-4o-mini"]}
    sqlite = f"sqlite:///{folder}/books.db"
    ways: dict[str, tuple[str, Way]] = {
        "map": (sqlite, by_map(folder, given.width, kept=False)),
        "map, checkpoint": (sqlite, by_map(folder, given.width, kept=True)),
        "bulk, local, SQLite": (sqlite, by_bulk("local", given.width)),
    }
    if given.postgres:
        ways["bulk, local, PostgreSQL"] = (given.postgres, by_bulk("local", given.width))
        ways["bulk, DBOS, PostgreSQL"] = (given.postgres, by_bulk("dbos", given.width))
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(given.rounds + 1):
        for name, (database, way) in ways.items():
            config = {
                "active_provider": "openai",
                "providers": {"openai": entry},
                "cost_tracking": {"database": database},
            }
            async with Client(config, environ={}) as client:
                await client.send("warm")
                began, ticks = time.perf_counter(), time.process_time()
                await way(client, f"{turn} {name} {time.time()}", given.rows if turn else given.rows // 10)
                spent = time.process_time() - ticks, time.perf_counter() - began
            if turn:
                cpu[name].append(1000 * spent[0] / given.rows)
                wall[name].append(given.rows / spent[1])
    for name in ways:
        print(
            f"{name:26} {statistics.median(cpu[name]):6.2f} ms of CPU a row {statistics.median(wall[name]):8.0f} rows/s"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--postgres", default="")
    given = parser.parse_args()
    with subprocess.Popen([sys.executable, str(SERVER)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            with tempfile.TemporaryDirectory() as folder:
                asyncio.run(measure(server.stdout.readline().strip(), folder, given))
        finally:
            server.kill()
