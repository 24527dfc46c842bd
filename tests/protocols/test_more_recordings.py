"""A second set of recorded exchanges: every reply, stream and error of it is read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from asyncllm._framing.sse import SSEFramer
from asyncllm._protocols.anthropic import AnthropicMessages
from asyncllm._protocols.codec import Codec
from asyncllm._protocols.gemini import Gemini
from asyncllm._protocols.openai_chat import OpenAIChat
from asyncllm._protocols.openai_responses import OpenAIResponses
from recordings import FOLDER, body_of, context, headers_of

MORE = FOLDER.parent / "dev2"
CODECS: Mapping[str, Codec[Any]] = {
    "openai-chat": OpenAIChat(),
    "openai-responses": OpenAIResponses(),
    "anthropic-messages": AnthropicMessages(),
    "gemini": Gemini(),
}
ERRORS = {
    # Completions that were asked for by an id are not there.
    "openai-chat": {
        "BadRequestError": 2,
        "AuthenticationError": 4,
        "NotFoundError": 13,
        "OverloadedError": 1,
    },
    "openai-responses": {"AuthenticationError": 6},
    "anthropic-messages": {"BadRequestError": 1, "ModelNotFoundError": 7},
    "gemini": {},
}


@pytest.mark.parametrize("name", CODECS)
def test_every_exchange_is_read(name: str) -> None:
    """Replies and streams are read without an error, and failures have the exception that their words mean."""
    if not MORE.is_dir():
        pytest.skip("the second set of recorded exchanges is not beside this checkout")
    codec, failed = CODECS[name], Counter[str]()
    for line in (MORE / f"{name}.jsonl").read_text("utf8").splitlines():
        exchange = json.loads(line)
        headers, body, here = headers_of(exchange), body_of(exchange), context("host", codec.name, "m")
        if exchange["status"] >= 400:
            failed[type(codec.decode_error(exchange["status"], headers, body, here)).__name__] += 1
        elif exchange["response_kind"] == "sse":
            decoder, framer = codec.decoder(headers, here), SSEFramer()
            decoder.feed(framer.feed(body))
            decoder.feed(framer.close())
            assert decoder.done or decoder.close() is not None
        else:
            codec.decode(exchange["status"], headers, body, here)
    assert ERRORS[name] == dict(failed)
