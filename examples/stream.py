"""Show an answer while it arrives, and read the whole of it at the end."""

import asyncio

import asyncllm
from asyncllm.testing import Simulator


async def main() -> None:
    async with Simulator() as simulator, asyncllm.Client(simulator.config()) as client:
        async with client.stream("Count to 10") as stream:
            async for event in stream:
                print(event, end="", flush=True)
        print()
        print(f"{stream.response.usage.output_tokens} tokens, ended by {stream.response.finish_reason}")


asyncio.run(main())
