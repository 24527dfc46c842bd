"""A thousand extractions with typed answers, a bar, a checkpoint and a budget. Run again, it goes on."""

import asyncio
import tempfile
from pathlib import Path

from pydantic import BaseModel

import asyncllm
from asyncllm.testing import ModelRequest, Simulator


class Person(BaseModel):
    name: str
    age: int


def model(request: ModelRequest) -> str:
    """The simulated model: it reads "Person 7 is 27 years old."."""
    words = request.prompt.split()
    return f'{{"name": "{words[0]} {words[1]}", "age": {words[3]}}}'


async def main(folder: Path) -> None:
    texts = [f"Person {number} is {20 + number % 50} years old." for number in range(1000)]
    async with Simulator(reply=model) as simulator:
        config = simulator.config(catalog={"prices": {"gpt-sim": {"input": 1, "output": 5}}})
        async with asyncllm.Client(config) as client:
            items = client.map(
                texts,
                response_format=Person,
                concurrency=32,
                checkpoint=folder / "people.db",
                max_cost=5,  # US dollars; what does not fit any more is not asked
                progress=True,  # a bar on a terminal
            )
            people = [item.parsed async for item in items if item.error is None]
            print(f"{len(people)} people for ${await client.session_cost()}, the first is {people[0]!r}")


with tempfile.TemporaryDirectory() as name:
    asyncio.run(main(Path(name)))
