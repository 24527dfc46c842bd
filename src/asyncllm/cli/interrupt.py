"""Runs a command's coroutine so that Ctrl-C ends it in order, on every Python.

On Python 3.10 an interrupt is raised wherever the loop happens to be, in a task of the transport say, which then dies
with a traceback of its own. Here it cancels the command and nothing else, as `asyncio.run` does from 3.11 on.
"""

from __future__ import annotations

import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Runs ``work`` and returns its result.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; ``work`` was cancelled and has cleaned up.
    """
    import asyncio

    pressed = False

    async def guarded() -> Result | None:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)

        def cancel(*_: object) -> None:
            nonlocal pressed
            pressed = True
            loop.call_soon_threadsafe(task.cancel)

        before = signal.signal(signal.SIGINT, cancel)
        try:
            await asyncio.wait([task])
        finally:
            signal.signal(signal.SIGINT, before)
        return None if pressed and task.cancelled() else task.result()

    result = asyncio.run(guarded())
    if pressed:
        raise KeyboardInterrupt
    return result  # type: ignore[return-value]  # None stands in for a result only where the interrupt was raised
