"""OpenAI's Responses API: items in, items out; the only wire on which OpenAI's reasoning can be sent back.

Calls are stateless: nothing is stored, and reasoning travels encrypted. What a host does otherwise than OpenAI is a
field of `ResponsesDialect`. Failures are read in `asyncllm._protocols.openai_api`.
"""

from __future__ import annotations

from ..codec import Codec
from ..openai_api import read_error
from .dialect import ResponsesDialect
from .request import write_request
from .response import read_response
from .stream import ResponsesStream

__all__ = ["OpenAIResponses", "ResponsesDialect"]


def OpenAIResponses(dialect: ResponsesDialect | None = None) -> Codec[ResponsesDialect]:  # noqa: N802  # the name of a wire format
    """Makes the codec of the Responses API, as one host speaks it; base URLs end in ``/v1``."""
    return Codec(
        name="openai_responses",
        dialect=ResponsesDialect() if dialect is None else dialect,
        write=write_request,
        read=read_response,
        read_error=read_error,
        stream=ResponsesStream,
    )
