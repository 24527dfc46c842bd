"""asyncllm demo: every wire format at work against the built-in simulator, without a key.

Only the models are simulated: requests leave through the real `Client`, over real HTTP on a loopback socket.
"""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from . import interrupt

if TYPE_CHECKING:
    from rich.console import Console

    from .._schema.response import Response
    from ..client import Client
    from ..testing import Simulator

SECONDS_BETWEEN_CHUNKS = 0.015  # slow enough to be seen arriving

EXAMPLES = ("asyncllm demo",)


def configure(parser: argparse.ArgumentParser) -> None:
    """`asyncllm demo` takes no arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Shows a reply, a stream and a fallback of every simulated provider, and returns 0."""
    try:
        from rich.console import Console
    except ImportError:
        raise ConfigurationError(
            "asyncllm demo draws its output with rich, which is not installed: "
            "python -m pip install 'asyncllm-client[cli]'"
        ) from None
    logging.getLogger("asyncllm").addHandler(logging.NullHandler())  # the story tells of the fallbacks already
    interrupt.run(_demonstrate(Console(highlight=False)))
    return 0


async def _demonstrate(console: Console) -> None:
    from ..client import Client
    from ..testing import Simulator

    async with Simulator(chunk_delay=SECONDS_BETWEEN_CHUNKS) as simulator:
        config = {**simulator.config(), "retry": {"max_attempts": 1}}
        console.print(
            f"\n[bold]asyncllm[/] against simulated models on local port {simulator.port}: real HTTP, no key\n"
        )
        rows: list[tuple[str, Response]] = []
        async with Client(config) as client:
            for provider, entry in config["providers"].items():
                console.print(f"[bold cyan]{provider}[/]")
                rows += await _show_provider(console, client, simulator, provider, entry["fallback_models"])
                console.print()
        console.print(_table(rows))
        console.print('\nWith a key of your own: [bold]asyncllm chat "Why is the sky blue?"[/]\n')


async def _show_provider(
    console: Console, client: Client, simulator: Simulator, provider: str, models: list[str]
) -> list[tuple[str, Response]]:
    from ..testing import Fault

    asked = await client.send("What is 2+2?", provider=provider)
    console.print(f"  send      What is 2+2? → [green]{asked.text}[/]")

    console.print("  stream    Count to 10 → ", end="")
    async with client.stream("Count to 10", provider=provider) as stream:
        async for event in stream:
            console.print(event.text, end="", style="green")
    console.print()

    simulator.on(models[0], Fault.status(503, times=1), provider=provider)
    rescued = await client.send("Hello", provider=provider)
    console.print(f"  fallback  {_story(rescued)} → [green]{rescued.text}[/]")
    return [("send", asked), ("stream", stream.response), ("fallback", rescued)]


def _story(response: Response) -> str:
    """``gpt-sim said 503, gpt-sim-mini answered``."""
    return ", ".join(
        f"{attempt.model} answered" if attempt.outcome == "ok" else f"{attempt.model} said {attempt.status}"
        for attempt in response.attempts
    )


def _table(rows: list[tuple[str, Response]]) -> Any:
    from rich import box
    from rich.table import Table

    priced = any(response.cost is not None for _, response in rows)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("provider", "call", "answered by"):
        table.add_column(heading, no_wrap=True)
    for heading in ("attempts", "in", "out", "tokens", *(["USD"] if priced else []), "ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    for call, response in rows:
        usage = response.usage
        figures: list[object] = [len(response.attempts), usage.input_tokens, usage.output_tokens, usage.total_tokens]
        figures += [None if response.cost is None else f"{response.cost:f}"] if priced else []
        latency = response.attempts[-1].latency
        cells = ["?" if figure is None else str(figure) for figure in figures]
        table.add_row(
            response.provider, call, response.model, *cells, "?" if latency is None else f"{latency * 1000:.0f}"
        )
    return table
