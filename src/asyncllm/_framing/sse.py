"""Server-sent events, parsed from bytes as the WHATWG standard says (HTML, section 9.2, "server-sent events").

Theory. A line ends at CR, LF or CRLF, so every chunk is first rewritten to bare LF; a CR at the end of a chunk ends its
line at once, and an LF that opens the next chunk is then dropped. After that an event is what stands between two blank
lines, and one search for ``LF LF`` finds its end: no line is looked at before its event is whole. A chunk that holds
whole events is cut by `bytes.split`; the two shapes that providers send (``data: x`` and ``event: x`` then ``data: y``)
are read from such a block directly, every other block field by field.

Rules.

- Payloads are handed over as the bytes that came. Only ASCII delimits, so U+2028, U+0085 or VT inside of one are text.
- An event without a ``data`` field is not dispatched; what the end of the bytes leaves unfinished is marked so.
- The unfinished event lies in one growing buffer and only new bytes are searched: the work is linear in the bytes fed,
  whatever the chunks. Large chunks are taken in slices, so that nothing beyond a slice is ever held twice.
- An event may have ``max_event_bytes``, its field names, comments and line ends (one byte each) included. The frames
  before an event that is too large are handed out first; the error is raised by the next call that has none to give.
"""

from __future__ import annotations

from ..errors import ResponseTooLargeError
from .framer import MAX_EVENT_BYTES, UNFINISHED, Frame

_new = tuple.__new__  # a Frame without the detour through its constructor
_BOM = b"\xef\xbb\xbf"
_LF, _CR = b"\n\r"
_SLICE = 64 * 1024
_RETRY_DIGITS = 15  # 30,000 years in milliseconds; more digits than that are noise


class SSEFramer:
    """An incremental parser for one stream of server-sent events.

    Args:
        max_event_bytes: the most bytes that one event may have, between two blank lines.

    Attributes:
        last_event_id: the ``id`` that was in force when the last event ended; ``""`` before any.
        retry: the reconnection time in milliseconds that the server last asked for; None before any.
    """

    __slots__ = ("_head", "_id", "_limit", "_odd", "_slice", "_tail", "_too_large", "last_event_id", "retry")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.last_event_id: str = ""
        self.retry: int | None = None
        self._limit = max_event_bytes
        self._slice = min(_SLICE, max_event_bytes)
        self._id = ""
        self._tail = bytearray()  # the unfinished event, line ends rewritten; never begins with a blank line
        self._head: bytes | None = b""  # what may yet become a byte-order mark; None once that is settled
        self._odd = True  # the next chunk cannot be taken as it is: the stream begins, or a CR ended the last chunk
        self._too_large = False

    def feed(self, data: bytes) -> list[Frame]:
        """Takes the next bytes and returns the events that they complete.

        Raises:
            ResponseTooLargeError: an event is larger than ``max_event_bytes``.
        """
        size = self._slice
        whole = len(data) <= size
        if whole and not self._odd and not self._tail:
            alone = data.startswith(b"data: ") and data.endswith(b"\n\n") and data.find(b"\n") == len(data) - 2
            if alone and _CR not in data:  # one event: what most reads of a stream hold
                return [_new(Frame, ("", data[6:-2], "event"))]
            usual = _usual(data)
            if usual is not None:
                return usual
        frames: list[Frame] = []
        for piece in (data,) if whole else (data[start : start + size] for start in range(0, len(data), size)):
            self._take(piece, frames)
        if self._too_large and not frames:
            raise self._error()
        return frames

    def close(self) -> list[Frame]:
        """Ends the bytes. Returns the last event if only its blank line is missing.

        WHATWG discards such an event. Proxies and small servers trim the end of a body, so it is handed on as
        `UNFINISHED`: the decoder takes it if it is whole.

        Raises:
            ResponseTooLargeError: an event was larger than ``max_event_bytes``, and no call has said so yet.
        """
        if self._too_large:
            raise self._error()
        tail = bytes(self._tail)
        # A reconnection time holds from its line on, even where its event is unfinished; a line cut off says nothing.
        self._read(tail[: tail.rfind(b"\n") + 1])
        retry = self.retry
        event, payload = self._read(tail)
        self.retry = retry
        self._tail.clear()
        return [] if payload is None else [Frame(event, payload, UNFINISHED)]

    def _take(self, data: bytes, frames: list[Frame]) -> None:
        """Reads a slice that is no longer than the limit, so that whole events inside it need no check."""
        if self._odd or _CR in data:
            data = self._rewrite(data)
        if self._tail:
            data = self._go_on(data, frames)
        whole, found, rest = data.rpartition(b"\n\n")
        if found:
            for block in whole.split(b"\n\n"):
                self._dispatch(block, frames)
        rest = rest.lstrip(b"\n")
        if rest:
            self._keep(rest)

    def _rewrite(self, data: bytes) -> bytes:
        """Returns the chunk with LF for every line end and without a byte-order mark. Nothing after an error."""
        if self._too_large or not data:
            return b""
        if self._head is not None:
            data = self._head + data
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._head = data
                return b""
            self._head = None
            data = data.removeprefix(_BOM)
        elif self._odd and data[0] == _LF:
            data = data[1:]
        self._odd = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _go_on(self, data: bytes, frames: list[Frame]) -> bytes:
        """Continues the unfinished event. Returns the bytes after its end, or none if it does not end here."""
        tail = self._tail
        if tail[-1] == _LF and data[:1] == b"\n":
            del tail[-1]
            end, after = 0, 1
        else:
            end = data.find(b"\n\n")
            after = end + 2
        if end < 0:
            self._keep(data)
            return b""
        tail += data[:end]
        if not self._fits(len(tail) + 2):
            return b""
        self._tail = bytearray()
        if tail.startswith(b"data: ") and _LF not in tail:
            frames.append(Frame("", bytes(memoryview(tail)[6:])))  # copied once: it may be megabytes
        else:
            self._dispatch(bytes(tail), frames)
        return data[after:]

    def _keep(self, data: bytes) -> None:
        self._tail += data
        self._fits(len(self._tail))

    def _fits(self, size: int) -> bool:
        if size <= self._limit:
            return True
        self._tail = bytearray()
        self._too_large = self._odd = True
        return False

    def _error(self) -> ResponseTooLargeError:
        return ResponseTooLargeError(f"the provider sent an event of more than {self._limit} bytes")

    def _dispatch(self, block: bytes, frames: list[Frame]) -> None:
        """Reads the lines between two blank lines."""
        if block.startswith(b"data: ") and b"\n" not in block:
            frames.append(Frame("", block[6:]))
            return
        event, payload = self._read(block)
        self.last_event_id = self._id
        if payload is not None:
            frames.append(Frame(event, payload))

    def _read(self, block: bytes) -> tuple[str, bytes | None]:
        """Reads lines field by field and returns the event's name and its payload (None without a ``data`` field)."""
        event = b""
        data = bytearray()  # one buffer, not a list: a line of one byte must not cost an object
        start, size = 0, len(block)
        while start < size:
            end = block.find(b"\n", start)
            line = block[start : end if end >= 0 else size]
            start += len(line) + 1
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                data += value
                data += b"\n"
            elif name == b"event":
                event = value
            elif name == b"id" and b"\0" not in value:
                self._id = value.decode("utf8", "replace")
            elif name == b"retry" and value.isdigit() and len(value) <= _RETRY_DIGITS:
                self.retry = int(value)
        if not data:
            return "", None
        del data[-1]
        return event.decode("utf8", "replace"), bytes(data)


def _usual(data: bytes) -> list[Frame] | None:
    """Returns the events of a chunk that holds only whole events in the usual form, or None for anything else.

    Cutting at the seams between two events leaves exactly the payloads, provided that the seams account for every line
    end of the chunk, which is counted.
    """
    if data.endswith(b"\n\n"):
        if _CR in data:
            return None
        lines = data.count(_LF)
        cut, data_seam, event_seam, inner = -2, b"\n\ndata: ", b"\n\nevent: ", b"\ndata: "
    elif data.endswith(b"\r\n\r\n") and (lines := data.count(_LF)) == data.count(_CR):
        cut, data_seam, event_seam, inner = -4, b"\r\n\r\ndata: ", b"\r\n\r\nevent: ", b"\r\ndata: "
    else:
        return None
    if data.startswith(b"data: "):
        parts = data[6:cut].split(data_seam)
        if lines != 2 * len(parts):
            return None
        return [_new(Frame, ("", part, "event")) for part in parts]
    if data.startswith(b"event: "):
        parts = data[7:cut].split(event_seam)
        if lines != 3 * len(parts):
            return None
        frames = []
        for part in parts:
            name, found, payload = part.partition(inner)
            if not found:
                return None
            frames.append(_new(Frame, (name.decode("utf8", "replace"), payload, "event")))
        return frames
    return None
