"""One call while it lasts: its targets, its deadline, its attempts, and what it may still do."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from .._schema.messages import Message
from .._schema.request import Request
from ..errors import AsyncLLMError, DeadlineExceededError, LimitTimeoutError
from .admission import Admission
from .attempts import Attempts
from .breaker import TargetState
from .estimate import estimate
from .exchange import Engine
from .router import Target, following


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How a call waits.

    Attributes:
        total: seconds for everything; of a stream until its first content.
        whole: seconds for a whole stream, only where the caller named them.
        priority: a higher one is served first where calls wait under a limit.
        hedge: seconds without first content after which the next target is asked as well; None for never.
        hedge_percentile: the same as a percentile of the target's latencies.
    """

    total: float | None
    whole: float | None = None
    priority: int = 0
    hedge: float | None = None
    hedge_percentile: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """For whom a call is made. It goes to the ledger and nowhere else."""

    user: str | None = None
    agent: str | None = None
    tags: Mapping[str, str] | None = None


class Call:
    """The state of one call, shared by everything that works for it.

    Attributes:
        deadline: on the loop's clock.
        made: attempts so far.
        tried: the failed ones of each target.
    """

    __slots__ = (
        "_expected",
        "_queueing",
        "attempts",
        "deadline",
        "engine",
        "made",
        "most",
        "patience",
        "request",
        "targets",
        "tried",
    )

    def __init__(
        self,
        engine: Engine,
        targets: Sequence[Target],
        request: Request,
        patience: Patience,
        payer: Payer | None = None,
        variant: str | None = None,
    ) -> None:
        clock = engine.background.clock
        book = None
        if engine.books is not None:
            who = payer or Payer()
            book = engine.books.call(request.model, user=who.user, agent=who.agent, tags=who.tags, variant=variant)
        self.engine = engine
        self.targets = targets
        self.request = request
        self.patience = patience
        self.attempts = Attempts(clock, book=book, variant=variant)
        self._queueing: Target | None = None
        self._expected: tuple[int, int | None] | None = None if book is not None else (0, None)
        self.deadline = math.inf if patience.total is None else clock() + patience.total
        self.made = 0
        self.tried: dict[tuple[str, str], int] = {}
        self.most = targets[0].retry.max_attempts_per_call

    @property
    def expected(self) -> tuple[int, int | None]:
        """Input tokens, estimated, and the most output tokens, where the call says; counted only for a ledger."""
        if self._expected is None:
            self._expected = estimate(self.request)[0], self.request.max_tokens
        return self._expected

    def continue_with(self, *messages: Message) -> None:
        """The call goes on as a longer conversation; its deadline and its attempts stay."""
        self.request = replace(self.request, messages=(*self.request.messages, *messages))
        if self._expected is not None and self.engine.books is not None:
            self._expected = None

    def out_of_time(self, sentence: str) -> AsyncLLMError:
        """The error for a deadline that has passed: in the queue of a limit, or anywhere else."""
        if self._queueing is not None:
            error: AsyncLLMError = LimitTimeoutError("the call waited for its turn under a limit until its deadline")
        else:
            error = DeadlineExceededError(sentence)
        target = self._queueing or self.targets[0]
        error.provider, error.model = target.key
        error.attempts = self.attempts.all()
        return error

    @property
    def remaining(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - self.engine.background.clock()

    def restart_clock(self) -> None:
        """A stream begins again: its new first content has as long as the first one had."""
        if self.patience.total is not None:
            self.deadline = self.engine.background.clock() + self.patience.total

    def following(self, error: AsyncLLMError, position: int, done: Container[int] = ()) -> int | None:
        """The position of the next target that the error and the number of attempts allow; None for none."""
        if self.made >= self.most:
            return None
        return following(error, self.targets, position, self.engine.facts_of, done)

    async def enter(self, state: TargetState, target: Target, attempts: Attempts, last_resort: bool) -> bool:
        """Gets leave for an attempt, waiting for its turn under the limits; False while the target is off.

        Raises:
            LimitTimeoutError: the turn did not come before the deadline.
        """
        engine = self.engine
        now = engine.health.now
        ticket = None
        if engine.limits is not None:
            if state.refuses(now(), last_resort=last_resort):
                return False
            self._queueing = target  # stays, where the deadline comes before the turn
            ticket = await engine.limits.acquire(target, self.request, self.patience.priority, self.remaining)
            self._queueing = None
        grant = state.admit(now(), last_resort=last_resort)
        if grant is None:
            if ticket is not None:
                ticket.cancel()
            return False
        attempts.admit(Admission(state, grant, ticket, now))
        return True
