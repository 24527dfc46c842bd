"""asyncllm simulate: the built-in simulator of the providers, in the foreground, for programs in any language.

With a program behind ``--``, the simulator serves that program alone: it finds keys and base URLs in the variables that
the vendors' own SDKs read, and it ends with it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from . import interrupt

if TYPE_CHECKING:
    from ..testing import Simulator

USUAL_PORT = 8080
_LAST_PORT = 65_535

VARIABLES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
        "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
        "gemini": ("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
        "bedrock": ("AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
        "azure": ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"),
    }
)
"""Kinds of hosts with the variables of their key and base URL, which a program behind ``--`` gets."""

EXAMPLES = ("asyncllm simulate --port 8080 --latency 0.3", "asyncllm simulate -- python first.py")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``asyncllm simulate``."""
    parser.add_argument(
        "--port",
        type=port_number,
        help=f"the port to listen on; 0 picks a free one ({USUAL_PORT}; beside a program, a free one)",
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
    parser.add_argument(
        "program",
        nargs=argparse.REMAINDER,
        metavar="-- PROGRAM",
        help="runs this program with the simulator in the place of OpenAI, Anthropic, Gemini, Bedrock and Azure",
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
    """Serves until Ctrl-C, which is its proper end, or until the program ends, whose exit code it returns."""
    program = arguments.program[1:] if arguments.program[:1] == ["--"] else arguments.program
    try:
        return interrupt.run(_serve(arguments, program))
    except KeyboardInterrupt:
        print(file=sys.stderr)
    return 0


async def _serve(arguments: argparse.Namespace, program: Sequence[str]) -> int:
    import anyio

    from ..testing import Recording, Scenario, load_scenario

    port = arguments.port if arguments.port is not None else 0 if program else USUAL_PORT
    if arguments.replay is not None:
        from .record_traffic import serve

        if program:
            raise ConfigurationError("simulate --replay runs no program: start it beside, with the base URLs")
        recording = Recording(arguments.replay, timing=arguments.timing)
        await serve(recording, port, f"Replaying {len(recording)} exchanges of {arguments.replay}")
    scenario = Scenario() if arguments.scenario is None else load_scenario(arguments.scenario)
    said = {name: getattr(arguments, name) for name in ("latency", "chunk_delay", "seed")}
    changes = {name: value for name, value in said.items() if value is not None}
    async with scenario.simulator(port=port, keep=0, **changes) as simulator:
        if program:
            return await _run_program(program, simulator, key=(scenario.keys or ("sk-sim-any",))[0])
        keys = "any key will do" if scenario.keys is None else f"keys: {', '.join(scenario.keys)}"
        print(f"Simulating on port {simulator.port}; {keys}; Ctrl-C ends it.\n")
        for provider, entry in simulator.config()["providers"].items():
            print(f"{provider:12} base_url {simulator.url(provider)}   models {', '.join(entry['fallback_models'])}")
        sys.stdout.flush()
        await anyio.sleep_forever()
    return 0


async def _run_program(program: Sequence[str], simulator: Simulator, key: str) -> int:
    """Runs a program on the terminal of this one.

    Args:
        program: the words of its command line.
        simulator: the server that its requests go to.
        key: the key that it gets for every provider.

    Returns:
        Its exit code; 128 and the signal's number if one ended it.
    """
    import anyio

    # The simulator's access keys have one secret. The region may be any.
    environ = {"AWS_REGION": "us-east-1", **os.environ, "AWS_SECRET_ACCESS_KEY": "sk-sim-secret"}
    for kind, (key_variable, url_variable) in VARIABLES.items():
        environ |= {key_variable: key, url_variable: simulator.url(kind)}
    process = await anyio.open_process(list(program), stdin=None, stdout=None, stderr=None, env=environ)
    async with process:
        code = await process.wait()
    return code if code >= 0 else 128 - code
