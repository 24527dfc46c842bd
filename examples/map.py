"""A thousand extractions with a typed answer, a checkpoint and a bound on the cost."""

import asyncio
import tempfile
from pathlib import Path

from pydantic import BaseModel

import asyncllm
from asyncllm.testing import Simulator


class Person(BaseModel):
    name: str
    age: int


async def main() -> None:
    texts = [f"Person {number} is {20 + number % 50} years old." for number in range(1000)]
    simulator = Simulator(reply='{"name": "Ann", "age": 30}')
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "people.db"
        async with simulator, asyncllm.Client(simulator.config()) as client:
            found = await client.map_all(
                texts, response_format=Person, concurrency=32, checkpoint=checkpoint, max_cost=5
            )
    people = [item.parsed for item in found if item.error is None]
    print(f"{len(people)} people, the first is {people[0]}")


asyncio.run(main())
