"""A server on the loopback that stands between a program in any language and the providers, and records or replays.

A request to ``/openai/v1/...`` is sent on to OpenAI's address, one to ``/groq/v1/...`` to Groq's, with the key of the
program. Requests that are signed for another host (AWS signatures) cannot be sent on: record those in Python, with
`Recording.client`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx
from anyio.abc import SocketAttribute, SocketStream

from .._providers.spec import every_host, find_host
from .hosts import simulated
from .recorded_transport import http_client
from .recording import Recording, UnrecordedRequestError
from .server import RawRequest, ServerConnection
from .wires.wire import dumps

if TYPE_CHECKING:
    from collections.abc import Callable

_NOT_SENT_ON = frozenset({"host", "content-length", "connection", "accept-encoding", "transfer-encoding", "expect"})
_NOT_HANDED_BACK = frozenset(
    {"content-length", "transfer-encoding", "connection", "content-encoding", "date", "server"}
)


class Relay:
    """Stands between a program and the providers: records what they say, or replays it.

    Args:
        recording: what is replayed, and where new traffic is stored.
        port: the port to listen on; 0 for any free one.
        told: called with a sentence about each request that cannot be answered.
    """

    def __init__(self, recording: Recording, *, port: int = 0, told: Callable[[str], None] = lambda _: None) -> None:
        self._recording = recording
        self._wanted = port
        self._told = told
        self._client: httpx.AsyncClient | None = None
        self.port = port

    def urls(self) -> dict[str, str]:
        """Returns the base URL for each kind of host that has an address of its own on the internet."""
        return {
            kind: f"http://127.0.0.1:{self.port}/{kind}{host.suffix}"
            for kind, spec in every_host().items()
            if (spec.base_url or "").startswith("https:") and (host := simulated(kind)) is not None
        }

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Relay]:
        """Listens until the block ends; then the recording is saved."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self._wanted)
        self.port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's extra, not Django's
        self._client = http_client(self._recording, timeout=600)
        try:
            async with listener, self._client, anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, self._connected)
                yield self
                tasks.cancel_scope.cancel()
        finally:
            self._recording.save()

    async def _connected(self, stream: SocketStream) -> None:
        await ServerConnection(stream, self._respond).run()

    async def _respond(self, connection: ServerConnection, raw: RawRequest) -> None:
        try:
            await self._send_on(connection, raw)
        except UnrecordedRequestError as error:
            await self._refuse(connection, 404, str(error))
        except httpx.HTTPError as error:
            await self._refuse(connection, 502, f"the provider could not be reached: {error}")

    async def _send_on(self, connection: ServerConnection, raw: RawRequest) -> None:
        url = upstream(raw.target)
        if url is None or self._client is None:
            await self._refuse(
                connection, 404, f"{raw.target} names no provider; addresses are {', '.join(self.urls().values())}"
            )
            return
        headers = {name: value for name, value in raw.headers.items() if name not in _NOT_SENT_ON}
        async with self._client.stream(raw.method, url, headers=headers, content=raw.body or b"") as answer:
            kept = [(name, value) for name, value in answer.headers.items() if name not in _NOT_HANDED_BACK]
            await connection.relay(answer.status_code, kept, answer.aiter_bytes())
        self._recording.save()

    async def _refuse(self, connection: ServerConnection, status: int, sentence: str) -> None:
        self._told(sentence)
        body = dumps({"error": {"message": sentence, "type": "asyncllm_recording"}})

        async def whole() -> Any:
            yield body

        await connection.relay(status, [("content-type", "application/json")], whole())


def upstream(target: str) -> str | None:
    """Returns the real URL of ``/openai/v1/models``; None if nobody's name stands in front."""
    kind, _, rest = target.lstrip("/").partition("/")
    spec, host = find_host(kind), simulated(kind)
    if spec is None or host is None or not (spec.base_url or "").startswith("https:"):
        return None
    base = (spec.base_url or "").rstrip("/")
    return f"{base}/{f'/{rest}'.removeprefix(host.suffix).lstrip('/')}"
