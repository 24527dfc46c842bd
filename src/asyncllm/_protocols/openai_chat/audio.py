"""Spoken output: whole in a message, or in deltas whose ``data`` are base64 each on their own."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from ..._schema.content import Audio, Origin


def decode_base64(text: str) -> bytes | None:
    """The bytes, or None when the text is no base64."""
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


class AudioTrack:
    """Puts one spoken answer together."""

    __slots__ = ("_expires", "_id", "_sound", "_words")

    def __init__(self) -> None:
        self._id: str | None = None
        self._expires: object = None
        self._sound: list[str] = []
        self._words: list[str] = []

    def feed(self, raw: Mapping[str, Any]) -> AudioTrack:
        """Takes the ``audio`` object of a message or delta, and gives itself."""
        ident, sound, words = raw.get("id"), raw.get("data"), raw.get("transcript")
        if isinstance(ident, str) and ident:
            self._id = ident
        if isinstance(sound, str) and sound:
            self._sound.append(sound)
        if isinstance(words, str) and words:
            self._words.append(words)
        self._expires = raw.get("expires_at") or self._expires
        return self

    def part(self, origin: Origin) -> Audio | None:
        """The part: its id (to refer back to), sound and transcript; None when there is nothing in it."""
        if not (self._id or self._sound or self._words):
            return None
        pieces = [decode_base64(piece) for piece in self._sound]
        data = b"".join([piece for piece in pieces if piece is not None])
        if any(piece is None for piece in pieces):  # cut in the middle of a group of four
            data = decode_base64("".join(self._sound)) or b""
        return Audio(
            data=data or None,
            file_id=self._id,
            transcript="".join(self._words) or None,
            origin=origin,
            extra={"expires_at": self._expires} if self._expires else None,
        )
