"""Real recorded exchanges, read in place where they lie beside the checkout; and how codecs are fed in tests."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from asyncllm._models.lookup import FactBook
from asyncllm._protocols.codec import Context
from asyncllm._protocols.wire_json import WireJSON
from asyncllm._schema.content import Origin

FOLDER = Path(__file__).resolve().parent.parent.parent / "shared" / "wire" / "dev"


def recorded(*names: str, **where: Any) -> list[dict[str, Any]]:
    """The exchanges of these files (``"anthropic"``) whose fields equal ``where``; skips where there are no files."""
    if not FOLDER.is_dir():
        pytest.skip("the recorded exchanges are not beside this checkout")
    return [
        line for name in names for line in _lines(name) if all(line.get(key) == value for key, value in where.items())
    ]


def _lines(name: str) -> Iterator[dict[str, Any]]:
    with (FOLDER / f"{name}.jsonl").open(encoding="utf8") as lines:
        yield from map(json.loads, lines)


def body_of(exchange: dict[str, Any]) -> bytes:
    """The response body as bytes."""
    if exchange.get("response_body_b64") is not None:
        return base64.b64decode(exchange["response_body_b64"])
    return str(exchange.get("response_body") or "").encode()


def headers_of(exchange: dict[str, Any]) -> dict[str, str]:
    """The response headers, names in lower case."""
    found = exchange.get("response_headers") or {}
    return {name.lower(): value if isinstance(value, str) else ", ".join(value) for name, value in found.items()}


FACTS = FactBook()


def context(provider: str = "openai", protocol: str = "openai_chat", model: str = "m") -> Context:
    """A context with countable ids and a clock that stands still."""
    ids = count(1)
    return Context(
        origin=Origin(provider, protocol),
        provider=provider,
        model=model,
        json=WireJSON(),
        new_id=lambda prefix: f"{prefix}{next(ids)}",
        now=lambda: 1_795_000_000.0,
        facts=FACTS.find(provider, model),
    )
