"""A whole successful body in either of OpenAI's formats, before anything in it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import ProtocolError
from ..base import Context
from ..classify import snippet
from .headers import request_id


def read_whole(status: int, headers: Mapping[str, str], body: bytes, context: Context, wanted: str) -> dict[str, Any]:
    """The JSON object that a body is.

    Args:
        status: of the answer.
        headers: of the answer.
        body: its bytes.
        context: of the call.
        wanted: what the object should be, such as ``"a chat completion"``.

    Raises:
        ProtocolError: it is empty, a page, or anything else that is no object.
    """
    start = body.lstrip()[:1]
    if not start:
        told = f"the provider answered with an empty body instead of {wanted}"
    elif start == b"<":
        where = "is base_url right (it ends in /v1)?"
        told = f"the provider answered with a page instead of JSON: {where} {snippet(body, 100)}"
    else:
        try:
            whole = context.json.loads(body)
        except ProtocolError:
            whole = None
        if isinstance(whole, dict):
            return whole
        told = f"the provider's answer is not {wanted}: {snippet(body, 100)}"
    raise ProtocolError(
        told, provider=context.provider, model=context.model, status=status, request_id=request_id(headers)
    )
