"""asyncllm dashboard: the costs of any ledger in a browser, on this machine only, read only.

The page is that of the management endpoints. It shows what the ledger knows; circuits and models are known to a running
application only. A configuration is needed for budgets, and otherwise not at all.
"""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import ConfigurationError
from .ledgers import add_source, settings_of

EXAMPLES = (
    "asyncllm dashboard",
    "asyncllm dashboard --database sqlite:///llm.db --port 9000",
    "asyncllm dashboard --database postgresql://reader@db/ledger --token a-token-of-16-letters",
)
USUAL_PORT = 8500
_LOOPBACK = "127.0.0.1"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``asyncllm dashboard``."""
    parser.add_argument(
        "--port", type=int, default=USUAL_PORT, help=f"the port on {_LOOPBACK} ({USUAL_PORT}); 0 for any"
    )
    parser.add_argument("--token", help="ask for this token, where others use this machine too")
    add_source(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serves the page until Ctrl-C."""
    try:
        import uvicorn

        from ..contrib.asgi import admin
    except ImportError:
        raise ConfigurationError(
            "the dashboard needs its packages: python -m pip install 'asyncllm-client[dashboard]'"
        ) from None
    del admin
    server = uvicorn.Server(
        uvicorn.Config(application(arguments), host=_LOOPBACK, port=arguments.port, log_level="warning", lifespan="off")
    )
    config = server.config
    socket = config.bind_socket()
    socket.listen(config.backlog)  # who reads the next line may connect at once
    print(f"The dashboard is at http://{_LOOPBACK}:{socket.getsockname()[1]}/ until Ctrl-C.", flush=True)
    try:
        server.run(sockets=[socket])
    except KeyboardInterrupt:
        print()
    return 0


def application(arguments: argparse.Namespace) -> Any:
    """What is served: the management endpoints over a ledger.

    Raises:
        ConfigurationError: there is no ledger.
    """
    from .._ledger.reader import LedgerReader
    from .._ledger.stores import MEMORY, store_of
    from ..contrib.asgi.admin import admin
    from ..contrib.asgi.ledger_view import LedgerView

    settings = None if arguments.database is not None and arguments.config is None else settings_of(arguments.config)
    database = arguments.database
    if database is None and settings is not None:
        database = settings.cost_tracking.database.get_secret_value()
    if database is None or database in MEMORY:
        raise ConfigurationError(
            "this configuration keeps its ledger in memory, so nothing of it is left; set cost_tracking.database"
        )
    ledger = LedgerReader(store_of(database), budgets=() if settings is None else settings.budgets)
    return admin(
        LedgerView(ledger, settings),
        token=arguments.token,
        unprotected=arguments.token is None,
        allowed_hosts=(_LOOPBACK, "localhost"),
    )
