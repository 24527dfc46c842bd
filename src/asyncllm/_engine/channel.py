"""Reads a streamed reply: first up to its first content, then to the end that its protocol marks.

Until its first content a stream is not committed: whatever fails (the connection, a status, an error event inside a
200, an early end) is the target's failure and goes on to the next one, unseen by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import anyio

from .._schema.accumulate import Accumulator
from .._schema.content import Text, ToolCall
from .._schema.events import Event, PartEnd, PartStart, ResponseStart
from .._schema.replay import events_of
from .._schema.response import Response
from .._schema.usage import UNKNOWN_USAGE, Usage
from .._transport.base import MAX_BODY_BYTES, Exchange
from ..errors import AsyncLLMError, ContentBlockedError, FirstTokenTimeoutError
from .attempt import HTTPAttempt

_WHOLE = ("application/json", "text/html")  # no stream, whatever was asked for: a whole answer, a proxy's page


class Channel:
    """Reads one streamed reply.

    Attributes:
        ended: the protocol's end was reached; nothing more will come.
        heard_at: when the last bytes came, on the loop's clock.
        pull: gives the next bytes, to be handed to `take`; None at their end.
        clock: the loop's clock, in seconds.
    """

    __slots__ = ("_decoder", "_exchange", "_framer", "attempt", "clock", "ended", "heard_at", "pull")

    def __init__(self, attempt: HTTPAttempt, exchange: Exchange) -> None:
        self.attempt = attempt
        self.ended = False
        self.clock = attempt.call.engine.background.clock
        self.heard_at = self.clock()
        self.pull = exchange.receive
        self._exchange = exchange
        self._framer = attempt.route.framing()
        self._decoder = attempt.route.protocol.decoder(exchange.headers, attempt.context)
        if attempt.answer_tool:
            from .._protocols.answer_tool import AnswerDecoder

            self._decoder = AnswerDecoder(self._decoder)
        attempt.answered(self._decoder.request_id, self._decoder.rate_limits)

    @property
    def usage(self) -> Usage:
        """Returns the usage so far, if the wire reports it before the end."""
        counted = getattr(self._decoder, "usage", UNKNOWN_USAGE)
        return counted if isinstance(counted, Usage) else UNKNOWN_USAGE

    async def receive(self) -> list[Event]:
        """Returns the next events: at least one, or none at the end.

        Raises:
            AsyncLLMError: as `take`, and what the network raises.
        """
        while not self.ended:
            events = self.take(await self.pull())
            if events:
                return events
        return []

    async def receive_whole(self) -> list[Event]:
        """Returns all events of a reply that came as one JSON body instead of a stream.

        Raises:
            AsyncLLMError: the body is an error, or not of this protocol.
        """
        return self._take_whole(await self._exchange.read(MAX_BODY_BYTES))

    def _take_whole(self, body: bytes) -> list[Event]:
        exchange, attempt = self._exchange, self.attempt
        if body.lstrip()[:1] not in (b"{", b"[", b"<"):  # a stream under the wrong name
            return [*self.take(body), *(() if self.ended else self.take(None))]
        self.ended = True
        response = attempt.route.protocol.decode(exchange.status, exchange.headers, body, attempt.context)
        if attempt.answer_tool:
            from .._protocols.answer_tool import as_answer

            response = as_answer(response)
        return list(events_of(response))

    def take(self, data: bytes | None) -> list[Event]:
        """Returns the events that these bytes complete (None means the end of the bytes); often none.

        Raises:
            AsyncLLMError: the framing, or an error the provider reported inside the stream; events that came before it
                in the same read are in its ``events``.
        """
        self.heard_at = self.clock()
        decoder = self._decoder
        if data is not None:
            events = decoder.feed(self._framer.feed(data))
            if not decoder.done:
                return events
        else:
            events = decoder.feed(self._framer.close())
            if not decoder.done:
                events = [*events, *decoder.close()]
        self.ended = True
        self._exchange.release()
        return events

    def abort(self) -> None:
        """Closes the connection of a reply that has not ended. A waiting read fails at once."""
        if not self.ended:
            self.ended = True
            self._exchange.abort()


class Opened(NamedTuple):
    """A committed stream. Its holder settles the attempt.

    Attributes:
        events: everything up to and including the first content.
        failure: what went wrong right after it, in the same read.
    """

    attempt: HTTPAttempt
    channel: Channel
    events: list[Event]
    failure: AsyncLLMError | None


async def open_stream(attempt: HTTPAttempt) -> Opened:
    """Sends the request, reads up to the first content, and takes the attempt over.

    Raises:
        FirstTokenTimeoutError: no content in time.
        AsyncLLMError: anything else that failed before it.
    """
    channel: Channel | None = None
    events: list[Event] = []
    failure: AsyncLLMError | None = None
    patience = attempt.target.timeouts.first_content
    try:
        with anyio.move_on_after(patience) as scope:
            exchange = await attempt.stream()
            channel = Channel(attempt, exchange)
            if exchange.headers.get("content-type", "").startswith(_WHOLE):
                events += await channel.receive_whole()
            while not has_content(events) and not channel.ended:
                events += await channel.receive()
        if attempt.call.fallback_on and channel is not None and channel.ended:
            _check_blocked(attempt, events)
        if channel is None or scope.cancelled_caught:
            raise FirstTokenTimeoutError(f"no content within {patience:g} s of the request")
    except AsyncLLMError as error:
        events += error.events
        if channel is not None:
            channel.abort()
        if channel is None or attempt.settled or not has_content(events):
            raise
        failure = attempt.complete(error)
    except BaseException:
        if channel is not None:
            channel.abort()
        raise
    attempt.first_content()
    attempt.hand_over()
    return Opened(attempt, channel, events, failure)


def _check_blocked(attempt: HTTPAttempt, events: Sequence[Event]) -> None:
    """Raises `ContentBlockedError` for a blocked stream without content, if the call may try another target for that
    reason.
    """
    accumulator = Accumulator()
    accumulator.feed(events)
    response = accumulator.response()
    if not response.message.content and attempt.call.may_go_on_from(response, attempt.position):
        attempt.succeed(response)
        raise ContentBlockedError(
            f"the reply was blocked ({response.raw_finish_reason or response.finish_reason})", usage=response.usage
        )


def has_content(events: Sequence[Event]) -> bool:
    """Returns whether any event is content. After content, no other target can take over unseen."""
    for event in events:
        kind = type(event)
        if kind is ResponseStart:
            continue
        if kind is PartStart and not isinstance(event.part, ToolCall):  # type: ignore[union-attr]
            continue
        if kind is PartEnd and type(part := event.part) is Text and not part.text and not part.citations:  # type: ignore[union-attr]
            continue
        return True
    return False


def give_up(opened: Opened, partial_response: Response) -> None:
    """Closes a committed stream that nobody reads any more, and settles its attempt with what came."""
    opened.channel.abort()
    opened.attempt.settle("cancelled", usage=opened.channel.usage, partial=partial_response)


def discard(late: Opened) -> None:
    """Closes a hedged stream that came second."""
    accumulator = Accumulator()
    accumulator.feed(late.events)
    give_up(late, accumulator.response())
