"""Makes the attempts of a call in three layers: hedging, fallback, retries.

The theory. The layers, from the outside in::

    send                  the deadline, and replies that do not fit (streams begin with the next layer)
    send_hedged           a second line of attempts beside a late first one (opt-in)
    send_with_fallback    from target to target, along the call's chain
    send_with_retries     from attempt to attempt on one target
    HTTPAttempt           one attempt (`attempt`)

What a layer knows, above all the target's position in the chain, it hands down. What they share is the `Call`: its
deadline, its counts, and what each target has said so far.

The rules:

* One deadline bounds everything. Targets that it left unasked are named in the error.
* A retry is made only while it leaves an attempt for every target that may still be asked; to go on to the next target
  is always allowed. Hedges count as attempts.
* No call waits for a busy target while another one is free: a pause longer than `Target.longest_wait` stays on its
  target, and the next one is asked; so too for limits without room. If nobody is left, the call waits for the pause
  that ends first, up to a minute.
* A target whose circuit is open is passed over. Where only such targets are left, they get the one attempt a second
  that passes all the same.
* A target is asked after failures only if the advice of every one of them allows it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio

from .._schema.request import GENERATING
from .._schema.response import Response
from ..errors import AsyncLLMError, CircuitOpenError, ClientStateError, ContentBlockedError, StructuredOutputError
from .attempt import HTTPAttempt
from .call import MOST_PAUSES, Call, Tries, expected_tokens, finish, joined
from .formats import WITHOUT_ANSWER, Parse, asking_again
from .health import RETRY_QUOTA, ProviderState, TargetState
from .target import LONGEST_RETRY_AFTER, SPREAD, Target, pause

if TYPE_CHECKING:
    from .hooks import CallHooks
    from .limits import Limits

Answer = TypeVar("Answer")
Run = Callable[[HTTPAttempt], Awaitable[Answer]]
"""Makes the most of an attempt: sends it, and settles it or hands it over."""

_LEAST_SAMPLES = 20  # latencies that a percentile needs before it means anything
_log = logging.getLogger("asyncllm.engine")


# --- whole replies ---------------------------------------------------------------------------------------------------


async def send(call: Call, *, parse: Parse | None = None, reasks: int = 0) -> Response:
    """Returns the reply of the first target that answers. The call's deadline bounds everything.

    Args:
        call: the call.
        parse: reads the reply as the type the caller asked for.
        reasks: how often the model is told what does not fit, and asked again.

    Raises:
        DeadlineExceededError: the deadline passed.
        AsyncLLMError: as `send_hedged` and ``parse`` raise.
    """
    response: Response | None = None
    try:
        with anyio.move_on_after(call.remaining):
            if call.cache is None:
                response = await _send_fitting(call, parse, reasks)
            else:
                response = await call.cache.ask(call, parse, partial(_send_fitting, call, parse, reasks))
    except AsyncLLMError as error:
        raise call.ended(error)  # noqa: B904  # the same error
    if response is None:
        raise _late(call)
    return response


def _late(call: Call) -> AsyncLLMError:
    return call.out_of_time(
        f"no answer within the total deadline of {call.patience.total:g} s; allow more with timeout=, or stream"
    )


async def send_hooked(call: Call, hooks: CallHooks, *, parse: Parse | None = None, reasks: int = 0) -> Response:
    """As `send`, with the application's hooks before and after the call.

    Args:
        call: the call.
        hooks: of the call.
        parse: as for `send`.
        reasks: as for `send`.

    Raises:
        CallRefusedError: a hook refused.
        HookError: a hook failed.
        AsyncLLMError: as `send`.
    """
    response: Response | None = None
    try:
        with anyio.move_on_after(call.remaining):
            given = await hooks.before_call()
            response = await send(call, parse=parse, reasks=reasks) if given is None else finish(given, parse, call)
        if response is None:
            raise _late(call)
    except AsyncLLMError as error:
        await hooks.after_call(None, call.ended(error))
        raise
    except BaseException:
        await hooks.cut()
        raise
    return await hooks.after_call(response) or response


async def _send_fitting(call: Call, parse: Parse | None, reasks: int) -> Response:
    """Returns a reply of the requested type. A reply that does not fit goes back to the model with the reasons."""
    while True:
        response = await _send_whole(call)
        try:
            return finish(response, parse, call)
        except StructuredOutputError as error:
            if reasks < 1 or error.finish_reason in WITHOUT_ANSWER:
                raise
            further = asking_again(response, error)
        reasks -= 1
        call.begin_again(*further)


async def _send_whole(call: Call) -> Response:
    """Returns a whole reply. A reply that the provider paused is continued."""
    request, before, pauses = call.request, None, 0
    while True:
        try:
            response = await send_hedged(call, answer, _ignore)
        except AsyncLLMError:
            if call.blocked is None:
                raise
            response = call.blocked  # no other target did better
        if len(response.attempts) < len(call.records):  # the line of attempts that lost was settled after it
            used = response.attempts[-1]
            others = [attempt for attempt in call.records if attempt is not used]
            response = replace(response, attempts=(*others, used))
        if before is not None:
            response = joined(before, response)
        if response.finish_reason != "pause" or pauses == MOST_PAUSES:
            call.request = request
            return response
        before, pauses = response, pauses + 1
        call.go_on(request, response)


async def answer(attempt: HTTPAttempt) -> Response:
    """Makes one attempt and returns the whole reply.

    Raises:
        ContentBlockedError: it was blocked or refused, and the call goes on to the next target for that.
    """
    reply = await attempt.send()
    decoded = attempt.decode(reply)
    if attempt.answer_tool:
        from .._protocols.answer_tool import as_answer

        decoded = as_answer(decoded)
    response = attempt.succeed(decoded)
    call = attempt.call
    if call.fallback_on and call.may_go_on_from(response, attempt.position):
        call.blocked = response
        raise attempt.complete(
            ContentBlockedError(
                f"the reply was blocked ({response.raw_finish_reason or response.finish_reason})", usage=response.usage
            )
        )
    return response


def _ignore(late: Response) -> None:
    """Does nothing with a whole reply that came second, as its attempt is settled already."""


# --- hedging ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False, repr=False)
class Line:
    """One line of attempts through the chain of a call. A hedged call has two; the first content wins.

    Attributes:
        start: the position that it begins with.
        current: its attempt under way, or the last one.
        begun: it has asked.
        over: it has ended.
        beside: the other line; None where there is none.
    """

    start: int = 0
    current: HTTPAttempt | None = None
    beside: Line | None = None
    begun: bool = False
    over: bool = False

    @property
    def alone(self) -> bool:
        """Whether this line may try further targets. A first line leaves them to a second line that runs."""
        return self.beside is None or not self.beside.begun or self.beside.over


class HedgedLine(Line, Generic[Answer]):
    """One of the two lines of a hedged call, in a background task of its own.

    Args:
        call: the call.
        changed: told when it is over.
        discard: gives up an answer that came second.
    """

    __slots__ = ("_call", "_changed", "_discard", "_ended", "_scope", "answers", "failures")

    def __init__(self, call: Call, changed: Callable[[], None], discard: Callable[[Answer], None]) -> None:
        super().__init__()
        self.answers: list[Answer] = []
        self.failures: list[Exception] = []
        self._call = call
        self._changed = changed
        self._discard = discard
        self._ended = False
        self._scope = anyio.CancelScope()

    async def follow(self, run: Run[Answer], ahead: float) -> None:
        """Waits ``ahead`` seconds, then asks the targets that were not asked yet, one after the other."""
        call = self._call
        try:
            with self._scope:
                await anyio.sleep(ahead)
                if ahead:
                    left = [there for there in call.not_asked() if there]
                    if not left:
                        return
                    self.start = left[0]
                    _log.info(
                        "no content from %s yet: the next target is asked too",
                        call.targets[0],
                        extra={"event": "hedge", **_place(call.targets[0])},
                    )
                self.begun = True
                found = await send_with_fallback(call, run, self)
                if self._ended:
                    self._discard(found)
                else:
                    self.answers.append(found)
        except Exception as error:  # noqa: BLE001  # raised where the call waits
            self.failures.append(error)
        finally:
            self.over = True
            self._changed()

    def end(self) -> None:
        """Cancels the line. Its attempt is settled at once, and an answer that still comes is dropped."""
        self._ended = True
        if not self.over:
            self._scope.cancel()
            if self.current is not None:
                self.current.settle("cancelled")


def _hedge_after(call: Call) -> float | None:
    """Returns after how many seconds a second target is asked, or None for never."""
    patience = call.patience
    if patience.hedge is not None or patience.hedge_percentile is None:
        return patience.hedge
    health = call.engine.health
    return health.percentile(call.targets[0], call.request.stream, patience.hedge_percentile, _LEAST_SAMPLES)


async def send_hedged(call: Call, run: Run[Answer], discard: Callable[[Answer], None], start: int = 0) -> Answer:
    """Returns the answer of the line of attempts that is first. Without hedging there is only one line.

    The second line begins with the next target and goes on along the chain; once it runs, the first line does not go
    on to targets of its own. Both are parts of one call, and the loser's attempt stands in its record as what it was:
    cancelled, or an answer nobody used. The lines run in background tasks, not in a task group: on asyncio a task group
    may swallow a cancellation of the caller that coincides with one of its own.

    Args:
        call: the call.
        run: makes one attempt.
        discard: gives up an answer that came second.
        start: the position of the target to begin with; later ones are never hedged.

    Raises:
        ClientStateError: the client was closed meanwhile.
        AsyncLLMError: as `send_with_fallback`.
    """
    patience, seconds = call.patience, None
    if not start and len(call.targets) > 1 and (patience.hedge, patience.hedge_percentile) != (None, None):
        seconds = _hedge_after(call)
    if seconds is None:
        return await send_with_fallback(call, run, Line(start))
    changed = anyio.Event()
    first = HedgedLine[Answer](call, lambda: changed.set(), discard)
    second = HedgedLine[Answer](call, lambda: changed.set(), discard)
    first.beside = second
    call.engine.background.spawn(partial(first.follow, run, 0.0))
    call.engine.background.spawn(partial(second.follow, run, seconds))
    taken: list[Answer] = []
    try:
        while not (first.answers or second.answers or (first.over and (second.over or not second.begun))):
            changed = anyio.Event()
            await changed.wait()
        taken = [*first.answers, *second.answers][:1]
    finally:
        for line in (first, second):
            line.end()
        for late in [*first.answers, *second.answers][len(taken) :]:
            discard(late)
    if taken:
        return taken[0]
    for failure in (*second.failures, *first.failures):
        raise call.verdict() if isinstance(failure, AsyncLLMError) and call.failures else failure
    raise ClientStateError("the client was closed while this call was under way")


# --- fallback --------------------------------------------------------------------------------------------------------


async def send_with_fallback(call: Call, run: Run[Answer], line: Line) -> Answer:
    """Asks one target after the other and returns the first answer.

    Raises:
        AllFallbacksFailedError: two or more targets failed; the last error is its cause.
        CircuitOpenError: every target is off.
        AsyncLLMError: the only target failed, or the error allows no fallback.
    """
    position, last_resort = line.start, False
    while True:
        try:
            return await send_with_retries(call, run, line, position, last_resort)
        except AsyncLLMError as error:
            failure = error
        call.failures.pop(position, None)
        call.failures[position] = failure  # the latest stands last
        call.had_turn.add(position)
        if not line.alone:
            raise call.verdict()
        later = _next(call, line)
        if later is None:
            later = await _first_free(call)
        if later is None and not last_resort:
            last_resort = True
            call.had_turn = {there for there in call.had_turn if not _passed_over(call, there)}
            later = _next(call, line)
        if later is None:
            raise call.verdict()
        if later != position and not (last_resort and type(failure) is CircuitOpenError):
            log_hop(failure, call.targets[position], call.targets[later])
        position = later


def _next(call: Call, line: Line) -> int | None:
    """Returns the next target of the chain that was not asked and may be asked."""
    for there in range(line.start, len(call.targets)):
        if there not in call.had_turn and call.may_ask(there):
            return there
    return None


def _passed_over(call: Call, there: int) -> bool:
    """Returns whether a target was switched off when its turn came and may still be asked."""
    failure = call.failures.get(there)
    return type(failure) is CircuitOpenError and _has_attempts(call, there) and call.may_ask(there)


def _has_attempts(call: Call, there: int) -> bool:
    """Returns whether the bounds allow an attempt on a target: the first one always, a retry within the counts."""
    tries = call.tries.get(there)
    if there not in call.asked:
        return True
    made = 0 if tries is None else tries.made
    return call.made < call.most and made < call.targets[there].retry.max_attempts


async def _first_free(call: Call) -> int | None:
    """Waits for the shortest pause of the targets that were left. Returns None if there is none, or if it is too
    long.
    """
    health, clock = call.engine.health, call.engine.background.clock
    now, waits = health.now(), []
    for there, failure in call.failures.items():
        tries = call.tries.get(there)
        due = None if tries is None else tries.due
        if (due is None and type(failure) is not CircuitOpenError) or not _has_attempts(call, there):
            continue
        state = health.of(call.targets[there])
        seconds = max(state.cooling(now), 0.0 if due is None else due - clock())
        if call.may_ask(there) and not state.off(now + seconds) and (seconds > 0 or not state.refuses(now)):
            waits.append((seconds, there))
    if not waits:
        return None
    shortest, there = min(waits)
    seconds = shortest * (1 + SPREAD * call.engine.draw())
    if shortest > LONGEST_RETRY_AFTER or seconds >= call.remaining:
        return None
    await anyio.sleep(seconds)
    return there


def log_hop(error: AsyncLLMError, target: Target, later: Target) -> None:
    """Logs the one WARNING line of a hop to the next target. It has no content and no key."""
    _log.warning(
        "%s failed (%s, status %s, request id %s): going on to %s",
        target,
        type(error).__name__,
        error.status,
        error.request_id,
        later,
        extra={
            "event": "fallback",
            **_place(target),
            "to_provider": later.provider.name,
            "to_model": later.model,
            "error": type(error).__name__,
            "status": error.status,
            "request_id": error.request_id,
        },
    )


def _place(target: Target) -> dict[str, str]:
    """Where something happened, as fields of a log record."""
    return {"provider": target.provider.name, "model": target.model}


# --- retries ---------------------------------------------------------------------------------------------------------


async def send_with_retries(call: Call, run: Run[Answer], line: Line, position: int, last_resort: bool) -> Answer:
    """Asks one target, with the retries that its errors and the bounds allow, and returns its answer.

    Raises:
        CircuitOpenError: it is off, or went off between two attempts; then its cause is what the last one failed with.
        AsyncLLMError: what its last attempt failed with.
    """
    target = call.targets[position]
    generates = call.operation in GENERATING  # what generates nothing passes every circuit
    state = call.engine.health.of(target) if generates else TargetState(ProviderState())
    failure: AsyncLLMError | None = None
    while True:
        if call.engine.limits is not None and line.alone and generates and not last_resort:
            _refuse_if_full(call.engine.limits, call, position, line)
        try:
            permit = await call.permit(state, target, last_resort)
        except CircuitOpenError as error:
            error.__cause__ = failure
            raise
        call.asked.add(position)
        try:
            async with HTTPAttempt(call, position, permit) as attempt:
                line.current = attempt
                answer = await run(attempt)
        except AsyncLLMError as error:
            failure = error
            if call.hooks is not None:
                await call.hooks.drain()
        else:
            if call.hooks is not None:
                await call.hooks.drain()
            if state.quota.left < RETRY_QUOTA:
                state.quota.give(1 if position not in call.tries else call.tries[position].paid + 1)
            return answer
        wait = await _pause(call, position, state, failure, line)
        if wait is None:
            raise failure
        await anyio.sleep(wait)


def _refuse_if_full(limits: Limits, call: Call, position: int, line: Line) -> None:
    """Lets a call pass over a target whose limits have no room for longer than it waits while another one is free.

    Raises:
        CircuitOpenError: the next target is to be asked.
    """
    target = call.targets[position]
    seconds = limits.wait(target, expected_tokens(call))
    for there in call.not_asked(line.start) if seconds > 0 else ():
        other = call.targets[there]
        if there != position and seconds > target.longest_wait(other) and call.free(there) and limits.room(other):
            raise CircuitOpenError(
                f"the limits of {target} have no room for {seconds:.0f} s more",
                provider=target.provider.name,
                model=target.model,
                code="limits",
                retry_after=seconds,
            )


async def _pause(call: Call, position: int, state: TargetState, failure: AsyncLLMError, line: Line) -> float | None:
    """Returns the seconds before the next retry, or None if there is no retry here before other targets are asked."""
    target = call.targets[position]
    tries = call.tries.setdefault(position, Tries())
    tries.made += 1
    tries.due = None
    if failure.advice.retry == "after_refresh":
        return 0.0 if await _refreshed(call, target, tries) else None
    call.failures[position] = failure
    others = call.not_asked(line.start)
    wait = pause(
        failure,
        target.retry,
        on_model=tries.made - tries.refreshed,
        in_call=call.made,
        not_asked=len(others),
        retried_once=tries.retried_once,
        remaining=call.remaining,
        quota=state.quota.left,
        draw=call.engine.draw,
    )
    if wait is None or state.off(call.engine.health.now() + wait):
        return None
    tries.retried_once = tries.retried_once or failure.advice.retry == "once"
    tries.paid += failure.advice.retry_cost
    state.quota.take(failure.advice.retry_cost)
    free = next((there for there in others if line.alone and call.free(there)), None)
    if free is not None and wait > target.longest_wait(call.targets[free]):
        tries.due = call.engine.background.clock() + wait  # the pause stays here; the call goes on elsewhere
        return None
    return wait


async def _refreshed(call: Call, target: Target, tries: Tries) -> bool:
    """Returns whether there is a new credential to try, once a call. Otherwise the provider is switched off."""
    if not tries.refreshed and await _refresh(target):
        tries.refreshed = True
        return True
    if call.operation in GENERATING and not call.request.extra_headers:
        call.engine.health.credential_refused(target)
    return False


async def _refresh(target: Target) -> bool:
    """Returns whether a new credential has replaced the one that was refused."""
    try:
        return await target.provider.auth.refresh()
    except AsyncLLMError:
        _log.warning(
            "%s: the credential was refused and could not be refreshed",
            target.provider.label,
            extra={"event": "credential", **_place(target)},
        )
        return False
