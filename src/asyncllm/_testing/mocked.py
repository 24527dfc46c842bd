"""The simulator without a socket: it answers the requests of a mocked HTTP library.

`Simulator.respond` is a side effect for respx and a handler for ``httpx.MockTransport``. Requests may go to the
providers' real addresses. Delays are left out, and a fault that breaks the connection raises the error of httpx.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .hosts import simulated
from .script import HangUp, Script
from .server import RawRequest

if TYPE_CHECKING:
    import httpx


def raw_request(request: httpx.Request) -> RawRequest:
    """Returns the request as it would have come over a socket, with the kind of its host in front of the path."""
    target = request.url.raw_path.decode("ascii")
    kind, base = _addressed(request.url.host)
    if kind:
        target = f"/{kind}{(simulated(kind) or _NOWHERE).suffix}{target.removeprefix(base)}"
    headers = {name.lower(): value for name, value in request.headers.items()}
    return RawRequest(request.method, target, headers, request.content)


def response(script: Script) -> httpx.Response:
    """Returns the answer of a script.

    Raises:
        httpx.ReadError: the script breaks the connection before the head of the answer.
    """
    import httpx

    if any(isinstance(step, HangUp) for step in script.before):
        raise httpx.ReadError("the simulator broke the connection")
    headers = list(script.headers)
    if script.length is not None:
        headers.append(("content-length", str(script.length)))
    return httpx.Response(script.status, headers=headers, stream=_body(script))


def _body(script: Script) -> Any:
    import httpx

    def parts() -> Iterator[bytes]:
        for step in script.steps:
            if isinstance(step, HangUp):
                raise httpx.RemoteProtocolError("the simulator broke the connection in the middle of the body")
            if isinstance(step, bytes) and step:
                yield step

    class MockedBody(httpx.AsyncByteStream, httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return parts()

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for part in parts():
                yield part

    return MockedBody()


class _Nowhere:
    suffix = ""


_NOWHERE = _Nowhere()


def _addressed(host: str) -> tuple[str, str]:
    """Returns the kind of host whose usual address this is, and the path of its base URL; ``""`` if it is nobody's."""
    from .._providers.spec import every_host

    for kind, spec in every_host().items():
        usual = urlsplit(spec.base_url or "")
        if usual.hostname == host and usual.scheme == "https":
            return kind, usual.path.rstrip("/")
    for ending, kind in _CLOUDS.items():
        if host.endswith(ending):
            return kind, (simulated(kind) or _NOWHERE).suffix
    return "", ""


_CLOUDS: Mapping[str, str] = {
    ".openai.azure.com": "azure",
    "aiplatform.googleapis.com": "vertex",
    ".amazonaws.com": "bedrock",
}
