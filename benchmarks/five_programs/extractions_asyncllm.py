import asyncio

from pydantic import BaseModel

import asyncllm


class Person(BaseModel):
    name: str
    age: int


async def main() -> None:
    texts = [f"Person {number} is {20 + number % 50} years old." for number in range(1000)]
    async with asyncllm.Client() as client:
        people = await client.map_all(texts, response_format=Person, concurrency=32)
        print(sum(person.error is None for person in people))


asyncio.run(main())
