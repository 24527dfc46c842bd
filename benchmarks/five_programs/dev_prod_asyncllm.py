import asyncio
import os

import asyncllm


async def main() -> None:
    prod = os.environ.get("APP_ENV") == "prod"
    target = {"model": "gpt-4o", "fallback": [("anthropic", "claude-haiku-4-5")]} if prod else {"model": "gpt-4o-mini"}
    async with asyncllm.Client() as client:
        print((await client.send("What is 2+2?", **target)).text)


asyncio.run(main())
