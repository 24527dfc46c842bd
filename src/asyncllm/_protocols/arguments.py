"""Arguments of tool calls where the wire wants an object and the model, or another host, gave text that is none."""

from __future__ import annotations

from typing import Any

from .._schema.content import parse_arguments

INVALID_JSON = "INVALID_JSON"
"""The key under which argument text that is no JSON object is sent."""


def as_object(raw: str) -> dict[str, Any]:
    """The arguments that a text says, or the text itself under `INVALID_JSON`."""
    parsed = parse_arguments(raw)
    return {INVALID_JSON: raw} if parsed is None else parsed
