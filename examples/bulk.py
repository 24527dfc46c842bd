"""A job over many rows that goes on where it stopped: no row with an answer is asked for again."""

import asyncio
import logging
import tempfile
from pathlib import Path

import asyncllm
from asyncllm.testing import Simulator

logging.getLogger("asyncllm").setLevel(logging.ERROR)  # the sentence that says how to go on


async def main() -> None:
    rows = [{"id": f"r{number}", "text": f"Review number {number}"} for number in range(200)]
    with tempfile.TemporaryDirectory() as folder:
        tracking = {"database": f"sqlite:///{Path(folder) / 'books.db'}"}
        async with Simulator(reply="friendly") as simulator:
            for run in ("stopped", "whole"):
                async with asyncllm.Client(simulator.config(cost_tracking=tracking)) as client:
                    job = client.bulk("reviews", rows, key="id", prompt="Is this friendly? {text}", concurrency=32)
                    async for item in job:
                        if run == "stopped" and item.index > 80:
                            break
                    await job.aclose()
                    status = await job.status()
                    print(f"{run}: {status.done} of {status.total} answers, {simulator.count()} requests so far")


asyncio.run(main())
