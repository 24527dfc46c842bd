"""What worker processes run that end without closing anything; started by `test_worker_pools`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

from asyncllm import Client, SyncClient

CLIENTS: dict[str, Any] = {}


def settings(url: str, database: str, budgeted: bool) -> dict[str, Any]:
    """One provider, and the database that all workers share."""
    return {
        "active_provider": "p",
        "providers": {
            "p": {"kind": "openai_compatible", "base_url": f"{url}/v1", "fallback_models": ["m"]},
        },
        "catalog": {"prices": {"p/m": {"input": 1, "output": 1}}},
        "cost_tracking": {"database": f"sqlite:///{database}", "on_error": "error"},
        "budgets": [{"limit": 1000, "per": "total"}] if budgeted else [],
    }


def ask(work: tuple[str, str, bool, int]) -> int:
    """Makes so many calls with a client of this process that nobody closes."""
    url, database, budgeted, calls = work
    client = CLIENTS.get(url)
    if client is None:
        client = CLIENTS[url] = SyncClient(settings(url, database, budgeted))
    for _ in range(calls):
        client.send("hi")
    return calls


def main(how: str, url: str, database: str, budgeted: str, calls: str) -> None:
    """Makes the calls and ends the process in the way that is named."""
    work = (url, database, budgeted == "True", int(calls))
    if how == "async":
        import anyio

        async def run() -> None:
            client = Client(settings(*work[:3]))
            for _ in range(work[3]):
                await client.send("hi")
            os._exit(0)

        anyio.run(run)
    ask(work)
    if how == "SIGTERM":
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait()
    if how == "SIGKILL":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "exception":
        raise SystemError("the worker failed")
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
