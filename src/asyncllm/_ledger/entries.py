"""What the ledger holds: a `Record` for every HTTP attempt, and the two halves it is made of.

A `Head` is known before the first byte leaves; a `Settlement` when the attempt is over. Amounts are nano-dollars,
durations seconds; what nobody knows is None, never 0. No content of a conversation, no key and no text of an error is
ever part of an entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from .._schema.request import Operation
from .._schema.response import Outcome
from .._schema.usage import UNKNOWN_USAGE, Usage
from .money import to_dollars


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """An attempt that is about to begin.

    Attributes:
        provider: the configured name of the provider.
        kind: the provider's kind, by which it is priced.
        model: the model this attempt goes to.
        requested_model: the model the call asked for.
        session: the client's session.
        call: what the attempts of one call have in common: the id of the first one; None for the first one itself.
        attempt: its number within the call, from 1.
        operation: what the attempt is for.
        user: for whom, as the call says.
        agent: which agent, as the call says.
        tags: the call's own tags.
        variant: the branch of a split (A/B) that the router chose.
        input_estimate: input tokens as estimated before the call.
        output_estimate: the most output tokens to expect.
    """

    provider: str
    model: str
    kind: str = ""
    requested_model: str | None = None
    session: str = ""
    call: str | None = None
    attempt: int = 1
    operation: Operation = "chat"
    user: str | None = None
    agent: str | None = None
    tags: Mapping[str, str] | None = None
    variant: str | None = None
    input_estimate: int | None = None
    output_estimate: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How an attempt ended.

    Attributes:
        status: ``"ok"``, ``"error"``, ``"cancelled"``, ``"interrupted"`` or ``"unknown"``.
        error: the class name of the exception.
        http_status: the HTTP status, where there was an answer.
        usage: tokens by kind; its ``source`` says who counted.
        cost: nano-dollars; None when the price or the usage is unknown.
        price_version: of the price data that ``cost`` comes from.
        latency: seconds from the first byte out to the end.
        first_token_latency: seconds to the first content of a stream.
        waited: seconds the attempt waited for its turn before it began.
        request_id: the provider's id of the request.
    """

    status: Outcome
    error: str | None = None
    http_status: int | None = None
    usage: Usage = UNKNOWN_USAGE
    cost: int | None = None
    price_version: str | None = None
    latency: float | None = None
    first_token_latency: float | None = None
    waited: float | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One HTTP attempt, as the ledger keeps it; a `Head` and a `Settlement` say what the fields mean.

    Attributes:
        id: a ULID, made here.
        time: when the attempt was opened, UTC.
        nano_cost: nano-dollars; None when the price or the usage is unknown.
        nano_reserved: what hard and warning budgets had reserved for it, nano-dollars; None without a budget.
        recovered: its process died; it is charged at the estimate.
    """

    id: str
    time: datetime
    session: str
    call: str
    attempt: int
    provider: str
    model: str
    requested_model: str
    status: Outcome
    error: str | None = None
    http_status: int | None = None
    usage: Usage = UNKNOWN_USAGE
    nano_cost: int | None = None
    nano_reserved: int | None = None
    price_version: str | None = None
    latency: float | None = None
    first_token_latency: float | None = None
    waited: float | None = None
    request_id: str | None = None
    user: str | None = None
    agent: str | None = None
    tags: Mapping[str, str] | None = None
    variant: str | None = None
    recovered: bool = False

    @property
    def cost(self) -> Decimal | None:
        """US dollars; None when the price or the usage is unknown."""
        return None if self.nano_cost is None else to_dollars(self.nano_cost)

    @property
    def excess(self) -> Decimal:
        """US dollars that it cost beyond what budgets had reserved for it; 0 without a reservation."""
        if self.nano_cost is None or self.nano_reserved is None:
            return Decimal(0)
        return to_dollars(max(0, self.nano_cost - self.nano_reserved))
