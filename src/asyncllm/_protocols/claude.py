"""What each generation of Claude accepts of reasoning, tools and sampling: rows, looked up by family and version.

A model that no row knows (a new one, an ARN) is allowed everything: the API has the last word. ``claude-opus-4-5``,
``us.anthropic.claude-opus-4-5-20251101-v1:0``, ``claude-opus-4-5@20251101`` and ``anthropic/claude-opus-4.5`` are one
row.

Sources: the thinking and effort tables verified live by pydantic-ai 2.68, the anthropic SDK 2.11 (``thinking_config``),
litellm 1.109 (sampling, prefill); the rows before the 4.5 generation from the recorded traffic.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UnsupportedParameterError
from .codec import Context

SMALLEST_BUDGET = 1024
"""Tokens; the API refuses less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRules:
    """What one model accepts.

    Attributes:
        thinking: the ``thinking.type`` values it takes.
        efforts: the ``output_config.effort`` words it takes, from little to much.
        summary: readable reasoning comes only on request (``thinking.display``).
        forced_tools: ``tool_choice`` may force a call.
        system_messages: a system message may stand in the middle of a conversation.
        sampling: ``temperature`` and ``top_p`` are taken, in one API version at least.
        most_output: the most tokens it can generate, where that is below our default; None where it is not.
    """

    thinking: frozenset[str] = frozenset()
    efforts: tuple[str, ...] = ()
    summary: bool = False
    forced_tools: bool = True
    system_messages: bool = False
    sampling: bool = False
    most_output: int | None = None


_TO_HIGH = ("low", "medium", "high")
_TO_MAX = (*_TO_HIGH, "max")
_ALL = (*_TO_HIGH, "xhigh", "max")
_ADAPTIVE = frozenset({"adaptive"})
_OPTIONAL = frozenset({"adaptive", "disabled"})
_BUDGET = frozenset({"enabled", "disabled"})

_CHATTY = ModelRules(sampling=True)
_CHATTY_SMALL = ModelRules(sampling=True, most_output=4096)
_BUDGETED = ModelRules(thinking=_BUDGET, sampling=True)
_GEN_46 = ModelRules(thinking=_OPTIONAL | _BUDGET, efforts=_TO_MAX, sampling=True)
_GEN_5 = ModelRules(thinking=_OPTIONAL, efforts=_ALL, summary=True, system_messages=True)
_ALWAYS = ModelRules(thinking=_ADAPTIVE, efforts=_ALL, summary=True, system_messages=True)
_ALWAYS_UNFORCED = ModelRules(thinking=_ADAPTIVE, efforts=_ALL, summary=True, system_messages=True, forced_tools=False)

MODELS: Mapping[str, ModelRules] = {
    "fable-5": _ALWAYS,
    "fable-5-1": _ALWAYS_UNFORCED,
    "fable-5-2": _ALWAYS_UNFORCED,
    "mythos-5": _ALWAYS,
    "mythos-5-1": _ALWAYS_UNFORCED,
    "mythos-5-2": _ALWAYS_UNFORCED,
    "mythos-preview": ModelRules(thinking=_ADAPTIVE, efforts=_ALL, summary=True),
    "opus-5-5": _ALWAYS_UNFORCED,
    "opus-5": _GEN_5,
    "haiku-5-5": _GEN_5,
    "sonnet-5-5": ModelRules(
        thinking=frozenset({"adaptive", "between_tools"}),
        efforts=_ALL,
        summary=True,
        system_messages=True,
        forced_tools=False,
    ),
    # It accepts system messages in the middle, and ignores them without a word.
    "sonnet-5": ModelRules(thinking=_OPTIONAL, efforts=_ALL, summary=True),
    "opus-4-8": _GEN_5,
    "opus-4-7": ModelRules(thinking=_OPTIONAL, efforts=_ALL, summary=True),
    "opus-4-6": _GEN_46,
    "sonnet-4-6": _GEN_46,
    "opus-4-5": ModelRules(thinking=_BUDGET, efforts=_TO_HIGH, sampling=True),
    "sonnet-4-5": _BUDGETED,
    "haiku-4-5": _BUDGETED,
    "opus-4-1": _BUDGETED,
    "opus-4": _BUDGETED,
    "sonnet-4": _BUDGETED,
    "sonnet-3-7": _BUDGETED,
    "sonnet-3-5": _CHATTY,
    "haiku-3-5": _CHATTY,
    "opus-3": _CHATTY_SMALL,
    "sonnet-3": _CHATTY_SMALL,
    "haiku-3": _CHATTY_SMALL,
}

_THOUGHTS = ("thinking", "redacted_thinking")
_NAME = re.compile(r"claude-(?:([a-z]+)-(\d{1,2}|preview)(?:-(\d{1,2}))?(?!\d)|(\d)(?:-(\d))?-([a-z]+))")


def rules_for(model: str) -> ModelRules | None:
    """The row of a model id as any host writes it; None for a model that no row knows."""
    found = _NAME.search(model.lower().replace(".", "-"))
    if found is None:
        return None
    family, major, minor, old_major, old_minor, old_family = found.groups()
    if family is None:
        family, major, minor = old_family, old_major, old_minor
    return MODELS.get(f"{family}-{major}" if minor in (None, "0") else f"{family}-{major}-{minor}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingPlan:
    """How a request asks for reasoning.

    Attributes:
        thinking: the body's ``thinking``; None leaves it to the model's default.
        effort: the body's ``output_config.effort``.
        warning: what will differ from what was asked, a sentence.
    """

    thinking: dict[str, Any] | None = None
    effort: str | None = None
    warning: str | None = None

    @property
    def budget(self) -> int:
        """Tokens set aside for thinking; 0 where there is no budget."""
        found = (self.thinking or {}).get("budget_tokens", 0)
        return int(found)


def plan_thinking(reasoning: str | int | None, model: str, rules: ModelRules | None, context: Context) -> ThinkingPlan:
    """What to send for an effort word, a budget in tokens, or nothing.

    Words are the API's efforts (``low`` ... ``max``), ``none``, and the two ways to think that have names of their own,
    ``adaptive`` (without an effort) and ``between_tools``.

    Raises:
        UnsupportedParameterError: the model does not take it; the sentence says what it takes.
    """
    if reasoning is None:
        return ThinkingPlan()
    if reasoning in ("none", 0):
        return _none(model, rules, context)
    if isinstance(reasoning, int):
        return _budget(reasoning, model, rules, context)
    if reasoning in ("adaptive", "between_tools"):
        if rules is not None and reasoning not in rules.thinking:
            raise _unsupported(f"{model} does not take reasoning={reasoning!r}; {_advice(rules)}", model, context)
        return ThinkingPlan(thinking=_typed(reasoning, rules))
    return _effort(reasoning, model, rules, context)


def unthought(plan: ThinkingPlan, messages: Sequence[Mapping[str, Any]], kind_of: Callable[[Any], str]) -> ThinkingPlan:
    """The plan without a budget to think where the API would refuse one.

    While tools are being run, a budget wants the assistant's turn to begin with the thinking that led to the calls. A
    turn of another host, or one made without thinking, has none ("Expected `thinking` or `redacted_thinking`, but found
    `tool_use`"), so this step goes without. The newer, adaptive thinking has no such rule.

    Args:
        plan: what was asked for.
        messages: as they will be sent.
        kind_of: the type of a content block, in the words of the Messages API.
    """
    if plan.thinking is None or plan.thinking["type"] != "enabled" or len(messages) < 2:
        return plan
    calls, results = messages[-2:]
    blocks = [message["content"] for message in (calls, results)]
    if calls["role"] != "assistant" or not all(isinstance(content, list) for content in blocks):
        return plan
    if kind_of(blocks[0][0]) in _THOUGHTS or all(kind_of(block) != "tool_result" for block in blocks[1]):
        return plan
    return ThinkingPlan(
        effort=plan.effort,
        warning="the thinking budget was left out: the calls being answered were made without Claude's thinking",
    )


def _none(model: str, rules: ModelRules | None, context: Context) -> ThinkingPlan:
    if rules is None or "disabled" in rules.thinking:
        return ThinkingPlan(thinking={"type": "disabled"})
    if not rules.thinking:
        return ThinkingPlan()
    least = "between_tools" if "between_tools" in rules.thinking else rules.efforts[0]
    raise _unsupported(
        f"{model} always thinks, so reasoning cannot be 'none'; {least!r} is the least it takes", model, context
    )


def _budget(budget: int, model: str, rules: ModelRules | None, context: Context) -> ThinkingPlan:
    if rules is not None and "enabled" not in rules.thinking:
        raise _unsupported(f"{model} takes no thinking budget in tokens; {_advice(rules)}", model, context)
    if rules is not None and budget < SMALLEST_BUDGET:
        raise _unsupported(f"a thinking budget is at least {SMALLEST_BUDGET} tokens, not {budget}", model, context)
    return ThinkingPlan(thinking={"type": "enabled", "budget_tokens": budget})


def _effort(word: str, model: str, rules: ModelRules | None, context: Context) -> ThinkingPlan:
    if rules is not None and word not in rules.efforts:
        raise _unsupported(f"{model} does not take reasoning={word!r}; {_advice(rules)}", model, context)
    if rules is None or "adaptive" in rules.thinking:
        return ThinkingPlan(thinking=_typed("adaptive", rules), effort=word)
    return ThinkingPlan(
        effort=word,
        warning=f"{model} takes an effort without thinking; give reasoning a budget in tokens to make it think",
    )


def _typed(kind: str, rules: ModelRules | None) -> dict[str, Any]:
    if kind == "adaptive" and (rules is None or rules.summary):
        return {"type": kind, "display": "summarized"}
    return {"type": kind}


def _advice(rules: ModelRules) -> str:
    """What a model takes, as the end of a sentence."""
    if not rules.thinking:
        return "it cannot reason; leave reasoning out"
    words = [repr(word) for word in rules.efforts]
    words += [repr(kind) for kind in ("adaptive", "between_tools") if kind in rules.thinking]
    if "disabled" in rules.thinking:
        words.append("'none'")
    if "enabled" in rules.thinking:
        words.append(f"a budget of at least {SMALLEST_BUDGET} tokens")
    return f"give it one of {', '.join(words)}"


def _unsupported(sentence: str, model: str, context: Context) -> UnsupportedParameterError:
    return UnsupportedParameterError(sentence, provider=context.provider, model=model)
