"""One call while it runs: its targets, its deadline, its counts, and its result.

What ends a call is written here once, for replies in one piece and for streams: an error knows every attempt and every
target that was not asked (`Call.ended`); a reply is logged and read as the type that was asked for (`finish`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from .._models.asker import Write
from .._models.tokens import estimate_tokens
from .._schema.advice import FallbackReason
from .._schema.content import Part, Reasoning, Text
from .._schema.events import (
    Event,
    PartEnd,
    PartStart,
    ReasoningDelta,
    ResponseEnd,
    ResponseStart,
    TextDelta,
    ToolCallDelta,
)
from .._schema.messages import Message
from .._schema.request import ASSUMED_OUTPUT_TOKENS, GENERATING, Operation, Request
from .._schema.response import Attempt, RateLimits, Response
from .._schema.usage import Usage, added
from .._schema.values import dataclass
from ..errors import (
    AllFallbacksFailedError,
    AsyncLLMError,
    CircuitOpenError,
    DeadlineExceededError,
    LimitTimeoutError,
)
from .attempt import Engine
from .formats import Parse
from .health import Permit, TargetState
from .target import Target, allows

if TYPE_CHECKING:
    from .._ledger.book import CallBook
    from .hooks import CallHooks

MOST_PAUSES = 10  # of one reply, after which it is handed over as it is
BLOCKED = ("content_filter", "refusal")  # finish reasons of a reply that was not allowed
_log = logging.getLogger("asyncllm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a call waits, and how.

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
    """For whom a call is made. Only the ledger gets it."""

    user: str | None = None
    agent: str | None = None
    tags: Mapping[str, str] | None = None


_NOBODY = Payer()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of a provider besides a reply in words: vectors, a list, a count, a proof.

    Attributes:
        write: makes the request.
        base_url: in the place of the provider's own; None for that.
        free: nothing is billed for it.
        repeats: it may be sent twice; what makes something at the host may not.
    """

    write: Write
    base_url: str | None = None
    free: bool = True
    repeats: bool = True


class Cached(Protocol):
    """What keeps the reply to one request."""

    async def begin(self, call: Call, parse: Parse | None) -> Response | None:
        """For a stream: as `ask`. None: the stream asks, and the others wait for it until `keep` or `release`."""

    async def ask(self, call: Call, parse: Parse | None, send: Callable[[], Awaitable[Response]]) -> Response:
        """The reply that was kept, or that another call is just asking for; else the one that ``send`` gives."""

    def keep(self, call: Call, response: Response | None) -> None:
        """The stream that asked is whole. Keeps its reply in the background; None: it is none to keep."""

    def release(self) -> None:
        """The stream that asked has no reply: the next one asks."""


class Tries:
    """What happened to one call on one target that failed.

    Attributes:
        made: failed attempts.
        paid: what its retries took from the quota, to be given back by a success.
        refreshed: its credential was refreshed.
        retried_once: an error that allows a single retry has had it.
        due: when a retry that was put off is due, on the clock of the loop; None where none is.
    """

    __slots__ = ("due", "made", "paid", "refreshed", "retried_once")

    def __init__(self) -> None:
        self.made = 0
        self.paid = 0
        self.refreshed = self.retried_once = False
        self.due: float | None = None


class Call:
    """The state of one call. All its attempts share it.

    Args:
        engine: what all calls share.
        targets: the chain, at least one.
        request: what is asked.
        patience: how it waits.
        payer: for whom it is made.
        variant: what load balancing chose.
        operation: what its attempts are for.
        question: what is asked besides a reply in words.
        fallback_on: what it goes on to the next target for besides.
        expected: input and output tokens; estimated from the messages where they are not given.

    Attributes:
        cache: looks the reply up before it is asked for; None where it must not.
        book: where its attempts are booked; None where no ledger is kept.
        deadline: on the loop's clock.
        records: its settled attempts, in order.
        made: attempts so far.
        blocked: a blocked reply that another target may do better than; None for none.
        asked: the positions of targets that got an attempt.
        had_turn: the positions of targets whose turn has come, asked or not.
        failures: what each target failed with last, or that its circuit is open; by position, the latest last.
        hooks: the application's hooks on this call; None without any.
        payer: for whom it is made; None where the caller does not say.
        tries: what it has had of each target that failed.
        warnings: of the attempt that answered, where the answer has no place for them.
    """

    __slots__ = (
        "_expected",
        "_queueing",
        "asked",
        "blocked",
        "book",
        "cache",
        "deadline",
        "engine",
        "failures",
        "fallback_on",
        "had_turn",
        "hooks",
        "made",
        "most",
        "operation",
        "patience",
        "payer",
        "question",
        "records",
        "request",
        "targets",
        "tries",
        "variant",
        "warnings",
    )

    def __init__(
        self,
        engine: Engine,
        targets: Sequence[Target],
        request: Request,
        patience: Patience,
        payer: Payer | None = None,
        variant: str | None = None,
        *,
        operation: Operation = "chat",
        question: Question | None = None,
        fallback_on: Sequence[FallbackReason] = (),
        expected: tuple[int, int | None] | None = None,
    ) -> None:
        self.book: CallBook | None = None
        if engine.books is not None:
            who = payer or _NOBODY
            self.book = engine.books.call(
                request.model,
                user=who.user,
                agent=who.agent,
                tags=who.tags,
                variant=variant,
            )
        self.engine: Engine = engine
        self.cache: Cached | None = None
        self.targets: Sequence[Target] = targets
        self.request: Request = request
        self.patience: Patience = patience
        self.payer: Payer | None = payer
        self.variant: str | None = variant
        self.operation = operation
        self.question: Question | None = question
        self.fallback_on: Sequence[FallbackReason] = fallback_on
        self.records: list[Attempt] = []
        self.deadline: float = math.inf if patience.total is None else engine.background.clock() + patience.total
        self.made: int = 0
        self.most: int = targets[0].retry.max_attempts_per_call
        self.asked: set[int] = set()
        self.blocked: Response | None = None
        self.warnings: tuple[str, ...] = ()
        self.had_turn: set[int] = set()
        self.failures: dict[int, AsyncLLMError] = {}
        self.tries: dict[int, Tries] = {}
        self.hooks: CallHooks | None = None
        self._queueing: Target | None = None
        self._expected = expected

    @property
    def expected(self) -> tuple[int, int | None]:
        """Returns the estimated input tokens, and the most output tokens if the call sets them."""
        if self._expected is None:
            self._expected = estimate_tokens(self.request), self.request.max_tokens
        return self._expected

    @property
    def remaining(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - self.engine.background.clock()

    def change(self, request: Request) -> None:
        """Asks something else, before the first attempt."""
        self.request = request
        self._expected = None

    def begin_again(self, *messages: Message) -> None:
        """Begins a new request with further messages, under the same deadline. It has its own counts."""
        if messages:
            self.request = replace(self.request, messages=(*self.request.messages, *messages))
            self._expected = None
        self.made = 0
        self.blocked = None
        self.asked.clear()
        self.had_turn.clear()
        self.failures.clear()
        self.tries.clear()

    def go_on(self, request: Request, paused: Response) -> None:
        """Begins the next request after the provider paused. It continues the reply on the same target.

        Args:
            request: what was asked at first.
            paused: everything that has come of the reply so far.
        """
        last = paused.attempts[-1]
        self.targets = [
            target
            for target in self.targets
            if target.entry_key == (paused.provider, last.model) and target.provider.deployment == last.deployment
        ]
        if paused.continuation is not None:
            self.request = replace(request, extra_body={**(request.extra_body or {}), **paused.continuation})
        else:
            self.request = replace(request, messages=(*request.messages, paused.message))
        self._expected = None
        self.begin_again()

    def may_go_on_from(self, response: Response, position: int) -> bool:
        """Returns whether the call goes on to a next target after a blocked or refused reply."""
        return (
            response.finish_reason in BLOCKED
            and "content_filter" in self.fallback_on
            and any(there != position for there in self.not_asked())
        )

    def dressed(
        self,
        response: Response,
        record: Attempt | None,
        target: Target,
        told: tuple[str | None, RateLimits | None],
        warnings: tuple[str, ...],
    ) -> Response:
        """Returns a reply with provider, model, cost, warnings and attempts.

        Args:
            response: the reply, as its wire reads it.
            record: of the attempt that brought it.
            target: where it came from.
            told: the id of the request and what the rate-limit headers said, without secrets.
            warnings: what was changed on the way to the wire.
        """
        found, (request_id, rate_limits) = record or response, told
        return Response(  # every field; ``replace`` would take twice as long, and every call comes by here
            message=response.message,
            finish_reason=response.finish_reason,
            raw_finish_reason=response.raw_finish_reason,
            stop_sequence=response.stop_sequence,
            usage=found.usage,
            cost=found.cost,
            cost_source=found.cost_source,
            unpriced_reason=found.unpriced_reason,
            provider=target.provider.name,
            model=response.model or target.model,
            requested_model=self.request.model,
            id=response.id,
            request_id=request_id,
            call_id=None if self.book is None else self.book.shared.get("call"),
            parsed=response.parsed,
            warnings=(*warnings, *response.warnings),
            attempts=tuple(self.records),
            rate_limits=rate_limits,
            raw=response.raw,
            continuation=response.continuation,
        )

    def restart_clock(self) -> None:
        """Restarts the clock of a stream that begins again: it gets the whole time until its first content."""
        if self.patience.total is not None:
            self.deadline = self.engine.background.clock() + self.patience.total

    # What may be asked.

    def may_ask(self, there: int) -> bool:
        """Returns whether a target may be asked after the failures of the other targets."""
        return all(
            there == here
            or type(failure) is CircuitOpenError
            or allows(failure, self.targets[here], self.targets[there], self.engine.facts_of, self.fallback_on)
            for here, failure in self.failures.items()
        )

    def not_asked(self, start: int = 0) -> list[int]:
        """Returns the positions of the targets that the call has not asked and may still ask."""
        return [there for there in range(start, len(self.targets)) if there not in self.asked and self.may_ask(there)]

    def free(self, there: int) -> bool:
        """Returns whether a target can be asked now, without waiting."""
        health = self.engine.health
        return not health.of(self.targets[there]).refuses(health.now())

    async def permit(self, state: TargetState, target: Target, last_resort: bool) -> Permit:
        """Waits for its turn under the limits and returns the permit for an attempt.

        Raises:
            CircuitOpenError: the target is off.
            LimitTimeoutError: the turn did not come before the deadline.
        """
        engine = self.engine
        now = engine.health.now
        turn = None
        if self.operation not in GENERATING:
            turn = await engine.question_limits.acquire(target, int, self.patience.priority, self.remaining)
            told = partial(engine.health.of, target) if target.model else None
            return Permit(None, "plain", turn, now, told=told)
        if engine.limits is not None:
            if state.refuses(now(), last_resort=last_resort):
                raise engine.health.refusal(target, last_resort=last_resort)
            self._queueing = target  # stays, where the deadline comes before the turn
            count = partial(expected_tokens, self)
            turn = await engine.limits.acquire(target, count, self.patience.priority, self.remaining)
            self._queueing = None
        grant = state.admit(now(), last_resort=last_resort)
        if grant is None:
            if turn is not None:
                turn.cancel()
            raise engine.health.refusal(target, last_resort=last_resort)
        return Permit(state, grant, turn, now)

    # What it ends with.

    def ended(self, error: AsyncLLMError) -> AsyncLLMError:
        """Returns the error that ends the call, with every attempt, and with the targets that were not asked and
        why.
        """
        target = self._queueing or self.targets[0]
        error.about(provider=target.provider.name, model=target.model)
        error.attempts = tuple(self.records)
        error.not_asked = {
            str(self.targets[there]): self._why_not(there, error)
            for there in range(len(self.targets))
            if there not in self.asked and len(self.targets) > 1
        }
        return error

    def _why_not(self, there: int, error: AsyncLLMError) -> str:
        refusal = self.failures.get(there)
        if refusal is not None:
            return refusal.message
        for here, failure in self.failures.items():
            if not allows(failure, self.targets[here], self.targets[there], self.engine.facts_of, self.fallback_on):
                return f"{type(failure).__name__} of {self.targets[here]} allows no attempt there"
        if isinstance(error, (DeadlineExceededError, LimitTimeoutError)):
            return "the deadline of the call passed before its turn came"
        return "its turn did not come"

    def out_of_time(self, sentence: str) -> AsyncLLMError:
        """Returns the error for a passed deadline. It says if the call was waiting for a limit."""
        if self._queueing is not None:
            return self.ended(LimitTimeoutError("the call waited for its turn under a limit until its deadline"))
        left = [str(self.targets[there]) for there in self.not_asked()]
        if left and len(self.targets) > 1:
            sentence += f" (not asked: {', '.join(left)})"
        return self.ended(DeadlineExceededError(sentence))

    def verdict(self) -> AsyncLLMError:
        """Returns the error to raise after every target failed or was switched off."""
        told = [failure for failure in map(_told, self.failures.values()) if failure is not None]
        if not told:
            return min(self.failures.values(), key=lambda failure: failure.retry_after or 0.0)
        last = told[-1]
        if len(told) == 1:
            return last
        names = ", ".join(attempt.label for attempt in self.records)
        skipped = ", ".join(str(self.targets[there]) for there in range(len(self.targets)) if there not in self.asked)
        error = AllFallbacksFailedError(
            f"all {len(told)} targets failed (attempts: {names or 'none was sent'}"
            f"{f'; not asked: {skipped}' if skipped else ''}); the last one: {last.message}"
        )
        last.attempts = tuple(self.records)
        error.__cause__ = last
        return error


def expected_tokens(call: Call) -> int:
    """Returns how many tokens an attempt is expected to take from a token limit."""
    input_tokens, max_tokens = call.expected
    return input_tokens + (ASSUMED_OUTPUT_TOKENS if max_tokens is None else max_tokens)


def _told(failure: AsyncLLMError) -> AsyncLLMError | None:
    """Returns the target's own error. An open circuit hides the failure of the attempt before it, if there was one."""
    if type(failure) is not CircuitOpenError:
        return failure
    return failure.__cause__ if isinstance(failure.__cause__, AsyncLLMError) else None


def _may_be_cut(part: Part) -> bool:
    """Whether a pause may have come in the middle of a part: of a text, or a thought, that is not signed."""
    return isinstance(part, (Text, Reasoning)) and part.signature is None


def _as_one(first: Part, second: Part) -> Part:
    """A text or a thought that was cut, and how it went on."""
    if isinstance(first, Text) and isinstance(second, Text):
        return replace(second, text=first.text + second.text, citations=(*first.citations, *second.citations))
    if isinstance(first, Reasoning) and isinstance(second, Reasoning):
        return replace(second, text=first.text + second.text)
    return second


class Seam:
    """Where a streamed reply was paused, and goes on: its parts are numbered through, and a part that was cut is one.

    Attributes:
        own_usage: of the request since the last pause, once it has ended; None before any pause.
    """

    __slots__ = ("_cut", "_joins", "_offset", "own_usage")

    def __init__(self) -> None:
        self.own_usage: Usage | None = None
        self._cut: PartEnd | None = None  # the end of the last part, until it is known how it goes on
        self._joins = False  # the part goes on
        self._offset: int | None = None  # the place of the first part since the last pause

    def pause(self, events: list[Event], end: ResponseEnd) -> None:
        """Keeps back the end of a part that may go on, as the reply is paused."""
        self._cut, self._offset = None, None
        last = events[-1] if events else None
        if end.continuation is not None and type(last) is PartEnd and _may_be_cut(last.part):
            self._cut = last
            events.pop()

    def continued(self, events: list[Event], before: Response) -> list[Event]:
        """The events since the pause, in their places in the whole reply."""
        events = [event for event in events if type(event) is not ResponseStart]
        if not events:
            return events
        if self._offset is None:
            self._offset = len(before.message.content)
        kept: list[Event] = []
        cut, first = self._cut, events[0]
        if cut is not None and not self._joins:
            if type(first) is PartStart and type(first.part) is type(cut.part):
                self._joins, self._offset = True, cut.index
                events = events[1:]
            else:
                kept, self._cut = [cut], None
        return kept + [self._placed(event, self._offset, before) for event in events]

    def _placed(self, event: Event, offset: int, before: Response) -> Event:
        if type(event) is PartEnd and self._joins and self._cut is not None and not event.index:
            whole, self._cut, self._joins = _as_one(self._cut.part, event.part), None, False
            return PartEnd(offset, whole)
        if isinstance(event, (PartStart, PartEnd, TextDelta, ReasoningDelta, ToolCallDelta)):
            return replace(event, index=event.index + offset)
        if isinstance(event, ResponseEnd):
            self.own_usage = event.usage
            return replace(event, usage=added(before.usage, event.usage))
        return event


def joined(first: Response, second: Response) -> Response:
    """Joins a paused reply and its continuation into one."""
    before, after = first.message.content, second.message.content
    last, following = (before or (None,))[-1], (after or (None,))[0]
    if first.continuation is not None and type(last) is type(following) and last and following and _may_be_cut(last):
        before, after = before[:-1], (_as_one(last, following), *after[1:])
    return replace(
        second,
        message=replace(second.message, content=(*before, *after)),
        usage=added(first.usage, second.usage),
        cost=None if first.cost is None or second.cost is None else first.cost + second.cost,
        warnings=tuple(dict.fromkeys((*first.warnings, *second.warnings))),
    )


def finish(response: Response, parse: Parse | None, call: Call) -> Response:
    """Logs a whole reply, and reads it as the type that was asked for.

    Raises:
        StructuredOutputError: it does not fit.
    """
    if _log.isEnabledFor(logging.INFO):
        _log_reply(response, call)
    return response if parse is None else replace(response, parsed=parse(response))


def _log_reply(response: Response, call: Call) -> None:
    """The one line of a call, and its fields: no content, no key."""
    usage, payer = response.usage, call.payer or Payer()
    last = response.attempts[-1] if response.attempts else None
    latency = None if last is None else last.latency
    _log.info(
        "%s/%s answered: %s in, %s out, cost %s, %s, %.3f s, request id %s, user %s",
        response.provider,
        response.model,
        usage.input_tokens,
        usage.output_tokens,
        "unknown" if response.cost is None else f"${response.cost:f}",
        response.finish_reason,
        latency or 0.0,
        response.request_id,
        payer.user,
        extra={
            "event": "call",
            "call_id": response.call_id,
            "provider": response.provider,
            "model": response.model,
            "requested_model": response.requested_model,
            "stream": call.request.stream,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cache_read_tokens": usage.cache_read_tokens,
            "cost": response.cost,
            "cost_source": response.cost_source,
            "unpriced_reason": response.unpriced_reason,
            "finish_reason": response.finish_reason,
            "latency": latency,
            "first_token_latency": None if last is None else last.first_token_latency,
            "attempts": len(response.attempts),
            "request_id": response.request_id,
            "user": payer.user,
            "agent": payer.agent,
            "tags": payer.tags,
        },
    )
