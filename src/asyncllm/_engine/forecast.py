"""What a call will take and cost, before it is made: estimates, said to be such.

They decide about limits, prices and window sizes, and are never reported as usage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal

from .._checks import ToolLike, read_tools
from .._ledger.book import Bookkeeper
from .._ledger.units import to_dollars
from .._models.tokens import estimate_tokens
from .._schema.messages import Message
from .._schema.request import Request
from .limits import EXPECTED_OUTPUT_TOKENS
from .target import Target

ASSUMED_OUTPUT_TOKENS = 4096  # of a call that sets no max_tokens, as budgets assume


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """A forecast of one call.

    Attributes:
        provider: the configured name.
        model: what would be asked first.
        input_tokens: of the messages and tools, estimated.
        max_tokens: the output that was assumed.
        most: US dollars that it can cost at most with so many tokens; None when the price is unknown.
    """

    provider: str
    model: str
    input_tokens: int
    max_tokens: int
    most: Decimal | None


def estimate_messages(messages: tuple[Message, ...], tools: Sequence[ToolLike] | None) -> int:
    """Input tokens of a conversation, estimated."""
    return estimate(Request(model="", messages=messages, tools=read_tools(tools)))[0]


def forecast(books: Bookkeeper, target: Target, input_tokens: int, max_tokens: int | None) -> CostEstimate:
    """The forecast for a target; without ``max_tokens`` as many output tokens as a budget would assume."""
    assumed = max_tokens or ASSUMED_OUTPUT_TOKENS
    provider = target.provider
    nano = books.prices.worst_case(
        provider.kind,
        target.model,
        input_tokens,
        assumed,
        when=datetime.now(timezone.utc),
        provider=provider.name,
    )
    return CostEstimate(
        provider=provider.name,
        model=target.model,
        input_tokens=input_tokens,
        max_tokens=assumed,
        most=None if nano is None else to_dollars(nano),
    )


def estimate(request: Request) -> tuple[int, int]:
    """Input and output tokens of a request, roughly."""
    return estimate_tokens(request), request.max_tokens or EXPECTED_OUTPUT_TOKENS
