"""Tells Claude how to think, on every wire that serves it. `asyncllm._schema.facts` says which model takes what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._schema.facts import ReasoningRules
from .._schema.request import Request
from .parts import PartWriter
from .reasoning import NOTHING, Amount, amount, tell

SMALLEST_BUDGET = 1024
"""Tokens; the API refuses less."""
ROOM_FOR_THE_ANSWER = 4096
"""Tokens on top of a thinking budget, where neither the caller nor the host's entry says how long an answer may be."""
_UNKNOWN = ReasoningRules(
    efforts=("low", "medium", "high", "xhigh", "max"),
    budgets=(SMALLEST_BUDGET, None),
    optional=True,
    modes=("adaptive", "enabled", "disabled"),
    readable_on_request=True,
)
"""What is assumed of a Claude model of which nothing is known: it is the newest."""
_THOUGHTS = ("thinking", "redacted_thinking")


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingPlan:
    """Says how a request asks for reasoning.

    Attributes:
        thinking: the body's ``thinking``; None leaves it to the model's default.
        effort: the body's ``output_config.effort``.
        asked: how much reasoning is asked for.
        warning: what will differ from what was asked, a sentence.
    """

    thinking: dict[str, Any] | None = None
    effort: str | None = None
    asked: Amount = NOTHING
    warning: str | None = None

    @property
    def budget(self) -> int:
        """Returns the tokens set aside for thinking; 0 if there is no budget."""
        found = (self.thinking or {}).get("budget_tokens", 0)
        return int(found)


NO_THINKING = ThinkingPlan()
"""The plan of a request that says nothing of reasoning."""


def plan_thinking(request: Request, writer: PartWriter[Any], *, max_tokens: int | None, room: int) -> ThinkingPlan:
    """Returns what is sent for a word, a budget in tokens, or nothing.

    Args:
        request: the request.
        writer: is told what differs from what the caller asked for.
        max_tokens: what the caller bounds the output to, thinking included.
        room: tokens for the answer besides the thinking, where the caller gives no ``max_tokens``.
    """
    rules = writer.context.facts.rules or _UNKNOWN
    asked = amount(request.reasoning, rules, request.model)
    if isinstance(asked.value, int):
        asked = _within(asked, request.reasoning, writer.context.facts.max_output_tokens, max_tokens, room)
    tell(asked, writer)
    if asked.value is None:
        return NO_THINKING
    if asked.value == "none":
        off = {"type": "disabled" if "disabled" in rules.modes else "between_tools"}
        return ThinkingPlan(thinking=off, asked=asked)
    if isinstance(asked.value, int):
        return ThinkingPlan(thinking={"type": "enabled", "budget_tokens": asked.value}, asked=asked)
    adaptive = {"type": "adaptive"}
    if rules.readable_on_request:
        adaptive["display"] = "summarized"
    return ThinkingPlan(thinking=adaptive, effort=asked.value, asked=asked)


def _within(asked: Amount, wanted: str | int | None, limit: int | None, max_tokens: int | None, room: int) -> Amount:
    """Bounds the budget by ``max_tokens``, which must be larger; a word leaves half of them for the answer."""
    budget = int(asked.value or 0)
    if max_tokens is not None:
        least = min(SMALLEST_BUDGET, max_tokens - 1)
        most = max_tokens - 1 if isinstance(wanted, int) else max(max_tokens // 2, least)
        why = f"max_tokens is {max_tokens}"
    elif limit is not None:
        most, why = limit - room, f"the model generates at most {limit} tokens"
    else:
        return asked
    if most < SMALLEST_BUDGET:
        return Amount(left_out=f"{why}, and thinking takes at least {SMALLEST_BUDGET}")
    if budget > most:
        return Amount(most, f"reasoning={wanted!r} became a budget of {most} tokens: {why}")
    return asked


def unthought(plan: ThinkingPlan, messages: Sequence[Mapping[str, Any]], kind_of: Callable[[Any], str]) -> ThinkingPlan:
    """Returns the plan without a thinking budget, where the API would refuse one.

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
