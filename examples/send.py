"""Ask, and read what came back. The provider is simulated here; yours is `asyncllm.Client("config.yaml")`."""

import asyncio

import asyncllm
from asyncllm.testing import Simulator


async def main() -> None:
    async with Simulator() as simulator, asyncllm.Client(simulator.config()) as client:
        reply = await client.send("What is 2+2?", max_tokens=50)
        print(reply.text)
        print(f"{reply.provider} {reply.model}: {reply.usage.total_tokens} tokens, ended by {reply.finish_reason}")


asyncio.run(main())
