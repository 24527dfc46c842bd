"""One program on a laptop and in production: the environment says which models, keys and limits it has.

APP_ENV chooses between two configurations. Here both point to the simulator; yours would be two files.
"""

import asyncio
import os

import asyncllm
from asyncllm.testing import Simulator


def config_for(stage: str, simulator: Simulator) -> dict[str, object]:
    """In your project: `asyncllm.Client(f"config.{stage}.yaml")`."""
    if stage == "prod":
        return simulator.config(
            active_model="gpt-sim",
            cross_provider_fallback=True,
            retry={"max_attempts": 3},
            budgets=[{"name": "daily", "limit": 50, "per": "day"}],
            catalog={"prices": {"gpt-sim": {"input": 1, "output": 5}}},
        )
    return simulator.config(active_model="gpt-sim-mini", retry={"max_attempts": 1}, timeouts={"total": 20})


async def main() -> None:
    async with Simulator() as simulator:
        for stage in [os.environ["APP_ENV"]] if "APP_ENV" in os.environ else ["dev", "prod"]:
            async with asyncllm.Client(config_for(stage, simulator)) as client:
                reply = await client.send("What is 2+2?", max_tokens=100, tags={"stage": stage})
                print(f"{stage}: {reply.model} says {reply.text} for {reply.cost} US dollars")


asyncio.run(main())
