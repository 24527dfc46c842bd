"""The four verbs of the Responses API, bound to one dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..._schema.request import Request
from ..._schema.response import Response
from ...errors import AsyncLLMError
from ..codec import Context, StreamDecoder, WireRequest
from ..openai_api import decode_error
from .dialect import ResponsesDialect
from .request import encode
from .response import decode
from .stream import ResponsesStream


@dataclass(frozen=True, slots=True)
class OpenAIResponses:
    """The Responses API, as spoken by one host; base URLs end in ``/v1``.

    Attributes:
        dialect: what the host does its own way.
    """

    dialect: ResponsesDialect = field(default_factory=ResponsesDialect)

    @property
    def name(self) -> str:
        """``"openai_responses"``."""
        return "openai_responses"

    def encode(self, request: Request, context: Context) -> WireRequest:
        """Writes ``POST /responses``; see `asyncllm._protocols.codec.WireProtocol.encode`."""
        return encode(request, context, self.dialect)

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, context: Context) -> Response:
        """Reads a ``response``; see `asyncllm._protocols.codec.WireProtocol.decode`."""
        return decode(status, headers, body, context, self.dialect)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes, context: Context) -> AsyncLLMError:
        """The exception for a failed answer, whose bodies are those of chat completions; never raises."""
        return decode_error(status, headers, body, context, self.dialect)

    def decoder(self, headers: Mapping[str, str], context: Context) -> StreamDecoder:
        """A decoder of ``response.*`` events."""
        return ResponsesStream(headers, context, self.dialect)
