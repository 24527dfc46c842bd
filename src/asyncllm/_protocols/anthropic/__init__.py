"""Anthropic's Messages format, for every host that serves it."""

from __future__ import annotations

from ..codec import Codec
from .dialect import AnthropicDialect
from .errors import read_error
from .request import write_request
from .response import read_response
from .stream import AnthropicStreamDecoder

__all__ = ["AnthropicDialect", "AnthropicMessages"]


def AnthropicMessages(dialect: AnthropicDialect | None = None) -> Codec[AnthropicDialect]:  # noqa: N802  # the name of a wire format
    """Makes the codec of Anthropic's Messages format, as one host carries it."""
    return Codec(
        name="anthropic",
        dialect=AnthropicDialect() if dialect is None else dialect,
        write=write_request,
        read=read_response,
        read_error=read_error,
        stream=AnthropicStreamDecoder,
    )
