"""Converse as one value: `asyncllm._protocols.codec.WireProtocol`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..._schema.request import Request
from ..._schema.response import Response
from ...errors import AsyncLLMError
from ..aws import decode_error
from ..codec import Context, WireRequest
from .dialect import ConverseDialect
from .request import encode_request
from .response import decode_body
from .stream import ConverseStreamDecoder


@dataclass(frozen=True, slots=True)
class Converse:
    """Amazon Bedrock's Converse format; its streams are AWS event streams.

    Attributes:
        dialect: what the configured host adds to every body.
    """

    dialect: ConverseDialect = field(default_factory=ConverseDialect)

    @property
    def name(self) -> str:
        """``"converse"``."""
        return "converse"

    def encode(self, request: Request, context: Context) -> WireRequest:
        """Writes the request; what is left out or changed is in its warnings.

        Raises:
            UnsupportedContentError: a part that this format cannot carry.
            UnsupportedParameterError: a keyword that it, or the model, cannot carry.
            BadRequestError: a value that JSON cannot say.
        """
        return encode_request(request, context, self.dialect)

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, context: Context) -> Response:
        """Reads a whole reply.

        Raises:
            ProtocolError: it is not a message.
            ContentBlockedError: it was blocked, and holds nothing at all.
        """
        return decode_body(status, headers, body, context)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes, context: Context) -> AsyncLLMError:
        """The exception for a failed answer; never raises."""
        return decode_error(status, headers, body, context)

    def decoder(self, headers: Mapping[str, str], context: Context) -> ConverseStreamDecoder:
        """A decoder for one stream."""
        return ConverseStreamDecoder(headers, context)
