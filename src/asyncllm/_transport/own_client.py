"""The transport over the user's own client: ``httpx.AsyncClient`` or ``httpx2.AsyncClient``.

The user's pool, proxies, hooks and default headers hold; our headers win over the client's. Redirects are not
followed and the client's ``auth`` is not used, because credentials are ours to place. The client is never closed
here. Nothing is imported: the client brings its library along.
"""

from __future__ import annotations

import time
from typing import Any

from .base import HTTPReply, Spawn, TransportRequest
from .connection import ACCEPTED, HTTPExchange, Slot, Work, encoded, open_exchange, whole
from .failures import surfaced


class ClientTransport:
    """A `base.Transport`.

    Args:
        client: the user's ``AsyncClient``.
        spawn: starts background tasks.
    """

    def __init__(self, client: Any, *, spawn: Spawn) -> None:
        self._client = client
        self._spawn = spawn
        self._exchanges: dict[HTTPExchange, Slot] = {}

    async def send(self, request: TransportRequest) -> HTTPReply:
        """Sends and reads the whole answer; `base.Transport.send` names the errors."""
        return await whole(await self.stream(request), request.max_body)

    async def stream(self, request: TransportRequest) -> HTTPExchange:
        """Sends and returns as soon as the head of the answer is there."""
        failure = None
        built = self._build(request)
        try:
            response = await self._client.send(built, stream=True, auth=None, follow_redirects=False)
        except BaseException as error:  # noqa: BLE001  # raised below, outside of this block
            failure = surfaced(error, request.url.split("/")[2])
        if failure is not None:
            raise failure
        built.extensions["timeout"]["read"] = request.read_timeout  # the library looks it up as the body begins
        slot = Slot(response, born=time.monotonic(), background=self._spawn)
        slot.network = response.extensions.get("network_stream")
        lease = _Loan(self._exchanges, slot)
        exchange = open_exchange(response, request, host=response.url.host, lease=lease, background=self._spawn)
        self._exchanges[exchange] = slot
        return exchange

    def _build(self, request: TransportRequest) -> Any:
        return self._client.build_request(
            request.method,
            request.url,
            headers=[*encoded(request.headers), *ACCEPTED],
            content=request.body or None,
            timeout=(request.connect_timeout, request.head_timeout, request.write_timeout, None),
        )

    async def aclose(self) -> None:
        """Drops the replies that are still being read. The user's client stays open."""
        for exchange in list(self._exchanges):
            exchange.abort()

    def forget(self) -> None:
        """Forgets what was open on an event loop that has ended."""
        self._exchanges.clear()


class _Loan:
    """Closes the response. The user's client keeps or closes the connection."""

    __slots__ = ("_exchanges", "_slot")

    def __init__(self, exchanges: dict[HTTPExchange, Slot], slot: Slot) -> None:
        self._exchanges = exchanges
        self._slot = slot

    def keep(self, exchange: HTTPExchange) -> None:
        self._exchanges.pop(exchange, None)

    def drop(self, exchange: HTTPExchange, leftover: Work) -> None:
        self._exchanges.pop(exchange, None)
        self._slot.leftover = leftover
        self._slot.close()
