"""Laying one JSON object over another: how ``extra_body`` meets the body a codec wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def deep_merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """A new object of both: objects on both sides are merged key by key, everything else of ``above`` wins."""
    merged = dict(below)
    for name, value in above.items():
        known = merged.get(name)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        merged[name] = deep_merge(known, value) if both else value  # type: ignore[arg-type]  # both are mappings
    return merged
