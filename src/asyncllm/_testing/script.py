"""An answer as a script: what is sent when, worked out before the first byte goes out.

A fault is a change to the script. The server only performs it, so that everything here can be tested without a socket.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import format_datetime
from itertools import chain, count
from typing import Literal

from .faults import Fault
from .model import ModelBehaviour
from .wires.framings import WHOLE, Framing
from .wires.wire import Events, Headers, Problem, Turn, Wire

PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><h1>Please sign in</h1></body></html>\n"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Pause:
    """Tells the server to be silent, for so many seconds; None for ever."""

    seconds: float | None


@dataclass(frozen=True, slots=True)
class HangUp:
    """Tells the server to end the connection: properly as TCP, or by a reset."""

    reset: bool


Step = bytes | Pause | HangUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Says how an answer is sent, step by step.

    Attributes:
        before: what happens before the head.
        headers: besides ``date`` and the body's framing.
        steps: the body; each ``bytes`` is a write of its own.
        length: the ``content-length``; None for chunked encoding.
        joined: head and first write leave together.
        after: the connection is kept, closed at once, or closed when the next request arrives.
    """

    status: int
    headers: Headers
    steps: Iterable[Step] = ()
    before: tuple[Step, ...] = ()
    length: int | None = None
    joined: bool = False
    after: Literal["keep", "close", "late"] = "keep"


def plain(status: int, headers: Headers, body: bytes, *, kind: str = JSON, latency: float = 0.0) -> Script:
    """Makes the script of a whole body at once."""
    return Script(
        status=status,
        headers=(("content-type", kind), *headers) if body else headers,
        steps=(body,),
        before=(Pause(latency),) if latency else (),
        length=len(body),
        joined=True,
    )


def failure(fault: Fault, wire: Wire, turn: Turn, latency: float) -> Script | None:
    """Makes the script of a fault that needs no answer of the model; None for other faults."""
    status = fault.code or 200
    detail = fault.detail
    headers = wire.headers(status, turn, detail.get("code"))
    match fault.kind:
        case "status":
            after = detail.get("retry_after")
            wait = after if wire.waits_in_body and isinstance(after, (int, float)) else None
            problem = Problem(status=status, code=detail.get("code"), message=detail.get("message"), wait=wait)
            extra = {name: value for name, value in _retry_headers(fault) if wait is None or name != "retry-after"}
            kept = [pair for pair in headers if pair[0] not in extra]
            return plain(status, (*kept, *extra.items()), wire.error(problem, turn), latency=latency)
        case "answer":
            return plain(status, headers, detail["body"], kind=detail["content_type"], latency=latency)
        case "redirect":
            return plain(status, (("location", detail["location"]),), b"", latency=latency)
        case "html":
            return plain(status, (), PAGE, kind="text/html; charset=utf-8", latency=latency)
        case "empty":
            return plain(status, headers, b"", latency=latency)
        case "reset" | "cut" if fault.after_events is None:
            return Script(status=0, headers=(), before=(Pause(latency), HangUp(fault.kind == "reset")))
        case _:
            return None


def unary(body: bytes, wire: Wire, turn: Turn, behaviour: ModelBehaviour, fault: Fault | None) -> Script:
    """Makes the script of a whole answer; the halves of its body stand for the events that a fault counts."""
    headers = wire.headers(200, turn)
    if fault is None:
        return plain(200, headers, body, latency=behaviour.latency)
    half = len(body) // 2
    if fault.kind == "error_event":
        error = wire.failed(_problem(fault), turn)
        return plain(200, headers, error, latency=behaviour.latency)
    events = Events(data=(body[:half], body[half:]), content=(0, 1), end=1)
    first, special, rest = _spliced(events, fault, b" ", WHOLE, b"")
    steps: Iterable[Step] = chain(first, special, rest)
    if fault.kind == "drip":
        steps = _dripped(body, fault)
    kept = fault.kind in ("stall", "cut", "reset", "drip", "stale")
    return _finished(headers, JSON, steps, behaviour.latency, fault, length=len(body) if kept else None)


def stream(events: Events, wire: Wire, turn: Turn, behaviour: ModelBehaviour, fault: Fault | None) -> Script:
    """Makes the script of a stream."""
    steps: Iterable[Step]
    if fault is None:
        steps = paced(events.data, behaviour)
    elif fault.kind == "drip":
        steps = _dripped(b"".join(events.data), fault)
    else:
        error = wire.error_event(_problem(fault), turn) if fault.kind == "error_event" else b""
        first, special, rest = _spliced(events, fault, wire.heartbeat, wire.framing, error)
        steps = chain(paced(first, behaviour), special, paced(rest, behaviour))
    if behaviour.first_chunk_delay:
        steps = chain((Pause(behaviour.first_chunk_delay),), steps)
    return _finished(wire.headers(200, turn), wire.framing.content_type, steps, behaviour.latency, fault)


def paced(events: Sequence[bytes], behaviour: ModelBehaviour) -> Iterator[Step]:
    """Yields events as writes, with the delay between them that the behaviour asks for."""
    writes: Sequence[bytes] = events
    size = behaviour.write_size
    grouped = behaviour.events_per_write
    if size is not None:
        whole = b"".join(events)
        writes = [whole[start : start + size] for start in range(0, len(whole), size)]
    elif grouped is None:
        writes = [b"".join(events)] if events else ()
    elif grouped > 1:
        writes = [b"".join(events[start : start + grouped]) for start in range(0, len(events), grouped)]
    if not behaviour.chunk_delay:
        yield from writes
        return
    for number, write in enumerate(writes):
        if number:
            yield Pause(behaviour.chunk_delay)
        yield write


def _finished(
    headers: Headers, kind: str, steps: Iterable[Step], latency: float, fault: Fault | None, length: int | None = None
) -> Script:
    before: list[Step] = [Pause(latency)] if latency else []
    extra: Headers = ()
    after: Literal["keep", "close", "late"] = "keep"
    if fault is not None:
        if fault.kind == "stall" and fault.after_events is None:
            before.append(Pause(fault.seconds))
        if fault.kind == "gzip_bomb":
            extra = (("content-encoding", "gzip"),)
        if fault.kind == "stale":
            after = "late" if fault.detail["late"] else "close"
    return Script(
        status=200,
        headers=(("content-type", kind), *extra, *headers),
        steps=steps,
        before=tuple(before),
        length=length,
        after=after,
    )


def _spliced(
    events: Events, fault: Fault, heartbeat: bytes, framing: Framing, error: bytes
) -> tuple[Sequence[bytes], Iterable[Step], Sequence[bytes]]:
    """Returns the events before the fault, what the fault does, and the events after it."""
    data = events.data
    at = _position(events, fault.after_events)
    match fault.kind:
        case "truncate":
            return data[: events.end if fault.after_events is None else at], (), ()
        case "cut" | "reset":
            return data[:at], (HangUp(fault.kind == "reset"),), ()
        case "stall" if fault.after_events is not None:
            return data[:at], (Pause(fault.seconds),), data[at:]
        case "error_event":
            return data[:at], (error,), ()
        case "malformed":
            return data[:at], (framing.malformed(data[at]),), data[at + 1 :]
        case "bad_utf8":
            return data[:at], (framing.bad_utf8(data[at]),), data[at + 1 :]
        case "heartbeats":
            return data[:at], _heartbeats(heartbeat, fault), data[at:]
        case "huge":
            return data[:at], framing.filler(fault.detail["size"]), data[at:]
        case "gzip_bomb":
            return (), _bomb(framing.filler(fault.detail["size"]), b"".join(data)), ()
        case _:
            return data, (), ()


def _position(events: Events, after: int | None) -> int:
    """Returns where in the events so many content events have been delivered, and no more."""
    if not after:
        return events.content[0] if events.content else events.end
    return events.content[after - 1] + 1 if after <= len(events.content) else events.end


def _heartbeats(heartbeat: bytes, fault: Fault) -> Iterator[Step]:
    interval = float(fault.detail["interval"])
    beats = count() if fault.seconds is None else range(max(1, round(fault.seconds / interval)))
    for _ in beats:
        yield heartbeat
        yield Pause(interval)


def _dripped(body: bytes, fault: Fault) -> Iterator[Step]:
    size = int(fault.detail["size"])
    for start in range(0, len(body), size):
        if start:
            yield Pause(fault.detail["interval"])
        yield body[start : start + size]


def _bomb(filler: Iterable[bytes], body: bytes) -> Iterator[bytes]:
    """Yields the filler and then the true body, compressed as it goes: never the whole of it in memory."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    for block in chain(filler, (body,)):
        if packed := packer.compress(block):
            yield packed
    yield packer.flush()


def _problem(fault: Fault) -> Problem:
    return Problem(status=fault.code or 503, code=fault.detail.get("code"), message=fault.detail.get("message"))


def _retry_headers(fault: Fault) -> Iterator[tuple[str, str]]:
    detail = fault.detail
    after = detail.get("retry_after")
    if after is not None:
        yield "retry-after", after if isinstance(after, str) else _seconds_or_date(after)
    if detail.get("retry_after_ms") is not None:
        yield "retry-after-ms", str(detail["retry_after_ms"])
    if detail.get("should_retry") is not None:
        yield "x-should-retry", str(detail["should_retry"]).lower()
    yield from (detail.get("headers") or {}).items()


def _seconds_or_date(after: object) -> str:
    if isinstance(after, (int, float)):
        return f"{after:g}"
    return format_datetime(after, usegmt=True)  # type: ignore[arg-type]  # a datetime, as Fault.status says
