import asyncio

from pydantic_ai import Agent, ModelRetry

agent = Agent("openai-chat:gpt-4o-mini")


@agent.tool_plain
def get_weather(city: str) -> str:
    """Gets the weather in a city."""
    return f"rain in {city}"


@agent.tool_plain
def get_news(city: str) -> str:
    """Gets the news of a city."""
    try:
        raise ConnectionError("the newspaper is closed")
    except ConnectionError as error:
        raise ModelRetry(str(error)) from error


async def main() -> None:
    result = await agent.run("What are the weather and the news in Oslo?")
    print(result.output, result.usage.total_tokens)


asyncio.run(main())
