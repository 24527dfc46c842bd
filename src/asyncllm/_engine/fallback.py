"""From attempt to attempt and from target to target until one answers, all under one deadline.

A target is asked again as `retry` decides; then the next one is asked, if the error allows it (`router.following`). A
target whose circuit is open is passed over. At the end of the chain a target that was passed over only because it asked
for a short pause is waited for; and where only targets that are off are left, they get the one attempt a second
that passes all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import anyio

from ..errors import AllFallbacksFailedError, AsyncLLMError, CircuitOpenError
from .attempts import Attempts
from .breaker import TargetState
from .call import Call
from .exchange import attribute
from .retry import LONGEST_RETRY_AFTER, SPREAD, pause
from .router import Target, allows

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
    failures: dict[int, AsyncLLMError] = {}
    while True:
        target = call.targets[position]
        try:
            return await _on_target(call, target, run, record, last_resort)
        except AsyncLLMError as error:
            caught = error
        attribute(caught, target)
        caught.attempts = record.all()
        failures[position] = caught
        if alone is not None and not alone():
            raise _verdict(list(failures.values()))
        told = [failed for failed, failure in failures.items() if type(failure) is not CircuitOpenError]
        later = call.following(caught, position, told)
        if later is not None:
            if not last_resort or type(caught) is not CircuitOpenError:  # the first round has told of open circuits
                log_hop(caught, target, call.targets[later])
            position = later
            continue
        passed_over = _passed_over(call, failures, position)
        rested = await _wait_for_cooldown(call, passed_over)
        if rested is not None:
            position = rested
        elif passed_over and not last_resort:
            position, last_resort = passed_over[0], True
        else:
            raise _verdict(list(failures.values()))


async def _on_target(call: Call, target: Target, run: Run[Answer], attempts: Attempts, last_resort: bool) -> Answer:
    """The answer of one target, asked as often as its errors and the bounds allow.

    Raises:
        CircuitOpenError: it is off, or went off between two attempts; then its cause is what the last one failed with.
    """
    state = call.engine.health.of(target)
    retries: _Retries | None = None
    while True:
        if not await call.enter(state, target, attempts, last_resort):
            refusal = call.engine.health.refusal(target, last_resort=last_resort)
            refusal.__cause__ = None if retries is None else retries.failure
            raise refusal
        call.made += 1
        try:
            answer = await run(target, attempts)
        except AsyncLLMError as error:
            failure = error
        except BaseException:
            attempts.leave()
            raise
        else:
            state.quota.give(1 if retries is None else retries.paid)
            return answer
        attempts.leave()
        retries = retries or _Retries(call, target, state)
        if not await retries.again(failure):
            raise failure


class _Retries:
    """The retries of one call on one target.

    Attributes:
        failure: what the last attempt failed with.
        paid: what the retries took from the quota, to be given back by a success.
    """

    __slots__ = ("_call", "_refreshed", "_retried_once", "_state", "_target", "failure", "paid")

    def __init__(self, call: Call, target: Target, state: TargetState) -> None:
        self._call = call
        self._target = target
        self._state = state
        self._retried_once = self._refreshed = False
        self.failure: AsyncLLMError | None = None
        self.paid = 1

    async def again(self, failure: AsyncLLMError) -> bool:
        """Waits until another attempt is due; False where there is to be none."""
        call, target, state = self._call, self._target, self._state
        self.failure = failure
        on_model = call.tried[target.key] = call.tried.get(target.key, 0) + 1
        if failure.advice.retry == "after_refresh":
            return await self._renewed()
        wait = pause(
            failure,
            target.retry,
            on_model=on_model - self._refreshed,
            in_call=call.made,
            retried_once=self._retried_once,
            remaining=call.remaining,
            quota=state.quota.left,
            draw=call.engine.draw,
        )
        if wait is None or state.off(call.engine.health.now() + wait):
            return False
        self._retried_once = self._retried_once or failure.advice.retry == "once"
        self.paid += failure.advice.retry_cost
        state.quota.take(failure.advice.retry_cost)
        await anyio.sleep(wait)
        return True

    async def _renewed(self) -> bool:
        """Whether there is a new credential to try, once; else the provider is off."""
        call, target = self._call, self._target
        if not self._refreshed and call.made < call.most and await _refresh(target):
            self._refreshed = True
            return True
        call.engine.health.credential_refused(target)
        return False


async def _refresh(target: Target) -> bool:
    """Whether there is a new credential in place of one that was refused."""
    try:
        return await target.provider.auth.refresh()
    except AsyncLLMError:
        _log.warning("%s: the credential was refused and could not be refreshed", target.provider.name)
        return False


def _passed_over(call: Call, failures: Mapping[int, AsyncLLMError], position: int) -> list[int]:
    """The targets that were off when their turn came, and that the last failure leaves to be asked."""
    if call.made >= call.most:
        return []
    here, facts_of = call.targets[position], call.engine.facts_of
    return [
        other
        for other, failure in sorted(failures.items())
        if type(failure) is CircuitOpenError
        and call.tried.get(call.targets[other].key, 0) < call.targets[other].retry.max_attempts
        and (other == position or allows(failures[position], here, call.targets[other], facts_of))
    ]


async def _wait_for_cooldown(call: Call, passed_over: Sequence[int]) -> int | None:
    """Of the targets that were off only because they asked for a pause, the position of the first whose pause ends.

    None where there is none, or the pause is too long.
    """
    health = call.engine.health
    now = health.now()
    waits: list[tuple[float, int]] = []
    for position in passed_over:
        state = health.of(call.targets[position])
        seconds = state.cooling(now)
        if (seconds > 0 or not state.refuses(now)) and not state.off(now + seconds):
            waits.append((seconds, position))
    if not waits:
        return None
    shortest, position = min(waits)
    seconds = shortest * (1 + SPREAD * call.engine.draw())
    if shortest > LONGEST_RETRY_AFTER or seconds >= call.remaining:
        return None
    await anyio.sleep(seconds)
    return position


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
    told = [failure for failure in map(_told, failures) if failure is not None]
    if not told:
        return min(failures, key=lambda failure: failure.retry_after or 0.0)
    last = told[-1]
    last.attempts = failures[-1].attempts
    if len(told) == 1:
        return last
    names = ", ".join(f"{attempt.provider}/{attempt.model}" for attempt in last.attempts)
    error = AllFallbacksFailedError(
        f"all {len(told)} targets failed (attempts: {names or 'none was sent'}); the last one: {last.message}",
        attempts=last.attempts,
    )
    error.__cause__ = last
    return error


def _told(failure: AsyncLLMError) -> AsyncLLMError | None:
    """What a target itself said: an open circuit only hides the failure of the attempt before it, if there was one."""
    if type(failure) is not CircuitOpenError:
        return failure
    return failure.__cause__ if isinstance(failure.__cause__, AsyncLLMError) else None
