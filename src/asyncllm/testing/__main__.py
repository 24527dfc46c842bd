"""``python -m asyncllm.testing``: the same as ``asyncllm simulate``, without the command-line tool."""

from __future__ import annotations

import sys

import anyio

from .._testing.hosts import main_hosts
from .._testing.simulator import Simulator


async def main(port: int) -> None:
    """Serves on a port (0: any free one) until interrupted."""
    async with Simulator(port=port, keep=0) as sim:
        for kind in main_hosts():
            print(f"{kind:12} {sim.url(kind)}", flush=True)  # noqa: T201 - this is a command
        await anyio.sleep_forever()


if __name__ == "__main__":
    try:
        anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
    except KeyboardInterrupt:
        sys.exit(0)
