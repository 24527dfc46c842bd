"""One HTTP attempt, up to the point where unary calls and streams part: encoded, signed, and the answer judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from .._ledger.book import Bookkeeper
from .._models.catalog import Catalog
from .._models.parameters import Policy, check_warnings
from .._protocols.codec import Context, JSONCodec
from .._providers.provider import Route
from .._schema.content import Origin
from .._schema.facts import NOTHING_KNOWN, ModelFacts
from .._schema.request import Request
from .._transport.base import Headers, Transport, TransportRequest
from ..errors import AsyncLLMError, ProtocolError, RequestTooLargeError
from .attempts import Attempts
from .background import Background
from .health import Health
from .limits import Limits
from .router import Target
from .watch import Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What every call of a client shares, on one event loop.

    Attributes:
        health: of every target; it outlives the event loop.
        limits: what is sent at most; None where nothing is limited.
        catalog: what is known of models; None where nothing is.
        sampling: what becomes of sampling hints that a model refuses: ``"drop"`` or ``"error"``.
        books: where attempts are booked; None where no ledger is kept.
        draw: a random number of at least 0 and less than 1.
    """

    transport: Transport
    background: Background
    watch: Watch
    json: JSONCodec
    new_id: Callable[[str], str]
    now: Callable[[], float]
    health: Health
    limits: Limits | None = None
    catalog: Catalog | None = None
    sampling: Policy = "drop"
    books: Bookkeeper | None = None
    draw: Callable[[], float]

    def facts_of(self, target: Target) -> ModelFacts:
        """What is known of a target's model."""
        if self.catalog is None:
            return NOTHING_KNOWN
        return self.catalog.facts(target.provider.name, target.provider.kind, target.model)


class Prepared(NamedTuple):
    """A request ready to go, and what is needed to read the answer."""

    route: Route
    context: Context
    request: TransportRequest
    warnings: tuple[str, ...]
    unsigned: Headers

    def conceal(self, error: AsyncLLMError) -> None:
        """Takes the call's own credential out of what a server said: one that echoes it may have any shape of key."""
        for pair in self.request.headers:
            if pair not in self.unsigned:
                secret = pair[1].rpartition(" ")[2]
                if len(secret) > _SHORTEST_SECRET and secret in error.message:
                    error.message = error.message.replace(secret, "[redacted]")
                    error.args = (error.message,)


_SHORTEST_SECRET = 5  # a shorter word may stand in a sentence by chance


async def prepare(engine: Engine, target: Target, request: Request, attempts: Attempts) -> Prepared:
    """Encodes and signs.

    Raises:
        UnsupportedError: the target cannot carry what was asked.
        BadRequestError: a value that JSON cannot say.
        RequestTooLargeError: the body is over the host's limit.
        AuthenticationError: no credential could be had.
    """
    provider = target.provider
    if request.model != target.model:
        request = replace(request, model=target.model)
    left_out: tuple[str, ...] = ()
    if engine.catalog is not None:
        engine.catalog.note_use(provider.name, target.model)
        request, left_out = engine.catalog.fit(provider, request, engine.sampling)
    route = provider.resolve(target.model, request.stream)
    context = Context(
        origin=Origin(provider.origin or provider.kind, route.protocol.name),
        provider=provider.name,
        model=target.model,
        json=engine.json,
        new_id=engine.new_id,
        now=engine.now,
        facts=engine.facts_of(target),
    )
    wire = route.protocol.encode(request, context)
    check_warnings(wire.warnings, engine.sampling, model=target.model, provider=provider.name)
    limit = provider.max_request_bytes
    if limit is not None and len(wire.body) > limit:
        raise RequestTooLargeError(
            f"the request has {len(wire.body)} bytes and {provider.name} takes at most {limit}; "
            "shorten the conversation, or upload files and name them by id"
        )
    query = wire.query if route.query is None else route.query
    url = f"{provider.base_url}{wire.path if route.path is None else route.path}{'?' + query if query else ''}"
    plain = Headers({**provider.headers, **dict(wire.headers)}.items())
    headers = await provider.auth.sign(wire.method, url, plain, wire.body)
    timeouts = target.timeouts
    return Prepared(
        route,
        context,
        TransportRequest(
            method=wire.method,
            url=url,
            headers=headers,
            body=wire.body,
            connect_timeout=timeouts.connect,
            write_timeout=timeouts.write,
            read_timeout=timeouts.idle,
            on_reconnect=attempts.reconnect,
        ),
        (*left_out, *wire.warnings),
        plain,
    )


def judge(prepared: Prepared, status: int, headers: Mapping[str, str], body: bytes) -> AsyncLLMError:
    """The exception for an answer whose status is no success."""
    if 300 <= status < 400:
        return ProtocolError(
            f"the server redirected (status {status}), and redirects are never followed because the key would travel "
            "along; set base_url to where the API is",
            status=status,
        )
    return prepared.route.protocol.decode_error(status, headers, body, prepared.context)


def attribute(error: AsyncLLMError, target: Target) -> None:
    """Fills in who the error is about, where the layer that raised it could not know."""
    if error.provider is None:
        error.provider = target.provider.name
    if error.model is None:
        error.model = target.model
