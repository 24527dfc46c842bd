"""An open stream of one target: bytes in, events out, until the protocol's own end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .._schema.content import ToolCall
from .._schema.events import Event, PartStart, ResponseStart
from .._schema.replay import events_of
from .._schema.response import RateLimits
from .._schema.usage import UNKNOWN_USAGE, Usage
from .._transport.base import MAX_BODY_BYTES, Exchange
from ..errors import AsyncLLMError
from .exchange import Prepared


class Channel:
    """Reads one streamed answer.

    Attributes:
        ended: the protocol's end was reached; nothing more will come.
        heard_at: when the last bytes came, on the loop's clock.
        pull: gives the next bytes, to be handed to `take`; None at their end.
    """

    __slots__ = ("_clock", "_decoder", "_exchange", "_framer", "ended", "heard_at", "prepared", "pull")

    def __init__(self, prepared: Prepared, exchange: Exchange, clock: Callable[[], float]) -> None:
        self.prepared = prepared
        self.ended = False
        self.heard_at = clock()
        self._clock = clock
        self.pull = exchange.receive
        self._exchange = exchange
        self._framer = prepared.route.framing()
        self._decoder = prepared.route.protocol.decoder(exchange.headers, prepared.context)

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return self._exchange.status

    @property
    def request_id(self) -> str | None:
        """The provider's id of the HTTP request."""
        return self._decoder.request_id

    @property
    def usage(self) -> Usage:
        """What the provider has counted so far, where its wire counts before the end."""
        counted = getattr(self._decoder, "usage", UNKNOWN_USAGE)
        return counted if isinstance(counted, Usage) else UNKNOWN_USAGE

    @property
    def rate_limits(self) -> RateLimits | None:
        """What the rate-limit headers said."""
        return self._decoder.rate_limits

    async def receive(self) -> list[Event]:
        """The next events, at least one; empty only at the end.

        Raises:
            AsyncLLMError: as `take`, and what the network raises.
        """
        while not self.ended:
            events = self.take(await self.pull())
            if events:
                return events
        return []

    async def receive_whole(self) -> list[Event]:
        """All events of an answer that came in one JSON body, though a stream was asked for.

        Raises:
            AsyncLLMError: the body is an error, or not of this protocol.
        """
        exchange, prepared = self._exchange, self.prepared
        body = await exchange.read(MAX_BODY_BYTES)
        if body.lstrip()[:1] not in (b"{", b"[", b"<"):  # a stream under the wrong name
            return [*self.take(body), *(() if self.ended else self.take(None))]
        self.ended = True
        response = prepared.route.protocol.decode(exchange.status, exchange.headers, body, prepared.context)
        return list(events_of(response))

    def take(self, data: bytes | None) -> list[Event]:
        """The events that these bytes (None for their end) complete; often none.

        Raises:
            AsyncLLMError: the framing, or an error the provider reported inside the stream; events that came before it
                in the same read are in its ``events``.
        """
        self.heard_at = self._clock()
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
        """Closes the connection; a read that waits fails at once."""
        self.ended = True
        self._exchange.abort()


def has_content(events: Sequence[Event]) -> bool:
    """Whether any event is content: from then on a failure can no longer be hidden by another target."""
    for event in events:
        kind = type(event)
        if kind is ResponseStart or (kind is PartStart and not isinstance(event.part, ToolCall)):  # type: ignore[union-attr]
            continue
        return True
    return False


def events_before(error: AsyncLLMError) -> list[Event]:
    """What a decoder had decoded in the same read before it raised."""
    return list(error.events)
