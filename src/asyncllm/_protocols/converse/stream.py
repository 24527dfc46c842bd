"""Stream events -> canonical events.

Theory: ``messageStart``, then for each block an optional ``contentBlockStart``, any ``contentBlockDelta`` and
``contentBlockStop``, then ``messageStop`` with the reason, then ``metadata`` with the usage. A block is gathered in the
shape a whole body would have and read by the same code (`asyncllm._protocols.converse.response`).

Rules:

* The name of the frame says what it is. Payloads carry padding (``p``), which nobody reads.
* Only blocks of tools and images are announced. Any other begins with its first delta that says something: an empty
  text begins nothing. A delta of another kind under the same number ends the block and begins a new one.
* ``metadata`` ends the stream. Where the bytes end after ``messageStop`` without it, the reply is whole and its usage
  unknown; before ``messageStop`` it is truncated.
* A frame of kind ``exception`` or ``error`` is an error, whatever came before it.

Text is nearly all of a stream: it takes a path of its own in `feed`. Sources: botocore 1.44.5
(``ConverseStreamOutput``), recorded traffic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..._framing.base import Frame
from ..._schema.content import Part, ProviderToolCall
from ..._schema.events import (
    Event,
    PartEnd,
    PartStart,
    ReasoningDelta,
    ResponseEnd,
    ResponseStart,
    TextDelta,
    ToolCallDelta,
)
from ..._schema.response import RateLimits
from ..._schema.usage import UNKNOWN_USAGE, Usage
from ...errors import AsyncLLMError, ProtocolError, StreamTruncatedError
from ..base import Context
from ..classify import snippet
from ..shapes import as_dict, as_text
from ..stream_errors import complete
from .errors import error_from, request_id_of
from .pieces import REASONING, REDACTED, TEXT, TOOL_USE, OpenBlock
from .response import check_blocked, finish_reason, read_block, stop_sequence
from .usage import read_usage


class ConverseStreamDecoder:
    """Decodes one stream; made by `Converse.decoder`."""

    __slots__ = (
        "_blocks",
        "_context",
        "_headers",
        "_names",
        "_open",
        "_parts",
        "_stop",
        "_usage",
        "done",
        "rate_limits",
        "request_id",
    )

    def __init__(self, headers: Mapping[str, str], context: Context) -> None:
        self.done = False
        self.request_id = request_id_of(headers)
        self.rate_limits: RateLimits | None = None  # Bedrock sends none
        self._headers = headers
        self._context = context
        self._blocks: dict[int, OpenBlock] = {}
        self._parts: list[Part | None] = []
        self._names: dict[str, str] = {}
        self._usage: Usage | None = None
        self._stop: dict[str, Any] | None = None
        self._open = False  # between messageStart and messageStop

    @property
    def usage(self) -> Usage:
        """What the stream has said of its usage: unknown until its end."""
        return self._usage or UNKNOWN_USAGE

    def feed(self, frames: Sequence[Frame]) -> list[Event]:
        """Takes frames and gives the events they mean; see `asyncllm._protocols.base.StreamDecoder`.

        Raises:
            ProtocolError: a frame is not of this protocol.
            ContentBlockedError: the answer was blocked, and holds nothing at all.
            AsyncLLMError: the provider reported an error in the stream.
        """
        events: list[Event] = []
        loads, blocks = self._context.json.loads, self._blocks
        try:
            for frame in frames:
                if self.done:
                    break
                if frame.kind != "event":
                    raise error_from(frame.data, self._headers, self._context, status=None, code=frame.event)
                value = loads(frame.data)
                if type(value) is not dict:
                    raise self._broken("an event is no JSON object", frame)
                if frame.event != "contentBlockDelta":
                    self._rare(frame.event, value, events, frame)
                    continue
                delta, index = value.get("delta"), value.get("contentBlockIndex")
                if type(delta) is not dict or type(index) is not int or not self._open:
                    raise self._broken("a delta stands out of place", frame)
                block = blocks.get(index)
                if block is not None and block.kind == TEXT and type(text := delta.get("text")) is str:
                    if text:
                        block.pieces.append(text)
                        events.append(TextDelta(text, block.index))
                else:
                    self._delta(index, delta, events, frame)
        except AsyncLLMError as error:
            complete(error, events, self._context, self.request_id)
            raise
        return events

    def close(self) -> list[Event]:
        """The bytes have ended: the end without usage, nothing more, or an error.

        Raises:
            StreamTruncatedError: ``messageStop`` never came.
            ContentBlockedError: the answer was blocked, and holds nothing at all.
        """
        events: list[Event] = []
        if self.done:
            return events
        if self._stop is None:
            raise StreamTruncatedError(
                "the stream ended without messageStop",
                provider=self._context.provider,
                model=self._context.model,
                request_id=self.request_id,
            )
        self._end(events)
        return events

    def _rare(self, name: str, value: dict[str, Any], events: list[Event], frame: Frame) -> None:
        """Everything but deltas; an event that is not known is skipped."""
        if name == "messageStart":
            if self._open or self._stop is not None:
                raise self._broken("a second message begins", frame)
            self._open = True
            events.append(ResponseStart(model=self._context.model))
        elif name == "contentBlockStart":
            self._block_start(value, events, frame)
        elif name == "contentBlockStop":
            index = value.get("contentBlockIndex")
            if type(index) is int and index in self._blocks:
                self._block_stop(index, events)
        elif name == "messageStop":
            if not self._open:
                raise self._broken("a message ends that is not open", frame)
            self._open = False
            for index in list(self._blocks):
                self._block_stop(index, events)
            self._stop = value
            if self._usage is not None:
                self._end(events)
        elif name == "metadata":
            self._usage = read_usage(value.get("usage"), value.get("serviceTier"))
            if self._stop is not None:
                self._end(events)

    def _block_start(self, value: dict[str, Any], events: list[Event], frame: Frame) -> None:
        index, start = value.get("contentBlockIndex"), value.get("start")
        if type(index) is not int or not isinstance(start, dict) or not self._open:
            raise self._broken("a block begins out of place", frame)
        for kind, body in start.items():
            if kind == TEXT:
                continue  # it begins with its first words
            body = dict(as_dict(body))
            if kind == TOOL_USE and not isinstance(body.get("toolUseId"), str):
                body["toolUseId"] = self._context.new_id("tooluse_")  # once: the end names the same call
            self._begin(index, kind, body, events)

    def _begin(self, index: int, kind: str, body: dict[str, Any], events: list[Event]) -> OpenBlock:
        if index in self._blocks:
            self._block_stop(index, events)
        block = OpenBlock(len(self._parts), kind, body)
        self._blocks[index] = block
        self._parts.append(None)
        events.append(PartStart(block.index, self._read(block)))
        return block

    def _read(self, block: OpenBlock) -> Part:
        wire, arguments = block.wire()
        return read_block(wire, self._context, self._names, arguments)

    def _delta(self, index: int, delta: dict[str, Any], events: list[Event], frame: Frame) -> None:
        """A delta that is not more of an open text."""
        for key, value in delta.items():
            if key == "reasoningContent":
                self._reasoning(index, as_dict(value), events)
            elif key == "toolUse":
                block, piece = self._blocks.get(index), as_dict(value).get("input")
                if block is None or block.kind != TOOL_USE or not isinstance(piece, str):
                    raise self._broken("a delta of a tool's input belongs to no call", frame)
                if piece:
                    block.pieces.append(piece)
                    events.append(ToolCallDelta(piece, block.index))
            elif key == "text":
                if not isinstance(value, str):
                    raise self._broken("a delta holds no text", frame)
                if value:
                    block = self._of_kind(index, TEXT, events)
                    block.pieces.append(value)
                    events.append(TextDelta(value, block.index))
            elif key == "citation":
                self._of_kind(index, TEXT, events).citations.append(value)
            else:
                self._of_kind(index, key, events).take(value)

    def _of_kind(self, index: int, kind: str, events: list[Event]) -> OpenBlock:
        """The open block, or a new one where it is of another kind."""
        block = self._blocks.get(index)
        return block if block is not None and block.kind == kind else self._begin(index, kind, {}, events)

    def _reasoning(self, index: int, value: dict[str, Any], events: list[Event]) -> None:
        text, signature, redacted = (as_text(value.get(key)) for key in ("text", "signature", "redactedContent"))
        if redacted:
            self._of_kind(index, REDACTED, events).pieces.append(redacted)
        if text:
            block = self._of_kind(index, REASONING, events)
            block.pieces.append(text)
            events.append(ReasoningDelta(text, block.index))
        if signature:
            self._of_kind(index, REASONING, events).signatures.append(signature)

    def _block_stop(self, index: int, events: list[Event]) -> None:
        block = self._blocks.pop(index)
        part = self._read(block)
        if type(part) is ProviderToolCall:
            self._names[part.id] = part.name
        self._parts[block.index] = part
        events.append(PartEnd(block.index, part))

    def _end(self, events: list[Event]) -> None:
        stop = self._stop or {}
        parts = [part for part in self._parts if part is not None]
        word = as_text(stop.get("stopReason"))
        finish = finish_reason(word, parts)
        check_blocked(finish, word, parts, self._context, self.request_id)
        events.append(
            ResponseEnd(
                finish,
                raw_finish_reason=word,
                stop_sequence=stop_sequence(stop.get("additionalModelResponseFields")),
                usage=self.usage,
            )
        )
        self.done = True

    def _broken(self, what: str, frame: Frame) -> ProtocolError:
        return ProtocolError(f"{what}: {snippet(frame.data)!r}", request_id=self.request_id)
