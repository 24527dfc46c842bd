"""The Messages format as one value: `asyncllm._protocols.codec.WireProtocol`, as one host speaks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..._schema.request import Request
from ..._schema.response import Response
from ...errors import AsyncLLMError
from ..codec import Context, WireRequest
from .dialect import AnthropicDialect
from .errors import decode_error
from .request import encode_request
from .response import decode_body
from .stream import AnthropicStreamDecoder


@dataclass(frozen=True, slots=True)
class AnthropicMessages:
    """Anthropic's Messages format.

    Attributes:
        dialect: what the host does its own way.
    """

    dialect: AnthropicDialect = field(default_factory=AnthropicDialect)

    @property
    def name(self) -> str:
        """``"anthropic"``."""
        return "anthropic"

    def encode(self, request: Request, context: Context) -> WireRequest:
        """Writes the request; what is left out or changed is in its warnings.

        Raises:
            UnsupportedContentError: a part that this format or host cannot carry.
            UnsupportedParameterError: a keyword that it cannot carry.
            BadRequestError: a value that JSON cannot say.
        """
        return encode_request(request, context, self.dialect)

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, context: Context) -> Response:
        """Reads a whole reply.

        Raises:
            ProtocolError: it is not a message.
            ContentBlockedError: the model refused and said nothing at all.
            AsyncLLMError: it is an error inside a success status.
        """
        return decode_body(status, headers, body, context, self.dialect)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes, context: Context) -> AsyncLLMError:
        """The exception for a failed answer; never raises."""
        return decode_error(status, headers, body, context, self.dialect)

    def decoder(self, headers: Mapping[str, str], context: Context) -> AnthropicStreamDecoder:
        """A decoder for one stream."""
        return AnthropicStreamDecoder(headers, context, self.dialect)
