"""Test your own code with pytest: what it does with an answer, and what it does when the provider fails."""

import asyncio

import asyncllm
from asyncllm.testing import Fault, Simulator


async def summarise(client: asyncllm.Client, text: str) -> str:
    """The code under test: a summary, or the beginning of the text when no model can be reached."""
    try:
        return (await client.send(f"Summarise: {text}", timeout=5)).text
    except asyncllm.AsyncLLMError:
        return text[:20] + "…"


async def test_a_summary_is_the_model_s() -> None:
    async with Simulator(reply="Short.") as simulator:
        async with asyncllm.Client(simulator.config()) as client:
            assert await summarise(client, "A long text.") == "Short."
        assert "A long text." in str(simulator.requests[-1].body)


async def test_without_a_model_the_text_is_cut() -> None:
    async with Simulator() as simulator, asyncllm.Client(simulator.config()) as client:
        simulator.on("*", Fault.status(401))
        assert await summarise(client, "A very long text that goes on.") == "A very long text tha…"


for test in (test_a_summary_is_the_model_s, test_without_a_model_the_text_is_cut):
    asyncio.run(test())
    print(f"{test.__name__}: passed")
