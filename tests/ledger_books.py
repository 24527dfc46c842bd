"""What tests of the ledger share: a head, a settlement, prices one can add up in the head, child processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncllm._ledger.budgets import Hold
from asyncllm._ledger.columns import Head, Settlement
from asyncllm._ledger.ledger import Ledger
from asyncllm._schema.usage import Usage

DOLLAR = 1_000_000_000
HEAD = Head(provider="openai", kind="openai", model="gpt-x", session="S", user="ann", input_estimate=100)
DONE = Settlement(
    status="ok", usage=Usage(input_tokens=10, output_tokens=20), cost=30, latency=0.5, price_version="2026-11-01"
)


@dataclass(frozen=True)
class Price:
    """A cost, in the shape of the price book's."""

    nano_dollars: int | None
    reason: str | None = None
    source: str = "table"
    version: str = "2026-11-01"


class PlainPrices:
    """A nano-dollar an input token, two an output token; the model ``"free-for-all"`` has no price."""

    def cost(self, kind: str, model: str, usage: Usage, **options: Any) -> Price:
        if model == "free-for-all":
            return Price(None, "no price is known")
        if usage.input_tokens is None or usage.output_tokens is None:
            return Price(None, "nothing was counted")
        return Price(usage.input_tokens + 2 * usage.output_tokens)

    def worst_case(self, kind: str, model: str, input_tokens: int, max_tokens: int, **options: Any) -> int | None:
        return None if model == "free-for-all" else input_tokens + 2 * max_tokens


def hold(ledger: Ledger, amount: int | None, head: Head = HEAD) -> Hold:
    """A reservation in every window that counts the head."""
    return Hold(amount, ledger.budgets.charges(head, ledger.now()))


def child(source: str, *arguments: str | Path, environ: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """A Python process of its own, with its standard streams in pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", source, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environ or {}), "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
    )


def value(found: Any) -> Any:
    """Not None, for the type checker and for a clear failure."""
    assert found is not None
    return found
