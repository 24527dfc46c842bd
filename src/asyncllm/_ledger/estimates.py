"""What an attempt used, where nobody counted it to the end.

What the provider said is kept, but for two things. Some wires begin with a count of output tokens that is only the
beginning (Anthropic's ``message_start`` says 1), so the output of a reply that was cut is at least what its text comes
to. And a 0 beside a text is no count. What is estimated is marked so.
"""

from __future__ import annotations

from dataclasses import replace

from .._models.text_tokens import completed, tokens_of
from .._schema.response import Response
from .._schema.usage import UNKNOWN_USAGE, Usage
from .columns import Head


def complete_usage(head: Head, response: Response | None, said: Usage) -> Usage:
    """The usage of an attempt that was answered: as the provider counted it, else estimated.

    Args:
        head: what was known before; its estimate stands in for an input that nobody counted.
        response: the reply; None where there is none.
        said: what the provider counted.
    """
    return completed(said, () if response is None else response.message.content, head.input_estimate)


def estimate_usage(head: Head, partial: Response | None, said: Usage = UNKNOWN_USAGE) -> Usage:
    """The usage of an attempt that did not end well.

    Args:
        head: what was known before; its estimate stands in for an input that nobody counted.
        partial: what came of the answer; None when nothing did.
        said: what the provider counted so far.
    """
    if partial is not None and said.source == "unknown":
        said = partial.usage
    parts = () if partial is None else partial.message.content
    output = tokens_of(parts)
    return replace(
        completed(said, parts, head.input_estimate),
        input_tokens=said.input_tokens or head.input_estimate,
        output_tokens=max(output, said.output_tokens or 0),
        total_tokens=None,  # added up anew
        source="estimated",
    )
