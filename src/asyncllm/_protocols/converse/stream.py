"""One content block of a stream: its pieces, and the block a whole body would have held.

Deltas have one key, which says what they bring. Text, reasoning and tool input are gathered as text; citations are
collected; blobs (redacted reasoning, images) come as base64 pieces of one blob. Whatever else comes is folded at the
end: texts are joined, objects folded key by key, lists put one after the other, and of anything else the last counts.
The work is linear in the pieces.

Stream events -> canonical events.

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

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from ..._framing.framer import Frame
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
from ..._schema.response import RateLimits
from ..._schema.usage import UNKNOWN_USAGE, Usage
from ...errors import AsyncLLMError, ProtocolError, StreamTruncatedError
from ..aws_shapes import error_from, request_id_of
from ..classify import snippet
from ..codec import Context, Halves, complete, is_keepalive
from ..finish import check_reply, finish_reason, said_by
from ..parts import CallIds, as_dict, as_object, as_text
from .dialect import ConverseDialect
from .response import read_block, stop_sequence
from .usage import read_usage

TEXT, REASONING, REDACTED, TOOL_USE = "text", "reasoning", "redacted", "toolUse"


class OpenBlock:
    """Holds a block that has begun and not ended.

    Attributes:
        index: of its part.
        kind: `TEXT`, `REASONING`, `REDACTED`, `TOOL_USE`, or the wire's own word for any other.
        pieces: what the deltas of its main field brought.
        citations: of a text.
        signatures: the pieces of the signature of reasoning.
    """

    __slots__ = ("_bodies", "citations", "index", "kind", "pieces", "signatures")

    def __init__(self, index: int, kind: str, body: dict[str, Any]) -> None:
        self.index = index
        self.kind = kind
        self.pieces: list[str] = []
        self.citations: list[Any] = []
        self.signatures: list[str] = []
        self._bodies: list[Any] = [body]

    def take(self, value: Any) -> None:
        """Takes a delta of any other kind."""
        if self.kind == "toolResult":
            value = {"content": value}
        self._bodies.append(value if isinstance(value, dict) else {"delta": value})

    def wire(self) -> tuple[dict[str, Any], str | None]:
        """Returns the block as it is known by now, and the text of a tool's input."""
        text = "".join(self.pieces)
        if self.kind == TEXT:
            if self.citations:
                return {"citationsContent": {"content": [{"text": text}], "citations": self.citations}}, None
            return {"text": text}, None
        if self.kind == REASONING:
            shown = {"text": text, "signature": "".join(self.signatures)} if self.signatures else {"text": text}
            return {"reasoningContent": {"reasoningText": shown}}, None
        if self.kind == REDACTED:
            return {"reasoningContent": {"redactedContent": _one_blob(self.pieces)}}, None
        body = _folded(self._bodies)
        if self.kind == TOOL_USE:
            return {"toolUse": {**body, "input": as_object(text)}}, text
        return {self.kind: body}, None


def _folded(values: list[Any], key: str = "") -> Any:
    """Joins the values that several deltas brought for one field: texts and lists are joined, mappings by their keys,
    of others the last one counts.
    """
    if all(type(value) is str for value in values):
        return _one_blob(values) if key == "bytes" else "".join(values)
    if all(type(value) is dict for value in values):
        gathered: dict[str, list[Any]] = {}
        for value in values:
            for name, inner in value.items():
                gathered.setdefault(name, []).append(inner)
        return {name: _folded(inner, name) for name, inner in gathered.items()}
    if all(type(value) is list for value in values):
        return _texts_joined([item for value in values for item in value]) if len(values) > 1 else values[0]
    return values[-1]


def _texts_joined(items: list[Any]) -> list[Any]:
    """Returns the content with texts that follow each other joined into one."""
    joined: list[Any] = []
    for is_text, group in groupby(items, _is_text):
        found = list(group)
        joined += [{"text": "".join([item["text"] for item in found])}] if is_text else found
    return joined


def _is_text(item: Any) -> bool:
    return isinstance(item, dict) and item.keys() == {"text"} and isinstance(item["text"], str)


def _one_blob(pieces: list[str]) -> str:
    """Returns the base64 of the whole blob, from the base64 of its pieces."""
    if len(pieces) < 2:
        return "".join(pieces)
    try:
        return b64encode(b"".join([b64decode(piece, validate=True) for piece in pieces])).decode()
    except (Base64Error, ValueError):
        return "".join(pieces)


_EVENTS = frozenset(
    {"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"}
)
# What of messageStop and metadata has a place of its own in the events; `p` is padding.
_KNOWN = frozenset({"stopReason", "usage", "serviceTier", "p"})


class ConverseStreamDecoder:
    """Decodes one stream; made by `Converse.decoder`."""

    __slots__ = (
        "_blocks",
        "_call_ids",
        "_context",
        "_halves",
        "_headers",
        "_more",
        "_names",
        "_open",
        "_parts",
        "_stop",
        "_usage",
        "done",
        "rate_limits",
        "request_id",
    )

    def __init__(self, headers: Mapping[str, str], context: Context, dialect: ConverseDialect) -> None:
        self.done = False
        self.request_id = request_id_of(headers)
        self.rate_limits: RateLimits | None = None  # Bedrock sends none
        self._headers = headers
        self._context = context
        self._blocks: dict[int, OpenBlock] = {}
        self._parts: list[Part | None] = []
        self._names: dict[str, str] = {}
        self._call_ids = CallIds()
        self._usage: Usage | None = None
        self._stop: dict[str, Any] | None = None
        self._halves = Halves()
        self._more: dict[str, Any] = {}  # the metadata
        self._open = False  # between messageStart and messageStop

    @property
    def usage(self) -> Usage:
        """Returns what the stream has said of its usage, which is unknown until its end."""
        return self._usage or UNKNOWN_USAGE

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
        loads, blocks = self._context.json.loads, self._blocks
        try:
            for frame in frames:
                if self.done:
                    break
                if frame.kind != "event":
                    raise error_from(frame.data, self._headers, self._context, status=None, code=frame.event)
                try:
                    value = loads(frame.data)
                except ProtocolError as broken:
                    events += self.feed(self._halves.recover(broken, frame, frames))
                    break
                if type(value) is not dict:
                    if frame.event not in _EVENTS and is_keepalive(value):
                        continue
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
        """Ends the stream, as its bytes have ended; returns the end without usage, or nothing more.

        Raises:
            StreamTruncatedError: ``messageStop`` never came.
            ContentBlockedError: the answer was blocked, and holds nothing at all.
        """
        events = self.feed(self._halves.rest())
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
        """Reads every event that is not a delta; one that is not known is skipped."""
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
            self._more = value
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
            if kind == TOOL_USE:  # once: the end names the same call
                ident = body.get("toolUseId")
                ident = ident if isinstance(ident, str) else self._context.new_id("tooluse_")
                body["toolUseId"] = self._call_ids.unique(ident, self._context)
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
        """Reads a delta that is not more of an open text."""
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
        """Returns the open block, or begins a new one where the open one is of another kind."""
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
        check_reply(word, said=said_by(parts), context=self._context, request_id=self.request_id, usage=self.usage)
        finish = finish_reason(word, calls=any(type(part) is ToolCall for part in parts))
        more = {name: value for name, value in {**stop, **self._more}.items() if name not in _KNOWN and value}
        events.append(
            ResponseEnd(
                finish,
                raw_finish_reason=word,
                stop_sequence=stop_sequence(stop.get("additionalModelResponseFields")),
                usage=self.usage,
                warnings=self._halves.warnings,
                raw=more or None,
            )
        )
        self.done = True

    def _broken(self, what: str, frame: Frame) -> ProtocolError:
        return ProtocolError(f"{what}: {snippet(frame.data)!r}", request_id=self.request_id)
