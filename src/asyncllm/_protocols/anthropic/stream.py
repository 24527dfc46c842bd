"""Stream events -> canonical events.

Theory: the wire sends ``message_start``, then for each block ``content_block_start``, any ``content_block_delta`` and
``content_block_stop``, then ``message_delta`` and ``message_stop``. A delta names a field of its block and more of that
field's value, so a block is gathered in the shape a whole body would have and read by the same code
(`asyncllm._protocols.anthropic.response`).

Rules:

* What counts is the JSON's ``type``; the SSE name repeats it, and Bedrock sends none.
* ``ping`` and events of unknown types are skipped. Deltas of unknown types are merged into their block, field by field:
  text is appended, anything else replaces.
* ``content_block_start`` may carry a beginning: text, or a tool's whole input, which becomes one delta.
* ``signature_delta`` is assigned, ``citations_delta`` collected. The usage of ``message_delta`` is cumulative: what it
  says replaces what was known, and what it leaves out or null stays.
* Only ``message_stop`` ends the stream. Blocks still open then are ended first; what follows is not read.

Text is nearly all of a stream: it takes a path of its own in `feed`. Sources: anthropic SDK 2.11 (``_streaming``,
``lib/streaming/_messages``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..._framing.framer import UNFINISHED, Frame
from ..._schema.content import Part, ProviderToolCall, ToolCall
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
from ..._schema.usage import Usage
from ...errors import AsyncLLMError, ProtocolError, StreamTruncatedError
from ..charges import later_usage
from ..classify import snippet
from ..codec import Context, Halves, complete, is_keepalive, no_such_stream
from ..finish import check_reply, finish_reason, said_by
from ..parts import CallIds, as_dict, as_object, as_text
from .dialect import AnthropicDialect
from .errors import error_from, request_id_of
from .response import check_blocked, read_block
from .usage import read_rate_limits, read_usage


class _Block:
    """Holds a block that has started and not ended."""

    __slots__ = ("index", "pieces", "taken", "wire")

    def __init__(self, index: int, wire: dict[str, Any]) -> None:
        self.index = index
        self.wire = wire
        self.pieces: list[str] = []
        """What the deltas of its main field brought."""
        self.taken = _DELTAS.get(str(wire.get("type")))
        """The delta of its main field; None for blocks that have none."""


# block type -> the type of the deltas that are its content
_DELTAS: Mapping[str, str] = {
    "text": "text_delta",
    "thinking": "thinking_delta",
    "tool_use": "input_json_delta",
    "server_tool_use": "input_json_delta",
    "mcp_tool_use": "input_json_delta",
}
# delta type -> the field that holds its piece
_FIELDS: Mapping[str, str] = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


# What of a message_delta has a place of its own in the events.
_OF_DELTAS = frozenset({"type", "delta", "usage"})
_OF_STOPS = frozenset({"type", "stop_reason", "stop_sequence"})


class AnthropicStreamDecoder:
    """Decodes one stream; see `asyncllm._protocols.codec.StreamDecoder`."""

    __slots__ = (
        "_blocks",
        "_call_ids",
        "_context",
        "_dialect",
        "_halves",
        "_headers",
        "_more",
        "_names",
        "_odd",
        "_parts",
        "_started",
        "_stop",
        "_usage",
        "done",
        "rate_limits",
        "request_id",
    )

    def __init__(self, headers: Mapping[str, str], context: Context, dialect: AnthropicDialect) -> None:
        self.done = False
        self.request_id = request_id_of(headers, dialect)
        self.rate_limits = read_rate_limits(headers, context.now)
        self._headers = headers
        self._context = context
        self._dialect = dialect
        self._blocks: dict[int, _Block] = {}
        self._parts: list[Part | None] = []
        self._names: dict[str, str] = {}
        self._call_ids = CallIds()
        self._usage: dict[str, Any] = {}
        self._stop: dict[str, Any] = {}
        self._started = False
        self._halves = Halves()
        self._odd = ""  # what was not of this protocol
        self._more: dict[str, Any] = {}  # what the message says besides its content

    @property
    def usage(self) -> Usage:
        """Returns the usage so far. The input is known from the first event on."""
        return read_usage(self._usage)

    def feed(self, frames: Sequence[Frame]) -> list[Event]:
        """Takes frames and returns their events. See `asyncllm._protocols.codec.StreamDecoder`.

        Raises:
            ProtocolError: a frame is not of this protocol.
            ContentBlockedError: the model refused and said nothing at all.
            AsyncLLMError: the provider reported an error in the stream.
        """
        if self._halves.waiting:
            frames = self._halves.mended(frames)
        events: list[Event] = []
        loads, blocks = self._context.json.loads, self._blocks
        try:
            for frame in frames:
                if self.done:
                    break
                if frame.kind != "event" and frame.kind != UNFINISHED:
                    raise self._failure(frame)
                try:
                    event = loads(frame.data)
                except ProtocolError as broken:
                    if frame.event == "error":
                        raise self._failure(frame) from None
                    if frame.data.lstrip()[:1] != b"{":
                        continue  # a keepalive, whatever form the server gave it
                    events += self.feed(self._halves.recover(broken, frame, frames))
                    break
                if type(event) is not dict:
                    if not is_keepalive(event):
                        raise self._broken("an event is no JSON object", frame)
                    self._odd = snippet(frame.data, 100)
                    continue
                if not event.get("type"):
                    event["type"] = frame.event  # hosts that say it there only
                if event.get("type") == "content_block_delta":
                    delta, index = event.get("delta"), event.get("index")
                    if type(delta) is dict and type(index) is int and (block := blocks.get(index)) is not None:
                        kind = delta.get("type")
                        if kind == "text_delta" and block.taken == kind and type(text := delta.get("text")) is str:
                            if text:
                                block.pieces.append(text)
                                events.append(TextDelta(text, block.index))
                        else:
                            self._delta(block, delta, events, frame)
                        continue
                    raise self._broken("a delta belongs to no block", frame)
                self._rare(event, events, frame)
        except AsyncLLMError as error:
            complete(error, events, self._context, self.request_id)
            raise
        return events

    def close(self) -> list[Event]:
        """Ends the bytes: no more events, or an error.

        Raises:
            StreamTruncatedError: ``message_stop`` never came.
        """
        events = self.feed(self._halves.rest())
        if not self.done:
            if self._odd and not self._started:
                raise no_such_stream(self._odd, self._context, self.request_id)
            raise StreamTruncatedError(
                "the stream ended without message_stop",
                provider=self._context.provider,
                model=self._context.model,
                request_id=self.request_id,
            )
        return events

    def _rare(self, event: dict[str, Any], events: list[Event], frame: Frame) -> None:
        """Reads every event that is not a delta. They are few, so `feed` tests for deltas first."""
        kind = event.get("type")
        if kind == "error" or (not kind and event.get("error")):
            raise error_from(event, self._headers, self._context, self._dialect, status=None, text=snippet(frame.data))
        if kind == "message_start":
            self._message_start(as_dict(event.get("message")), events, frame)
        elif kind == "content_block_start":
            self._block_start(event.get("index"), event.get("content_block"), events, frame)
        elif kind == "content_block_stop":
            index = event.get("index")
            block = self._blocks.get(index) if type(index) is int else None
            if block is not None:
                self._block_stop(block, events)
        elif kind == "message_delta":
            self._stop.update(as_dict(event.get("delta")))
            self._more.update({name: value for name, value in event.items() if name not in _OF_DELTAS})
            self._use(event.get("usage"))
        elif kind == "message_stop":
            self._message_stop(events, frame)
        elif not self._started:
            self._odd = snippet(frame.data, 100)

    def _message_start(self, message: dict[str, Any], events: list[Event], frame: Frame) -> None:
        if self._started:
            raise self._broken("a second message begins", frame)
        self._started = True
        model = message.get("model")
        events.append(
            ResponseStart(
                id=as_text(message.get("id")),
                model=model if isinstance(model, str) and model else self._context.model,
            )
        )
        self._use(message.get("usage"))
        self._more["container"] = message.get("container")
        # The count of output tokens here is a placeholder: the real one comes at the end.
        self._usage.pop("output_tokens", None)
        content = message.get("content")
        for index, block in enumerate(content if isinstance(content, list) else ()):
            self._block_start(index, block, events, frame)

    def _use(self, usage: Any) -> None:
        self._usage = later_usage(self._usage, as_dict(usage))

    def _block_start(self, index: Any, wire: Any, events: list[Event], frame: Frame) -> None:
        if type(index) is not int or not isinstance(wire, dict) or not self._started:
            raise self._broken("a block begins out of place", frame)
        if index in self._blocks:
            self._block_stop(self._blocks[index], events)
        block = _Block(len(self._parts), dict(wire))
        self._blocks[index] = block
        self._parts.append(None)
        events.append(PartStart(block.index, self._beginning(block)))
        beginning = wire.get(_FIELDS[block.taken]) if block.taken in ("text_delta", "thinking_delta") else None
        if isinstance(beginning, str) and block.taken is not None:
            self._piece(block, block.taken, beginning, events)

    def _beginning(self, block: _Block) -> Part:
        """Returns the part as it is known at its start, without what deltas will bring."""
        wire = block.wire
        if wire.get("type") == "tool_use":  # once: the end names the same call
            ident = wire.get("id")
            ident = ident if isinstance(ident, str) else self._context.new_id("toolu_")
            wire["id"] = self._call_ids.unique(ident, self._context)
        if block.taken is None:
            return read_block(wire, self._context, self._names)
        empty = {"text_delta": "text", "thinking_delta": "thinking"}.get(block.taken)
        shown = {**wire, empty: ""} if empty else wire
        return read_block(shown, self._context, self._names, "" if empty is None else None)

    def _delta(self, block: _Block, delta: dict[str, Any], events: list[Event], frame: Frame) -> None:
        """Reads a delta that is not text."""
        kind = as_text(delta.get("type"))
        if kind == block.taken and kind is not None:
            piece = delta.get(_FIELDS[kind])
            if not isinstance(piece, str):
                raise self._broken("a delta holds no text", frame)
            self._piece(block, kind, piece, events)
        elif kind == "citations_delta":
            known = block.wire.get("citations")
            block.wire["citations"] = [*(known if isinstance(known, list) else ()), delta.get("citation")]
        elif kind == "signature_delta":
            block.wire["signature"] = delta.get("signature")
        elif kind in _FIELDS:
            raise self._broken(f"a {kind} belongs to a block of type {block.wire.get('type')}", frame)
        else:
            _merge(block.wire, delta)

    def _piece(self, block: _Block, kind: str, piece: str, events: list[Event]) -> None:
        """Adds a piece to a block's main field and tells it as an event."""
        if not piece:
            return
        block.pieces.append(piece)
        if kind == "text_delta":
            events.append(TextDelta(piece, block.index))
        elif kind == "thinking_delta":
            events.append(ReasoningDelta(piece, block.index))
        else:
            events.append(ToolCallDelta(piece, block.index))

    def _block_stop(self, block: _Block, events: list[Event]) -> None:
        wire, arguments = block.wire, None
        if block.taken == "input_json_delta":
            if not block.pieces and wire.get("input"):
                self._piece(block, block.taken, self._context.json.dumps(wire["input"]).decode(), events)
            arguments = "".join(block.pieces)
            if arguments:
                wire["input"] = as_object(arguments)
        elif block.taken is not None:
            wire[_FIELDS[block.taken]] = "".join(block.pieces)
        part = read_block(wire, self._context, self._names, arguments)
        if type(part) is ProviderToolCall:
            self._names[part.id] = part.name
        self._parts[block.index] = part
        for index, open_block in list(self._blocks.items()):
            if open_block is block:
                del self._blocks[index]
        events.append(PartEnd(block.index, part))

    def _message_stop(self, events: list[Event], frame: Frame) -> None:
        if not self._started:
            raise self._broken("a message ends that never began", frame)
        for block in list(self._blocks.values()):
            self._block_stop(block, events)
        parts = tuple([part for part in self._parts if part is not None])
        word = as_text(self._stop.get("stop_reason"))
        finish = finish_reason(word, calls=any(type(part) is ToolCall for part in parts))
        check_blocked(finish, parts, self._stop.get("stop_details"), self._context, self.request_id)
        check_reply(word, said=said_by(parts), context=self._context, request_id=self.request_id, usage=self.usage)
        more = {**self._more, **{name: value for name, value in self._stop.items() if name not in _OF_STOPS}}
        more = {name: value for name, value in more.items() if value is not None}
        events.append(
            ResponseEnd(
                finish,
                raw_finish_reason=word,
                stop_sequence=as_text(self._stop.get("stop_sequence")),
                usage=self.usage,
                warnings=self._halves.warnings,
                raw=more or None,
            )
        )
        self.done = True

    def _failure(self, frame: Frame) -> AsyncLLMError:
        """Returns the exception for a frame that is framed as an error: AWS sends the code as the frame's name."""
        try:
            value: Any = self._context.json.loads(frame.data)
        except AsyncLLMError:
            value = None
        error = {**as_dict(value), "type": frame.event}
        return error_from(
            {"error": error}, self._headers, self._context, self._dialect, status=None, text=snippet(frame.data)
        )

    def _broken(self, what: str, frame: Frame) -> ProtocolError:
        return ProtocolError(f"{what}: {snippet(frame.data)!r}", request_id=self.request_id)


def _merge(wire: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Merges a delta of a type unknown here into its block."""
    for name, value in delta.items():
        if name == "type":
            continue
        known = wire.get(name)
        wire[name] = known + value if isinstance(known, str) and isinstance(value, str) else value
