"""The record of every HTTP attempt of one call, in order."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import AsyncLLMError, ConnectionLostError
from ..schema.response import Attempt, Outcome
from ..schema.usage import UNKNOWN_USAGE, Usage
from .router import Target


class Attempts:
    """Collects the attempts of one call; each is opened, then settled exactly once."""

    __slots__ = ("_began", "_clock", "_first", "_target", "settled")

    def __init__(self, clock: Callable[[], float]) -> None:
        self.settled: list[Attempt] = []
        self._clock = clock
        self._target: Target | None = None
        self._began = 0.0
        self._first: float | None = None

    def open(self, target: Target) -> None:
        """An attempt on ``target`` begins now."""
        self._target = target
        self._began = self._clock()
        self._first = None

    def first_content(self) -> None:
        """The first content of a stream is here."""
        if self._first is None:
            self._first = self._clock() - self._began

    def reconnect(self) -> None:
        """A stale connection cost one HTTP attempt; a second one follows at once on a fresh connection."""
        target = self._target
        if target is not None:
            lost = ConnectionLostError(
                "a reused connection had already been closed by the server", provider=target.provider.name
            )
            self.settle("error", error=lost)
            self.open(target)

    def settle(
        self,
        outcome: Outcome,
        *,
        error: AsyncLLMError | None = None,
        status: int | None = None,
        usage: Usage = UNKNOWN_USAGE,
        request_id: str | None = None,
    ) -> None:
        """The attempt is over; without an open one this does nothing, so clean-up may always call it."""
        target, self._target = self._target, None
        if target is None:
            return
        self.settled.append(
            Attempt(
                provider=target.provider.name,
                model=target.model,
                outcome=outcome,
                error=error,
                status=status if error is None else error.status,
                latency=self._clock() - self._began,
                first_token_latency=self._first,
                usage=usage,
                request_id=request_id if error is None else error.request_id,
            )
        )

    def all(self) -> tuple[Attempt, ...]:
        """Every settled attempt so far."""
        return tuple(self.settled)
