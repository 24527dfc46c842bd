"""OpenAI's chat completions: the wire format of OpenAI itself and of some thirty hosts, their differences as data.

What a host does otherwise than OpenAI is a field of `ChatDialect`; no code here asks for a host by name. Failures are
read in `asyncllm._protocols.openai_api`, since both of OpenAI's formats have the same.
"""

from __future__ import annotations

from ..codec import Codec, verbs_in
from ..openai_api import read_error
from .dialect import ChatDialect
from .request import write_request
from .response import read_response
from .stream import ChatStream

__all__ = ["ChatDialect", "OpenAIChat"]

_VERBS = verbs_in(__name__, "embed", "rerank")


def OpenAIChat(dialect: ChatDialect | None = None) -> Codec[ChatDialect]:  # noqa: N802  # the name of a wire format
    """Makes the codec of the chat completions format, as one host speaks it; base URLs end in ``/v1``."""
    return Codec(
        name="openai_chat",
        dialect=ChatDialect() if dialect is None else dialect,
        write=write_request,
        read=read_response,
        read_error=read_error,
        stream=ChatStream,
        operations=_VERBS,
    )
