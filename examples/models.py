"""Which models are there? Ask every provider at once, and see what happens when one of them retires a model."""

import asyncio

import asyncllm
from asyncllm.testing import Simulator


async def main() -> None:
    async with (
        Simulator(models={"openai": ["gpt-a", "gpt-b", "gpt-c"]}) as simulator,
        asyncllm.Client(simulator.config()) as client,
    ):
        result = await client.refresh_models()
        print({name: host.found for name, host in result.hosts.items()})

        simulator.models = {"openai": ["gpt-a", "gpt-b"]}
        result = await client.refresh_models("openai")
        print("gone:", result.hosts["openai"].vanished)
        print("listed:", [model.name for model in await client.models("openai")])
        print("deprecated:", await client.is_deprecated("openai", "gpt-c"))

        proof = await client.validate_model("openai", "gpt-a")
        print(proof.message, "| proved by reading the", proof.proof)
        count = await client.count_tokens("How long is this?", provider="anthropic", model="claude-sim")
        print(count.input_tokens, "tokens, counted by the", count.source)


asyncio.run(main())
