"""The figures of a reply in one line. Only known figures are shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._schema.response import Response
    from .._schema.usage import Usage


def tokens(usage: Usage) -> str:
    """``14 in + 9 out = 23 tokens``; "tokens unknown" where nobody counted them."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return "tokens unknown" if usage.total_tokens is None else f"{usage.total_tokens} tokens"
    return f"{usage.input_tokens} in + {usage.output_tokens} out = {usage.total_tokens} tokens"


def summary(response: Response) -> str:
    """Returns provider and model, tokens, the cost if it is known, and the time of the last attempt."""
    return " · ".join(_facts(response))


def _facts(response: Response) -> Iterator[str]:
    yield f"{response.provider} {response.model}".strip()
    yield tokens(response.usage)
    if response.cost is not None:
        yield f"${response.cost:f}"
    if response.attempts and response.attempts[-1].latency is not None:
        yield f"{response.attempts[-1].latency:.2f} s"
    if response.finish_reason != "stop":
        yield f"ended by {response.finish_reason}"
    if len(response.attempts) > 1:
        yield f"{len(response.attempts)} attempts"
