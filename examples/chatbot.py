"""A chatbot that remembers what was said and shows what the session has cost.

Run it with a key and `--chat` to talk: OPENAI_API_KEY=... python chatbot.py --chat. Without, simulated models answer.
"""

import asyncio
import sys
from collections.abc import Iterable

import asyncllm
from asyncllm.testing import Simulator


async def chat(client: asyncllm.Client, questions: Iterable[str]) -> None:
    talk = client.conversation(system="Be friendly and brief.", keep=asyncllm.Keep(turns=20))
    for question in questions:
        async for text in talk.stream(question).text():
            print(text, end="", flush=True)
        print(f"\n  [this conversation ${talk.cost}, this session ${await client.session_cost()}]")


async def main() -> None:
    if "--chat" in sys.argv:
        async with asyncllm.Client() as client:
            await chat(client, iter(lambda: input("> "), ""))
    else:
        async with Simulator() as simulator, asyncllm.Client(priced(simulator)) as client:
            await chat(client, ["My name is Ada.", "What is my name?"])


def priced(simulator: Simulator) -> dict[str, object]:
    """The simulator's configuration with a price for its model, which has none of its own."""
    return simulator.config(catalog={"prices": {"gpt-sim": {"input": 1, "output": 5}}})


asyncio.run(main())
