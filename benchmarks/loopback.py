"""CPU time of a call and of a stream's event, beside raw httpx on the same server in the same run.

The server is ``asyncllm simulate`` in a process of its own; only this process's CPU is counted, and the best of the
rounds, which alternate. What counts is the ratio: it hardly depends on the machine.

    python benchmarks/loopback.py [--rounds 3] [--library httpx2]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import httpx

import asyncllm

QUESTION = "What is 2+2?"
LONG = "Count to 900"
MODEL = "gpt-sim"
Call = Callable[[], Awaitable[int]]


@contextmanager
def server() -> Iterator[str]:
    """The simulator's base URL for OpenAI."""
    command = [sys.executable, "-m", "asyncllm", "simulate", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if found := re.match(r"openai +base_url (\S+)", line):
                    yield found[1]
                    break
        finally:
            process.terminate()


async def cpu(call: Call, calls: int, at_once: int) -> float:
    """Microseconds of CPU for each thing that the calls say they handled."""

    async def worker(share: int) -> int:
        return sum([await call() for _ in range(share)])

    await call()
    started = time.process_time()
    handled = sum(await asyncio.gather(*(worker(calls // at_once) for _ in range(at_once))))
    return (time.process_time() - started) / handled * 1e6


def raw(client: httpx.AsyncClient, url: str) -> dict[str, Call]:
    """The calls as one writes them by hand."""

    def body(question: str, **more: object) -> dict[str, object]:
        return {"model": MODEL, "messages": [{"role": "user", "content": question}], **more}

    async def send() -> int:
        reply = await client.post(f"{url}/chat/completions", json=body(QUESTION))
        assert reply.json()["choices"][0]["message"]["content"] == "4"
        return 1

    async def stream() -> int:
        events = 0
        request = client.stream("POST", f"{url}/chat/completions", json=body(LONG, stream=True))
        async with request as reply:
            async for line in reply.aiter_lines():
                if line.startswith("data: {"):
                    events += bool(json.loads(line[6:])["choices"])
        return events

    return {"send": send, "stream": stream}


def ours(client: asyncllm.Client) -> dict[str, Call]:
    """The same calls through asyncllm, decoded into canonical values."""

    async def send() -> int:
        assert (await client.send(QUESTION)).text == "4"
        return 1

    async def stream() -> int:
        return sum([1 async for event in client.stream(LONG) if event.text])

    return {"send": send, "stream": stream}


METRICS = [
    ("one call at a time, a call", "send", 200, 1),
    ("64 calls at once, a call", "send", 640, 64),
    ("a stream, an event", "stream", 10, 1),
]


async def measure(url: str, rounds: int, library: str) -> None:
    """Prints a line for each metric."""
    key = "sk-sim-openai"
    config = {
        "active_provider": "openai",
        "providers": {"openai": {"api_key": key, "base_url": url, "fallback_models": [MODEL]}},
        "http": {"library": library},
    }
    print(f"{'CPU in microseconds':30} {'raw httpx':>10} {'asyncllm':>10} {'ratio':>7}")
    for title, verb, calls, at_once in METRICS:
        best = {"raw": float("inf"), "ours": float("inf")}
        for _ in range(rounds):
            async with httpx.AsyncClient(headers={"authorization": f"Bearer {key}"}) as floor:
                best["raw"] = min(best["raw"], await cpu(raw(floor, url)[verb], calls, at_once))
            async with asyncllm.Client(config) as client:
                best["ours"] = min(best["ours"], await cpu(ours(client)[verb], calls, at_once))
        print(f"{title:30} {best['raw']:10.1f} {best['ours']:10.1f} {best['ours'] / best['raw']:6.2f}x")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--library", default="httpx")
    arguments = parser.parse_args()
    with server() as base_url:
        asyncio.run(measure(base_url, arguments.rounds, arguments.library))
