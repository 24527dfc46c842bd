"""The parts for a wire format of your own: codecs, framers, dialects, key types, classification of errors."""

from __future__ import annotations

from ._auth.keys import HeaderKey, Secret
from ._auth.signing import Auth
from ._framing.eventstream import EventStreamFramer
from ._framing.framer import Frame, Framer
from ._framing.sse import SSEFramer
from ._protocols.anthropic import AnthropicDialect, AnthropicMessages
from ._protocols.classify import build_error, by_status, classify, parse_retry_after, snippet
from ._protocols.codec import Codec, Context, JSONCodec, LeftOut, StreamDecoder, Verb, WireProtocol, WireRequest
from ._protocols.converse import Converse, ConverseDialect
from ._protocols.gemini import Gemini, GeminiDialect
from ._protocols.openai_chat import ChatDialect, OpenAIChat
from ._protocols.openai_responses import OpenAIResponses, ResponsesDialect
from ._protocols.wire_json import WireJSON
from ._providers.provider import Route, path_escape

__all__ = [
    "AnthropicDialect",
    "AnthropicMessages",
    "Auth",
    "ChatDialect",
    "Codec",
    "Context",
    "Converse",
    "ConverseDialect",
    "EventStreamFramer",
    "Frame",
    "Framer",
    "Gemini",
    "GeminiDialect",
    "HeaderKey",
    "JSONCodec",
    "LeftOut",
    "OpenAIChat",
    "OpenAIResponses",
    "ResponsesDialect",
    "Route",
    "SSEFramer",
    "Secret",
    "StreamDecoder",
    "Verb",
    "WireJSON",
    "WireProtocol",
    "WireRequest",
    "build_error",
    "by_status",
    "classify",
    "parse_retry_after",
    "path_escape",
    "snippet",
]
