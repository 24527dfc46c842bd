"""Tool calls that arrive in pieces: which piece belongs to which call.

A piece names its call by ``index``; its position in the list says nothing. Where a host leaves the index out, the id
tells calls apart, and a piece with neither continues the call before it. An index used again with another id and a name
is a new call (hosts that number every call 0). A call is announced when its name is known; arguments that came earlier
wait for it.
"""

from __future__ import annotations

from typing import Any

from ..._schema.content import ToolCall
from ..._schema.events import Event, PartEnd, PartStart, ToolCallDelta
from ..base import Context
from .pieces import CallPiece


class OpenCall:
    """One call being put together."""

    __slots__ = ("arguments", "extra", "id", "index", "kind", "name", "waiting", "wire_id")

    def __init__(self) -> None:
        self.index = -1
        self.id = ""
        self.wire_id = ""
        self.name = ""
        self.kind = "function"
        self.arguments: list[str] = []
        self.waiting: list[str] = []
        self.extra: dict[str, Any] = {}

    def part(self, context: Context) -> ToolCall:
        """The call with all arguments so far."""
        return ToolCall(
            self.id,
            self.name,
            raw_arguments="".join(self.arguments),
            kind=self.kind,
            origin=context.origin,
            extra=self.extra or None,
        )


class CallTable:
    """All calls of one stream."""

    __slots__ = ("_by_key", "_context", "_last", "_open")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._by_key: dict[object, OpenCall] = {}
        self._open: list[OpenCall] = []
        self._last: OpenCall | None = None

    def __len__(self) -> int:
        return len(self._open)

    def _find(self, index: object, piece: CallPiece) -> OpenCall:
        if type(index) is int:
            known = self._by_key.get(index)
            renewed = known and piece.id and known.wire_id and piece.id != known.wire_id and piece.name
            if known is not None and not renewed:
                return known
            key: object = index
        else:
            known = self._by_key.get(piece.id) if piece.id else None
            if known is None and not piece.id and not piece.name:
                known = self._last
            if known is not None:
                return known
            key = piece.id or object()
        call = self._by_key[key] = OpenCall()
        self._open.append(call)
        return call

    def feed(self, index: object, piece: CallPiece, next_index: int, events: list[Event]) -> int:
        """Takes a piece; gives the number of the next part."""
        call = self._last = self._find(index, piece)
        call.wire_id = call.wire_id or piece.id
        call.name = call.name or piece.name
        if piece.extra:
            call.extra.update(piece.extra)
        if call.index < 0:
            call.kind = piece.kind
            if not call.name:
                if piece.arguments:
                    call.waiting.append(piece.arguments)
                return next_index
            next_index = self._start(call, next_index, events)
        if piece.arguments:
            call.arguments.append(piece.arguments)
            events.append(ToolCallDelta(piece.arguments, call.index))
        return next_index

    def _start(self, call: OpenCall, index: int, events: list[Event]) -> int:
        call.index = index
        call.id = call.wire_id or self._context.new_id("call_")
        events.append(PartStart(index, call.part(self._context)))
        waiting = "".join(call.waiting)
        if waiting:
            call.arguments.append(waiting)
            events.append(ToolCallDelta(waiting, index))
        return index + 1

    def end(self, next_index: int, events: list[Event]) -> list[PartEnd]:
        """Announces what never got a name, and gives the ends of all calls."""
        for call in self._open:
            if call.index < 0 and (call.waiting or call.wire_id):
                next_index = self._start(call, next_index, events)
        self._open = [call for call in self._open if call.index >= 0]
        return [PartEnd(call.index, call.part(self._context)) for call in self._open]
