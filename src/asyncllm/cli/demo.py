"""asyncllm demo: every wire format at work against the built-in simulator, without a key.

Only the models are simulated, and so are their prices. Requests leave through the real `Client`, over real HTTP on a
loopback socket, and the report at the end comes from the real ledger.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypedDict

from ..errors import ConfigurationError
from . import interrupt

if TYPE_CHECKING:
    from rich.console import Console

    from .._ledger.reports import ReportRow
    from .._schema.response import Response
    from ..client import Client
    from ..testing import Simulator

SECONDS_BETWEEN_CHUNKS = 0.012  # slow enough to be seen arriving
PRICE: Mapping[str, int] = MappingProxyType({"input": 1, "output": 5})  # US dollars for a million tokens; invented

EXAMPLES = ("asyncllm demo",)


def configure(parser: argparse.ArgumentParser) -> None:
    """`asyncllm demo` takes no arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Shows replies, streams, fallbacks, a tool, a structured answer and what it all cost, and returns 0."""
    logging.getLogger("asyncllm").addHandler(logging.NullHandler())  # the story tells of the fallbacks already
    interrupt.run(_demonstrate(_console()))
    return 0


def _console() -> Console:
    try:
        from rich.console import Console
    except ImportError:
        raise ConfigurationError(
            "asyncllm demo draws its output with rich, which is not installed: "
            "python -m pip install 'asyncllm-client[cli]'"
        ) from None

    class Screen(Console):
        """A console that leaves a closed pipe to the command line, which ends quietly."""

        def on_broken_pipe(self) -> None:
            """Raises the error that rich is about to hide."""
            raise  # rich calls this while it handles the error

    return Screen(highlight=False)


class City(TypedDict):
    """What the structured answer holds."""

    name: str
    country: str


async def get_weather(city: str) -> dict[str, object]:
    """Gets the weather in a city."""
    return {"city": city, "sky": "rain", "degrees": 17}


async def _demonstrate(console: Console) -> None:
    from ..client import Client
    from ..testing import Simulator

    async with Simulator(chunk_delay=SECONDS_BETWEEN_CHUNKS) as simulator:
        config = {**simulator.config(), "retry": {"max_attempts": 1}}
        chains = {name: entry["fallback_models"] for name, entry in config["providers"].items()}
        config["catalog"] = {"prices": {model: PRICE for chain in chains.values() for model in chain}}
        console.print(f"\n[bold]asyncllm[/] asks simulated models on local port {simulator.port}: real HTTP, no key\n")
        async with Client(config) as client:
            for provider, models in chains.items():
                console.print(f"[bold cyan]{provider}[/]")
                await _show_provider(console, client, simulator, provider, models)
            console.print("\n[bold cyan]built on one call[/]")
            await _show_tool(console, client, simulator)
            await _show_structured(console, client, simulator)
            console.print("\n[bold cyan]the ledger's report[/] has a row for each HTTP attempt, the failed ones too")
            console.print(_table(await client.ledger.report(by=["provider", "model"])))
            console.print(f"spent [bold yellow]${await client.session_cost():f}[/], at invented prices")
        console.print('\nWith a key of your own: [bold]asyncllm chat "Why is the sky blue?"[/]\n')


async def _show_provider(
    console: Console, client: Client, simulator: Simulator, provider: str, models: Sequence[str]
) -> None:
    from ..testing import Fault

    asked = await client.send("What is 2+2?", provider=provider)
    console.print(f"  send      What is 2+2? → [green]{asked.text}[/]{_facts(asked)}")

    console.print("  stream    Count to 10 → ", end="")
    async with client.stream("Count to 10", provider=provider) as stream:
        async for event in stream:
            console.print(event.text, end="", style="green")
    console.print(_facts(stream.response))

    simulator.on(models[0], Fault.status(503, times=1), provider=provider)
    rescued = await client.send("Hello", provider=provider)
    console.print(f"  fallback  {_story(rescued)} → [green]{rescued.text}[/]")


async def _show_tool(console: Console, client: Client, simulator: Simulator) -> None:
    from ..testing import ToolUse

    simulator.script(ToolUse("get_weather", {"city": "Oslo"}), "Rain at 17 degrees: take an umbrella.")
    result = await client.run("Do I need an umbrella in Oslo?", tools=[get_weather])
    called = ", ".join(f"{one.call.name}({one.call.raw_arguments})" for step in result.steps for one in step.calls)
    console.print(f"  tool      Do I need an umbrella in Oslo? → [magenta]{called}[/]", soft_wrap=True)
    console.print(f"            → [green]{result.text}[/][dim]  {len(result.steps)} steps, ${result.cost:f}[/]")


async def _show_structured(console: Console, client: Client, simulator: Simulator) -> None:
    simulator.script('{"name": "Oslo", "country": "Norway"}')
    reply = await client.send("Tell me of Oslo.", response_format=City)
    console.print(f"  typed     Tell me of Oslo. → [green]{reply.parsed}[/][dim]  ${reply.cost:f}[/]")


def _facts(response: Response) -> str:
    """``  15 tokens, $0.000019``, dimmed."""
    return f"[dim]  {response.usage.total_tokens} tokens, ${response.cost:f}[/]"


def _story(response: Response) -> str:
    """``gpt-sim said 503, gpt-sim-mini answered``."""
    return ", ".join(
        f"{attempt.model} answered" if attempt.outcome == "ok" else f"{attempt.model} [red]said {attempt.status}[/]"
        for attempt in response.attempts
    )


def _table(rows: Sequence[ReportRow]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("provider", "model"):
        table.add_column(heading, no_wrap=True)
    for heading, style in (("requests", ""), ("failed", "red"), ("in", ""), ("out", ""), ("USD", "yellow"), ("ms", "")):
        table.add_column(heading, style=style, justify="right", no_wrap=True)
    for row in rows:
        figures = (row.requests, row.failures or "", row.input_tokens, row.output_tokens, f"{row.cost:f}")
        latency = "" if row.latency_p50 is None else f"{row.latency_p50 * 1000:.0f}"
        table.add_row(*map(str, row.group.values()), *map(str, figures), latency)
    return table
