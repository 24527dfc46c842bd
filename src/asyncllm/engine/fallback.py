"""From target to target until one answers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from ..errors import AllFallbacksFailedError, AsyncLLMError
from .attempts import Attempts
from .exchange import attribute
from .router import Target, following

Answer = TypeVar("Answer")
_log = logging.getLogger("asyncllm.engine")


async def with_fallback(
    targets: Sequence[Target], attempts: Attempts, run: Callable[[Target], Awaitable[Answer]]
) -> Answer:
    """The answer of the first target that gives one.

    Args:
        targets: in order; never empty.
        attempts: the record that errors carry.
        run: asks one target.

    Raises:
        AllFallbacksFailedError: two or more targets failed; the last error is its cause.
        AsyncLLMError: the only target failed, or the first error allows no fallback.
    """
    position = 0
    failed = 0
    while True:
        target = targets[position]
        try:
            return await run(target)
        except AsyncLLMError as error:
            caught = error
        failed += 1
        attribute(caught, target)
        caught.attempts = attempts.all()
        later = following(caught, targets, position)
        if later is None:
            break
        _log.warning(
            "%s/%s failed (%s, status %s, request id %s): going on to %s/%s",
            target.provider.name,
            target.model,
            type(caught).__name__,
            caught.status,
            caught.request_id,
            targets[later].provider.name,
            targets[later].model,
        )
        position = later
    if failed == 1:
        raise caught
    names = ", ".join(f"{attempt.provider}/{attempt.model}" for attempt in caught.attempts)
    raise AllFallbacksFailedError(
        f"all {failed} targets failed (attempts: {names or 'none was sent'}); the last one: {caught.message}",
        attempts=caught.attempts,
    ) from caught
