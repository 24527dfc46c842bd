"""Two clients share one limit by a Redis server; where none runs, each takes its share and says so."""

import asyncio
import logging
import os
import time

import asyncllm
from asyncllm.testing import Simulator

logging.getLogger("asyncllm.engine").setLevel(logging.ERROR)  # the warning of a store that is not there


async def main() -> None:
    async with Simulator(latency=0.05) as simulator:
        shared = {"url": os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"), "prefix": "example"}
        config = simulator.config(limits={"concurrent": 2}, shared=shared)
        async with asyncllm.Client(config) as one, asyncllm.Client(config) as two:
            began = time.monotonic()
            await asyncio.gather(*[client.send("Hello") for client in (one, two) for _ in range(5)])
            seconds = time.monotonic() - began
            print(f"10 calls in {seconds:.2f} s, at most {simulator.peak_in_flight} at a time")


asyncio.run(main())
