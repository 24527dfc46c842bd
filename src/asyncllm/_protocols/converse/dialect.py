"""What a configured host adds to every Converse body, and how it spells an effort, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ConverseDialect:
    """Says how one host speaks Converse.

    Attributes:
        max_tokens: how much to ask for when the caller does not say; None leaves it to the model's own limit.
        fields: top-level fields of every body (``guardrailConfig``, ``serviceTier``, ``performanceConfig``,
            ``requestMetadata``), under what the request itself says.
        system_tools: the tools that the host runs itself: word -> (what the ids of models with it hold, its name).
        adapt: a last change to the body before ``extra_body`` is merged: a pure function that gives a new body.
    """

    max_tokens: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    system_tools: Mapping[str, tuple[str, str]] = field(
        default_factory=lambda: {"code_execution": ("amazon.nova", "nova_code_interpreter")}
    )
    adapt: Callable[[dict[str, Any]], dict[str, Any]] | None = None


def _nova(word: str) -> dict[str, Any]:
    if word == "none":
        return {"reasoningConfig": {"type": "disabled"}}
    return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": word}}


ASKING: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "reasoning_effort": lambda word: {"reasoning_effort": word},
    "reasoning.effort": lambda word: {"reasoning": {"effort": word}},
    "reasoning_config": lambda word: {"reasoning_config": word},
    "reasoningConfig": _nova,
}
"""`ReasoningRules.field` -> an effort as ``additionalModelRequestFields``, which reach the model as they are.

Sources: pydantic-ai 2.68 (``models/bedrock``), and recorded traffic (Nova 2's ``reasoningConfig``, Qwen's
``reasoning_config``).
"""
