"""Ten users ask the same: one request is paid for, the ledger says what the others saved."""

import asyncio

import asyncllm
from asyncllm.testing import Simulator


async def main() -> None:
    prices = {"gpt-sim": {"input": 2, "output": 10}}
    async with Simulator() as simulator:
        config = simulator.config(response_cache={"url": ":memory:"}, catalog={"prices": prices})
        async with asyncllm.Client(config) as client:
            await asyncio.gather(*[client.send("What is love?", user=f"user-{n}") for n in range(10)])
            print(f"{simulator.count()} request")
            for row in await client.ledger.report(by=["status"]):
                print(f"{row.group['status']}: {row.requests} replies, ${row.cost}, saved ${row.saved}")


asyncio.run(main())
