"""asyncllm simulate: the built-in simulator of the providers, in the foreground, for programs in any language."""

from __future__ import annotations

import argparse
import sys

from . import interrupt

USUAL_PORT = 8080
_LAST_PORT = 65_535


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``asyncllm simulate``."""
    parser.add_argument(
        "--port", type=_port, default=USUAL_PORT, help="the port to listen on; 0 picks a free one (8080)"
    )
    parser.add_argument("--latency", type=_seconds, default=0.0, metavar="SECONDS", help="before the head of an answer")
    parser.add_argument("--chunk-delay", type=_seconds, default=0.0, metavar="SECONDS", help="between two events")
    parser.add_argument("--seed", type=int, default=0, help="what the built-in model's words depend on")


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is no port: give 0 to {_LAST_PORT}")
    return port


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Serves until Ctrl-C, which is its proper end."""
    try:
        interrupt.run(_serve(arguments))
    except KeyboardInterrupt:
        print(file=sys.stderr)
    return 0


async def _serve(arguments: argparse.Namespace) -> None:
    import anyio

    from ..testing import Simulator

    async with Simulator(
        port=arguments.port, seed=arguments.seed, latency=arguments.latency, chunk_delay=arguments.chunk_delay, keep=0
    ) as simulator:
        print(f"Simulating on port {simulator.port}; any key will do; Ctrl-C ends it.\n")
        for provider, entry in simulator.config()["providers"].items():
            print(f"{provider:12} base_url {simulator.url(provider)}   models {', '.join(entry['fallback_models'])}")
        sys.stdout.flush()
        await anyio.sleep_forever()
