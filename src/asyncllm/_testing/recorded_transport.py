"""The recording under an ``httpx.AsyncClient``: what the file has is replayed, the rest is asked and stored."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx

from .recording import RecordedAnswer, RecordedRequest, Recording


def http_client(recording: Recording, **options: Any) -> httpx.AsyncClient:
    """Makes a client whose traffic goes through the recording; the options are those of ``httpx.AsyncClient``."""
    return httpx.AsyncClient(transport=RecordedTransport(recording), **options)


class RecordedTransport(httpx.AsyncBaseTransport):
    """Replays and records.

    Args:
        recording: what is replayed and where new traffic goes.
        real: what the provider is asked through; by default httpx's own transport.
    """

    def __init__(self, recording: Recording, real: httpx.AsyncBaseTransport | None = None) -> None:
        self._recording = recording
        self._real = real

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answers from the recording, or asks and records."""
        recording = self._recording
        content = await request.aread()
        described = recording.described(request.method, str(request.url), content)
        answer = recording.find(described)
        if answer is not None:
            return httpx.Response(
                answer.status, headers=dict(answer.headers), stream=_Replayed(answer, recording.timing), request=request
            )
        return await self._ask(request, described)

    async def _ask(self, request: httpx.Request, described: RecordedRequest) -> httpx.Response:
        if self._real is None:
            # No connection is kept: nobody closes the client of a test, and an idle socket would be a warning.
            self._real = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))
        request.headers["accept-encoding"] = "identity"  # what is stored shall be readable
        started = time.monotonic()
        response = await self._real.handle_async_request(request)
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=_Recorded(self._recording, request, described, response, started),
            request=request,
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._real is not None:
            await self._real.aclose()


class _Replayed(httpx.AsyncByteStream):
    def __init__(self, answer: RecordedAnswer, timing: float) -> None:
        self._answer = answer
        self._timing = timing

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for seconds, chunk in self._answer.chunks:
            if self._timing:
                await anyio.sleep(seconds * self._timing)
            yield chunk


class _Recorded(httpx.AsyncByteStream):
    """Hands the body on, and stores the exchange when it has ended or was left: what came up to then.

    A client that has read a stream to its own end (``[DONE]``) need not read the body's. One that broke is not stored.
    """

    def __init__(
        self,
        recording: Recording,
        request: httpx.Request,
        described: RecordedRequest,
        response: httpx.Response,
        started: float,
    ) -> None:
        self._recording = recording
        self._request = request
        self._described = described
        self._response = response
        self._started = started
        self._chunks: list[tuple[float, bytes]] = []
        self._stored = False
        recording.under_way.append(self._store)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        last = self._started
        try:
            async for chunk in self._response.stream:  # type: ignore[union-attr]  # it came from an async transport
                now = time.monotonic()
                self._chunks.append((now - last, chunk))
                last = now
                yield chunk
        except httpx.TransportError:
            self._stored = True
            self._recording.under_way.remove(self._store)
            raise
        self._store()

    def _store(self) -> None:
        if self._stored:
            return
        self._stored = True
        self._recording.under_way.remove(self._store)
        headers = {name.lower(): value for name, value in self._response.headers.items()}
        answer = RecordedAnswer(status=self._response.status_code, headers=headers, chunks=self._chunks)
        self._recording.add(self._described, self._request.headers, answer)

    async def aclose(self) -> None:
        self._store()
        await self._response.aclose()
