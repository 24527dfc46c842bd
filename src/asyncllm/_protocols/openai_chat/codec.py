"""The four verbs of the chat format, bound to one dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..._schema.request import Request
from ..._schema.response import Response
from ...errors import AsyncLLMError
from ..codec import Context, StreamDecoder, WireRequest
from ..openai_api import decode_error
from .dialect import ChatDialect
from .request import encode
from .response import decode
from .stream import ChatStream


@dataclass(frozen=True, slots=True)
class OpenAIChat:
    """The chat completions format, as spoken by one host; base URLs end in ``/v1``."""

    dialect: ChatDialect = field(default_factory=ChatDialect)

    @property
    def name(self) -> str:
        """``"openai_chat"``."""
        return "openai_chat"

    def encode(self, request: Request, context: Context) -> WireRequest:
        """Writes ``POST /chat/completions``; see `asyncllm._protocols.codec.WireProtocol.encode`."""
        return encode(request, context, self.dialect)

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, context: Context) -> Response:
        """Reads a ``chat.completion``; see `asyncllm._protocols.codec.WireProtocol.decode`."""
        return decode(status, headers, body, context, self.dialect)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes, context: Context) -> AsyncLLMError:
        """The exception for a failed answer; never raises."""
        return decode_error(status, headers, body, context, self.dialect)

    def decoder(self, headers: Mapping[str, str], context: Context) -> StreamDecoder:
        """A decoder of ``chat.completion.chunk`` frames."""
        return ChatStream(headers, context, self.dialect)
