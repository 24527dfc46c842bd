"""The record of every HTTP attempt of one call, in order; and where each attempt gives back what it holds."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from .._ledger.book import BookedAttempt, CallBook
from .._schema.response import Attempt, Outcome, RateLimits, Response
from .._schema.usage import UNKNOWN_USAGE, Usage
from ..errors import AsyncLLMError, ConnectionLostError
from .admission import Admission
from .router import Target


class Attempts:
    """Collects the attempts of one call; each is admitted, opened, then settled exactly once.

    Args:
        clock: the time, in seconds.
        book: where the call's attempts are booked; None where no ledger is kept.
        variant: what load balancing chose for the call.
        settled: the record to add to; its own by default. Attempts that run side by side share one.
    """

    __slots__ = ("_admission", "_began", "_book", "_clock", "_first", "_target", "_ticket", "settled", "variant")

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        book: CallBook | None = None,
        variant: str | None = None,
        settled: list[Attempt] | None = None,
    ) -> None:
        self.settled: list[Attempt] = [] if settled is None else settled
        self.variant = variant
        self._clock = clock
        self._book = book
        self._ticket: BookedAttempt | None = None
        self._target: Target | None = None
        self._admission: Admission | None = None
        self._began = 0.0
        self._first: float | None = None

    def beside(self) -> Attempts:
        """The same record for an attempt that runs at the same time."""
        return Attempts(self._clock, book=self._book, variant=self.variant, settled=self.settled)

    def admit(self, admission: Admission) -> None:
        """The next attempt may go; what it holds is given back when it is settled, or by `leave`."""
        self._admission = admission

    def leave(self) -> None:
        """Gives back what was held for an attempt that was never opened."""
        admission, self._admission = self._admission, None
        if admission is not None:
            admission.cancel()

    async def open(self, target: Target, input_tokens: int = 0, max_tokens: int | None = None) -> None:
        """An attempt on ``target`` begins; it has its row in the ledger when this returns.

        Args:
            target: what is asked.
            input_tokens: how long the request is, estimated.
            max_tokens: the most output tokens, where the call says.

        Raises:
            BudgetExceededError: a hard budget has no room for it.
            LedgerError: the ledger cannot be written, and the policy is to refuse.
        """
        if self._book is not None:
            provider = target.provider
            self._ticket = await self._book.open(
                provider=provider.name,
                kind=provider.kind,
                model=target.model,
                input_tokens=input_tokens,
                max_tokens=max_tokens,
            )
        self._begin(target)

    def _begin(self, target: Target) -> None:
        self._target = target
        self._began = self._clock()
        self._first = None

    def first_content(self) -> None:
        """The first content of a stream is here."""
        if self._first is None:
            self._first = self._clock() - self._began
            if self._admission is not None:
                self._admission.has_content()

    def reconnect(self) -> None:
        """A stale connection cost one HTTP attempt; a second one follows at once on a fresh connection."""
        target = self._target
        if target is not None:
            lost = ConnectionLostError(
                "a reused connection had already been closed by the server", provider=target.provider.name
            )
            admission, self._admission = self._admission, None  # the second one goes on with it
            ticket = self._ticket
            self.settle("error", error=lost, free=True)
            self._admission = admission
            self._ticket = None if ticket is None else ticket.again()
            self._begin(target)

    def settle(
        self,
        outcome: Outcome,
        *,
        error: AsyncLLMError | None = None,
        status: int | None = None,
        usage: Usage = UNKNOWN_USAGE,
        request_id: str | None = None,
        rate_limits: RateLimits | None = None,
        partial: Response | None = None,
        free: bool = False,
    ) -> Decimal | None:
        """The attempt is over; without an open one this does nothing, so clean-up may always call it.

        Args:
            outcome: how it ended.
            error: what went wrong.
            status: the HTTP status.
            usage: what the provider counted.
            request_id: the provider's id.
            rate_limits: what the rate-limit headers said.
            partial: what came of a stream that did not end.
            free: nothing can have been billed, whatever the error's advice says.

        Returns:
            What it cost, in US dollars; None where that is not known.
        """
        target, self._target = self._target, None
        ticket, self._ticket = self._ticket, None
        if target is None:
            return None
        latency = self._clock() - self._began
        waited = None
        admission, self._admission = self._admission, None
        if admission is not None:
            waited = admission.waited
            limits = rate_limits if error is None else error.rate_limits
            admission.ended(outcome, error, latency, self._first, usage, limits)
        if error is not None:
            status, request_id = error.status, error.request_id
        cost = None
        if ticket is not None:
            booked = ticket.settle(
                outcome,
                error=error,
                status=status,
                usage=usage,
                partial=partial,
                latency=latency,
                first_token_latency=self._first,
                waited=waited,
                request_id=request_id,
                free=free,
            )
            usage, cost = booked.usage, booked.cost
        self.settled.append(
            Attempt(
                provider=target.provider.name,
                model=target.model,
                outcome=outcome,
                error=error,
                status=status,
                latency=latency,
                first_token_latency=self._first,
                usage=usage,
                cost=cost,
                request_id=request_id,
                waited=waited,
                variant=self.variant,
            )
        )
        return cost

    def all(self) -> tuple[Attempt, ...]:
        """Every settled attempt so far."""
        return tuple(self.settled)
