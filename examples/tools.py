"""Let the model call a function of yours, and answer with what it returned."""

import asyncio

import asyncllm
from asyncllm import Message, Tool
from asyncllm.testing import Simulator

WEATHER = Tool(
    "get_weather",
    "The weather in a city, now.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


def get_weather(city: str) -> dict[str, object]:
    return {"city": city, "degrees_celsius": 17}


async def main() -> None:
    async with Simulator() as simulator, asyncllm.Client(simulator.config()) as client:
        messages = [Message.user("What is the weather in Oslo?")]
        reply = await client.send(messages, tools=[WEATHER])
        while reply.tool_calls:
            messages.append(reply.message)
            for call in reply.tool_calls:
                print(f"{call.name}({call.raw_arguments})")
                if call.arguments is None:
                    result = Message.tool(call.id, "the arguments are not a JSON object", is_error=True)
                else:
                    result = Message.tool(call.id, get_weather(**call.arguments))
                messages.append(result)
            reply = await client.send(messages, tools=[WEATHER])
        print(reply.text)


asyncio.run(main())
