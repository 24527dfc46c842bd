"""Leave for one attempt to go to its target: given by the target's health and by the limits, and given back once."""

from __future__ import annotations

from collections.abc import Callable

from .._schema.response import Outcome, RateLimits
from .._schema.usage import Usage
from ..errors import AsyncLLMError
from .breaker import Grant, TargetState
from .limits import Ticket


class Admission:
    """What one attempt holds until it ends.

    Attributes:
        waited: seconds it waited under a limit; None where nothing is limited.
    """

    __slots__ = ("_grant", "_held", "_now", "_state", "_ticket", "waited")

    def __init__(self, state: TargetState, grant: Grant, ticket: Ticket | None, now: Callable[[], float]) -> None:
        self.waited = None if ticket is None else ticket.waited
        self._state = state
        self._grant = grant
        self._ticket = ticket
        self._now = now
        self._held = True

    def has_content(self) -> None:
        """A stream has its first content."""
        self._state.has_content(self._grant)

    def ended(
        self,
        outcome: Outcome,
        error: AsyncLLMError | None,
        latency: float,
        first_content: float | None,
        usage: Usage,
        limits: RateLimits | None,
    ) -> None:
        """The attempt is over; the target's health and the limits learn how it went."""
        if not self._held:
            return
        self._held = False
        state = self._state
        if outcome == "ok":
            state.succeeded(self._grant)
            if first_content is None:
                state.latencies.append(latency)
            else:
                state.first_contents.append(first_content)
        elif error is not None:
            state.failed(error, self._grant, self._now())
        else:
            state.released(self._grant)
        if self._ticket is not None:
            free = error is not None and error.advice.ledger == "zero"  # what was refused cost no tokens
            self._ticket.ended(0 if free else usage.total_tokens, limits)

    def cancel(self) -> None:
        """No attempt was made; without effect after `ended`."""
        if not self._held:
            return
        self._held = False
        self._state.released(self._grant)
        if self._ticket is not None:
            self._ticket.cancel()
