"""Opening a stream: from the request to its first content, on the first target that gets that far.

Until its first content a stream is not committed: whatever fails (the connection, a status, an error event inside a
200, an early end) is the target's failure and goes on to the next one, unseen by the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import anyio

from .._schema.events import Event
from .._schema.response import Response
from .._transport.base import MAX_ERROR_BODY_BYTES
from ..errors import AsyncLLMError, FirstTokenTimeoutError
from .attempts import Attempts
from .call import Call
from .channel import Channel, events_before, has_content
from .exchange import Engine, attribute, judge, prepare
from .router import Target

_WHOLE = ("application/json", "text/html")  # no stream, whatever was asked for: a whole answer, a proxy's page


class Opened(NamedTuple):
    """A committed stream.

    Attributes:
        position: where the target stands in the call's chain.
        attempts: the record in which this stream's attempt is still open.
        events: everything up to and including the first content.
        failure: what went wrong right after it, in the same read.
    """

    engine: Engine
    target: Target
    position: int
    attempts: Attempts
    channel: Channel
    events: list[Event]
    failure: AsyncLLMError | None
    clock: Callable[[], float]


async def open_on(call: Call, target: Target, attempts: Attempts) -> Opened:
    """Opens a stream on one target and reads up to its first content.

    Raises:
        FirstTokenTimeoutError: no content in time.
        AsyncLLMError: anything else that failed before it; the attempt is settled.
    """
    engine = call.engine
    prepared = await prepare(engine, target, call.request, attempts)
    await attempts.open(target, *call.expected)
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
            if exchange.headers.get("content-type", "").startswith(_WHOLE):
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
        prepared.conceal(error)
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
    position = call.targets.index(target)
    return Opened(engine, target, position, attempts, channel, events, failure, engine.background.clock)


def give_up(channel: Channel, attempts: Attempts, partial: Response) -> None:
    """Nobody reads a committed stream any more: its connection is closed and its attempt settled with what came."""
    if not channel.ended:
        channel.abort()
    attempts.settle(
        "cancelled", status=channel.status, request_id=channel.request_id, usage=channel.usage, partial=partial
    )
