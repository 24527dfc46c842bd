"""A provider has a bad day: retries, fallback to another provider, an open circuit, routing by task, a limit."""

import asyncio
import logging

import asyncllm
from asyncllm.testing import Fault, Simulator

logging.getLogger("asyncllm.engine").setLevel(logging.ERROR)  # every hop is a warning; here they are printed instead
ROUTING = {
    "strategy": "capability",
    "tiers": {"economy": ["gpt-sim-nano"], "premium": [["anthropic", "claude-sim"], "gpt-sim"]},
}


def story(attempts: tuple[asyncllm.Attempt, ...]) -> str:
    return " -> ".join(
        f"{attempt.provider}/{attempt.model} {attempt.status or attempt.outcome}" for attempt in attempts
    )


async def main() -> None:
    async with Simulator() as simulator:
        config = simulator.config(cross_provider_fallback=True, retry={"base_delay": 0.01}, routing=ROUTING)
        async with asyncllm.Client(config) as client:
            simulator.on("gpt-sim", Fault.status(503, times=1))
            print("a hiccup:       ", story((await client.send("Hello")).attempts))

            simulator.on("*", Fault.status(401), provider="openai")
            print("a refused key:  ", story((await client.send("Hello")).attempts))
            print("while it is off:", story((await client.send("Hello")).attempts))
            for target in client.health():
                print(f"    {target.provider}/{target.model}: {target.state} {target.reason or ''}")

            simulator.off()
            client.reset_health("openai")
            print("for speed:      ", story((await client.send("Hello", task="speed")).attempts))
            print("for code:       ", story((await client.send("Hello", task="code")).attempts))

            simulator.on("gpt-sim", Fault.stall(after="headers"))
            hedged = await client.send("Hello", hedge=0.05)
            print("a late answer:  ", story(hedged.attempts))


asyncio.run(main())
