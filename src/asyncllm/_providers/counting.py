"""How hosts count the tokens of a request without answering it: from the body that the codec would send.

=====================  ==========================================  ===========================================
host                   endpoint                                    body
=====================  ==========================================  ===========================================
Claude API             ``/v1/messages/count_tokens``               the message, without what makes an answer
Claude on Vertex       ``.../models/count-tokens:rawPredict``      the same, with the model in it
Gemini API             ``/{version}/models/M:countTokens``         the whole request in ``generateContentRequest``
Gemini on Vertex       ``.../models/M:countTokens``                ``contents``, ``systemInstruction``, ``tools``
Bedrock                ``/model/M/count-tokens``                   ``input.converse`` or ``input.invokeModel``
OpenAI                 ``/responses/input_tokens``                 the Responses request, without the same
=====================  ==========================================  ===========================================

A counting is sans-IO, as a listing is. Sources: anthropic SDK 2.11, google-genai 3.4.0, botocore 1.44.5
(``CountTokensInput``), openai 3.52.0 (``resources/responses/input_tokens.py``), recorded counts, November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .._protocols.codec import Context, JSONCodec, WireProtocol, WireRequest
from .._schema.request import Request
from ..errors import ProtocolError

# What steers the answer and is no part of the prompt: refused by these endpoints, or of no weight.
_OF_THE_ANSWER: Mapping[str, Any] = {
    "stream": False,
    "temperature": None,
    "top_p": None,
    "max_tokens": None,
    "stop": (),
    "seed": None,
    "extra_headers": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """How one host counts tokens.

    Attributes:
        path: where, if that does not follow from the codec's own path.
        protocol: the codec that writes the body; None for the one the model is spoken to with.
    """

    path: str | None = None
    protocol: WireProtocol | None = None

    def encode(self, request: Request, protocol: WireProtocol, context: Context, path: str | None) -> WireRequest:
        """The request that counts; ``protocol`` and ``path`` are those the model would be asked with.

        Raises:
            AsyncLLMError: what `WireProtocol.encode` raises.
        """
        plain = replace(request, **_OF_THE_ANSWER)
        wire = (self.protocol or protocol).encode(plain, context)
        body = self.body(context.json.loads(wire.body), request.model, context.json)
        where = self.path or self.derived_path(path or wire.path, request.model)
        return replace(wire, path=where, query="", body=context.json.dumps(body), warnings=())

    def derived_path(self, path: str, model: str) -> str:
        """Returns the path that counts, made from the path that generates."""
        return path

    def body(self, body: dict[str, Any], model: str, json: JSONCodec) -> dict[str, Any]:
        """Returns the body that counts, made from the body that generates."""
        raise NotImplementedError

    def decode(self, value: Any) -> int:
        """Returns the number of input tokens.

        Raises:
            ProtocolError: there is none in the answer.
        """
        for name in ("input_tokens", "totalTokens", "inputTokens"):
            found = value.get(name) if isinstance(value, Mapping) else None
            if type(found) is int and found >= 0:
                return found
        raise ProtocolError("the answer about tokens holds no number of them")


def only(body: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: body[name] for name in names if name in body}
