"""asyncllm simulate: the built-in simulator of the providers, in the foreground, for programs in any language."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import interrupt

USUAL_PORT = 8080
_LAST_PORT = 65_535

EXAMPLES = ("asyncllm simulate --port 8080 --latency 0.3",)


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``asyncllm simulate``."""
    parser.add_argument(
        "--port", type=port_number, default=USUAL_PORT, help="the port to listen on; 0 picks a free one (8080)"
    )
    parser.add_argument("--latency", type=_seconds, metavar="SECONDS", help="before the head of an answer")
    parser.add_argument("--chunk-delay", type=_seconds, metavar="SECONDS", help="between two events")
    parser.add_argument("--seed", type=int, help="what the built-in model's words depend on")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--scenario", type=Path, metavar="FILE", help="models, keys, replies and faults, from a YAML or JSON file"
    )
    source.add_argument(
        "--replay", type=Path, metavar="FILE", help="a file of `asyncllm record`, instead of the models"
    )
    parser.add_argument(
        "--timing",
        type=_seconds,
        default=0.0,
        metavar="FACTOR",
        help="with --replay: 1 keeps the pauses of the real answers, 0 leaves them out (0)",
    )


def port_number(text: str) -> int:
    """An argument that is a port."""
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

    from ..testing import Recording, Scenario, load_scenario

    if arguments.replay is not None:
        from .record_traffic import serve

        recording = Recording(arguments.replay, timing=arguments.timing)
        await serve(recording, arguments.port, f"Replaying {len(recording)} exchanges of {arguments.replay}")
    scenario = Scenario() if arguments.scenario is None else load_scenario(arguments.scenario)
    said = {name: getattr(arguments, name) for name in ("latency", "chunk_delay", "seed")}
    changes = {name: value for name, value in said.items() if value is not None}
    async with scenario.simulator(port=arguments.port, keep=0, **changes) as simulator:
        keys = "any key will do" if scenario.keys is None else f"keys: {', '.join(scenario.keys)}"
        print(f"Simulating on port {simulator.port}; {keys}; Ctrl-C ends it.\n")
        for provider, entry in simulator.config()["providers"].items():
            print(f"{provider:12} base_url {simulator.url(provider)}   models {', '.join(entry['fallback_models'])}")
        sys.stdout.flush()
        await anyio.sleep_forever()
