"""Get a value of your own type back: a pydantic model is the schema, and `parsed` is an instance of it."""

import asyncio

from pydantic import BaseModel

import asyncllm
from asyncllm.testing import Simulator


class City(BaseModel):
    name: str
    country: str
    inhabitants: int


async def main() -> None:
    async with Simulator() as simulator, asyncllm.Client(simulator.config()) as client:
        reply = await client.send("Tell me of Oslo.", response_format=City)
        city: City = reply.parsed
        print(f"{city.name}, {city.country}: {city.inhabitants} inhabitants")


asyncio.run(main())
