"""Google's generateContent format, as the Gemini API and Vertex AI speak it.

`Gemini` is the codec, `GeminiDialect` says which host it writes for. Replies that pause (``finish_reason``
``"pause"``) go on with `continuation` and `with_continuation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from ..._schema.request import Request
from ..._schema.response import Response
from ...errors import AsyncLLMError
from ..codec import Context, StreamDecoder, WireRequest
from .dialect import GeminiDialect, ModelFamily
from .errors import read_error
from .request import write_request
from .response import continuation, read_body, read_response, with_continuation
from .stream import GeminiStreamDecoder, read_chunks

__all__ = ["Gemini", "GeminiDialect", "ModelFamily", "continuation", "with_continuation"]


@dataclass(frozen=True, slots=True)
class Gemini:
    """The codec; see `asyncllm._protocols.codec.WireProtocol` for its methods.

    Attributes:
        dialect: the host it writes for.
    """

    name: ClassVar[str] = "gemini"

    dialect: GeminiDialect = field(default_factory=GeminiDialect)

    def encode(self, request: Request, context: Context) -> WireRequest:
        """Writes the request."""
        return write_request(request, self.dialect, context)

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, context: Context) -> Response:
        """Reads a whole body; an array of chunks too."""
        value = read_body(body, context)
        return read_chunks(value, context) if isinstance(value, list) else read_response(value, context)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes, context: Context) -> AsyncLLMError:
        """The exception for a failed answer, whatever its content type says."""
        return read_error(status, headers, body, context)

    def decoder(self, headers: Mapping[str, str], context: Context) -> StreamDecoder:
        """A decoder for one stream."""
        return GeminiStreamDecoder(context)
