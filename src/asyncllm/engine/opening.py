"""Opening a stream: from the request to its first content, on the first target that gets that far.

Until its first content a stream is not committed: whatever fails (the connection, a status, an error event inside a
200, an early end) is the target's failure and goes on to the next one, unseen by the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import anyio

from ..errors import AsyncLLMError, FirstTokenTimeoutError
from ..schema.events import Event
from ..schema.request import Request
from ..transport.base import MAX_ERROR_BODY_BYTES
from .attempts import Attempts
from .channel import Channel, events_before, has_content
from .exchange import Engine, attribute, judge, prepare
from .router import Target


class Opened(NamedTuple):
    """A committed stream.

    Attributes:
        events: everything up to and including the first content.
        failure: what went wrong right after it, in the same read.
    """

    engine: Engine
    target: Target
    channel: Channel
    events: list[Event]
    failure: AsyncLLMError | None
    clock: Callable[[], float]


async def open_on(engine: Engine, target: Target, request: Request, attempts: Attempts) -> Opened:
    """Opens a stream on one target and reads up to its first content.

    Raises:
        FirstTokenTimeoutError: no content in time.
        AsyncLLMError: anything else that failed before it; the attempt is settled.
    """
    prepared = await prepare(engine, target, request, attempts)
    attempts.open(target)
    channel: Channel | None = None
    events: list[Event] = []
    failure: AsyncLLMError | None = None
    patience = target.timeouts.first_content
    try:
        with anyio.move_on_after(patience) as scope:
            exchange = await engine.transport.stream(prepared.request)
            if not 200 <= exchange.status < 300:
                body = await exchange.read(MAX_ERROR_BODY_BYTES)
                raise judge(prepared, exchange.status, exchange.headers, body)
            channel = Channel(prepared, exchange, engine.background.clock)
            if exchange.headers.get("content-type", "").startswith("application/json"):
                events += await channel.receive_whole()
            while not has_content(events) and not channel.ended:
                events += await channel.receive()
        if channel is None or scope.cancelled_caught:
            raise FirstTokenTimeoutError(f"no content within {patience:g} s of the request")
    except AsyncLLMError as error:
        events += events_before(error)
        if channel is not None:
            channel.abort()
        attribute(error, target)
        if channel is None or not has_content(events):
            attempts.settle("error", error=error)
            raise
        failure = error
    except BaseException as error:
        if channel is not None:
            channel.abort()
        attempts.settle("unknown" if isinstance(error, Exception) else "cancelled")
        raise
    attempts.first_content()
    return Opened(engine, target, channel, events, failure, engine.background.clock)
