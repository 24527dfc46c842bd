"""Chunks of an older model -> canonical events: one text, from its first words to the reason why it ended.

Nothing says that the stream is over but Amazon's metrics in the last chunk. Where the bytes end without them, the reply
is whole if a reason has been given, or a guardrail stood in for the model; else it is truncated. Source: recorded
traffic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..._framing.framer import Frame
from ..._schema.content import Text
from ..._schema.events import Event, PartEnd, PartStart, ResponseEnd, ResponseStart, TextDelta
from ..._schema.response import RateLimits
from ..._schema.usage import UNKNOWN_USAGE, Usage
from ...errors import AsyncLLMError, ProtocolError, StreamTruncatedError
from ..aws_shapes import error_from, request_id_of
from ..classify import snippet
from ..codec import Context, Halves, complete
from ..finish import Said, check_reply
from .dialect import InvokeDialect, find
from .response import METRICS, intervened, usage_of, why_ended


class InvokeStreamDecoder:
    """Decodes one stream; see `asyncllm._protocols.codec.StreamDecoder`."""

    __slots__ = (
        "_blocked",
        "_context",
        "_counted",
        "_family",
        "_halves",
        "_headers",
        "_pieces",
        "_started",
        "_word",
        "done",
        "rate_limits",
        "request_id",
    )

    def __init__(self, headers: Mapping[str, str], context: Context, dialect: InvokeDialect) -> None:
        self.done = False
        self.request_id = request_id_of(headers)
        self.rate_limits: RateLimits | None = None  # Bedrock sends none
        self._headers = headers
        self._context = context
        self._family = dialect.family
        self._pieces: list[str] = []
        self._word: str | None = None
        self._blocked = False
        self._counted: Usage = UNKNOWN_USAGE
        self._started = False
        self._halves = Halves()

    @property
    def usage(self) -> Usage:
        """Returns what the stream has said of its usage so far."""
        return self._counted

    def feed(self, frames: Sequence[Frame]) -> list[Event]:
        """Takes frames and gives the events they mean; see `asyncllm._protocols.codec.StreamDecoder`.

        Raises:
            ProtocolError: a frame is not of this protocol.
            ContentBlockedError: the answer was blocked, and holds nothing at all.
            AsyncLLMError: the provider reported an error in the stream.
        """
        if self._halves.waiting:
            frames = self._halves.mended(frames)
        events: list[Event] = []
        try:
            for frame in frames:
                if self.done:
                    break
                if frame.kind != "event":
                    raise error_from(frame.data, self._headers, self._context, status=None, code=frame.event)
                try:
                    value = self._context.json.loads(frame.data)
                except ProtocolError as broken:
                    events += self.feed(self._halves.recover(broken, frame, frames))
                    break
                if type(value) is not dict:
                    raise ProtocolError(
                        f"an event is no JSON object: {snippet(frame.data)!r}", request_id=self.request_id
                    )
                self._chunk(value, events)
        except AsyncLLMError as error:
            complete(error, events, self._context, self.request_id)
            raise
        return events

    def close(self) -> list[Event]:
        """Ends the stream, as its bytes have ended; returns the end without metrics, or nothing more.

        Raises:
            StreamTruncatedError: neither a reason nor metrics came.
            ContentBlockedError: the answer was blocked, and holds nothing at all.
        """
        events = self.feed(self._halves.rest())
        if self.done:
            return events
        if self._word is None and not self._blocked:
            raise StreamTruncatedError(
                "the stream ended without a reason",
                provider=self._context.provider,
                model=self._context.model,
                request_id=self.request_id,
            )
        self._end(events)
        return events

    def _chunk(self, value: dict[str, Any], events: list[Event]) -> None:
        if not self._started:
            self._started = True
            events.append(ResponseStart(model=self._context.model))
        text = find(value, self._family.text)
        if isinstance(text, str) and text:
            if not self._pieces:
                events.append(PartStart(0, Text("", origin=self._context.origin)))
            self._pieces.append(text)
            events.append(TextDelta(text, 0))
        word = find(value, self._family.finish)
        if isinstance(word, str):
            self._word = word
        self._blocked = self._blocked or intervened(value)
        if METRICS in value or intervened(value):
            self._counted = usage_of({}, value, self._family)
        if METRICS in value:
            self._end(events)

    def _end(self, events: list[Event]) -> None:
        finish = why_ended(self._word, blocked=self._blocked)
        word = self._word or ("guardrail_intervened" if self._blocked else None)
        check_reply(
            word,
            said=Said(*[bool(self._pieces or self._blocked)] * 2),
            context=self._context,
            request_id=self.request_id,
            usage=self.usage,
        )
        if self._pieces:
            events.append(PartEnd(0, Text("".join(self._pieces), origin=self._context.origin)))
        events.append(
            ResponseEnd(finish, raw_finish_reason=self._word, usage=self.usage, warnings=self._halves.warnings)
        )
        self.done = True
