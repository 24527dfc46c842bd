"""The event streams of Bedrock's InvokeModel: every ``chunk`` carries one event of the model's own format, in base64.

A chunk's payload is ``{"bytes": "<base64>", "p": "<padding>"}``. Base64 has no character that JSON would escape but the
slash, which may be; so the one field is read without a JSON parser. Frames of kind ``exception`` and ``error`` pass as
they are. Source: botocore 1.44.5, bedrock-runtime ``PayloadPart``.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error

from ..errors import ProtocolError
from .eventstream import EventStreamFramer
from .framer import Frame

_BYTES = re.compile(rb'"bytes"\s*:\s*"([A-Za-z0-9+/=\\]*)"')


class InvokeFramer:
    """An incremental parser for one stream: its frames are the model's own events, without names."""

    __slots__ = ("_broken", "_stream")

    def __init__(self) -> None:
        self._stream = EventStreamFramer()
        self._broken: ProtocolError | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """Takes the next bytes and returns the events that they complete. Events before a broken one come first.

        Raises:
            ResponseTooLargeError: a message is larger than the bounds.
            ProtocolError: the bytes are no event stream, or a chunk holds no event.
        """
        frames: list[Frame] = []
        if self._broken is None:
            for frame in self._stream.feed(data):
                try:
                    frames.append(_unwrapped(frame))
                except ProtocolError as error:
                    self._broken = error
                    break
        if self._broken is not None and not frames:
            raise ProtocolError(str(self._broken))
        return frames

    def close(self) -> list[Frame]:
        """Ends the bytes. An unfinished message is discarded, so no frame is returned.

        Raises:
            AsyncLLMError: what was wrong with the stream, where no call has said so yet.
        """
        if self._broken is not None:
            raise ProtocolError(str(self._broken))
        return self._stream.close()


def _unwrapped(frame: Frame) -> Frame:
    if frame.kind != "event" or frame.event != "chunk":
        return frame
    found = _BYTES.search(frame.data)
    if found is None:
        raise ProtocolError("the event stream is broken: a chunk holds no bytes")
    text = found[1].replace(b"\\", b"")
    try:
        # Python 3.10 takes a lone padding sign for nothing at all.
        payload = b64decode(text, validate=True) if len(text) % 4 == 0 else None
    except (Base64Error, ValueError):
        payload = None
    if payload is None:
        raise ProtocolError("the event stream is broken: a chunk's bytes are not base64")
    return Frame("", payload)
