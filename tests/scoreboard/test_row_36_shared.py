"""Row 36: limits shared over processes, the store killed and restarted in mid-run, clocks an hour apart."""

from __future__ import annotations

import bisect
import json
import subprocess
import sys
import time

import pytest

from asyncllm.testing import Simulator
from redis_server import running_redis
from scoreboard.conftest import Record

WINDOW = 5.0  # seconds, in the place of a minute
PROGRAM = """
import asyncio, json, sys, time
number, url, base_url, seconds, limit = int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]), int(sys.argv[5])
clock = time.time
time.time = lambda: clock() + 3600 * (number - 4)        # clocks an hour apart
from asyncllm._engine import limits
limits.MINUTE = 5.0
from asyncllm import Client
from asyncllm._shared.shared_limits import SharedLimits

granted = []
acquire = SharedLimits.acquire
async def noted(self, *arguments):
    turn = await acquire(self, *arguments)
    granted.append(time.monotonic())
    return turn
SharedLimits.acquire = noted

async def main():
    config = {
        "active_provider": "openai",
        "providers": {"openai": {"api_key": "sk-sim-x", "base_url": base_url, "fallback_models": ["gpt-sim"]}},
        "limits": {"requests_per_minute": limit},
        "shared": {"url": url},
        "cost_tracking": {"enabled": False},
    }
    async with Client(config, environ={}) as client:
        await client.send("Hi")
        print("ready", flush=True)
        end = float(sys.stdin.readline())
        async def one():
            while time.monotonic() < end:
                try:
                    await client.send("Hi", timeout=max(0.1, end - time.monotonic()))
                except Exception as error:
                    if time.monotonic() < end - 1:
                        raise
        await asyncio.gather(*[one() for _ in range(8)])
    print(json.dumps(granted))

asyncio.run(main())
"""


def most_in_a_window(times: list[float]) -> int:
    """The most of them in any window."""
    return max(bisect.bisect_left(times, time + WINDOW) - number for number, time in enumerate(times))


@pytest.mark.parametrize("restart", [False, True], ids=["steady", "restarted"])
def test_no_window_is_above_the_limit(restart: bool, full: bool, record: Record) -> None:
    """Never above the limit in any window; at least 95% of it is used."""
    if not full and not restart:
        pytest.skip("the quick form takes the harder run only")
    processes, seconds, limit = (8, 40.0, 160) if full else (2, 11.0, 20)
    with running_redis() as store, Simulator.in_thread(reply="ok") as sim:
        words = [store.url, sim.url("openai"), str(seconds), str(limit)]
        workers = [
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(number), *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(processes)
        ]
        try:
            for worker in workers:
                assert worker.stdout is not None
                assert "ready" == worker.stdout.readline().strip()
            begin = time.monotonic()
            for worker in workers:
                assert worker.stdin is not None
                print(begin + seconds, file=worker.stdin, flush=True)
            if restart:
                time.sleep(0.3 * seconds)
                store.kill()
                time.sleep(0.15 * seconds)
                store.start()
            outputs = [worker.communicate(timeout=180)[0] for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
    assert [0] * processes == [worker.returncode for worker in workers]
    granted = sorted(moment for output in outputs for moment in json.loads(output))
    whole = [moment for moment in granted if begin + WINDOW <= moment < begin + seconds]
    used = len(whole) / (limit * (seconds - WINDOW) / WINDOW)
    most = most_in_a_window(granted)
    what = f"36 limits shared by {processes} processes{', the store restarted' if restart else ''}"
    record(what, f"most in a window {most} of {limit}, {used:.1%} used", "never above, >= 95%")
    assert most <= limit
    assert used >= (0.95 if full else 0.85)
