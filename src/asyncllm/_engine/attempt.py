"""One HTTP attempt, from its permit to its settlement.

The theory. An attempt is made in the same steps, whatever it is for (`asyncllm._schema.request.Operation`) and whether
its reply is taken whole or streamed::

    async with HTTPAttempt(call, position, permit) as attempt:   # encoded, booked, signed
        reply = await attempt.send()                             # sent, judged
        return attempt.succeed(attempt.decode(reply))            # decoded, settled

    async with HTTPAttempt(call, position, permit) as attempt:
        exchange = await attempt.stream()
        ...                                                      # up to the first content
        attempt.hand_over()                                      # a `Stream` goes on with it and settles it at its end

The rules:

* Every attempt is settled exactly once, in `settle` and nowhere else: the health of its target, the limits, the ledger
  and the call's own record learn together how it ended. Settling never awaits and may come from a finaliser. Leaving
  the ``async with`` block settles what has not been settled, unless it was handed over.
* An attempt that ends before its first byte could leave was never made: its permit and its row are taken back, and it
  stands in no record.
* The row in the ledger is open before the first byte leaves. It is signed after that, so that waiting for a budget
  makes no signature old.
* An error that passes through is complete: it says which provider and model it is about, and holds no key, whatever a
  server echoed (`complete`).
* A stale connection costs an attempt of its own (`_reconnect`): its row is settled, the permit stays with the second.
* Operations that generate nothing (lists, counts, proofs) cost nothing unless the reply says so, reserve no budget,
  have limits of their own, and pass an open circuit; health is told only where no connection could be had.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from .._ledger.book import BookedAttempt, Bookkeeper
from .._models.bounds import Bound, bound_of
from .._models.catalog import Catalog
from .._protocols.codec import Context, JSONCodec, LeftOut, WireRequest
from .._providers.provider import Route
from .._schema.content import Origin
from .._schema.facts import NOTHING_KNOWN, ModelFacts
from .._schema.redaction import forget_locals, without
from .._schema.request import WITHOUT_TEXT, Operation, Request
from .._schema.response import Attempt, Outcome, RateLimits, Response
from .._schema.usage import UNKNOWN_USAGE, Usage
from .._schema.values import dataclass
from .._transport.base import MAX_ERROR_BODY_BYTES, Exchange, Headers, HTTPReply, Transport, TransportRequest
from ..errors import (
    AsyncLLMError,
    ConnectError,
    ConnectionLostError,
    NotFoundError,
    ProtocolError,
    RequestTooLargeError,
    UnsupportedParameterError,
)
from .health import Health, Permit, brought_along
from .lifetime import Background, Watch
from .limits import Limits
from .target import Target

if TYPE_CHECKING:
    from .call import Call
    from .hooks import AttemptTrace, Hooks

HINTS = frozenset({"temperature", "top_p", "seed"})
"""The keywords that `unsupported_parameters` is about: a reply without them is still the reply that was asked for."""
_ABOUT_THE_KEY = frozenset({"credential_off", "account_off"})  # such errors tell which key it was
_SHORTEST_SECRET = 5  # a shorter word may stand in a sentence by chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What every call of a client shares, on one event loop.

    Attributes:
        health: of every target; it outlives the event loop.
        limits: what is sent at most; None where nothing is limited.
        question_limits: the same for operations that generate nothing.
        catalog: what is known of models; None where nothing is.
        sampling: what becomes of sampling hints that a model refuses: ``"drop"`` or ``"error"``.
        books: where attempts are booked; None where no ledger is kept.
        draw: a random number of at least 0 and less than 1.
        hooks: the application's; None where there are none.
        tenant_of: the provider that is asked with a tenant's own credential; None where there is none.
    """

    transport: Transport
    background: Background
    watch: Watch
    json: JSONCodec
    new_id: Callable[[str], str]
    now: Callable[[], float]
    health: Health
    limits: Limits | None = None
    question_limits: Limits
    catalog: Catalog | None = None
    sampling: Literal["drop", "error"] = "drop"
    books: Bookkeeper | None = None
    draw: Callable[[], float]
    hooks: Hooks | None = None
    tenant_of: str | None = None

    def facts_of(self, target: Target) -> ModelFacts:
        """What is known of a target's model."""
        catalog = self.catalog
        if catalog is None:
            return NOTHING_KNOWN
        known = catalog.in_use.get(target.entry_key)
        return known or catalog.use(target.provider.name, target.provider.kind, target.model)


def _refuse_hints(left_out: Iterable[LeftOut], target: Target) -> None:
    """Raises UnsupportedParameterError for a sampling hint that is not sent."""
    for found in left_out:
        if found.keyword in HINTS:
            raise UnsupportedParameterError(
                f"{found.keyword} cannot be sent: {found.reason}; leave it out, or set unsupported_parameters: drop",
                provider=target.provider.name,
                model=target.model,
            )


def _both(query: str, more: str) -> str:
    return f"{query}&{more}" if query and more else query or more


def _bound(wire: WireRequest, model: str, json: JSONCodec, operation: Operation) -> Bound:
    """Returns the most that a request can use. Only called if a budget counts the attempt."""
    bound = bound_of(json.loads(wire.body), model, dict(wire.headers))
    return replace(bound, output_tokens=0) if operation in WITHOUT_TEXT else bound


class HTTPAttempt:
    """One HTTP attempt of a call on one of its targets.

    Args:
        call: the call.
        position: where the target stands in the call's chain.
        permit: leave to go there.

    Attributes:
        warnings: what was left out or changed on the way to the wire, a sentence each.
        status: the HTTP status, once there is a reply.
        request_id: the provider's id of the request, once it is known.
        rate_limits: what the rate-limit headers said.
        record: how it ended, once it is settled.
        traces: of tracers that follow it.
    """

    __slots__ = (
        "_began",
        "_changed",
        "_context",
        "_first_content",
        "_handed_over",
        "_permit",
        "_request",
        "_route",
        "_signed",
        "_ticket",
        "_unsigned",
        "_url",
        "answer_tool",
        "call",
        "position",
        "rate_limits",
        "record",
        "request_id",
        "settled",
        "status",
        "target",
        "traces",
        "warnings",
    )

    def __init__(self, call: Call, position: int, permit: Permit) -> None:
        self.call: Call = call
        self.position: int = position
        self.target: Target = call.targets[position]
        self.warnings: tuple[str, ...] = ()
        self.status: int | None = None
        self.request_id: str | None = None
        self.rate_limits: RateLimits | None = None
        self.record: Attempt | None = None
        self.settled: bool = False
        self.traces: Sequence[AttemptTrace] = ()
        self._changed: Request | None = None
        self._permit: Permit = permit
        self._ticket: BookedAttempt | None = None
        self._began: float | None = None
        self._first_content: float | None = None
        self._handed_over = False
        self._url = ""
        self._signed: Headers | None = None
        self._route: Route | None = None
        self._context: Context | None = None

    @classmethod
    def of_line(cls, call: Call, route: Route | None = None) -> HTTPAttempt:
        """An attempt that is never made: it encodes and decodes what travels in a job at the host.

        Args:
            call: of the line.
            route: how its kind of request travels; None lets the host say it.
        """
        line = cls(call, 0, Permit(None, "plain", None, call.engine.health.now))
        line._route = route
        return line

    # The steps.

    async def __aenter__(self) -> HTTPAttempt:
        """Encodes the request, opens its row in the ledger and signs it.

        Raises:
            UnsupportedError: the target cannot carry what was asked.
            BadRequestError: a value that JSON cannot say.
            RequestTooLargeError: the body is over the host's limit.
            BudgetExceededError: a hard budget has no room for it.
            LedgerError: the ledger cannot be written, and the policy is to refuse.
            AuthenticationError: no credential could be had.
        """
        try:
            call, target, provider = self.call, self.target, self.target.provider
            engine = call.engine
            if call.hooks is not None:
                self._changed, self.traces = await call.hooks.before_attempt(target, provider.base_url)
            if provider.find_out is not None:
                await provider.find_out()
            wire, url = self.encode()
            if call.book is not None:
                input_tokens, max_tokens = call.expected
                bound = None
                if call.book.keeper.budgeted:
                    bound = functools.partial(_bound, wire, target.model, engine.json, call.operation)
                self._ticket = await call.book.open(
                    provider=provider.name,
                    kind=provider.kind,
                    model=target.model,
                    input_tokens=input_tokens,
                    max_tokens=max_tokens,
                    operation=call.operation,
                    deployment=provider.deployment,
                    bound=bound,
                    place=provider.place,
                )
            plain = Headers(wire.headers)
            if provider.headers:
                plain = Headers({**provider.headers, **dict(plain)}.items())
            if self.traces:
                plain = Headers({**dict(plain), **self.traces[0].headers}.items())
            headers = await provider.auth.sign(wire.method, url, plain, wire.body)
            self._unsigned, self._signed = plain, headers
            self._url = url.partition("?")[0]
            timeouts = target.timeouts
            self._request = TransportRequest(
                method=wire.method,
                url=url,
                headers=headers,
                body=wire.body,
                connect_timeout=timeouts.connect,
                write_timeout=timeouts.write,
                read_timeout=timeouts.idle,
                on_reconnect=self._reconnect,
            )
            call.made += 1
            self._began = engine.background.clock()
        except BaseException as error:
            self._leave(error)
            raise
        return self

    @property
    def asked(self) -> Request:
        """The request, as hooks have left it for this target."""
        return self._changed or self.call.request

    def encode(self) -> tuple[WireRequest, str]:
        """Returns the request on the wire and its whole URL."""
        call, target, provider = self.call, self.target, self.target.provider
        engine, request, question = call.engine, self._changed or call.request, call.question
        if request.model != target.model:
            request = replace(request, model=target.model)
        if question is not None:
            wire = question.write(self)
            self.warnings = (*map(str, wire.left_out), *wire.warnings)
            base_url = question.base_url or provider.urls.get(call.operation)
            query = wire.query if base_url else _both(wire.query, provider.query)
            return wire, f"{base_url or provider.base_url}{wire.path}{'?' + query if query else ''}"
        route = self._route = provider.resolve(call.operation, target.model, request)
        wire = route.protocol.encode(request, self.context)
        self.answer_tool: bool = wire.answer_tool
        if wire.left_out and engine.sampling == "error":
            _refuse_hints(wire.left_out, target)
        self.warnings = (*map(str, wire.left_out), *wire.warnings) if wire.left_out else wire.warnings
        limit = provider.max_request_bytes
        if limit is not None and len(wire.body) > limit:
            raise RequestTooLargeError(
                f"the request has {len(wire.body)} bytes and {provider.name} takes at most {limit}; "
                "shorten the conversation, or upload files and name them by id"
            )
        query = wire.query if route.query is None else route.query
        if provider.query:
            query = _both(query, provider.query)
        path = wire.path if route.path is None else route.path
        return wire, f"{provider.base_url}{path}{'?' + query if query else ''}"

    async def send(self) -> HTTPReply:
        """Sends the request and returns the whole reply.

        Raises:
            AsyncLLMError: the network failed, or the status is no success.
        """
        request = self._request
        del self._request  # it refers to this attempt: no cycle is left behind
        if self.traces:
            with self.traces[0].active():
                reply = await self.call.engine.transport.send(request)
        else:
            reply = await self.call.engine.transport.send(request)
        self.status = reply.status
        if not 200 <= reply.status < 300:
            raise self.judge(reply.status, reply.headers, reply.body)
        return reply

    async def stream(self) -> Exchange:
        """Sends the request and returns the reply once its headers are there. The body can be read from it.

        Raises:
            AsyncLLMError: as `send`.
        """
        request = self._request
        del self._request
        if self.traces:
            with self.traces[0].active():
                exchange = await self.call.engine.transport.stream(request)
        else:
            exchange = await self.call.engine.transport.stream(request)
        self.status = exchange.status
        if not 200 <= exchange.status < 300:
            raise self.judge(exchange.status, exchange.headers, await exchange.read(MAX_ERROR_BODY_BYTES))
        return exchange

    def judge(self, status: int, headers: Mapping[str, str], body: bytes) -> AsyncLLMError:
        """Returns the exception for a reply with an error status."""
        if 300 <= status < 400:
            return ProtocolError(
                f"the server redirected (status {status}), and redirects are never followed because the key would "
                "travel along; set base_url to where the API is",
                status=status,
            )
        error = self.route.protocol.decode_error(status, headers, body, self.context)
        if isinstance(error, NotFoundError) and "base_url" in error.message:  # the path itself is not there
            error.message = f"{self._url} answered: {error.message}"
            error.args = (error.message,)
        return error

    def decode(self, reply: HTTPReply) -> Response:
        """Decodes a whole reply.

        Raises:
            AsyncLLMError: it is an error inside a success status, or not what its protocol says (`ProtocolError`).
        """
        protocol, context = (self._route or self.route).protocol, self._context or self.context
        response = protocol.decode(reply.status, reply.headers, reply.body, context)
        self.answered(response.request_id, response.rate_limits)
        return response

    def answered(self, request_id: str | None, rate_limits: RateLimits | None) -> None:
        """Notes the status and the headers of a good reply, without the key that a server may repeat in them."""
        if request_id is not None and len(request_id) > _SHORTEST_SECRET:
            for secret in self._credentials():
                request_id = without(secret, request_id)
        self.request_id, self.rate_limits = request_id, rate_limits

    @property
    def route(self) -> Route:
        """Returns the route of the request: codec, path and framing."""
        if self._route is None:
            call, target = self.call, self.target
            self._route = target.provider.resolve(call.operation, target.model, call.request)
        return self._route

    @property
    def context(self) -> Context:
        """Returns the context that the codec gets."""
        if self._context is None:
            engine, provider = self.call.engine, self.target.provider
            self._context = Context(
                origin=Origin(
                    provider.origin or provider.kind,
                    (self._route or self.route).protocol.name,
                    provider.account,
                ),
                provider=provider.name,
                model=self.target.model,
                json=engine.json,
                new_id=engine.new_id,
                now=engine.now,
                facts=engine.facts_of(self.target),
                repairs=True,
            )
        return self._context

    def first_content(self) -> None:
        """Notes that the first content of a stream has come."""
        if self._first_content is None and self._began is not None:
            self._first_content = self.call.engine.background.clock() - self._began
            self._permit.has_content()

    # The end.

    def hand_over(self) -> None:
        """Leaves the settlement to the reader of the stream: the end of the ``async with`` block does not settle any
        more.
        """
        self._handed_over = True

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self.settled and not self._handed_over:
            self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        if isinstance(error, AsyncLLMError):
            self.settle("error", self.complete(error), usage=getattr(error, "usage", None) or UNKNOWN_USAGE)
        else:
            self.settle("unknown" if error is None or isinstance(error, Exception) else "cancelled")

    def succeed(self, response: Response) -> Response:
        """Settles the attempt as a success and returns the reply, completed."""
        if not self.settled:
            self.settled = True
            self._settle("ok", None, response.usage, response)
        return self.dress(response)

    def settle(
        self,
        outcome: Outcome,
        error: AsyncLLMError | None = None,
        *,
        usage: Usage = UNKNOWN_USAGE,
        partial: Response | None = None,
    ) -> None:
        """Settles the attempt, whatever the reason of its end. Never awaits; only the first call counts.

        Args:
            outcome: how it ended.
            error: what went wrong.
            usage: what the provider counted.
            partial: the reply, also one that was cut short.
        """
        if self.settled:
            return
        self.settled = True
        self._settle(outcome, error, usage, partial)

    def _settle(
        self,
        outcome: Outcome,
        error: AsyncLLMError | None,
        usage: Usage,
        partial: Response | None,
        stale: bool = False,
    ) -> None:
        """Settles the attempt in the one place where this happens: permit, ledger row, and the call's list of attempts.

        Args:
            outcome: how it ended.
            error: what went wrong.
            usage: what the provider counted.
            partial: the reply, also one that was cut short.
            stale: it went to a stale connection; nothing was billed, and the next one goes on with its permit.
        """
        call, ticket = self.call, self._ticket
        if self._began is None:  # nothing was sent
            self._permit.cancel()
            if ticket is not None:
                ticket.void()
            if call.hooks is not None:
                call.hooks.settled(self, None, None)
            return
        latency = call.engine.background.clock() - self._began
        waited = None if stale else self._permit.waited
        status, request_id = self.status, self.request_id
        if error is not None:
            status, request_id = error.status, error.request_id
        if not stale:
            asked = call.request
            own = None if asked.extra_headers is None and asked.extra_body is None else brought_along(asked)
            told = self.rate_limits if error is None else error.rate_limits
            if own == "credential" or call.engine.tenant_of == self.target.provider.name:
                told = None  # what is left to another credential says nothing of the configured one
            self._permit.settle(
                outcome,
                error,
                latency=latency,
                first_content=self._first_content,
                usage=usage,
                limits=told,
                own=own,
            )
        cost = source = reason = None
        if ticket is not None:
            booked = ticket.settle(
                outcome,
                error=error,
                status=status,
                usage=usage,
                partial=partial,
                latency=latency,
                first_token_latency=self._first_content,
                waited=waited,
                request_id=request_id,
                free=stale or (call.question is not None and call.question.free),
            )
            usage, cost = booked.usage, booked.cost
            source, reason = booked.cost_source, booked.unpriced_reason
        self.record = Attempt(
            provider=self.target.provider.name,
            model=self.target.model,
            deployment=self.target.provider.deployment,
            outcome=outcome,
            error=error,
            status=status,
            latency=latency,
            first_token_latency=self._first_content,
            usage=usage,
            cost=cost,
            cost_source=source,
            unpriced_reason=reason,
            request_id=request_id,
            waited=waited,
            variant=call.variant,
        )
        call.records.append(self.record)
        if call.hooks is not None:
            call.hooks.settled(self, self.record, partial)

    def _reconnect(self) -> None:
        """Settles an attempt that a stale connection cost, and opens the row of the next one, which follows at once
        on a fresh connection.
        """
        if self.settled:
            return
        lost = ConnectionLostError(
            "a reused connection had already been closed by the server",
            provider=self.target.provider.name,
            model=self.target.model,
        )
        question = self.call.question
        if question is not None and not question.repeats:
            raise lost
        self._settle("error", lost, UNKNOWN_USAGE, None, stale=True)
        self._ticket = None if self._ticket is None else self._ticket.again()
        if self.call.hooks is not None:
            request = self._changed or self.call.request
            self.traces = self.call.hooks.again(self.target, self.target.provider.base_url, request)
        self._began = self.call.engine.background.clock()

    # What it ends with.

    def complete(self, error: AsyncLLMError) -> AsyncLLMError:
        """Completes an error with provider, model and request id, and removes the call's own credential from it."""
        error.about(provider=self.target.provider.name, model=self.target.model, request_id=self.request_id)
        if isinstance(error, ConnectError) and self._url and self._url not in error.message:
            error.tell(f"The request was for {self._url}, which follows from base_url: check that, and the network.")
        for secret in self._credentials():
            error.conceal(secret)
        if error.advice.health in _ABOUT_THE_KEY and self._signed and (told := self.target.provider.told()):
            error.tell(told)
        forget_locals(error)
        return error

    def _credentials(self) -> list[str]:
        """Returns the secrets in the request's headers. They may have any form, so replies are searched for their
        values.

        These are what signing has added, and what the configuration or the call has set.
        """
        unsigned, own, found = self._unsigned if self._signed else (), self.call.request.extra_headers, []
        named = self.target.provider.secret_headers
        if own:
            named |= {name.lower() for name in own}
        for line in self._signed or ():
            if line not in unsigned or line[0].lower() in named:
                secret = line[1].rpartition(" ")[2]
                if len(secret) > _SHORTEST_SECRET:
                    found.append(secret)
        return found

    def dress(self, response: Response) -> Response:
        """Returns the reply with provider, model, cost, warnings and attempts."""
        return self.call.dressed(response, self.record, self.target, (self.request_id, self.rate_limits), self.warnings)
