"""A second line of attempts beside a late first one; the first content wins, the other line is cancelled.

Opt-in, because it costs a second request. The first line asks the first target, the second begins with the next one
and goes on along the chain; once it runs, the first line does not go on to targets of its own. Both write into one
record, and the loser's attempt stands in it as what it was: cancelled, or an answer nobody used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic

import anyio

from ..errors import AsyncLLMError
from .attempts import Attempts
from .call import Call
from .fallback import Answer, Run, with_fallback

_LEAST_SAMPLES = 20  # latencies that a percentile needs before it means anything
_log = logging.getLogger("asyncllm.engine")


def delay(call: Call) -> float | None:
    """Seconds after which the call asks a second target; None for never."""
    if len(call.targets) < 2:
        return None
    patience = call.patience
    if patience.hedge is not None:
        return patience.hedge
    if patience.hedge_percentile is not None:
        health = call.engine.health
        return health.percentile(call.targets[0], call.request.stream, patience.hedge_percentile, _LEAST_SAMPLES)
    return None


class _Line(Generic[Answer]):
    """One of the two lines of attempts."""

    def __init__(self, attempts: Attempts) -> None:
        self.attempts = attempts
        self.scope = anyio.CancelScope()
        self.answers: list[Answer] = []
        self.failure: Exception | None = None
        self.over = False


async def with_hedge(call: Call, run: Run[Answer], seconds: float, discard: Callable[[Answer], None]) -> Answer:
    """The answer of whichever line is first.

    Args:
        call: the call; it has two targets or more.
        run: makes one attempt.
        seconds: how long the first line has to itself.
        discard: gives up an answer that came second.

    Raises:
        AsyncLLMError: as `with_fallback`, when both lines failed.
    """
    first, second = _Line[Answer](call.attempts), _Line[Answer](call.attempts.beside())
    lines = [first]
    changed = anyio.Event()

    async def follow(line: _Line[Answer], start: int, alone: Callable[[], bool] | None) -> None:
        nonlocal changed
        try:
            with line.scope:
                line.answers.append(await with_fallback(call, run, attempts=line.attempts, start=start, alone=alone))
        except Exception as error:  # noqa: BLE001  # raised again below, by itself and not in a group
            line.failure = error
        finally:
            line.over = True
            changed.set()

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow, first, 0, lambda: len(lines) == 1)
            with anyio.move_on_after(seconds):
                await changed.wait()
            if not first.over:
                _log.info("no content from %s/%s yet: the next target is asked as well", *call.targets[0].key)
                lines.append(second)
                tasks.start_soon(follow, second, 1, None)
            while not any(line.answers for line in lines) and not all(line.over for line in lines):
                changed = anyio.Event()
                await changed.wait()
            for line in lines:
                line.scope.cancel()
    except BaseException:
        for line in lines:
            for answer in line.answers:
                discard(answer)
        raise
    answers = [answer for line in lines for answer in line.answers]
    for late in answers[1:]:
        discard(late)
    if answers:
        return answers[0]
    failures = [line.failure for line in reversed(lines) if line.failure is not None]
    for failure in failures:
        if isinstance(failure, AsyncLLMError):
            failure.attempts = call.attempts.all()
    raise failures[0]
