"""How a request asks for reasoning: Claude as on its own API, other families by the field their row names.

The fields stand in ``additionalModelRequestFields``, which reach the model as they are. A model that no row knows is
asked by Converse's own ``outputConfig.effort``. Sources: pydantic-ai 2.68 (``models/bedrock``), botocore 1.44.5
(``OutputConfig``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...errors import UnsupportedParameterError
from ..anthropic.thinking import plan_thinking, unthought
from ..anthropic.thinking import rules_for as claude_rules
from ..base import Context
from .models import ModelRules

_WORDS: Mapping[str, str] = {"reasoningContent": "thinking", "toolResult": "tool_result"}


class ReasoningPlan(NamedTuple):
    """What to send.

    Attributes:
        fields: for ``additionalModelRequestFields``.
        effort: for ``outputConfig``.
        thinks: Claude's ``thinking.type``; None where it is not asked to think.
        warning: what will differ from what was asked, a sentence.
    """

    fields: dict[str, Any]
    effort: str | None = None
    thinks: str | None = None
    warning: str | None = None


def plan_reasoning(
    reasoning: str | int | None,
    model: str,
    rules: ModelRules,
    context: Context,
    messages: Sequence[Mapping[str, Any]] = (),
) -> ReasoningPlan:
    """What to send for an effort word, a budget in tokens, or nothing.

    Args:
        reasoning: what was asked for.
        model: its id.
        rules: its family's.
        context: of the call.
        messages: as they will be sent: which of them are Claude's decides whether it may think within a budget.

    Raises:
        UnsupportedParameterError: the model does not take it; the sentence says what it takes.
    """
    if reasoning is None:
        return ReasoningPlan({})
    if rules.claude:
        return _claude(reasoning, model, context, messages)
    word = "none" if reasoning == 0 else reasoning
    if isinstance(word, int):
        raise UnsupportedParameterError(
            f"{model} takes no reasoning budget in tokens; give reasoning an effort word, or the model's own field in "
            "extra_body's additionalModelRequestFields",
            provider=context.provider,
            model=model,
        )
    if rules.asking is None:
        return _unknown(word, model)
    if word not in rules.efforts:
        words = ", ".join([repr(effort) for effort in rules.efforts])
        raise UnsupportedParameterError(
            f"{model} does not take reasoning={word!r}; give it one of {words}",
            provider=context.provider,
            model=model,
        )
    return ReasoningPlan(rules.asking(word))


def _claude(reasoning: str | int, model: str, context: Context, messages: Sequence[Mapping[str, Any]]) -> ReasoningPlan:
    plan = unthought(plan_thinking(reasoning, model, claude_rules(model), context), messages, _kind_of)
    fields: dict[str, Any] = {} if plan.thinking is None else {"thinking": plan.thinking}
    if plan.effort is not None:
        fields["output_config"] = {"effort": plan.effort}
    thinks = None if plan.thinking is None else str(plan.thinking["type"])
    return ReasoningPlan(fields, thinks=None if thinks == "disabled" else thinks, warning=plan.warning)


def _kind_of(block: Mapping[str, Any]) -> str:
    return next((word for key, word in _WORDS.items() if key in block), "other")


def _unknown(word: str, model: str) -> ReasoningPlan:
    if word != "none":
        return ReasoningPlan({}, effort=word)
    return ReasoningPlan({}, warning=f"reasoning='none' was left out: how {model} is told so is not known here")
