"""What a configured host adds to every Converse body, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ConverseDialect:
    """One host's way to speak Converse.

    Attributes:
        max_tokens: how much to ask for when the caller does not say; None leaves it to the model's own limit.
        fields: top-level fields of every body (``guardrailConfig``, ``serviceTier``, ``performanceConfig``,
            ``requestMetadata``), under what the request itself says.
        adapt: a last change to the body before ``extra_body`` is merged: a pure function that gives a new body.
    """

    max_tokens: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    adapt: Callable[[dict[str, Any]], dict[str, Any]] | None = None
