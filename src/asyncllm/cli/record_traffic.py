"""asyncllm record: stores the real traffic of any program in a file, without its keys, to be replayed.

Point the program's base URL to the address that is printed. `asyncllm simulate --replay FILE` plays the file.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from . import interrupt
from .simulate import USUAL_PORT, port_number

if TYPE_CHECKING:
    from ..testing import Recording

EXAMPLES = ("asyncllm record traffic.json --port 8080",)


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``asyncllm record``."""
    parser.add_argument("file", type=Path, help="where the traffic is stored; new traffic is added")
    parser.add_argument(
        "--port", type=port_number, default=USUAL_PORT, help="the port to listen on; 0 picks a free one (8080)"
    )
    parser.add_argument("--all", action="store_true", help="ask everything anew, also what the file has already")
    parser.add_argument(
        "--scrub", action="append", default=[], metavar="PATTERN", help="a regular expression to take out (repeatable)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Records until Ctrl-C, which is its proper end."""
    from ..testing import Recording

    place = arguments.file if arguments.file.exists() else arguments.file.parent
    if not os.access(place, os.W_OK):
        raise ConfigurationError(
            f"{arguments.file} cannot be written; name a file in a folder that is there and is yours"
        )
    recording = Recording(arguments.file, mode="all" if arguments.all else "new", scrub=arguments.scrub)
    try:
        interrupt.run(serve(recording, arguments.port, f"Recording to {arguments.file}"))
    except KeyboardInterrupt:
        print(f"\n{len(recording)} exchanges are in {arguments.file}", file=sys.stderr)
    return 0


async def serve(recording: Recording, port: int, headline: str) -> None:
    """Serves a recording, and prints where."""
    import anyio

    from .._testing.relay import Relay

    relay = Relay(recording, port=port, told=lambda sentence: print(f"asyncllm: {sentence}", file=sys.stderr))
    async with relay.serving():
        print(f"{headline} on port {relay.port}; Ctrl-C ends it.\n")
        for provider, url in relay.urls().items():
            print(f"{provider:12} base_url {url}")
        sys.stdout.flush()
        await anyio.sleep_forever()
