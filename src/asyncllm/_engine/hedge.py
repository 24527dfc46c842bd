"""A second line of attempts beside a late first one; the first content wins, the other line is cancelled.

Opt-in, because it costs a second request. The first line asks the first target, the second begins with the next one
and goes on along the chain; once it runs, the first line does not go on to targets of its own. Both write into one
record, and the loser's attempt stands in it as what it was: cancelled, or an answer nobody used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Generic

import anyio

from ..errors import AsyncLLMError, ClientStateError
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
    """One of the two lines of attempts, in a background task of its own."""

    def __init__(
        self, call: Call, attempts: Attempts, changed: Callable[[], None], discard: Callable[[Answer], None]
    ) -> None:
        self.attempts = attempts
        self.answers: list[Answer] = []
        self.failures: list[Exception] = []
        self.begun = self.over = False
        self._call = call
        self._changed = changed
        self._discard = discard
        self._ended = False
        self._scope = anyio.CancelScope()

    async def follow(self, run: Run[Answer], start: int, alone: Callable[[], bool], ahead: float) -> None:
        """Asks the targets from ``start`` on, after ``ahead`` seconds."""
        try:
            with self._scope:
                await anyio.sleep(ahead)
                self.begun = True
                if start:
                    _log.info("no content from %s/%s yet: the next target is asked too", *self._call.targets[0].key)
                answer = await with_fallback(self._call, run, attempts=self.attempts, start=start, alone=alone)
                (self._discard if self._ended else self.answers.append)(answer)
        except Exception as error:  # noqa: BLE001  # raised where the call waits
            self.failures.append(error)
        finally:
            self.over = True
            self._changed()

    def end(self) -> None:
        """Cancels what still runs; its attempt is settled at once, an answer that comes all the same is given up."""
        self._ended = True
        if not self.over:
            self._scope.cancel()
            self.attempts.settle("cancelled")


async def with_hedge(call: Call, run: Run[Answer], seconds: float, discard: Callable[[Answer], None]) -> Answer:
    """The answer of whichever line is first.

    The lines run in background tasks, not in a task group: on asyncio a task group may swallow a cancellation of the
    caller that coincides with one of its own.

    Args:
        call: the call; it has two targets or more.
        run: makes one attempt.
        seconds: how long the first line has to itself.
        discard: gives up an answer that came second.

    Raises:
        ClientStateError: the client was closed meanwhile.
        AsyncLLMError: as `with_fallback`, when both lines failed.
    """
    changed = anyio.Event()
    first = _Line[Answer](call, call.attempts, lambda: changed.set(), discard)
    second = _Line[Answer](call, call.attempts.beside(), lambda: changed.set(), discard)
    call.engine.background.spawn(partial(first.follow, run, 0, lambda: not second.begun, 0.0))
    call.engine.background.spawn(partial(second.follow, run, 1, lambda: True, seconds))
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
        if isinstance(failure, AsyncLLMError):
            failure.attempts = call.attempts.all()
        raise failure
    raise ClientStateError("the client was closed while this call was under way")
