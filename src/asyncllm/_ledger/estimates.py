"""Estimates the usage of an attempt where the provider did not count it to the end.

What the provider said is kept, but for two things. Some wires begin with a count of output tokens that is only the
beginning (Anthropic's ``message_start`` says 1), so the output of a reply that was cut is at least what its text comes
to. And a 0 beside a text is no count. What is estimated is marked so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .._models.text_tokens import completed, has_uncountable, likely_tokens, tokens_of
from .._schema.response import Response
from .._schema.usage import UNKNOWN_USAGE, Usage
from .columns import Head

_TEXTS = ("content", "text", "reasoning_content", "reasoning", "refusal", "arguments")


def complete_usage(head: Head, response: Response | None, said: Usage) -> Usage:
    """Returns the usage of an answered attempt: as the provider counted it, else estimated.

    Args:
        head: what was known before; its estimate stands in for an input that nobody counted.
        response: the reply; None where there is none.
        said: what the provider counted.
    """
    if response is None:
        return completed(said, (), head.input_estimate)
    besides = 0 if said.output_tokens else further_tokens(response.raw)
    return completed(said, response.message.content, head.input_estimate, besides)


def further_tokens(body: Any) -> int:
    """Returns the tokens that the answers after the first one are taken to have (``n``, ``candidateCount``)."""
    if not isinstance(body, Mapping):
        return 0
    answers = body.get("choices") or body.get("candidates")
    if not isinstance(answers, list):
        return 0
    numbered = [(one.get("index", at), one) for at, one in enumerate(answers) if isinstance(one, Mapping)]
    return sum([_tokens_within(one) for index, one in numbered if index])


def _tokens_within(value: Any) -> int:
    """Returns the tokens of the texts in a reply."""
    if isinstance(value, list):
        return sum([_tokens_within(one) for one in value])
    if not isinstance(value, Mapping):
        return 0
    texts = [likely_tokens(text) for name in _TEXTS if isinstance(text := value.get(name), str)]
    return sum(texts) + sum([_tokens_within(one) for one in value.values() if isinstance(one, (list, Mapping))])


def estimate_usage(head: Head, partial: Response | None, said: Usage = UNKNOWN_USAGE) -> Usage:
    """Estimates the usage of an attempt that failed or was cut off.

    Args:
        head: what was known before; its estimate stands in for an input that nobody counted.
        partial: what came of the answer; None when nothing did.
        said: what the provider counted so far.
    """
    if partial is not None and said.source == "unknown":
        said = partial.usage
    parts = () if partial is None else partial.message.content
    output = max(tokens_of(parts), said.output_tokens or 0)
    return replace(
        completed(said, parts, head.input_estimate),
        input_tokens=said.input_tokens or head.input_estimate,
        output_tokens=None if has_uncountable(parts) and not said.output_tokens else output,
        total_tokens=None,  # added up anew
        source="estimated",
    )
