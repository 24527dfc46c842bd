"""The interface of a wire format, and the context that it gets for a call.

A `Codec` binds the functions of one wire folder to the dialect of one host: ``encode`` turns a `Request` into a
`WireRequest`, ``decode`` a whole body into a `Response`, ``decode_error`` a failed one into the exception to raise, and
``decoder`` makes an incremental decoder for one stream. Verbs besides chat stand in ``operations``, a `Verb` each.

A codec knows no host and looks nothing up: clock, ids, JSON and the facts of the model are in the `Context` of a call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from importlib import import_module
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

from .._framing.framer import UNFINISHED, Frame
from .._schema.content import Origin
from .._schema.events import Event
from .._schema.facts import NOTHING_KNOWN, ModelFacts
from .._schema.request import Operation, Request
from .._schema.response import RateLimits, Response
from .._schema.values import dataclass
from ..errors import AsyncLLMError, ProtocolError


class JSONCodec(Protocol):
    """Reads and writes wire JSON; strict both ways (no NaN, no lone surrogates, bounded depth)."""

    def loads(self, data: bytes | str) -> Any:
        """Parses; raises `asyncllm.errors.ProtocolError` on anything that is not JSON."""
        ...

    def dumps(self, value: Any) -> bytes:
        """Writes compact UTF-8; raises `asyncllm.errors.BadRequestError` on what JSON cannot say."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Tells a codec what it has to know of one call.

    Attributes:
        origin: the kind of host and the wire format, for the provenance of parts.
        provider: the configured name of the provider, for responses and errors.
        model: the model asked for.
        json: the JSON reader and writer.
        new_id: makes an id for a tool call the wire left without one; the argument is its prefix.
        now: seconds since the epoch, for headers that name a date.
        facts: what is known of the model.
        repairs: put calls and results in order before they are written (`asyncllm._protocols.history`); without it a
            conversation is written as it is.
    """

    origin: Origin
    provider: str
    model: str
    json: JSONCodec
    new_id: Callable[[str], str]
    now: Callable[[], float]
    facts: ModelFacts = NOTHING_KNOWN
    repairs: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Says that a keyword was left out because the wire or the model does not have it. As text it is the warning for
    the user.

    Attributes:
        keyword: as `asyncllm.Client.send` spells it.
        reason: why, as the end of a sentence.
    """

    keyword: str
    reason: str

    def __str__(self) -> str:
        return f"{self.keyword} was left out: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WireRequest:
    """Holds a request that is ready to be signed and sent.

    Attributes:
        path: absolute, below the host's base URL, already percent-encoded.
        query: already percent-encoded, without ``?``; ``""`` for none.
        headers: lower-case names; no credentials yet.
        left_out: the keywords that are not in it; the response's warnings begin with them.
        warnings: what else was changed on the way, a sentence each; they end on the response.
        answer_tool: the model must call the tool of `asyncllm._protocols.answer_tool`: its arguments are the answer.
    """

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...]
    body: bytes
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()
    answer_tool: bool = False


class StreamDecoder(Protocol):
    """Turns the frames of one stream into events, in the grammar of `asyncllm._schema.events`."""

    done: bool
    """The protocol's own end was seen: what follows, if anything, is not part of the answer."""
    request_id: str | None
    """The provider's id of the HTTP request, from the headers the decoder was made with."""
    rate_limits: RateLimits | None
    """What the rate-limit headers said."""

    def feed(self, frames: Sequence[Frame]) -> list[Event]:
        """Takes frames in order and returns their events.

        Raises:
            AsyncLLMError: the provider reported an error in the stream, or a frame is not of this protocol. Events
                decoded from earlier frames of the same call are not lost: they are in the exception's
                ``events`` attribute (a list), where there are any.
        """
        ...

    def close(self) -> list[Event]:
        """Ends the bytes and returns the closing events.

        Raises:
            StreamTruncatedError: the end came before the protocol's own end.
        """
        ...


class WireProtocol(Protocol):
    """Turns requests into bytes, and bytes into replies, events and errors, in one wire format."""

    @property
    def name(self) -> str:
        """Returns the format's name, as in `Origin.protocol`."""
        ...

    def encode(self, request: Request, context: Context) -> WireRequest:
        """Writes the request.

        Raises:
            UnsupportedContentError: a part that this format or host cannot carry.
            UnsupportedParameterError: a keyword that it cannot carry.
            BadRequestError: a value that JSON cannot say.
        """
        ...

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, context: Context) -> Response:
        """Reads a whole successful body (``headers`` with lower-case names).

        Raises:
            ProtocolError: it is not of this format.
            AsyncLLMError: it is an error inside a success status.
        """
        ...

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes, context: Context) -> AsyncLLMError:
        """Returns the exception for a failed answer; it never raises, whatever the body holds."""
        ...

    def decoder(self, headers: Mapping[str, str], context: Context) -> StreamDecoder:
        """Makes a decoder for one stream."""
        ...


D = TypeVar("D")


@dataclass(frozen=True, slots=True, kw_only=True)
class Most:
    """Holds the bounds of one request of a verb.

    Attributes:
        items: texts or documents.
        tokens: of all of them together; None for no known limit.
    """

    items: int = 1
    tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb(Generic[D]):
    """Says how a wire serves an operation other than chat, such as embeddings.

    Attributes:
        write: a request of this operation -> bytes to send. Raises `UnsupportedByProviderError` where the host, or the
            model, has no such thing.
        read: a successful body -> the value of this operation.
        most: model -> how much one request may hold.
    """

    write: Callable[[Any, Context, D], WireRequest]
    read: Callable[[int, Mapping[str, str], bytes, Context, D], Any]
    most: Callable[[str, D], Most] = lambda model, dialect: Most()


def verbs_in(package: str, *names: Operation) -> Mapping[Operation, Verb[Any]]:
    """Returns the verbs of a wire: its folder has a file for each, with ``write``, ``read`` and ``most``.

    A file is imported at its first use.
    """
    return MappingProxyType({name: _verb_in(package, name) for name in names})


def _verb_in(package: str, name: str) -> Verb[Any]:
    def home() -> Any:
        return import_module(f".{name}", package)

    return Verb(
        write=lambda request, context, dialect: home().write(request, context, dialect),
        read=lambda status, headers, body, context, dialect: home().read(status, headers, body, context, dialect),
        most=lambda model, dialect: home().most(model, dialect),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec(Generic[D]):
    """Joins the functions of a wire format and the dialect of one host: this is how every `WireProtocol` here is made.

    Attributes:
        name: the format's name, as in `Origin.protocol`.
        dialect: what the host does its own way.
        write: see ``encode``.
        read: see ``decode``.
        read_error: see ``decode_error``.
        stream: see ``decoder``.
        operations: what the format can say besides chat.
    """

    name: str
    dialect: D
    write: Callable[[Request, Context, D], WireRequest]
    read: Callable[[int, Mapping[str, str], bytes, Context, D], Response]
    read_error: Callable[[int, Mapping[str, str], bytes, Context, D], AsyncLLMError]
    stream: Callable[[Mapping[str, str], Context, D], StreamDecoder]
    operations: Mapping[Operation, Verb[D]] = field(default_factory=lambda: MappingProxyType({}))

    def encode(self, request: Request, context: Context) -> WireRequest:
        """Writes the request; see `WireProtocol.encode` for what it raises."""
        return self.write(request, context, self.dialect)

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, context: Context) -> Response:
        """Reads a whole successful body; see `WireProtocol.decode` for what it raises."""
        return self.read(status, headers, body, context, self.dialect)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes, context: Context) -> AsyncLLMError:
        """Returns the exception for a failed answer; it never raises, whatever the body holds."""
        return self.read_error(status, headers, body, context, self.dialect)

    def decoder(self, headers: Mapping[str, str], context: Context) -> StreamDecoder:
        """Makes a decoder for one stream."""
        return self.stream(headers, context, self.dialect)


def deep_merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a new object merged from both. Objects on both sides are merged key by key; otherwise ``above`` wins."""
    merged = dict(below)
    for name, value in above.items():
        known = merged.get(name)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        merged[name] = deep_merge(known, value) if both else value  # type: ignore[arg-type]  # both are mappings
    return merged


def complete(error: AsyncLLMError, events: list[Event], context: Context, request_id: str | None) -> None:
    """Adds what is known where it was raised, in place: whose it is, and the events decoded before it (``events``)."""
    error.provider = error.provider or context.provider
    error.model = error.model or context.model
    error.request_id = error.request_id or request_id
    error.events = [*events, *error.events]


def is_keepalive(value: Any) -> bool:
    """Returns whether JSON means nothing on a wire that streams objects: null, a word, a number, an empty list."""
    return value is None or value == [] or isinstance(value, (str, int, float))


def no_such_stream(odd: str, context: Context, request_id: str | None) -> ProtocolError:
    """Makes the error for a stream of which nothing was of its protocol.

    Args:
        odd: what it said, shortened.
        context: of the call.
        request_id: of the answer.
    """
    return ProtocolError(
        f"the stream holds nothing that this protocol knows; it said: {odd}",
        provider=context.provider,
        model=context.model,
        request_id=request_id,
    )


# A pair of escapes, an escape of half a pair, or any other escape (which is skipped as a whole).
_ESCAPES = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_FIRST_LOW = re.compile(rb'"(\\u[dD][c-fC-F][0-9a-fA-F]{2})')
HALF_CHARACTER = "half a character (a lone surrogate) was replaced by U+FFFD"
"""The warning for text that a host cut between the two halves of a character."""


def has_halves(data: bytes) -> bool:
    """Whether JSON text holds an escape of half a surrogate pair without its other half."""
    return b"\\u" in data and any(found[1] for found in _ESCAPES.finditer(data))


def without_halves(data: bytes) -> bytes:
    """Returns the text with U+FFFD for each half of a pair that stands alone."""
    return _ESCAPES.sub(lambda found: b"\\ufffd" if found[1] else found[0], data)


def load_whole(body: bytes, context: Context) -> tuple[Any, tuple[str, ...]]:
    """Reads the JSON of a whole body; also returns a warning if half a character had to be replaced.

    Raises:
        ProtocolError: it is not JSON.
    """
    try:
        return context.json.loads(body), ()
    except ProtocolError:
        if not has_halves(body):
            raise
    return context.json.loads(without_halves(body)), (HALF_CHARACTER,)


class Halves:
    """Mends events of a stream that a host cut between the two halves of a character.

    An event whose text ends with a first half waits for the next event: if that begins with the second half, both are
    joined there, else U+FFFD stands in for what is missing. Asked only once an event could not be read.

    Attributes:
        waiting: an event ended with a first half, so that the next frames must pass through `mended`.
        lost: a half was replaced.
    """

    __slots__ = ("_held", "lost")

    def __init__(self) -> None:
        self._held: Frame | None = None
        self.lost = False

    @property
    def waiting(self) -> bool:
        """Whether an event waits for the next one."""
        return self._held is not None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Returns what to say at the end of a stream: a warning if half a character was lost."""
        return (HALF_CHARACTER,) if self.lost else ()

    def mended(self, frames: Sequence[Frame]) -> list[Frame]:
        """Returns the frames to read in place of these."""
        found: list[Frame] = []
        for given in frames:
            frame = given
            if self._held is not None and frame.data.lstrip()[:1] not in (b"{", b"["):
                found.append(frame)  # a keepalive between the halves
                continue
            if self._held is not None:
                held, self._held = self._held, None
                low = _FIRST_LOW.search(frame.data)
                if low is not None:
                    at = _lone_at_end(held.data)
                    high = held.data[at : at + 6]
                    found.append(held._replace(data=held.data[:at] + held.data[at + 6 :]))
                    start = low.start() + 1
                    frame = frame._replace(data=frame.data[:start] + high + frame.data[start:])
                else:
                    found.append(self._replaced(held))
            if not has_halves(frame.data):
                found.append(frame)
            elif _lone_at_end(frame.data) >= 0:
                self._held = frame
            else:
                found.append(self._replaced(frame))
        return found

    def rest(self) -> list[Frame]:
        """Returns what still waits at the end of the bytes."""
        held, self._held = self._held, None
        return [] if held is None else [self._replaced(held)]

    def _replaced(self, frame: Frame) -> Frame:
        self.lost = True
        return frame._replace(data=without_halves(frame.data))

    def recover(self, error: ProtocolError, frame: Frame, frames: Sequence[Frame]) -> list[Frame]:
        """Returns what to read instead, beginning with a frame that could not be read.

        Args:
            error: why it could not.
            frame: the frame, one of ``frames``.
            frames: all that were given.

        Raises:
            ProtocolError: the same error, where there is nothing to mend.
        """
        if frame.kind == UNFINISHED:
            return []
        if not has_halves(frame.data):
            raise error
        at = next(at for at, other in enumerate(frames) if other is frame)
        return self.mended(frames[at:])


def _lone_at_end(data: bytes) -> int:
    """Returns the position of a lone first half at the end of a string, or -1."""
    for found in _ESCAPES.finditer(data):
        if found[1] and found[1][2:3] in b"89abAB" and data[found.end() : found.end() + 1] == b'"':
            return found.start()
    return -1
