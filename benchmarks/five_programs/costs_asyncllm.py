import asyncio

import asyncllm


async def main() -> None:
    async with asyncllm.Client() as client:
        for user in ("ann", "bob", "ann"):
            await client.send("Count to 20", user=user)
        await client.ledger.export_csv("costs.csv")
        for row in await client.ledger.report(by=["day", "user"]):
            print(row.group["day"], row.group["user"], row.cost)


asyncio.run(main())
