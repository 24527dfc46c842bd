import asyncio

import asyncllm


def get_weather(city: str) -> str:
    """Gets the weather in a city."""
    return f"rain in {city}"


def get_news(city: str) -> str:
    """Gets the news of a city."""
    raise ConnectionError("the newspaper is closed")


async def main() -> None:
    async with asyncllm.Client() as client:
        run = await client.run("What are the weather and the news in Oslo?", tools=[get_weather, get_news])
        print(run.text, run.usage.total_tokens)


asyncio.run(main())
