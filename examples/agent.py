"""An agent with two tools, one of which fails, and approval before anything is deleted."""

import asyncio

import asyncllm
from asyncllm import RefuseTool, RunContext, ToolCall
from asyncllm.testing import ModelRequest, Reply, Simulator, ToolUse


@asyncllm.tool
async def get_weather(city: str) -> dict[str, object]:
    """Gets the weather in a city, now."""
    if city == "Atlantis":
        raise LookupError("there is no such city")
    return {"city": city, "degrees": 17}


@asyncllm.tool
def delete_notes(older_than_days: int) -> str:
    """Deletes old notes."""
    return f"deleted notes older than {older_than_days} days"


def approve(call: ToolCall, context: RunContext[None]) -> RefuseTool | None:
    return RefuseTool("The user does not want that.") if call.name == "delete_notes" else None


def model(request: ModelRequest) -> Reply | str:
    """The simulated model: it calls three tools and then repeats what they said."""
    if request.tool_results:
        return " ".join(request.tool_results)
    return Reply(
        tool_calls=(
            ToolUse("get_weather", {"city": "Oslo"}),
            ToolUse("get_weather", {"city": "Atlantis"}),
            ToolUse("delete_notes", {"older_than_days": 30}),
        )
    )


async def main() -> None:
    async with Simulator(reply=model) as simulator, asyncllm.Client(simulator.config()) as client:
        run = await client.run("What is the weather?", tools=[get_weather, delete_notes], before_tool=approve)
        for step in run.steps:
            for one in step.calls:
                print(f"{one.call.name}: {'failed' if one.result.is_error else 'ok'}")
        print(run.text)


asyncio.run(main())
