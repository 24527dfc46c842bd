import asyncio

from pydantic import BaseModel
from pydantic_ai import Agent


class Person(BaseModel):
    name: str
    age: int


async def main() -> None:
    agent = Agent("openai-chat:gpt-4o-mini", output_type=Person)
    texts = [f"Person {number} is {20 + number % 50} years old." for number in range(1000)]
    slots = asyncio.Semaphore(32)

    async def extract(text: str) -> Person | None:
        async with slots:
            try:
                return (await agent.run(text)).output
            except Exception:
                return None

    people = await asyncio.gather(*map(extract, texts))
    print(sum(person is not None for person in people))


asyncio.run(main())
