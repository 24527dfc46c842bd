"""The stream that a caller holds. It is a class, because a generator cannot be closed for certain.

The theory. It opens at the first ``__anext__``. Up to its first content a failure goes on to the next target, unseen
(`channel`); from then on it is committed, and a failure is `StreamInterruptedError` with what was delivered.

The rules:

* Nothing (no cancel scope, no task group) is held between two events.
* Events that came before a failure are always delivered before it is raised.
* The attempt behind it is settled once, when the stream is over for whatever reason (`Stream._settle`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal

import anyio

from .._async_only import AsyncIterationOnly
from .._schema.accumulate import Accumulator
from .._schema.advice import FallbackReason
from .._schema.events import Event, ResponseEnd, Restart
from .._schema.replay import events_of
from .._schema.request import Request
from .._schema.response import Outcome, Parsed, Response
from .._schema.usage import added
from .._schema.values import dataclass
from ..errors import (
    AsyncLLMError,
    BadRequestError,
    ClientStateError,
    DeadlineExceededError,
    IdleTimeoutError,
    NoContentTimeoutError,
    StreamInterruptedError,
    StructuredOutputError,
)
from .attempt import Engine
from .call import MOST_PAUSES, Cached, Call, Patience, Payer, Seam, finish
from .channel import Opened, discard, give_up, open_stream
from .formats import WITHOUT_ANSWER, Parse, asking_again
from .sending import log_hop, send_hedged
from .target import Target, following

if TYPE_CHECKING:
    from .hooks import CallHooks
    from .partials import ItemStream, PartialStream, TextStream

_TWO_TASKS = "two tasks read one stream at once; read it in one task, or give each its own stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """What a stream will do. It is made before there is an event loop.

    Attributes:
        engine: gives the engine of the running loop, when the stream opens, and the seconds that it took to prepare it.
        parse: reads the finished text as the type the caller asked for.
        on_interrupt: what to do when it is cut after its first content: raise, or begin again on the next target.
        variant: what load balancing chose for the call.
        fallback_on: what it goes on to the next target for besides.
        reasks: how often the model is told what does not fit, and asked again.
        cache: looks the reply up before it is asked for; None where it must not.
        asked: what the caller gave as ``response_format``, for answers that are read while they grow.
    """

    engine: Callable[[], Awaitable[tuple[Engine, float]]]
    targets: Sequence[Target]
    request: Request
    patience: Patience
    parse: Parse | None
    on_interrupt: Literal["raise", "restart"] = "raise"
    payer: Payer | None = None
    variant: str | None = None
    fallback_on: Sequence[FallbackReason] = ()
    reasks: int = 0
    cache: Cached | None = None
    asked: Any = None

    @property
    def may_restart(self) -> bool:
        return self.on_interrupt == "restart" or self.reasks > 0


class Stream(AsyncIterationOnly, Generic[Parsed]):
    """Events of one reply, in the grammar of `asyncllm._schema.events`.

    Iterate it directly, or inside ``async with``, which closes it for certain. Read `response` at any time.

    Raises:
        StreamInterruptedError: cut after its first content; ``partial`` holds what was delivered.
        AsyncLLMError: failed before its first content, on every target.
    """

    def __init__(self, plan: StreamPlan) -> None:
        self._plan = plan
        self._call: Call | None = None
        self._hooks: CallHooks | None = None
        self._reasks = plan.reasks
        self._start = 0  # the position of the target to open next
        self._opened: Opened | None = None
        self._steady: Opened | None = None  # what is opened, while nothing has failed or ended
        self._accumulator = Accumulator()
        self._ready: deque[Event] = deque()
        self._failure: AsyncLLMError | None = None
        self._timeout: AsyncLLMError | None = None
        self._response: Response[Any] | None = None
        self._over = False
        self._waiting_since: float | None = None
        self._ends_at = math.inf
        self._pauses = 0  # how often the provider has paused the reply
        self._before: Response[Any] | None = None  # what had come at the last pause, with what it used and cost
        self._asked: Request | None = None  # what a paused reply answers
        self._seam = Seam()
        self._when_ended: Callable[[Response, bool], None] | None = None

    # What the caller does with it.

    def __aiter__(self) -> Stream[Parsed]:
        return self

    async def __anext__(self) -> Event:
        ready = self._ready
        while not ready:
            await (self._fill() if self._steady is None else self._read(self._steady))
        event = ready.popleft()
        if self._hooks is not None:
            await self._show(event, self._hooks)
        return event

    async def __aenter__(self) -> Stream[Parsed]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connection, even if there is more to read. Iteration then ends. Closing twice is fine."""
        self._ready.clear()
        self._failure = None
        self._settle("cancelled")
        if self._hooks is not None:
            await self._hand_over(self._hooks)

    def when_ended(self, told: Callable[[Response, bool], None]) -> None:
        """Calls ``told`` once at the end of the stream, with what came and whether it is the whole reply."""
        self._when_ended = told

    def text(self) -> TextStream[Parsed]:
        """Only the text, as strings.

        Raises:
            BadRequestError: the stream was asked to restart when it is cut, of which strings cannot tell.
        """
        from .partials import TextStream

        self.check_text()
        return TextStream(self)

    def partials(self) -> PartialStream[Parsed]:
        """Returns the growing structured answer: dicts or lists of what has come, validated as far as it goes.

        The last item is the answer itself, equal to ``response.parsed``.

        Raises:
            BadRequestError: the call has no ``response_format``.
        """
        from .partials import PartialStream

        if self._plan.parse is None:
            raise BadRequestError("partials() needs a response_format, such as a pydantic model")
        return PartialStream(self, self._plan.asked)

    def items(self) -> ItemStream:
        """The items of an answer that is a list, each as soon as it is whole; at the end where the reply may restart.

        Raises:
            BadRequestError: ``response_format`` is no ``list[T]``.
        """
        from .partials import ItemStream

        return ItemStream(self, self._plan.asked, may_restart=self._plan.may_restart)

    def check_text(self) -> None:
        """Raises `BadRequestError` where strings alone would mislead: they cannot say that the reply begins again."""
        if self._plan.may_restart:
            raise BadRequestError("text() cannot tell of a restart (on_interrupt, validation_retries); read the events")

    async def started(self) -> None:
        """Waits until the first content is there; iteration then begins with the first event.

        So a failure can still become a status of your own response. Calling it twice is fine.

        Raises:
            AsyncLLMError: it failed before its first content, on every target.
        """
        if not self._ready and self._opened is None and not self._over:
            await self._fill()

    async def batch(self) -> list[Event]:
        """Returns all events that have come: at least one, or none at the end."""
        try:
            while not self._ready:
                await (self._fill() if self._steady is None else self._read(self._steady))
        except StopAsyncIteration:
            return []
        events = list(self._ready)
        self._ready.clear()
        if self._hooks is not None:
            for event in events:
                await self._show(event, self._hooks)
        return events

    @property
    def response(self) -> Response[Parsed]:
        """The whole reply after the end of the stream; before it, what has come so far."""
        return self._response or self._dress(self._accumulator.response())

    def __del__(self) -> None:
        # A consumer left its loop without closing: the connection is closed from here, on the loop's own thread.
        opened = self._opened
        if not self._over and opened is not None:
            background = opened.attempt.call.engine.background
            background.call_soon(partial(give_up, opened, self._accumulator.response()))
        if self._hooks is not None:
            self._hooks.left(self._response)

    # The application's hooks.

    async def _show(self, event: Event, hooks: CallHooks) -> None:
        """Shows an event to hooks before the caller gets it; one that refuses ends the stream."""
        try:
            await hooks.on_event(event)
        except AsyncLLMError as error:
            self._ready.clear()
            self._failure = None
            self._settle("cancelled")
            await hooks.after_call(None, error if self._call is None else self._call.ended(error))
            raise

    async def _hand_over(self, hooks: CallHooks) -> None:
        """The stream is over: hooks see the whole reply, and may give another one."""
        response = await hooks.after_call(self._response)
        if response is not None:
            self._response = response

    # Reading.

    async def _fill(self) -> None:
        """Opens the stream, or raises the error that it ended with."""
        if self._failure is not None:
            if self._restart(self._failure):
                return
            failure = self._end_with(self._failure)
            if self._hooks is not None:
                await self._hooks.after_call(None, failure)
            raise failure
        if self._over:
            if self._hooks is not None:
                await self._hand_over(self._hooks)
            raise StopAsyncIteration
        if self._waiting_since is not None:
            raise ClientStateError(_TWO_TASKS)
        self._waiting_since = math.inf  # nothing of this stream can time out yet
        try:
            call = self._call or await self._begin()
            if call is None:
                return  # a hook has answered
            opened = await self._open(call)
        except AsyncLLMError as error:
            raised = error
            if self._before is not None:  # content was delivered before the pause
                raised = self._end_with(error)
            else:
                self._settle("error", error)
                if self._call is not None:
                    self._call.ended(error)
            if self._hooks is not None:
                await self._hooks.after_call(None, raised)
            if raised is error:
                raise
            raise raised from error
        except BaseException:
            self._settle("cancelled")
            if self._hooks is not None:
                await self._hooks.cut()
            raise
        finally:
            self._waiting_since = None
        self._failure = opened.failure
        self._take(opened, opened.events)  # may end it, or find it paused
        if self._opened is opened and not self._over and self._failure is None and not opened.channel.ended:
            self._steady = opened
            opened.attempt.call.engine.watch.add(self)

    async def _begin(self) -> Call | None:
        """The call of this stream; None where a hook has answered it."""
        plan = self._plan
        engine, spent = await plan.engine()
        who = (plan.payer, plan.variant)
        call = self._call = Call(engine, plan.targets, plan.request, plan.patience, *who, fallback_on=plan.fallback_on)
        call.deadline -= spent
        if plan.patience.whole is not None:
            self._ends_at = engine.background.clock() + plan.patience.whole - spent
        if engine.hooks is not None:
            payer = plan.payer or Payer()
            self._hooks = call.hooks = engine.hooks.begin(call, payer.user, payer.agent, payer.tags)
            given = None
            with anyio.move_on_after(plan.patience.total) as scope:
                given = await call.hooks.before_call()
            if scope.cancelled_caught:
                raise call.out_of_time(f"the hooks took the whole total deadline of {plan.patience.total:g} s")
            if given is not None:
                self._replay(given, finish(given, plan.parse, call))
                return None
        if plan.cache is not None:
            with anyio.move_on_after(call.remaining):
                kept = await plan.cache.begin(call, plan.parse)
                if kept is not None:
                    self._replay(kept, kept)
                    return None
        return call

    def _replay(self, given: Response, response: Response) -> None:
        """Gives the events of a reply that is there already."""
        events = list(events_of(given))
        self._accumulator.feed(events)
        self._ready.extend(events)
        self._response = response
        self._settle("ok")
        self._tell(whole=True)

    async def _open(self, call: Call) -> Opened:
        plan, clock = self._plan, call.engine.background.clock
        total = min(call.remaining, self._ends_at - clock())
        opened = None
        with anyio.move_on_after(total):
            opened = await send_hedged(call, open_stream, discard, self._start)
        if opened is None:
            raise call.out_of_time(
                f"no content within the total deadline of {plan.patience.total:g} s; allow more with timeout="
            )
        self._opened = opened
        return opened

    def _restart(self, error: AsyncLLMError) -> bool:
        """Starts the reply again on the next target, if the caller asked for that and there is one."""
        call, opened = self._call, self._opened
        if self._plan.on_interrupt != "restart" or call is None or opened is None or self._over:
            return False
        position = opened.attempt.position
        later = following(error, call.targets, position, call.engine.facts_of, call.fallback_on)
        if later is None:
            return False
        log_hop(error, call.targets[position], call.targets[later])
        self._settle_attempt(opened, "interrupted", self._interruption(error))
        self._forget_pauses(call)
        call.begin_again()
        call.restart_clock()
        self._opened = self._failure = self._timeout = None
        self._start = later
        restart = Restart(error.message)
        self._accumulator.feed([restart])
        self._ready.append(restart)
        return True

    async def _read(self, opened: Opened) -> None:
        """Waits for the next events of a committed stream; a failure after them waits until they are delivered."""
        if self._waiting_since is not None:
            raise ClientStateError(_TWO_TASKS)
        channel = opened.channel
        pull, take = channel.pull, channel.take
        self._waiting_since = now = channel.clock()
        if now >= self._ends_at:
            self.expire()
        events: list[Event] = []
        try:
            while not events and not channel.ended:
                events = take(await pull())
        except AsyncLLMError as error:
            channel.abort()
            self._failure = self._timeout or opened.attempt.complete(error)
            self._steady = None
            events = list(error.events)
        except BaseException:
            self._settle("cancelled")
            if self._hooks is not None:
                await self._hooks.cut()
            raise
        finally:
            self._waiting_since = None
        if self._timeout is not None and self._failure is None:  # it expired in the moment in which bytes came
            self._failure = self._timeout
            self._steady = None
        self._take(opened, events)

    def _take(self, opened: Opened, events: list[Event]) -> None:
        if events:
            for trace in opened.attempt.traces:
                trace.chunk()
        if self._before is not None:
            events = self._seam.continued(events, self._before)
        ended = opened.channel.ended and self._failure is None
        end = events[-1] if ended and events else None
        if type(end) is ResponseEnd and end.finish_reason == "pause" and self._pauses < MOST_PAUSES:
            events.pop()
            self._pause(opened, events, end)
            return
        self._accumulator.feed(events)
        self._ready.extend(events)
        if ended:
            self._finish(opened)

    # Pauses: the provider stops in the middle, and the next request goes on where the reply stopped. To the caller it
    # is one reply: its parts are numbered through, and it ends once, with what all requests used.

    def _pause(self, opened: Opened, events: list[Event], end: ResponseEnd) -> None:
        self._seam.pause(events, end)
        self._accumulator.feed(events)
        self._ready.extend(events)
        attempt, used = opened.attempt, self._seam.own_usage or end.usage
        so_far = replace(
            self._accumulator.response(), usage=end.usage, warnings=end.warnings, continuation=end.continuation
        )
        attempt.settle("ok", usage=used, partial=so_far)
        attempt.call.engine.watch.remove(self)
        if self._asked is None:
            self._asked = attempt.call.request
        self._before = self._with_total(attempt.dress(so_far))
        self._pauses += 1
        self._steady = None
        attempt.call.go_on(self._asked or attempt.call.request, self._before)
        attempt.call.restart_clock()

    def _forget_pauses(self, call: Call) -> None:
        """Forgets the paused parts, as the reply begins again."""
        if self._asked is not None:
            call.request = self._asked
        self._asked = self._before = None
        self._seam = Seam()
        self._pauses = 0

    def _with_total(self, response: Response[Any]) -> Response[Any]:
        """Returns the reply with the usage and cost of the requests before its last pause added."""
        before = self._before
        if before is None:
            return response
        cost = None if before.cost is None or response.cost is None else before.cost + response.cost
        warnings = tuple(dict.fromkeys((*before.warnings, *response.warnings)))
        return replace(response, usage=added(before.usage, response.usage), cost=cost, warnings=warnings)

    # What the watch asks and does.

    def due(self, now: float) -> float:
        """The earliest moment at which a wait of this stream may time out."""
        if self._opened is None:
            return math.inf
        timeouts = self._opened.attempt.target.timeouts
        idle = math.inf if timeouts.idle is None else timeouts.idle
        silent = math.inf if timeouts.no_content is None else timeouts.no_content
        if self._waiting_since is None:  # a wait that begins later cannot time out earlier than this
            ends_at = (
                self._ends_at if self._ends_at > now else math.inf
            )  # a deadline in the past is seen by the next read
            return min(now + idle, now + silent, ends_at)
        heard_at = max(self._waiting_since, self._opened.channel.heard_at)
        return min(heard_at + idle, self._waiting_since + silent, self._ends_at)

    def expire(self) -> None:
        """Fails the read that waits."""
        if self._opened is None:
            return
        now = self._opened.channel.clock()
        timeouts = self._opened.attempt.target.timeouts
        heard_at = max(self._waiting_since or 0.0, self._opened.channel.heard_at)
        if now >= self._ends_at:
            self._timeout = DeadlineExceededError(f"the stream did not end within its {self._plan.patience.whole:g} s")
        elif timeouts.idle is not None and now >= heard_at + timeouts.idle:
            self._timeout = IdleTimeoutError(f"nothing came for {timeouts.idle:g} s")
        else:
            self._timeout = NoContentTimeoutError(f"nothing but heartbeats came for {timeouts.no_content:g} s")
        self._opened.channel.abort()

    # The end.

    def _end_with(self, error: AsyncLLMError) -> AsyncLLMError:
        """Settles the attempt after a failure in the committed stream, and returns the error to raise."""
        self._failure = None
        if isinstance(error, StructuredOutputError):
            return error
        raised = self._interruption(error)
        self._settle("interrupted", raised)
        return raised if self._call is None else self._call.ended(raised)

    def _interruption(self, error: AsyncLLMError) -> AsyncLLMError:
        """Returns the error for a failure after the first content, with what was delivered."""
        partial_response = self._dress(self._accumulator.response())
        raised = error
        if isinstance(error, (StreamInterruptedError, DeadlineExceededError)):
            error.partial = partial_response
        else:
            raised = StreamInterruptedError(
                f"the stream was cut after its first content: {error.message}",
                partial=partial_response,
                status=error.status,
                code=error.code,
                request_id=error.request_id,
                retry_after=error.retry_after,
            )
            raised.__cause__ = error
        return raised if self._opened is None else self._opened.attempt.complete(raised)

    def _finish(self, opened: Opened) -> None:
        """Ends the stream with the whole reply."""
        whole = self._accumulator.response()
        opened.attempt.settle("ok", usage=self._seam.own_usage or whole.usage, partial=whole)
        self._response = self._with_total(opened.attempt.dress(whole))
        try:
            self._response = finish(self._response, self._plan.parse, opened.attempt.call)
        except StructuredOutputError as error:
            if self._ask_again(opened, error):
                return
            self._failure = error
        finally:
            if self._opened is opened:
                self._settle("ok")
        if self._plan.cache is not None:
            self._plan.cache.keep(opened.attempt.call, None if self._failure is not None else self._response)
        self._tell(whole=True)

    def _ask_again(self, opened: Opened, error: StructuredOutputError) -> bool:
        """Asks again after an answer that does not fit, if that was asked for. A `Restart` event tells it."""
        if self._reasks < 1 or error.finish_reason in WITHOUT_ANSWER or self._response is None:
            return False
        self._reasks -= 1
        call = opened.attempt.call
        call.engine.watch.remove(self)
        opened.channel.abort()
        self._forget_pauses(call)
        call.begin_again(*asking_again(self._response, error))
        call.restart_clock()
        self._opened = self._steady = self._response = None
        self._start = 0
        restart = Restart(error.message)
        self._accumulator.feed([restart])
        self._ready.append(restart)
        return True

    def _dress(self, response: Response) -> Response:
        """Adds what the events do not say to the reply: provider, model, warnings and attempts."""
        if self._opened is not None:
            return self._opened.attempt.dress(response)
        attempts = () if self._call is None else tuple(self._call.records)
        return replace(response, requested_model=self._plan.request.model, attempts=attempts)

    def _settle(self, outcome: Outcome, error: AsyncLLMError | None = None) -> None:
        """Settles the stream, whatever the reason of its end. Never awaits; only the first call counts."""
        if self._over:
            return
        self._over = True
        self._steady = None
        if self._opened is not None:
            self._settle_attempt(self._opened, outcome, error)
        if self._hooks is not None:
            self._hooks.traced(self._response, error or self._failure)
        if outcome != "ok":
            self._tell(whole=False)
            if self._plan.cache is not None:
                self._plan.cache.release()

    def _settle_attempt(self, opened: Opened, outcome: Outcome, error: AsyncLLMError | None) -> None:
        if not opened.attempt.settled:
            opened.attempt.settle(outcome, error, usage=opened.channel.usage, partial=self._accumulator.response())
        opened.channel.abort()
        opened.attempt.call.engine.watch.remove(self)

    def _tell(self, *, whole: bool) -> None:
        told, self._when_ended = self._when_ended, None
        if told is not None:
            told(self.response, whole)
