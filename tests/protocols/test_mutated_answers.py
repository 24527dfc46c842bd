"""Answers that are damaged anywhere: a value replaced, left out, repeated or moved, or the bytes cut."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any

import pytest

from asyncllm._framing.framer import Frame
from asyncllm.errors import AsyncLLMError
from recordings import context
from wire_samples import CODECS, decoded, gathered, streamed, whole

HOLDS = ("thought", "signed", "text", "call", "text")
ODD: list[Any] = [None, True, 0, -1, 1.5, 10**30, "", "x", "0", [], {}, [None], [[]], [{}], ["a"], {"type": None}]
ODD += [{"type": ["x"]}, {"type": {}}, {"a": []}, {"text": 1}]
ENDS = {"chat": "stop", "responses": "completed", "messages": "end_turn", "gemini": "STOP", "converse": "end_turn"}
ERROR = {"type": "error", "error": {"type": "t", "code": "c", "message": "m", "details": [{"@type": "x", "a": ["b"]}]}}
# What the samples do not hold, in the words of each wire.
MORE: dict[str, list[Any]] = {
    "chat": [
        {"choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [{"token": "a"}]}}]},
        {"choices": [{"index": 1, "delta": {"content": "b"}, "logprobs": {"content": [{"token": "b"}]}}]},
        {"choices": [], "usage": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 0}}},
    ],
    "responses": [
        {"type": "response.output_text.delta", "output_index": 2, "content_index": 0, "delta": "a"},
        {"type": "response.output_text.annotation.added", "output_index": 2, "annotation": {"type": "url_citation"}},
    ],
    "messages": [
        {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "citations_delta", "citation": {"type": "x"}}},
        {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": "{"}},
    ],
    "gemini": [{"usageMetadata": {"promptTokenCount": 1, "promptTokensDetails": [{"modality": "TEXT"}]}}],
    "converse": [{"contentBlockIndex": 2, "delta": {"citation": {"location": {"web": {"url": "u"}}}}}],
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside."""
    if path:
        yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if type(value) is list else ():
        yield from places(inner, (*path, key))


def damaged(value: Any, draw: Random) -> Any:
    """The same with one to three changes."""
    value = copy.deepcopy(value)
    for _ in range(draw.randint(1, 3)):
        ways = list(places(value))
        if not ways:
            return value
        *way, last = draw.choice(ways)
        holder = value
        for key in way:
            holder = holder[key]
        change = draw.random()
        if change < 0.7:
            holder[last] = copy.deepcopy(draw.choice(ODD))
        elif change < 0.85:
            del holder[last]
        elif isinstance(holder, list):
            holder.insert(last, copy.deepcopy(holder[last]))
        else:
            holder[draw.choice(list(holder))] = copy.deepcopy(holder[last])
    return value


@pytest.mark.parametrize("wire", CODECS)
def test_a_damaged_answer_is_read_or_is_an_error_of_ours(wire: str) -> None:
    """Whatever stands in the place of a value, and wherever the bytes end."""
    draw, body = Random(wire), whole(wire, HOLDS, ENDS[wire])  # the same damage in every run
    for _ in range(800):
        with suppress(AsyncLLMError):
            repr(decoded(wire, json.dumps(damaged(body, draw)).encode()))
    data = json.dumps(body).encode()
    for end in range(len(data)):
        with pytest.raises(AsyncLLMError):
            decoded(wire, data[:end])


@pytest.mark.parametrize("wire", CODECS)
def test_a_damaged_stream_is_read_or_is_an_error_of_ours(wire: str) -> None:
    """Events with odd values, in another order, twice, or missing."""
    draw, frames = Random(wire), streamed(wire, HOLDS, ENDS[wire])
    more = [Frame("contentBlockDelta" if wire == "converse" else "", json.dumps(one).encode()) for one in MORE[wire]]
    for _ in range(800):
        said = list(frames)
        for one in more:
            said.insert(draw.randint(1, len(said) - 1), one)
        for _ in range(draw.randint(0, 3)):
            at = draw.randrange(len(said))
            with suppress(ValueError):
                data = json.dumps(damaged(json.loads(said[at].data), draw)).encode()
                said[at] = Frame(said[at].event, data)
        if draw.random() < 0.3:
            draw.shuffle(said)
        if draw.random() < 0.3:
            said = said[: draw.randint(0, len(said))]
        with suppress(AsyncLLMError):
            repr(gathered(wire, said))


@pytest.mark.parametrize("wire", CODECS)
def test_a_damaged_error_is_an_error_of_ours(wire: str) -> None:
    """Reading an error never fails itself."""
    draw, body = Random(wire), {**ERROR, "message": "m", "code": 1, "detail": [{"msg": "x", "loc": ["a"]}]}
    for _ in range(800):
        status = draw.choice([400, 401, 402, 403, 404, 413, 429, 500, 503, 529])
        data = json.dumps(damaged(body, draw)).encode()
        error = CODECS[wire].decode_error(status, {}, data, context("host", wire))
        assert (True, status) == (isinstance(error, AsyncLLMError), error.status)
        assert str(error)
