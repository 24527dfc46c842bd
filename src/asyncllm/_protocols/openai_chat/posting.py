"""The last steps of a request in both of OpenAI's formats: the dialect's ``adapt``, then ``extra_body`` merged into the
body (objects key by key, everything else replaced), then the headers, where the caller's own win.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..._schema.request import Request
from ..base import WireRequest
from ..merge import deep_merge
from .part_writer import PartWriter

Body = dict[str, Any]


def post(
    path: str, body: Body, request: Request, writer: PartWriter, adapt: Callable[[Body], Body] | None
) -> WireRequest:
    """The request for a finished body."""
    if adapt is not None:
        body = adapt(body)
    if request.extra_body:
        body = deep_merge(body, request.extra_body)
    headers = {
        "content-type": "application/json",
        "accept": "text/event-stream" if request.stream else "application/json",
    }
    if request.extra_headers:
        headers.update({name.lower(): value for name, value in request.extra_headers.items()})
    return WireRequest(
        method="POST",
        path=path,
        headers=tuple(headers.items()),
        body=writer.context.json.dumps(body),
        warnings=tuple(writer.warnings),
    )
