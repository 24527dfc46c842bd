"""What an answer that was cut short used, when nobody counted it to the end.

What the provider said before the cut is kept, but for one thing: some wires begin with a count of output tokens that is
only the beginning (Anthropic's ``message_start`` says 1), so the output is at least what its text comes to, a token for
every four characters begun. The result is marked as an estimate.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .._schema.content import Reasoning, Text, ToolCall
from .._schema.response import Response
from .._schema.usage import UNKNOWN_USAGE, Usage
from .columns import Head

CHARACTERS_PER_TOKEN = 4


def estimate_usage(head: Head, partial: Response | None, said: Usage = UNKNOWN_USAGE) -> Usage:
    """The usage of an attempt that did not end well.

    Args:
        head: what was known before; its estimate stands in for an input that nobody counted.
        partial: what came of the answer; None when nothing did.
        said: what the provider counted so far.
    """
    if partial is not None and said.source == "unknown":
        said = partial.usage
    characters = 0 if partial is None else sum(_characters(part) for part in partial.message.content)
    output = -(-characters // CHARACTERS_PER_TOKEN)
    return replace(
        said,
        input_tokens=head.input_estimate if said.input_tokens is None else said.input_tokens,
        output_tokens=max(output, said.output_tokens or 0),
        total_tokens=None,  # added up anew
        source="estimated",
    )


def _characters(part: Any) -> int:
    if isinstance(part, (Text, Reasoning)):
        return len(part.text)
    return len(part.raw_arguments) if isinstance(part, ToolCall) else 0
