"""Estimates of a call before it is made: tokens and cost.

They decide about limits, prices and window sizes, and are never reported as usage.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal

from .._ledger.book import Bookkeeper
from .._ledger.columns import Head
from .._ledger.units import to_dollars
from .._models.bounds import bound_of
from .._models.tokens import estimate_tokens
from .._protocols.codec import Context, JSONCodec
from .._schema.content import Origin
from .._schema.facts import ModelFacts
from .._schema.request import ASSUMED_OUTPUT_TOKENS, Request
from .target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """A forecast of one call.

    Attributes:
        provider: the configured name.
        model: what would be asked first.
        input_tokens: of the messages and tools, estimated.
        max_tokens: the most output: what the request on the wire says, else what a budget would assume.
        most: US dollars that it can cost at most, as a budget would reserve; None when the price is unknown.
    """

    provider: str
    model: str
    input_tokens: int
    max_tokens: int
    most: Decimal | None


def forecast(books: Bookkeeper, target: Target, request: Request, facts: ModelFacts, json: JSONCodec) -> CostEstimate:
    """Returns the forecast for a target. The request is encoded, so that the upper bound is the one that a budget
    reserves.

    Args:
        books: knows the prices and the budgets.
        target: what would be asked.
        request: what would be asked of it.
        facts: what is known of its model.
        json: writes the request.

    Raises:
        UnsupportedError: the model cannot be asked this.
    """
    provider = target.provider
    route = provider.resolve("chat", target.model, request)
    context = Context(
        origin=Origin(provider.origin or provider.kind, route.protocol.name, provider.account),
        provider=provider.name,
        model=target.model,
        json=json,
        new_id=lambda prefix: f"{prefix}0",  # nobody sees it: nothing is sent
        now=time.time,
        facts=facts,
    )
    wire = route.protocol.encode(request, context)
    bound = bound_of(json.loads(wire.body), target.model, dict(wire.headers))
    output = bound.output(books.assumed_output(Head(provider=provider.name, kind=provider.kind, model=target.model)))
    nano = books.prices.worst_case(
        provider.kind,
        target.model,
        bound.input_tokens,
        output,
        when=datetime.now(timezone.utc),
        service_tier=bound.tier,
        provider=provider.name,
        tools=bound.tools,
        without=bound.without,
        place=bound.place or provider.place,
    )
    return CostEstimate(
        provider=provider.name,
        model=target.model,
        input_tokens=estimate_tokens(request),
        max_tokens=output,
        most=None if nano is None else to_dollars(nano),
    )


def estimate(request: Request) -> tuple[int, int]:
    """Returns rough numbers of input and output tokens of a request."""
    return estimate_tokens(request), request.max_tokens or ASSUMED_OUTPUT_TOKENS
