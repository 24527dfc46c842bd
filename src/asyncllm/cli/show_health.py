"""asyncllm health: how the targets have done lately, from the ledger, or the circuits of a running application.

Circuits live in the memory of the application. Another program sees what the ledger knows of the last hour, or asks the
application itself where its management endpoints are (``--url``, ``asyncllm.contrib.asgi.admin``).
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, TransportError
from . import interrupt
from .ledgers import Span, add_source, add_span, open_ledger, plain, span_of, with_progress
from .tables import table

if TYPE_CHECKING:
    from .._ledger.ledger import Ledger

EXAMPLES = (
    "asyncllm health",
    "asyncllm health --since 24h --json",
    'asyncllm health --url http://127.0.0.1:8000/llm --token "$ADMIN_TOKEN"',
)
FAILING, DEGRADED = 0.5, 0.05  # parts of the attempts that failed
BAD = 1
_TOKEN = "ASYNCLLM_ADMIN_TOKEN"  # noqa: S105  # the name of the variable
_HEAD = ("target", "state", "requests", "failed", "p50", "p95", "errors")
_RIGHT = frozenset({"requests", "failed", "p50", "p95"})
_LIVE = ("target", "state", "failure rate", "waiting", "reason")
_PATIENCE = 10.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``asyncllm health``."""
    parser.add_argument("--url", metavar="URL", help="the management endpoints of a running application")
    parser.add_argument("--token", metavar="TOKEN", help=f"their token (default: ${_TOKEN})")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    add_span(parser, "1h")
    add_source(parser)


def run(arguments: argparse.Namespace) -> int:
    """Shows the targets; 1 if one of them is failing."""
    if arguments.url is not None:
        return _live(arguments)
    found = interrupt.run(_from_ledger(open_ledger(arguments), span_of(arguments)))
    if arguments.json:
        print(json.dumps(found, default=plain))
    elif found:
        rows = [
            [
                f"{one['provider']}/{one['model']}",
                one["state"],
                f"{one['requests']:,}",
                f"{one['failure_rate']:.1%}",
                _seconds(one["latency_p50"]),
                _seconds(one["latency_p95"]),
                ", ".join(f"{name} {count}" for name, count in one["errors"].items()),
            ]
            for one in found
        ]
        for line in table(_HEAD, rows, right=_RIGHT):
            print(line)
    else:
        print("The ledger has no records of that time.")
    return BAD if any(one["state"] == "failing" for one in found) else 0


async def _from_ledger(ledger: Ledger, span: Span) -> list[dict[str, Any]]:
    try:
        rows = await with_progress(
            ledger.report(span.start, span.end, by=["provider", "model"], where=span.where), "reading the ledger"
        )
        wrong = await ledger.report(span.start, span.end, by=["provider", "model", "error"], where=span.where)
    finally:
        await ledger.aclose()
    errors: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for row in wrong:
        if row.group["error"] is not None:
            errors[row.group["provider"], row.group["model"]][row.group["error"]] = row.requests
    return [
        {
            "provider": row.group["provider"],
            "model": row.group["model"],
            "state": "failing" if row.failure_rate >= FAILING else "degraded" if row.failure_rate >= DEGRADED else "ok",
            "requests": row.requests,
            "failures": row.failures,
            "failure_rate": row.failure_rate,
            "latency_p50": row.latency_p50,
            "latency_p95": row.latency_p95,
            "errors": errors.get((row.group["provider"], row.group["model"]), {}),
        }
        for row in sorted(rows, key=lambda row: (-row.failure_rate, -row.requests))
    ]


def _live(arguments: argparse.Namespace) -> int:
    targets = _asked(arguments.url.rstrip("/"), arguments.token or os.environ.get(_TOKEN))
    if arguments.json:
        print(json.dumps(targets))
    elif targets:
        rows = [
            [
                f"{one['provider']}/{one['model']}",
                str(one["state"]),
                "-" if one.get("failure_rate") is None else f"{one['failure_rate']:.1%}",
                str(one["queue_depth"]),
                str(one.get("reason") or ""),
            ]
            for one in targets
        ]
        for line in table(_LIVE, rows, right=frozenset({"failure rate", "waiting"})):
            print(line)
    else:
        print("The application has used no target yet.")
    return BAD if any(one["state"] == "open" for one in targets) else 0


def _asked(url: str, token: str | None) -> list[Mapping[str, Any]]:
    """The targets as the application tells them.

    Raises:
        ConfigurationError: the address is none, nothing answers there, or the token is refused.
    """
    from .._transport.blocking import BlockingClient

    if not url.startswith(("http://", "https://")):
        raise ConfigurationError("--url must be the http or https address of the management endpoints")
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    asked = f"{url}/providers/health"
    try:
        answer = BlockingClient(None, {}).send(asked, headers=headers, timeout=_PATIENCE)
    except TransportError:
        raise ConfigurationError(f"{asked} cannot be reached; is the application running there?") from None
    if answer.status == 401:
        raise ConfigurationError(f"the application refused the token; give it with --token or ${_TOKEN}")
    try:
        targets: list[Mapping[str, Any]] = json.loads(answer.data)["targets"]
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(f"{asked} is no management endpoint (status {answer.status})") from None
    return targets


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"
