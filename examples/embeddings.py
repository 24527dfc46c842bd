"""Which of these texts answers the question? Vectors of all of them, and the one that points the same way."""

import asyncio

import asyncllm
from asyncllm.testing import Simulator

TEXTS = ["The cat sleeps on the sofa.", "The train leaves at nine.", "Bread needs flour, water and salt."]


def likeness(one: list[float], other: list[float]) -> float:
    """The cosine of the angle between two vectors of length 1."""
    return sum(a * b for a, b in zip(one, other, strict=True))


async def main() -> None:
    async with Simulator() as simulator, asyncllm.Client(simulator.config()) as client:
        model = "text-embedding-3-small"
        texts = await client.embed(TEXTS, model=model, purpose="document")
        (question,) = await client.embed("When does the train leave?", model=model, purpose="query")
        best = max(range(len(TEXTS)), key=lambda at: likeness(question, texts[at]))
        print(f"{TEXTS[best]} ({texts.dimensions} dimensions, ${texts.cost})")

        ranking = await client.rerank(
            "When does the train leave?", TEXTS, provider="bedrock", model="cohere.rerank-v3-5:0", top=1
        )
        print(f"{ranking[0].document} (score {ranking[0].score:.2f})")


asyncio.run(main())
