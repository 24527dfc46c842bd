"""Bounded decompression of response bodies.

Two hundred kilobytes of gzip can hold two hundred megabytes, so nothing here decodes more at a time than it is asked
for: `Inflater.feed` takes what came from the network, and `Inflater.pull` gives decoded pieces of at most
`PIECE_BYTES`.

Only what our own ``accept-encoding`` names is understood: gzip (RFC 1952, several members allowed) and deflate (RFC
9110 says the zlib format; servers that send raw deflate exist, and the first two bytes tell them apart).
"""

from __future__ import annotations

import zlib
from typing import Any

from ..errors import ConnectionLostError, ProtocolError

ACCEPT_ENCODING = "gzip, deflate"
PIECE_BYTES = 1024 * 1024

_GZIP_BITS = 31
_ZLIB_BITS = 15
_RAW_BITS = -15
_GZIP_MAGIC = b"\x1f\x8b"


def inflater(content_encoding: str) -> Inflater | None:
    """Returns the decoder for a ``content-encoding``, or None if nothing has to be decoded.

    Raises:
        ProtocolError: an encoding that was not asked for.
    """
    encoding = content_encoding.strip().lower()
    if encoding in ("", "identity"):
        return None
    if encoding in ("gzip", "x-gzip"):
        return Inflater(gzip=True)
    if encoding == "deflate":
        return Inflater(gzip=False)
    raise ProtocolError(f"The answer has the content-encoding {encoding[:40]!r}; only gzip and deflate were asked for.")


class Inflater:
    """Decodes one body, a bounded piece at a time."""

    __slots__ = ("_engine", "_gzip", "_pending")

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._engine: Any = zlib.decompressobj(_GZIP_BITS) if gzip else None
        self._pending = b""

    def feed(self, data: bytes) -> None:
        """Takes encoded bytes. What was fed before must have been pulled to its end."""
        self._pending += data

    def pull(self) -> bytes:
        """Returns the next decoded piece, at most `PIECE_BYTES` long, or nothing if more input is needed.

        Raises:
            ProtocolError: the bytes are not in this encoding, or something follows its end.
        """
        while self._pending:
            if self._engine is None and not self._begin_deflate():
                return b""
            if self._engine.eof:
                self._next_member()
            try:
                piece: bytes = self._engine.decompress(self._pending, PIECE_BYTES)
            except zlib.error:
                piece = b""
                broken = True
            else:
                broken = False
            if broken:
                raise ProtocolError("The compressed body is damaged.")
            self._pending = self._engine.unused_data if self._engine.eof else self._engine.unconsumed_tail
            if piece:
                return piece
        # Input may be used up while output still waits inside the engine (a piece was full).
        return self._engine.decompress(b"", PIECE_BYTES) if self._engine is not None and not self._engine.eof else b""

    def close(self) -> None:
        """Checks that the body is complete, at its end.

        Raises:
            ConnectionLostError: in the middle of the compressed data.
        """
        begun = self._engine is not None if not self._gzip else True
        if (begun and not self._engine.eof) or self._pending:
            raise ConnectionLostError("The body ended in the middle of its compressed data.")

    def _begin_deflate(self) -> bool:
        if len(self._pending) < 2:
            return False
        head = self._pending[0] * 256 + self._pending[1]
        is_zlib = self._pending[0] & 0x0F == 8 and head % 31 == 0
        self._engine = zlib.decompressobj(_ZLIB_BITS if is_zlib else _RAW_BITS)
        return True

    def _next_member(self) -> None:
        if not (self._gzip and _GZIP_MAGIC.startswith(self._pending[:2])):
            raise ProtocolError("The compressed body has ended, but more bytes follow it.")
        self._engine = zlib.decompressobj(_GZIP_BITS)
