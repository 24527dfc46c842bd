"""The books of a client. They stand between the engine, which makes attempts, and the ledger, which keeps rows.

One `CallBook` a call, one `BookedAttempt` an HTTP attempt. What an attempt is booked at follows the error's own advice
(`errors.Advice.ledger`): nothing was billed, what the provider counted, what came before the cut, or nobody knows. A
cost is known where a price and a usage are; otherwise it is None, and budgets are charged what was reserved.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from .._models.bounds import Bound
from .._models.schedule import Moment
from .._schema.advice import LedgerAdvice
from .._schema.content import ProviderToolCall
from .._schema.request import ASSUMED_OUTPUT_TOKENS, GENERATING, Operation
from .._schema.response import CostSource, Outcome, Response
from .._schema.usage import UNKNOWN_USAGE, Usage
from ..errors import AsyncLLMError
from .booking import Opening
from .budgets import Hold
from .columns import UNBILLED, Head, Settlement
from .estimates import complete_usage, estimate_usage
from .ledger import Ledger
from .thread import Appraise
from .units import to_dollars
from .untracked import SessionCosts

Estimate = Callable[[Head, "Response | None", Usage], Usage]
"""The usage of an attempt that was cut short: what was known before, what came, what the provider counted so far."""

BoundOf = Callable[[], Bound]
"""Reads from the request on the wire what it can use at most."""


class Priced(Protocol):
    """The interface of a cost: `asyncllm._models.prices.Cost`."""

    @property
    def nano_dollars(self) -> int | None:
        """The cost in nano-dollars; None if it is not known."""
        ...

    @property
    def reason(self) -> str | None:
        """Why the cost is not known; None if it is."""
        ...

    @property
    def source(self) -> str:
        """Where it comes from; ``"provider"`` where the provider said what it charged."""
        ...

    @property
    def version(self) -> str:
        """The version of the price data."""
        ...


class Prices(Protocol):
    """The interface of a price book: `asyncllm._models.prices.PriceBook`."""

    def cost(
        self,
        kind: str,
        model: str,
        usage: Usage,
        *,
        when: Moment,
        provider: str | None = None,
        answered: str | None = None,
        place: str | None = None,
    ) -> Priced:
        """What a call cost, or why that is not known."""
        ...

    def worst_case(
        self,
        kind: str,
        model: str,
        input_tokens: int,
        max_tokens: int,
        *,
        when: Moment,
        service_tier: str | None = None,
        provider: str | None = None,
        tools: Mapping[str, int] | None = None,
        without: Collection[str] = (),
        place: str | None = None,
    ) -> int | None:
        """The most a call can cost, in nano-dollars; None where the price is not known."""
        ...


class Settled(NamedTuple):
    """The cost at which an attempt was booked.

    Attributes:
        usage: as counted or estimated.
        cost: US dollars; None when a part of the bill is unknown.
        cost_source: ``"provider"`` where it said what it charged, the price ``"table"``, or an ``"estimate"``; None
            without a cost.
        unpriced_reason: why there is no cost; None where there is one.
    """

    usage: Usage
    cost: Decimal | None
    cost_source: CostSource | None = None
    unpriced_reason: str | None = None


BATCH_TIER = "batch"
"""The service tier of what is answered in a batch, in the words of the price list."""


def appraiser(prices: Prices) -> Appraise:
    """Returns a function that prices attempts of dead processes: at what they had reserved, else by their estimated
    tokens.
    """

    def appraise(opening: Opening) -> Settlement:
        head = opening.head
        usage = Usage(input_tokens=head.input_estimate, output_tokens=head.output_estimate, source="estimated")
        if opening.hold is not None and opening.hold.amount is not None:
            return Settlement(status="unknown", usage=usage, cost=opening.hold.amount, cost_source="estimate")
        priced = prices.cost(head.kind, head.model, usage, when=opening.time, provider=_priced_at(head))
        cost, source, version, reason = _billed(usage, priced)
        return Settlement(
            status="unknown", usage=usage, cost=cost, cost_source=source, unpriced_reason=reason, price_version=version
        )

    return appraise


def _priced_at(head: Head) -> str:
    """The name under which the price book knows the entry, or its deployment."""
    return head.provider if head.deployment is None else f"{head.provider}/{head.deployment}"


class Bookkeeper:
    """The books of a client.

    Args:
        ledger: where rows go.
        prices: what tokens cost.
        estimate: counts what the provider did not.

    Attributes:
        budgeted: there are budgets, so that attempts may have to reserve something.
    """

    __slots__ = ("budgeted", "estimate", "ledger", "prices")

    def __init__(self, ledger: Ledger | SessionCosts, prices: Prices, *, estimate: Estimate = estimate_usage) -> None:
        self.ledger: Ledger | SessionCosts = ledger
        self.prices: Prices = prices
        self.estimate: Estimate = estimate
        self.budgeted: bool = bool(ledger.budgets)

    def call(self, requested_model: str, **whose: Any) -> CallBook:
        """The books of one call.

        Args:
            requested_model: the model that it asks for.
            **whose: fields of `Head` that its attempts have in common: ``user``, ``agent``, ``tags``, ``variant``.
        """
        return CallBook(self, {"requested_model": requested_model, "session": self.ledger.session, **whose})

    def assumed_output(self, head: Head) -> int:
        """Returns the output tokens that are assumed for a call without ``max_tokens``: the most of its budgets."""
        budgets = [
            budget.assume_output_tokens for budget in self.ledger.budgets if budget.scope.values(head) is not None
        ]
        return max(budgets, default=ASSUMED_OUTPUT_TOKENS)

    def hold(self, head: Head, bound: BoundOf | None = None, place: str = "", *, batch: bool = False) -> Hold | None:
        """Returns what an attempt must reserve, or None if no budget counts it.

        Args:
            head: the attempt.
            bound: reads from the request on the wire what it can use at most; without it the estimates of the head
                are taken.
            place: where it is served.
            batch: it is a line of a batch, which costs less where the price list says so, and never more.
        """
        ledger = self.ledger
        if head.operation not in GENERATING:
            return None
        now = ledger.now()
        charges = ledger.budgets.charges(head, now)
        if not charges or head.operation in UNBILLED:
            return None
        most = Bound(input_tokens=head.input_estimate or 0, output_tokens=head.output_estimate)
        if bound is not None:
            most = bound()
        amount = None
        for tier in (BATCH_TIER, most.tier) if batch else (most.tier,):
            if amount is None:
                amount = self.prices.worst_case(
                    head.kind,
                    head.model,
                    most.input_tokens,
                    most.output(self.assumed_output(head)),
                    when=now,
                    service_tier=tier,
                    provider=_priced_at(head),
                    tools=most.tools,
                    without=most.without,
                    place=most.place or place,
                )
        return Hold(amount, charges)


class CallBook:
    """The books of one call; numbers its attempts.

    Attributes:
        keeper: of the client.
        shared: fields of `Head` that its attempts have in common.
    """

    __slots__ = ("_attempts", "keeper", "shared")

    def __init__(self, keeper: Bookkeeper, shared: dict[str, Any]) -> None:
        self.keeper: Bookkeeper = keeper
        self.shared: dict[str, Any] = shared
        self._attempts = 0

    async def open(
        self,
        *,
        provider: str,
        kind: str,
        model: str,
        input_tokens: int,
        max_tokens: int | None = None,
        operation: Operation = "chat",
        deployment: str | None = None,
        bound: BoundOf | None = None,
        place: str = "",
    ) -> BookedAttempt:
        """Opens the row of the next attempt. Await it before the first byte is sent.

        Args:
            provider: the configured name.
            kind: the provider's kind.
            model: the model this attempt goes to.
            input_tokens: an upper bound of the input.
            max_tokens: the most output tokens the call allows; None where it does not say.
            operation: what the attempt is for.
            deployment: the key, region or endpoint that is used; None where the provider has only one.
            bound: reads from the request on the wire what it can use at most; asked only where a budget counts it.
            place: where the provider serves it, which its price may depend on.

        Raises:
            BudgetExceededError: a hard budget has no room, or the model has no price under one.
            LedgerError: the ledger cannot be written, and the policy is to refuse.
        """
        self._attempts += 1
        get = self.shared.get
        head = Head(  # by place, in the order of its fields: twice as fast, and every attempt comes by here
            provider,
            model,
            kind,
            deployment,
            operation,
            get("requested_model"),
            get("session", ""),
            get("call"),
            self._attempts,
            get("user"),
            get("agent"),
            get("tags"),
            get("variant"),
            input_tokens,
            max_tokens,
        )
        keeper = self.keeper
        hold = keeper.hold(head, bound, place) if keeper.budgeted else None
        return BookedAttempt(self, await keeper.ledger.open(head, hold), place)

    def book_cached(self, *, provider: str, kind: str, model: str, saved: int | None) -> None:
        """Books a reply that came from the cache: no attempt was made, and nothing is billed or reserved.

        Args:
            provider: the configured name.
            kind: the provider's kind.
            model: the model that answered at first.
            saved: nano-dollars that the reply cost then; None where that is not known.
        """
        self._attempts += 1
        head = Head(provider=provider, kind=kind, model=model, attempt=self._attempts, **self.shared)
        ledger = self.keeper.ledger
        opening = ledger.open_at_once(head, None)
        ledger.settle(opening, Settlement(status="cached", cost=0, cost_source="table", saved=saved))

    def open_again(self, opening: Opening, place: str) -> BookedAttempt:
        """Opens the row of an attempt that follows another one at once and takes over its reservation. See
        `BookedAttempt.again`.
        """
        self._attempts += 1
        head = opening.head._replace(attempt=self._attempts, call=self.shared.get("call"))
        return BookedAttempt(self, self.keeper.ledger.open_at_once(head, opening.hold), place)


class BookedAttempt:
    """One HTTP attempt in the books. Settle it once, whatever happens; a second time does nothing."""

    __slots__ = ("_book", "_opening", "_place")

    def __init__(self, book: CallBook, opening: Opening, place: str = "") -> None:
        self._book = book
        self._opening = opening
        self._place = place
        book.shared.setdefault("call", opening.id)  # a call is named after its first attempt

    @property
    def id(self) -> str:
        """The id of its record."""
        return self._opening.id

    def settle(
        self,
        outcome: Outcome,
        *,
        error: AsyncLLMError | None = None,
        status: int | None = None,
        usage: Usage = UNKNOWN_USAGE,
        partial: Response | None = None,
        latency: float | None = None,
        first_token_latency: float | None = None,
        waited: float | None = None,
        request_id: str | None = None,
        free: bool = False,
    ) -> Settled:
        """Settles the attempt. Never waits; a finaliser may call it.

        Args:
            outcome: how it ended.
            error: what went wrong; its advice says what is billed.
            status: the HTTP status.
            usage: what the provider counted.
            partial: the reply, also one that was cut short; its error's own ``partial`` by default.
            latency: seconds from the first byte out.
            first_token_latency: seconds to the first content.
            waited: seconds it waited for its turn.
            request_id: the provider's id.
            free: nothing was billed, whatever the error's advice says: a stale connection that took no request.

        Returns:
            What it was booked at.
        """
        keeper, opening = self._book.keeper, self._opening
        head = opening.head
        saved: int | None = None
        advice: LedgerAdvice = "real" if outcome == "ok" else "partial"
        if free:
            advice = "zero"
        elif error is not None:
            advice = error.advice.ledger
        if advice == "zero":
            usage = UNKNOWN_USAGE
            cost, source, version, reason = _NOTHING_BILLED
        else:
            partial = partial or getattr(error, "partial", None)
            usage = _count(keeper.estimate, head, advice, error, usage, partial)
            answered = None if partial is None else partial.model or None
            cost, source, version, reason = _billed(usage, self._price(usage, answered))
            if cost is not None and source == "table" and (usage.cache_read_tokens or usage.cache_write_tokens):
                without = replace(
                    usage, cache_read_tokens=None, cache_write_tokens=None, cache_write_tokens_by_ttl=None
                )
                whole = self._price(without, answered).nano_dollars
                saved = None if whole is None else whole - cost
        keeper.ledger.settle(
            opening,
            Settlement(  # by place, in the order of its fields, as in `CallBook.open`
                outcome,
                None if error is None else type(error).__name__,
                status,
                cost,
                source,
                reason,
                version,
                latency,
                first_token_latency,
                waited,
                request_id,
                saved,
                usage,
            ),
        )
        return Settled(usage, None if cost is None else to_dollars(cost), source, reason)

    def _price(self, usage: Usage, answered: str | None) -> Priced:
        head = self._opening.head
        return self._book.keeper.prices.cost(
            head.kind,
            head.model,
            usage,
            when=self._opening.time,
            provider=_priced_at(head),
            answered=answered,
            place=self._place,
        )

    def void(self) -> None:
        """Removes the row and the reservation of an attempt that sent no byte."""
        self._book.keeper.ledger.settle(self._opening, None)

    def again(self) -> BookedAttempt:
        """Opens the row of an attempt that follows this settled one without a pause, on a fresh connection.

        It is queued right behind the end of this one, and takes its reservation over.
        """
        return self._book.open_again(self._opening, self._place)


_Bill = tuple[int | None, CostSource | None, str | None, str | None]
_NOTHING_BILLED: _Bill = (0, "table", None, None)


def _billed(usage: Usage, priced: Priced) -> _Bill:
    """Returns the cost in nano-dollars with its source and price version, or the reason why it is not known."""
    if priced.nano_dollars is None:
        return None, None, None, priced.reason
    if priced.source == "provider":
        return priced.nano_dollars, "provider", None, None
    return priced.nano_dollars, "estimate" if usage.source == "estimated" else "table", priced.version, None


def _count(
    estimate: Estimate,
    head: Head,
    advice: LedgerAdvice,
    error: AsyncLLMError | None,
    usage: Usage,
    partial: Response | None,
) -> Usage:
    """Returns the usage to book, by the error's advice on what is billed. Without any reply it is unknown."""
    if advice == "real":
        counted = getattr(error, "usage", None)
        said = counted if isinstance(counted, Usage) else usage
        parts = () if partial is None else partial.message.content
        if said.input_tokens and said.output_tokens:
            for part in parts:
                if type(part) is ProviderToolCall:
                    break
            else:
                return said
        return complete_usage(head, partial, said)
    said = usage if partial is None or usage.source != "unknown" else partial.usage
    nothing = said.source == "unknown" and (partial is None or not partial.message.content)
    if advice == "unknown" or (advice == "partial" and nothing):
        return usage
    return estimate(head, partial, usage)
