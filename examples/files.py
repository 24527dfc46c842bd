"""A report that is uploaded once and asked about three times."""

import asyncio

import asyncllm
from asyncllm import Message
from asyncllm.testing import Simulator

REPORT = b"%PDF-1.4\n" + b"Sales rose by seven per cent.\n" * 100
QUESTIONS = ("What rose?", "By how much?", "Is that good?")


async def main() -> None:
    async with Simulator() as simulator, asyncllm.Client(simulator.config()) as client:
        file = await client.upload(REPORT, name="report.pdf", provider="anthropic")
        for question in QUESTIONS:
            reply = await client.send([Message.user(question, file)], provider="anthropic")
            print(f"{question} {reply.text}")
        again = await client.upload(REPORT, name="report.pdf", provider="anthropic")
        print(f"uploaded once: {again.reused}; {file.size} bytes, asked {len(QUESTIONS)} times")
        await client.delete_file(file)


asyncio.run(main())
