"""From attempt to attempt and from target to target until one answers, all under one deadline.

A target is asked again as `retry` decides; then the next one is asked, if the error allows it (`router.following`). A
target whose circuit is open is passed over. Where every target of a call is off, a second round asks for the one
attempt a second that passes all the same, and waits for a cooldown that is short enough.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from ..errors import AllFallbacksFailedError, AsyncLLMError, CircuitOpenError
from .attempts import Attempts
from .breaker import TargetState
from .call import Call
from .exchange import attribute
from .retry import LONGEST_RETRY_AFTER, pause
from .router import Target

Answer = TypeVar("Answer")
Run = Callable[[Target, Attempts], Awaitable[Answer]]
"""Makes one attempt on a target: opens it, and settles it unless the answer goes on (a stream)."""

_log = logging.getLogger("asyncllm.engine")


async def with_fallback(
    call: Call,
    run: Run[Answer],
    *,
    attempts: Attempts | None = None,
    start: int = 0,
    alone: Callable[[], bool] | None = None,
) -> Answer:
    """The answer of the first target that gives one.

    Args:
        call: the call.
        run: makes one attempt.
        attempts: the record of this line of attempts; the call's own by default.
        start: the position of the first target to ask.
        alone: whether this line of attempts may go on to further targets; always by default.

    Raises:
        AllFallbacksFailedError: two or more targets failed; the last error is its cause.
        CircuitOpenError: every target is off.
        AsyncLLMError: the only target failed, or the first error allows no fallback.
    """
    record = call.attempts if attempts is None else attempts
    position, last_resort = start, False
    failures: list[AsyncLLMError] = []
    while True:
        target = call.targets[position]
        try:
            return await _on_target(call, target, run, record, last_resort, position == len(call.targets) - 1)
        except AsyncLLMError as error:
            caught = error
        attribute(caught, target)
        caught.attempts = record.all()
        failures.append(caught)
        later = call.following(caught, position) if alone is None or alone() else None
        if later is not None:
            if not last_resort or type(caught) is not CircuitOpenError:  # the first round has told of open circuits
                log_hop(caught, target, call.targets[later])
            position = later
        elif type(caught) is CircuitOpenError and all(type(failure) is CircuitOpenError for failure in failures):
            if last_resort and not await _wait_for_cooldown(call, start):
                break
            position, last_resort = start, not last_resort
            failures.clear()
        else:
            break
    raise _verdict(failures)


async def _on_target(
    call: Call, target: Target, run: Run[Answer], attempts: Attempts, last_resort: bool, is_last: bool
) -> Answer:
    """The answer of one target, asked as often as its errors and the bounds allow."""
    engine = call.engine
    state = engine.health.of(target)
    on_model = paid = 0
    retried_once = refreshed = False
    failure: AsyncLLMError | None = None
    while True:
        if not await call.enter(state, target, attempts, last_resort):
            if failure is None:
                raise engine.health.refusal(target, last_resort=last_resort)
            if is_last and await _sit_out(call, state):
                continue
            raise failure
        call.made += 1
        try:
            answer = await run(target, attempts)
        except AsyncLLMError as error:
            failure = error
        except BaseException:
            attempts.leave()
            raise
        else:
            state.quota.give(paid or 1)
            return answer
        attempts.leave()
        on_model += 1
        if failure.advice.retry == "after_refresh":
            if refreshed or call.made >= call.most or not await _refresh(target):
                engine.health.credential_refused(target)
                raise failure
            refreshed = True
            continue
        wait = pause(
            failure,
            target.retry,
            on_model=on_model - refreshed,
            in_call=call.made,
            retried_once=retried_once,
            remaining=call.remaining,
            quota=state.quota.left,
            draw=engine.draw,
        )
        if wait is None or state.off(engine.health.now() + wait):
            raise failure
        retried_once = retried_once or failure.advice.retry == "once"
        paid += failure.advice.retry_cost
        state.quota.take(failure.advice.retry_cost)
        await anyio.sleep(wait)


async def _refresh(target: Target) -> bool:
    """Whether there is a new credential in place of one that was refused."""
    try:
        return await target.provider.auth.refresh()
    except AsyncLLMError:
        _log.warning("%s: the credential was refused and could not be refreshed", target.provider.name)
        return False


async def _sit_out(call: Call, state: TargetState) -> bool:
    """Waits for the end of a cooldown that came up meanwhile; False where there is none, or it is too long."""
    now = call.engine.health.now()
    seconds = state.cooling(now)
    if seconds == 0 or seconds > LONGEST_RETRY_AFTER or seconds >= call.remaining:
        return False
    await anyio.sleep(seconds)
    return True


async def _wait_for_cooldown(call: Call, start: int) -> bool:
    """Waits for the first of the call's targets that is off only because it asked for a pause."""
    health = call.engine.health
    now = health.now()
    states = [health.of(target) for target in call.targets[start:]]
    waits = [state.wait(now) for state in states if state.cooling(now) and state.cooling(now) == state.wait(now)]
    seconds = min(waits, default=0.0)
    if seconds == 0 or seconds > LONGEST_RETRY_AFTER or seconds >= call.remaining:
        return False
    await anyio.sleep(seconds)
    return True


def log_hop(error: AsyncLLMError, target: Target, later: Target) -> None:
    """The one WARNING line of a hop: no content, no key."""
    _log.warning(
        "%s/%s failed (%s, status %s, request id %s): going on to %s/%s",
        target.provider.name,
        target.model,
        type(error).__name__,
        error.status,
        error.request_id,
        later.provider.name,
        later.model,
    )


def _verdict(failures: list[AsyncLLMError]) -> AsyncLLMError:
    """What to raise for targets that all failed or were off."""
    told = [failure for failure in failures if type(failure) is not CircuitOpenError]
    if not told:
        return min(failures, key=lambda failure: failure.retry_after or 0.0)
    last = told[-1]
    if len(told) == 1:
        return last
    attempts = failures[-1].attempts
    names = ", ".join(f"{attempt.provider}/{attempt.model}" for attempt in attempts)
    error = AllFallbacksFailedError(
        f"all {len(told)} targets failed (attempts: {names or 'none was sent'}); the last one: {last.message}",
        attempts=attempts,
    )
    error.__cause__ = last
    return error
