"""200,000 calls and streams with 5% faults: memory and descriptors must stay flat, and the ledger must be right.

    nox -s soak                                     the whole run, about ten minutes on two cores
    python benchmarks/soak.py --calls 20000         a short one

After a tenth of the run for warming up, memory may grow by less than 1 KB for 1,000 calls, the number of descriptors
may not grow, and the ledger must have as many records as the server has read requests. Exits with 1 where one of them
does not hold.

Memory is judged by the slopes of straight lines through the samples, one for each fifth of the run: the middle one of
the five counts. What is lost with each call is lost in every fifth. A buffer that is taken once, as for the first hour
of the ledger that is rolled up, is a step in one of them: the slope of the whole run, which is printed beside it, has
it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import asyncllm

AT_ONCE = 64
MOST_SLOPE = 1.0  # KB for 1,000 calls
PARTS = 5


def kilobytes() -> float:
    """The memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


def descriptors() -> int:
    """The open descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def slope(samples: list[tuple[int, float]]) -> float:
    """Kilobytes for 1,000 calls: the straight line with the least squares through the samples."""
    calls = sum(count for count, _ in samples) / len(samples)
    memory = sum(size for _, size in samples) / len(samples)
    spread = sum((count - calls) ** 2 for count, _ in samples)
    return 1000 * sum((count - calls) * (size - memory) for count, size in samples) / spread


def usual_slope(samples: list[tuple[int, float]]) -> float:
    """The middle one of the slopes of the parts of a run."""
    size = len(samples) // PARTS
    return statistics.median(slope(samples[size * part : size * (part + 1)]) for part in range(PARTS))


async def soak(url: str, calls: int) -> bool:
    """Runs, and says whether everything held."""
    entry = {"api_key": "sk-x", "base_url": f"{url}/v1", "fallback_models": ["gpt-4o-mini"]}
    folder = tempfile.mkdtemp()
    config = {
        "active_provider": "openai",
        "providers": {"openai": entry},
        "retry": {"base_delay": 0.01, "max_delay": 0.05},
        "cost_tracking": {"database": f"sqlite:///{folder}/ledger.db"},
    }
    chance, left, done, failed = random.Random(3), calls, 0, 0
    samples: list[tuple[int, float]] = []
    open_files: list[int] = []
    every = max(calls // 100, 1)
    began = time.monotonic()

    async with asyncllm.Client(config) as client:

        async def worker() -> None:
            nonlocal left, done, failed
            while left > 0:
                left -= 1
                try:
                    if chance.random() < 0.5:
                        await client.send("Say hi, briefly.", user=f"user {chance.randrange(50)}")
                    else:
                        async with client.stream("Count to twenty.") as stream:
                            async for event in stream:
                                if chance.random() < 0.002:
                                    break  # some callers leave early
                                event.text  # noqa: B018  # what a caller does
                except asyncllm.AsyncLLMError:
                    failed += 1
                done += 1
                if done % every == 0:
                    if done > calls // 10:
                        gc.collect()
                        samples.append((done, kilobytes()))
                        open_files.append(descriptors())
                    if done % (10 * every) == 0:
                        print(f"{done:8} calls, {kilobytes() / 1024:7.1f} MB, {descriptors()} descriptors", flush=True)

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
        await asyncio.sleep(0.5)
        rows = await client.ledger.report()
    seconds = time.monotonic() - began
    with urllib.request.urlopen(f"{url}/count") as answer:  # noqa: ASYNC210  # our own server, and nothing else runs
        received = int(answer.read())
    recorded = sum(row.requests for row in rows)
    grew, whole = usual_slope(samples), slope(samples)
    half = len(open_files) // 2
    # Of the middle of each half: the files of the database come and go.
    flat = statistics.median(open_files[half:]) <= statistics.median(open_files[:half]) + 1
    print(f"{calls} calls in {seconds:.0f} s, {failed} failed; {received} requests received, {recorded} records")
    words = "flat" if flat else "they grow"
    print(f"memory: {grew:.2f} KB for 1,000 calls (at most {MOST_SLOPE}), with every step {whole:.2f}")
    print(f"descriptors: {open_files[0]} to {open_files[-1]}, {words}")
    return grew < MOST_SLOPE and flat and received == recorded


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200_000)
    arguments = parser.parse_args()
    program = str(Path(__file__).with_name("peer_server.py"))
    command = [sys.executable, program, "--chunks", "20", "--faults", "0.05"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            held = asyncio.run(soak(server.stdout.readline().strip(), arguments.calls))
        finally:
            server.terminate()
    sys.exit(0 if held else 1)
