"""One vocabulary of reasoning for every model: the caller's word or budget -> what this model takes.

Rules:

- The words are ``"none"``, ``"minimal"``, ``"low"``, ``"medium"``, ``"high"``, ``"xhigh"``, ``"max"``; a budget is a
  number of tokens, and 0 is ``"none"``. Each of them is valid for every model.
- A model that lacks a value gets the nearest one that it has, with a warning: a word becomes another word or a budget,
  a budget another budget or a word. Of two words that are equally near the higher one is taken. ``"none"`` becomes the
  least that the model takes where it cannot be switched off.
- A model that cannot reason is not asked to, with a warning, so that one word works for a whole chain of models.
- What a model takes is in `asyncllm._schema.facts.ReasoningRules`. A wire says what it assumes of a model of which
  nothing is known: the host has the last word there.

A wire's request file only spells the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import log
from typing import Any, NamedTuple, get_args

from .._schema.facts import ReasoningRules
from .._schema.request import ReasoningWord, Request
from ..errors import BadRequestError
from .parts import PartWriter

WORDS: tuple[str, ...] = get_args(ReasoningWord)
BUDGETS: Mapping[str, int] = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 32_768,
}
"""The budget in tokens that a word stands for, where a model takes budgets only."""
ANY_EFFORT = ReasoningRules(efforts=WORDS[1:], optional=True)
"""What a wire that knows efforts assumes of a model of which nothing is known."""


class Amount(NamedTuple):
    """Says how much reasoning to ask for, in the model's own terms.

    Attributes:
        value: ``"none"`` to switch it off, a word that the model takes, a budget that it takes, ``"on"`` for a model
            that can only be switched on; None to say nothing.
        note: what differs from what was asked for, a sentence; None where nothing does.
        left_out: why nothing is said of what was asked for; None where something is.
    """

    value: str | int | None = None
    note: str | None = None
    left_out: str | None = None


NOTHING = Amount()


def amount(wanted: str | int | None, rules: ReasoningRules, model: str) -> Amount:
    """Returns what to ask a model for.

    Args:
        wanted: a word, a budget in tokens, or None for the model's own default.
        rules: how the model is told to reason.
        model: its name, for the note.

    Raises:
        BadRequestError: the word is not one of `WORDS`.
    """
    if wanted is None:
        return NOTHING
    if isinstance(wanted, str) and wanted not in WORDS:
        words = ", ".join(map(repr, WORDS))
        raise BadRequestError(
            f"reasoning must be one of {words}, or a budget in tokens, not {wanted!r}; "
            "a word of the provider's own goes into extra_body"
        )
    if wanted in ("none", 0):
        return _off(rules, model)
    if not rules.reasons:
        return Amount(left_out=f"{model} does not reason")
    if not rules.efforts and rules.budgets is None:
        if "on" in rules.modes:
            return Amount("on", f"{model} can only be told to reason or not: reasoning={wanted!r} switches it on")
        return Amount(left_out=f"{model} always reasons, and takes no amount")
    if isinstance(wanted, int):
        if rules.budgets is not None:
            return _bounded(wanted, wanted, rules.budgets, model)
        return _noted(_word_near(wanted, rules.efforts), wanted, model)
    if wanted in rules.efforts:
        return Amount(wanted)
    if rules.efforts:
        return _noted(_nearest(wanted, rules.efforts), wanted, model)
    return _bounded(BUDGETS[wanted], wanted, rules.budgets or (1, None), model)


def on_chat(rules: ReasoningRules) -> ReasoningRules:
    """Returns the rules of OpenAI's chat completions, which do not take every effort of the Responses API."""
    if rules.most_on_chat is None:
        return rules
    most = WORDS.index(rules.most_on_chat)
    return replace(rules, efforts=tuple([word for word in rules.efforts if WORDS.index(word) <= most]))


def will_reason(asked: Amount, rules: ReasoningRules | None) -> bool:
    """Returns whether a model will reason for this request; False if that is not known."""
    if asked.value is None:
        return rules is not None and rules.by_default
    return asked.value != "none"


def ask(request: Request, rules: ReasoningRules, writer: PartWriter[Any]) -> Amount:
    """Returns what to ask the model for, and adds a warning if it differs from what the caller wanted."""
    asked = amount(request.reasoning, rules, request.model)
    tell(asked, writer)
    return asked


def tell(asked: Amount, writer: PartWriter[Any]) -> None:
    """Adds a warning if this differs from what the caller wanted."""
    if asked.left_out is not None:
        writer.leave_out("reasoning", asked.left_out)
    if asked.note is not None:
        writer.warn(asked.note)


def sampling_hints(request: Request, writer: PartWriter[Any], asked: Amount) -> dict[str, float]:
    """Returns the sampling hints that are sent, by keyword: ``temperature`` and ``top_p``, if the model takes them.

    Args:
        request: the request.
        writer: is told each hint that is left out.
        asked: how much reasoning is asked for.
    """
    if request.temperature is None and request.top_p is None:
        return {}
    given = {"temperature": request.temperature, "top_p": request.top_p}
    hints = {keyword: value for keyword, value in given.items() if value is not None}
    facts = writer.context.facts
    if facts.sampling is False:
        why = f"{request.model} takes no sampling parameters"
    elif facts.sampling_while_reasoning is False and will_reason(asked, facts.rules):
        advice = "; reasoning='none' lets it take them" if facts.rules is not None and facts.rules.optional else ""
        why = f"{request.model} takes no sampling parameters while it reasons{advice}"
    else:
        return hints
    for keyword in hints:
        writer.leave_out(keyword, why)
    return {}


def _off(rules: ReasoningRules, model: str) -> Amount:
    if not rules.reasons:
        return NOTHING
    if rules.optional:
        return Amount("none")
    if rules.efforts:
        return _noted(rules.efforts[0], "none", model)
    if rules.budgets is not None:
        return _noted(rules.budgets[0], "none", model)
    return Amount(left_out=f"{model} always reasons")


def _bounded(budget: int, wanted: str | int, budgets: tuple[int, int | None], model: str) -> Amount:
    smallest, largest = budgets
    budget = max(budget, smallest) if largest is None else min(max(budget, smallest), largest)
    return Amount(budget) if budget == wanted else _noted(budget, wanted, model)


def _nearest(wanted: str, efforts: tuple[str, ...]) -> str:
    place = WORDS.index(wanted)
    return min(efforts, key=lambda word: (abs(WORDS.index(word) - place), -WORDS.index(word)))


def _word_near(budget: int, efforts: tuple[str, ...]) -> str:
    return min(efforts, key=lambda word: abs(log(BUDGETS[word] / max(budget, 1))))


def _noted(chosen: str | int, wanted: str | int, model: str) -> Amount:
    told = f"{chosen} tokens" if isinstance(chosen, int) else repr(chosen)
    return Amount(chosen, f"{model} does not take reasoning={wanted!r}; {told} was asked for instead")
