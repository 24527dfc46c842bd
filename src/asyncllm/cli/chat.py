"""asyncllm chat: ask a real provider and watch the answer arrive.

The provider comes from ``--config``, else from ``./config.yaml`` where there is one, else from the key variables in the
environment. The answer goes to stdout, what it used to stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import AsyncLLMError, ConfigurationError
from . import interrupt
from .figures import summary
from .opening import open_client

if TYPE_CHECKING:
    from .._schema.response import Attempt, Response
    from ..client import Client

EXAMPLES = (
    'asyncllm chat "Why is the sky blue?"',
    "cat essay.md | asyncllm chat --provider anthropic",
    'asyncllm chat --json "What is 2+2?"',
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``asyncllm chat``."""
    parser.add_argument("question", nargs="?", default="-", help="what to ask; '-' or nothing reads it from stdin")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration (default: ./config.yaml)")
    parser.add_argument("--provider", metavar="NAME", help="a provider of the configuration (default: the active one)")
    parser.add_argument("--model", metavar="ID", help="the model to ask (default: the provider's first)")
    parser.add_argument("--json", action="store_true", help="print the whole reply as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Asks, prints the answer, and returns the exit code."""
    return interrupt.run(_ask(arguments, _question(arguments.question)))


def _question(argument: str) -> str:
    if argument == "-" and sys.stdin.isatty():
        print("Type the question, then Ctrl-D:", file=sys.stderr)
    question = (sys.stdin.read() if argument == "-" else argument).strip()
    if not question:
        raise ConfigurationError("there is no question: give one as the argument, or pipe it in")
    return question


async def _ask(arguments: argparse.Namespace, question: str) -> int:
    async with open_client(arguments.config, arguments.provider) as client:
        where: dict[str, Any] = {"provider": arguments.provider, "model": arguments.model}
        where = {name: value for name, value in where.items() if value is not None}
        if arguments.json:
            print(json.dumps(as_object(await client.send(question, **where))))
        else:
            await _show(client, question, where)
    return 0


async def _show(client: Client, question: str, where: dict[str, Any]) -> None:
    shown = ""
    try:
        async with client.stream(question, **where) as stream:
            async for event in stream:
                if event.text:
                    shown = event.text
                    print(shown, end="", flush=True)
            response = stream.response
    except AsyncLLMError:
        _end_line(shown)
        raise
    _end_line(shown)
    print(summary(response), file=sys.stderr)
    for warning in response.warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _end_line(shown: str) -> None:
    if shown and not shown.endswith("\n"):
        print(flush=True)


def as_object(response: Response) -> dict[str, Any]:
    """A reply as what ``--json`` prints; money is a decimal string, unknown values are null."""
    return {
        "text": response.text,
        "finish_reason": response.finish_reason,
        "provider": response.provider,
        "model": response.model,
        "requested_model": response.requested_model,
        "request_id": response.request_id,
        "usage": asdict(response.usage),
        "cost": None if response.cost is None else f"{response.cost:f}",
        "attempts": [_attempt(attempt) for attempt in response.attempts],
        "warnings": list(response.warnings),
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "provider": attempt.provider,
        "model": attempt.model,
        "outcome": attempt.outcome,
        "status": attempt.status,
        "error": None if attempt.error is None else f"{type(attempt.error).__name__}: {attempt.error}",
        "latency": attempt.latency,
        "request_id": attempt.request_id,
    }
