"""What a configured host adds to every Converse body, as data.

What the models behind Converse accept, as rows by the beginning of their id.

The body is one for all; what a model takes of it is not. A model that no row knows (a new one, an application profile's
ARN, which hides its model) is allowed everything: the API has the last word. ``us.anthropic.claude-sonnet-4-6``, its
inference-profile ARN and ``anthropic.claude-sonnet-4-6`` are one model. Of Claude, the generations are rows of
`asyncllm._protocols.claude`.

Sources: the model profiles verified live by pydantic-ai 2.68 (``providers/bedrock``, ``models/bedrock``), and recorded
traffic (Nova 2's ``reasoningConfig``, Qwen's ``reasoning_config``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..aws import base_model


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


Asking = Callable[[str], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRules:
    """What one family of models accepts.

    Attributes:
        claude: a Claude model: its own thinking, its own ``tool_choice`` beside Converse's.
        efforts: the words ``reasoning`` may be; empty where it is not to be asked for.
        asking: an effort -> ``additionalModelRequestFields``.
        signatures: reasoning may carry a signature, or come as a blob; others refuse the whole request for that.
        sampling: ``temperature`` and ``topP`` are taken.
        result_status: a tool result may say that it is an error.
    """

    claude: bool = False
    efforts: tuple[str, ...] = ()
    asking: Asking | None = None
    signatures: bool = False
    sampling: bool = True
    result_status: bool = True


def _reasoning_effort(word: str) -> dict[str, Any]:
    return {"reasoning_effort": word}


def _reasoning(word: str) -> dict[str, Any]:
    return {"reasoning": {"effort": word}}


def _reasoning_config(word: str) -> dict[str, Any]:
    return {"reasoning_config": word}


def _nova(word: str) -> dict[str, Any]:
    if word == "none":
        return {"reasoningConfig": {"type": "disabled"}}
    return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": word}}


_TO_HIGH = ("low", "medium", "high")
_OPTIONAL = ("none", *_TO_HIGH)
_GPT = ModelRules(efforts=(*_OPTIONAL, "xhigh"), asking=_reasoning, sampling=False)

# The longest beginning that fits counts.
FAMILIES: Mapping[str, ModelRules] = {
    "anthropic.": ModelRules(claude=True, signatures=True),
    "amazon.nova-2": ModelRules(efforts=_OPTIONAL, asking=_nova),
    "openai.gpt-oss": ModelRules(efforts=_TO_HIGH, asking=_reasoning_effort),
    "openai.gpt-5.6": _GPT,
    "openai.gpt-6": _GPT,
    "deepseek.v3": ModelRules(efforts=_OPTIONAL, asking=_reasoning_effort),
    "qwen.": ModelRules(efforts=_OPTIONAL, asking=_reasoning_config),
    "xai.": ModelRules(efforts=(*_TO_HIGH, "xhigh"), asking=_reasoning, sampling=False),
    "zai.": ModelRules(efforts=_OPTIONAL, asking=_reasoning_effort),
    "zai.glm-5.3": ModelRules(efforts=(*_TO_HIGH, "xhigh", "max"), asking=_reasoning_effort),
    "writer.": ModelRules(result_status=False),
}
UNKNOWN = ModelRules()
HIDDEN = ModelRules(signatures=True)
"""An id without a vendor, such as an application profile's: it may be Claude."""


def rules_for(model: str) -> ModelRules:
    """The row of a model id; `UNKNOWN` for one that no row knows, `HIDDEN` for one that names no vendor."""
    name = base_model(model)
    fitting = [prefix for prefix in FAMILIES if name.startswith(prefix)]
    if fitting:
        return FAMILIES[max(fitting, key=len)]
    return UNKNOWN if "." in name else HIDDEN
