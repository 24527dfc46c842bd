"""Questions to a provider that are no calls to a model: sent, judged and parsed in one place.

They bypass retries, circuits and the ledger, as they cost nothing (but for the word or two that prove a model, see
`asyncllm._models.validation`). A refused credential is refreshed once, as everywhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from .._protocols.codec import Context, JSONCodec, WireRequest
from .._providers.provider import Provider
from .._schema.content import Origin
from .._transport.base import Headers, Reply, Timeouts, Transport, TransportRequest
from ..errors import AsyncLLMError, ProtocolError

Exchange = Callable[[Provider, WireRequest, "str | None"], Awaitable[Reply]]
"""Sends a request to a provider, signed; the third argument replaces the provider's base URL where it is not None."""

_UNAUTHORIZED = 401


async def exchange(
    transport: Transport, timeouts: Timeouts, provider: Provider, wire: WireRequest, base_url: str | None = None
) -> Reply:
    """Sends one request over a transport; what `Exchange` stands for, once the first two arguments are given.

    Raises:
        TransportError: the network failed.
        AuthenticationError: no credential could be had.
    """
    query = f"?{wire.query}" if wire.query else ""
    url = f"{base_url or provider.base_url}{wire.path}{query}"
    plain = Headers({**provider.headers, **dict(wire.headers)}.items())
    request = TransportRequest(
        method=wire.method,
        url=url,
        headers=await provider.auth.sign(wire.method, url, plain, wire.body),
        body=wire.body,
        connect_timeout=timeouts.connect,
        write_timeout=timeouts.write,
        head_timeout=timeouts.first_content,
        read_timeout=timeouts.idle,
    )
    reply = await transport.send(request)
    if reply.status == _UNAUTHORIZED and await provider.auth.refresh():
        headers = await provider.auth.sign(wire.method, url, plain, wire.body)
        reply = await transport.send(replace(request, headers=headers))
    return reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Asks providers.

    Attributes:
        exchange: sends a request.
        json: reads the answers.
        now: seconds since the epoch.
    """

    exchange: Exchange
    json: JSONCodec
    now: Callable[[], float]

    async def ask(self, provider: Provider, wire: WireRequest, *, model: str = "", base_url: str | None = None) -> Any:
        """The JSON of a successful answer.

        Raises:
            AsyncLLMError: the network failed, the provider refused, or the answer is no JSON; with the provider's name.
        """
        reply = await self.exchange(provider, wire, base_url)
        if not 200 <= reply.status < 300:
            raise self.refusal(provider, model, reply)
        return self.json.loads(reply.body)

    def context(self, provider: Provider, model: str) -> Context:
        """What a codec is told about a question."""
        return Context(
            origin=Origin(provider.origin or provider.kind, provider.resolve(model, False).protocol.name),
            provider=provider.name,
            model=model,
            json=self.json,
            new_id=lambda prefix: f"{prefix}0",  # an id that nobody will see: no call is answered
            now=self.now,
        )

    def refusal(self, provider: Provider, model: str, reply: Reply) -> AsyncLLMError:
        """The exception for an answer that is no success."""
        if 300 <= reply.status < 400:
            return ProtocolError(
                f"the server redirected (status {reply.status}), and redirects are never followed because the key "
                "would travel along; set base_url to where the API is",
                status=reply.status,
            )
        protocol = provider.resolve(model, False).protocol
        return protocol.decode_error(reply.status, reply.headers, reply.body, self.context(provider, model))
