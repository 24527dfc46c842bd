"""Conversations as text: what is written comes back as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm import (
    Audio,
    BadRequestError,
    CacheMark,
    Citation,
    Document,
    Image,
    Json,
    Message,
    Origin,
    ProviderToolCall,
    ProviderToolResult,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
    Video,
    dump_messages,
    load_messages,
)

words = st.text(st.characters(), max_size=8)
maybe = st.none() | words
raws = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | words
    | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | st.just("$bytes"), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(words | st.just("type") | st.just("$x"), raws, max_size=3)
origins = st.none() | st.builds(Origin, words, words)
marks = st.none() | st.builds(CacheMark, maybe)
own = {"origin": origins, "cache": marks}
citations = st.builds(Citation, url=maybe, title=maybe, start=st.none() | st.integers(0, 9), raw=st.none() | objects)
texts = st.builds(Text, words, citations=st.lists(citations, max_size=2).map(tuple), signature=maybe, **own)
images = st.builds(Image, data=st.none() | st.binary(max_size=4), url=maybe, media_type=maybe, **own)
documents = st.builds(Document, text=maybe, name=maybe, citations=st.booleans(), extra=st.none() | objects, **own)
media = st.one_of(images, documents, st.builds(Audio, data=st.binary(max_size=4), **own), st.builds(Video, url=maybe))
unknowns = st.builds(Unknown, type=words, raw=raws, **own)
results = st.one_of(texts, media, unknowns, st.builds(Json, raws))
parts = st.one_of(
    texts,
    media,
    unknowns,
    st.builds(Reasoning, words, signature=maybe, encrypted=maybe, id=maybe, extra=st.none() | objects, **own),
    st.builds(
        ToolCall, words, words, raw_arguments=words, kind=words, signature=maybe, extra=st.none() | objects, **own
    ),
    st.builds(ToolResult, words, st.lists(results, max_size=2).map(tuple), is_error=st.booleans(), name=maybe, **own),
    st.builds(ProviderToolCall, id=words, name=words, raw_arguments=words, raw=objects, signature=maybe, **own),
    st.builds(ProviderToolResult, call_id=words, name=words, raw=objects, is_error=st.booleans(), **own),
    st.builds(Refusal, words, **own),
)
roles = st.sampled_from(["system", "user", "assistant", "tool"])
conversations = st.lists(st.builds(Message, roles, st.lists(parts, max_size=3).map(tuple), name=maybe), max_size=3)


@given(conversations)
def test_every_conversation_comes_back_as_it_was(messages: list[Message]) -> None:
    """Any parts, with bytes, signatures, half surrogate pairs and data of providers."""
    text = dump_messages(messages)
    text.encode()
    assert tuple(messages) == load_messages(text)


def test_the_format_is_stable() -> None:
    """The text that this version writes; a change of it needs a new number."""
    message = Message(
        "assistant", (Text("hi"), ToolCall("1", "f", raw_arguments="{}"), Image(data=b"ab", media_type="x/y"))
    )
    assert {
        "asyncllm_messages": 1,
        "messages": [
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "hi"},
                    {"type": "tool_call", "id": "1", "name": "f", "raw_arguments": "{}", "kind": "function"},
                    {"type": "image", "data": {"$bytes": "YWI="}, "media_type": "x/y"},
                ],
            }
        ],
    } == json.loads(dump_messages([message]))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", '{"messages": []}', '{"asyncllm_messages": 2, "messages": []}', '{"asyncllm_messages": 1}']
    + [json.dumps({"asyncllm_messages": 1, "messages": wrong}) for wrong in ([1], [{"role": "user"}], [{}], 3)]
    + [json.dumps({"asyncllm_messages": 1, "messages": [{"role": "user", "content": [{"type": "new"}]}]})],
)
def test_what_is_no_stored_conversation_is_refused(text: Any) -> None:
    """One kind of error, with a sentence."""
    with pytest.raises(BadRequestError):
        load_messages(text)
