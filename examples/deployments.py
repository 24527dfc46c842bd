"""Three deployments of one model, of which one is throttled and one is dead: no call fails, and none waits."""

import asyncio
import collections
import logging

import asyncllm
from asyncllm.testing import Fault, Simulator

logging.getLogger("asyncllm.engine").setLevel(logging.ERROR)  # a hop is a warning; here the attempts are counted


async def main() -> None:
    async with Simulator() as simulator:
        config = simulator.config()
        config["providers"]["openai"]["deployments"] = [
            {"name": "eu", "headers": {"x-region": "eu"}},
            {"name": "us", "headers": {"x-region": "us"}},
            {"name": "old", "base_url": "http://127.0.0.1:9/v1"},
        ]
        simulator.on("*", Fault.status(429, retry_after=30, when=lambda got: got.headers["x-region"] == "eu"))
        async with asyncllm.Client(config) as client:
            replies = [await client.send("Hello") for _ in range(100)]
            made = collections.Counter(
                f"{attempt.deployment} {attempt.outcome}" for reply in replies for attempt in reply.attempts
            )
            print(f"{len(replies)} answers; attempts: {dict(made)}")
            for target in client.health():
                print(f"{target.deployment or 'the whole'}: {target.state} {target.reason or ''}")


asyncio.run(main())
