"""The interface of all framers: bytes in, whole frames out, and an explicit end."""

from __future__ import annotations

from typing import NamedTuple, Protocol

MAX_EVENT_BYTES = 8 * 1024 * 1024
UNFINISHED = "unfinished"
"""The kind of a frame that the end of the bytes cut off: only the decoder knows whether it is whole."""


class Frame(NamedTuple):
    """One unit of a stream.

    Attributes:
        event: its name (``event:`` of SSE, ``:event-type`` of AWS); ``""`` where it has none.
        data: the payload.
        kind: ``"event"``, or what AWS calls a frame that reports a failure: ``"exception"``, ``"error"``; or
            `UNFINISHED` for the last event of a body that lacks the blank line after it.
    """

    event: str
    data: bytes
    kind: str = "event"


class Framer(Protocol):
    """An incremental parser; one for each response."""

    def feed(self, data: bytes) -> list[Frame]:
        """Takes the next bytes and returns the frames that they complete.

        Raises:
            ResponseTooLargeError: an event grew beyond the bound.
            ProtocolError: the bytes are not of this framing.
        """
        ...

    def close(self) -> list[Frame]:
        """Ends the bytes and returns what is left: at most one frame, of the kind `UNFINISHED`."""
        ...
