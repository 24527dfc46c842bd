"""Access to the management endpoints: by a token, by the application's own rule, or for everybody if that is asked
for.
"""

from __future__ import annotations

import hmac
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Union

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

Dependency = Callable[[Request], Union[Any, Awaitable[Any]]]
"""Lets a request in by returning; refuses it by raising starlette's or FastAPI's ``HTTPException``, or with False."""

_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    ),
)


class Guard:
    """Decides who is let in, before any endpoint runs."""

    def __init__(
        self, app: ASGIApp, *, secret: bytes | None, dependency: Dependency | None, hosts: frozenset[str]
    ) -> None:
        self._app = app
        self._secret = secret
        self._dependency = dependency
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a refused request, and passes every other one on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_HEADERS]}
            await send(message)

        request = Request(scope, receive)
        try:
            self._check_host(request)
            if not _is_page(scope):
                await self._check(request)
        except HTTPException as error:
            refusal = await refused(request, error)
            await refusal(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _check_host(self, request: Request) -> None:
        if self._hosts and _name_of(request.headers.get("host", "")) not in self._hosts:
            raise HTTPException(421, "this host name is not served here")

    async def _check(self, request: Request) -> None:
        host = request.headers.get("host", "")
        if request.method not in ("GET", "HEAD"):
            origin = request.headers.get("origin")
            site = request.headers.get("sec-fetch-site", "same-origin")
            if (origin is not None and origin.partition("://")[2] != host) or site not in ("same-origin", "none"):
                raise HTTPException(403, "a page of another origin may not do this")
        if self._secret is not None:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._secret):
                raise HTTPException(401, "a token is needed", {"www-authenticate": "Bearer"})
        if self._dependency is not None:
            said = self._dependency(request)
            if (await said if inspect.isawaitable(said) else said) is False:
                raise HTTPException(403, "this is not allowed")


def _is_page(scope: Scope) -> bool:
    """Whether a request is for the dashboard's own files, which hold no data: the page asks for the token itself."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return scope["method"] in ("GET", "HEAD") and (path in ("", "/") or path.startswith("/static/"))


def _name_of(host: str) -> str:
    """A host header without its port."""
    if host.startswith("["):
        return host.partition("]")[0][1:]
    return host.partition(":")[0]


async def refused(_: Request, error: Any) -> Response:
    """Returns the answer to a refused request."""
    return JSONResponse(
        {"error": {"type": "HTTPError", "message": str(error.detail)}}, error.status_code, headers=error.headers
    )
