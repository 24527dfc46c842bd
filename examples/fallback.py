"""A model fails and the next one of the chain answers; when all fail, the error lists every attempt."""

import asyncio

import asyncllm
from asyncllm.testing import Fault, Simulator


async def main() -> None:
    async with Simulator() as simulator, asyncllm.Client(simulator.config()) as client:
        simulator.on("gpt-sim", Fault.status(503))
        reply = await client.send("Hello", provider="openai")
        for attempt in reply.attempts:
            print(f"{attempt.model}: {attempt.outcome} {attempt.status}")
        print(reply.text)

        simulator.on("*", Fault.status(503))
        try:
            await client.send("Hello", provider="openai", fallback=["gpt-sim-mini", ("anthropic", "claude-sim")])
        except asyncllm.AllFallbacksFailedError as error:
            print([(attempt.provider, attempt.model, attempt.status) for attempt in error.attempts])


asyncio.run(main())
