"""Moving from one provider to another a share at a time, by the configuration alone.

Each step of the migration is a change of two numbers. `sticky_key` keeps a user on one side while the shares stay.
"""

import asyncio
from collections import Counter

import asyncllm
from asyncllm.testing import Simulator

STEPS = ((99, 1), (90, 10), (50, 50), (1, 99))


async def main() -> None:
    async with Simulator() as simulator:
        for old, new in STEPS:
            shares = (("openai", "gpt-sim", old), ("anthropic", "claude-sim", new))
            targets = [{"provider": name, "model": model, "weight": share} for name, model, share in shares]
            routing = {"strategy": "load_balance", "targets": targets}
            config = simulator.config(routing=routing, cross_provider_fallback=True)
            async with asyncllm.Client(config) as client:
                asked = [client.send("Hello", sticky_key=f"user-{number}") for number in range(40)]
                answered = Counter(reply.provider for reply in await asyncio.gather(*asked))
            print(f"{old:3} to {new:3}: {dict(answered)}")


asyncio.run(main())
