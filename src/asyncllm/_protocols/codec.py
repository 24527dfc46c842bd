"""A wire format as one value, and what it is told of the call that it works for.

A `Codec` binds the functions of one wire folder to the dialect of one host: ``encode`` turns a `Request` into a
`WireRequest`, ``decode`` a whole body into a `Response`, ``decode_error`` a failed one into the exception to raise, and
``decoder`` makes an incremental decoder for one stream. Verbs besides chat stand in ``operations``, a `Verb` each.

A codec knows no host and looks nothing up: clock, ids, JSON and the facts of the model are in the `Context` of a call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

from .._framing.base import Frame
from .._schema.content import Origin
from .._schema.events import Event
from .._schema.facts import NOTHING_KNOWN, ModelFacts
from .._schema.request import Operation, Request
from .._schema.response import RateLimits, Response
from ..errors import AsyncLLMError


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
    """What a codec is told about one call.

    Attributes:
        origin: the kind of host and the wire format, for the provenance of parts.
        provider: the configured name of the provider, for responses and errors.
        model: the model asked for.
        json: the JSON reader and writer.
        new_id: makes an id for a tool call the wire left without one; the argument is its prefix.
        now: seconds since the epoch, for headers that name a date.
        facts: what is known of the model.
    """

    origin: Origin
    provider: str
    model: str
    json: JSONCodec
    new_id: Callable[[str], str]
    now: Callable[[], float]
    facts: ModelFacts = NOTHING_KNOWN


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A keyword of the request that the wire, or the model, has no place for. As text it is the warning for the user.

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
    """A request ready to be signed and sent.

    Attributes:
        path: absolute, below the host's base URL, already percent-encoded.
        query: already percent-encoded, without ``?``; ``""`` for none.
        headers: lower-case names; no credentials yet.
        left_out: the keywords that are not in it; the response's warnings begin with them.
        warnings: what else was changed on the way, a sentence each; they end on the response.
    """

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...]
    body: bytes
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()


class StreamDecoder(Protocol):
    """Frames of one stream -> events, in the grammar of `asyncllm._schema.events`."""

    done: bool
    """The protocol's own end was seen: what follows, if anything, is not part of the answer."""
    request_id: str | None
    """The provider's id of the HTTP request, from the headers the decoder was made with."""
    rate_limits: RateLimits | None
    """What the rate-limit headers said."""

    def feed(self, frames: Sequence[Frame]) -> list[Event]:
        """Takes frames in order and gives the events they mean.

        Raises:
            AsyncLLMError: the provider reported an error in the stream, or a frame is not of this protocol. Events
                decoded from earlier frames of the same call are not lost: they are in the exception's
                ``events`` attribute (a list), where there are any.
        """
        ...

    def close(self) -> list[Event]:
        """Tells that the bytes have ended and gives the closing events.

        Raises:
            StreamTruncatedError: the end came before the protocol's own end.
        """
        ...


class WireProtocol(Protocol):
    """A wire format."""

    @property
    def name(self) -> str:
        """The format's name, as in `Origin.protocol`."""
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
        """The exception for a failed answer; never raises, whatever the body holds."""
        ...

    def decoder(self, headers: Mapping[str, str], context: Context) -> StreamDecoder:
        """A decoder for one stream."""
        ...


D = TypeVar("D")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb(Generic[D]):
    """How a wire says one more thing than chat, such as embeddings.

    Attributes:
        write: a request of this operation -> bytes to send.
        read: a successful body -> the value of this operation.
    """

    write: Callable[[Any, Context, D], WireRequest]
    read: Callable[[int, Mapping[str, str], bytes, Context, D], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec(Generic[D]):
    """A wire format as one host speaks it: a `WireProtocol`.

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
        """The exception for a failed answer; never raises, whatever the body holds."""
        return self.read_error(status, headers, body, context, self.dialect)

    def decoder(self, headers: Mapping[str, str], context: Context) -> StreamDecoder:
        """A decoder for one stream."""
        return self.stream(headers, context, self.dialect)


def deep_merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """A new object of both: objects on both sides are merged key by key, everything else of ``above`` wins."""
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
    error.events = events
