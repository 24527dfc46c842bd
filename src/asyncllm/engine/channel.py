"""An open stream of one target: bytes in, events out, until the protocol's own end."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import AsyncLLMError
from ..schema.content import ToolCall
from ..schema.events import Event, PartStart, ResponseStart
from ..schema.response import RateLimits
from ..transport.base import Exchange
from .exchange import Prepared


class Channel:
    """Reads one streamed answer.

    Attributes:
        ended: the protocol's end was reached; nothing more will come.
    """

    __slots__ = ("_decoder", "_exchange", "_framer", "ended", "prepared")

    def __init__(self, prepared: Prepared, exchange: Exchange) -> None:
        self.prepared = prepared
        self.ended = False
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
    def rate_limits(self) -> RateLimits | None:
        """What the rate-limit headers said."""
        return self._decoder.rate_limits

    async def receive(self) -> list[Event]:
        """The next events, at least one; empty only at the end.

        Raises:
            AsyncLLMError: the network, the framing, or an error the provider reported inside the stream; events that
                came before it in the same read are in its ``events``.
        """
        exchange, framer, decoder = self._exchange, self._framer, self._decoder
        while not self.ended:
            data = await exchange.receive()
            if data is None:
                self.ended = True
                events = decoder.feed(framer.close())
                if not decoder.done:
                    events = [*events, *decoder.close()]
            else:
                events = decoder.feed(framer.feed(data))
                self.ended = decoder.done
            if self.ended:
                exchange.release()
            if events:
                return events
        return []

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
    return list(getattr(error, "events", ()))
