"""One content block of a stream: its pieces, and the block a whole body would have held.

Deltas have one key, which says what they bring. Text, reasoning and tool input are gathered as text; citations are
collected; blobs (redacted reasoning, images) come as base64 pieces of one blob. Whatever else comes is merged: text is
appended, objects key by key, lists one after the other, and anything else replaces.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import Any

from ...schema.content import parse_arguments
from ..anthropic.blocks import INVALID_JSON

TEXT, REASONING, REDACTED, TOOL_USE = "text", "reasoning", "redacted", "toolUse"


class OpenBlock:
    """A block that has begun and not ended.

    Attributes:
        index: of its part.
        kind: `TEXT`, `REASONING`, `REDACTED`, `TOOL_USE`, or the wire's own word for any other.
        body: what its start said, and what was merged into it since.
        pieces: what the deltas of its main field brought.
        citations: of a text.
        signature: of reasoning.
    """

    __slots__ = ("body", "citations", "index", "kind", "pieces", "signature")

    def __init__(self, index: int, kind: str, body: dict[str, Any]) -> None:
        self.index = index
        self.kind = kind
        self.body = body
        self.pieces: list[str] = []
        self.citations: list[Any] = []
        self.signature: str | None = None

    def wire(self) -> tuple[dict[str, Any], str | None]:
        """The block as it is known by now, and the text of a tool's input."""
        text = "".join(self.pieces)
        if self.kind == TEXT:
            if self.citations:
                return {"citationsContent": {"content": [{"text": text}], "citations": self.citations}}, None
            return {"text": text}, None
        if self.kind == REASONING:
            shown = {"text": text} if self.signature is None else {"text": text, "signature": self.signature}
            return {"reasoningContent": {"reasoningText": shown}}, None
        if self.kind == REDACTED:
            return {"reasoningContent": {"redactedContent": _one_blob(self.pieces)}}, None
        if self.kind == TOOL_USE:
            parsed = parse_arguments(text)
            given = {INVALID_JSON: text} if parsed is None else parsed
            return {"toolUse": {**self.body, "input": given}}, text
        return {self.kind: self.body}, None

    def merge(self, value: Any) -> None:
        """Takes a delta of any other kind."""
        if self.kind == "toolResult":
            value = {"content": value}
        if isinstance(value, dict):
            self.body = _merged(self.body, value)
        else:
            self.body["delta"] = _merged_value(self.body.get("delta"), value)


def _merged(known: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {**known, **{key: _merged_value(known.get(key), value, key) for key, value in more.items()}}


def _merged_value(known: Any, more: Any, key: str = "") -> Any:
    if isinstance(known, str) and isinstance(more, str):
        return _one_blob([known, more]) if key == "bytes" else known + more
    if isinstance(known, list) and isinstance(more, list):
        return _joined(known, more)
    if isinstance(known, dict) and isinstance(more, dict):
        return _merged(known, more)
    return more


def _joined(known: list[Any], more: list[Any]) -> list[Any]:
    """Two lists of content as one: a text that goes on is one text."""
    if known and more and _is_text(known[-1]) and _is_text(more[0]):
        return [*known[:-1], {"text": known[-1]["text"] + more[0]["text"]}, *more[1:]]
    return [*known, *more]


def _is_text(item: Any) -> bool:
    return isinstance(item, dict) and item.keys() == {"text"} and isinstance(item["text"], str)


def _one_blob(pieces: list[str]) -> str:
    """The base64 of the whole blob, from the base64 of its pieces."""
    if len(pieces) < 2:
        return "".join(pieces)
    try:
        return b64encode(b"".join([b64decode(piece, validate=True) for piece in pieces])).decode()
    except (Base64Error, ValueError):
        return "".join(pieces)
