"""One content block of a stream: its pieces, and the block a whole body would have held.

Deltas have one key, which says what they bring. Text, reasoning and tool input are gathered as text; citations are
collected; blobs (redacted reasoning, images) come as base64 pieces of one blob. Whatever else comes is folded at the
end: texts are joined, objects folded key by key, lists put one after the other, and of anything else the last counts.
The work is linear in the pieces.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from itertools import groupby
from typing import Any

from ..arguments import as_object

TEXT, REASONING, REDACTED, TOOL_USE = "text", "reasoning", "redacted", "toolUse"


class OpenBlock:
    """A block that has begun and not ended.

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
        """The block as it is known by now, and the text of a tool's input."""
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
    """Several values of one field as one."""
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
    """The content with texts that follow each other as one text."""
    joined: list[Any] = []
    for is_text, group in groupby(items, _is_text):
        found = list(group)
        joined += [{"text": "".join([item["text"] for item in found])}] if is_text else found
    return joined


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
