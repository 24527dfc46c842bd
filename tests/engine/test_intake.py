"""What callers write becomes canonical messages, or a sentence about where it is wrong."""

from __future__ import annotations

import base64
import copy
import enum
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm._engine.intake import read_messages
from asyncllm._schema.content import (
    Audio,
    CacheMark,
    Citation,
    Document,
    Image,
    Json,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from asyncllm._schema.messages import Message
from asyncllm.errors import BadRequestError


class City(pydantic.BaseModel):
    name: str
    since: date


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Price:
    amount: Decimal
    colour: Colour


PIXEL = base64.b64encode(b"pixel").decode()


def test_a_string_is_one_user_message() -> None:
    """A bare string is what the user says."""
    assert (Message.user("Hi"),) == read_messages("Hi")


def test_a_message_is_a_conversation_of_one() -> None:
    """A single Message need not be put into a list."""
    message = Message.user("Hi")
    assert (message,) == read_messages(message)


def test_roles_of_openai_become_canonical_ones() -> None:
    """The developer role is a system message, and the others keep their names."""
    given_roles = ["system", "developer", "user", "assistant"]
    read = read_messages([{"role": role, "content": "x"} for role in given_roles])
    assert ["system", "system", "user", "assistant"] == [message.role for message in read]


def test_a_mixed_list_keeps_its_order() -> None:
    """Strings, messages and dicts may stand in one list."""
    kept = Message.assistant("b")
    assert (Message.user("a"), kept, Message.user("c")) == read_messages(["a", kept, {"role": "user", "content": "c"}])


def test_every_part_of_the_openai_shape_is_read() -> None:
    """Text, images by URL and data, audio and files become parts, with their cache marks."""
    content = [
        {"type": "text", "text": "see", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": f"data:image/png;base64,{PIXEL}"},
        {"type": "input_audio", "input_audio": {"data": PIXEL, "format": "wav"}},
        {"type": "input_audio", "input_audio": {"data": PIXEL, "format": "mp3"}},
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PIXEL}", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": PIXEL}},
        {"type": "file", "file": {"file_data": "https://example.com/a.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]
    expected = (
        Text("see", cache=CacheMark("1h")),
        Image(url="https://example.com/a.png", detail="low"),
        Image(data=b"pixel", media_type="image/png"),
        Audio(data=b"pixel", media_type="audio/wav"),
        Audio(data=b"pixel", media_type="audio/mpeg"),
        Document(data=b"pixel", media_type="application/pdf", name="a.pdf"),
        Document(data=b"pixel", media_type="application/pdf"),
        Document(url="https://example.com/a.pdf"),
        Document(file_id="file-1"),
    )
    assert expected == read_messages([{"role": "user", "content": content}])[0].content


def test_parts_of_ours_and_strings_may_stand_in_a_dict() -> None:
    """A dict's content may mix strings and canonical parts."""
    image = Image(url="https://example.com/a.png")
    assert (Text("a"), image) == read_messages([{"role": "user", "content": ["a", image]}])[0].content


def test_an_assistant_turn_with_calls_is_read() -> None:
    """Tool calls keep id, name and argument text, whichever way the arguments are given."""
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
        {"id": "c2", "type": "function", "function": {"name": "g", "arguments": {"b": 2}}},
        {"id": "c3", "type": "custom", "custom": {"name": "h", "input": "free text"}},
    ]
    read = read_messages([{"role": "assistant", "content": None, "refusal": "no", "tool_calls": calls}])[0]
    expected = (
        Refusal("no"),
        ToolCall("c1", "f", raw_arguments='{"a": 1}'),
        ToolCall("c2", "g", {"b": 2}),
        ToolCall("c3", "h", raw_arguments="free text", kind="custom"),
    )
    assert expected == read.content


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("3 C", (Text("3 C"),)),
        ({"temp": 3}, (Json({"temp": 3}),)),
        ([1, 2], (Json([1, 2]),)),
        ([{"type": "text", "text": "3 C"}], (Text("3 C"),)),
        (
            [{"type": "text", "text": "a"}, {"type": "weather"}],
            (Json([{"type": "text", "text": "a"}, {"type": "weather"}]),),
        ),
    ],
)
def test_a_tool_result_is_read(content: Any, expected: tuple[Any, ...]) -> None:
    """Text stays text, OpenAI's parts become parts, every other value is JSON."""
    read = read_messages([{"role": "tool", "tool_call_id": "c1", "content": content, "is_error": True}])
    assert (Message("tool", (ToolResult("c1", expected, is_error=True),)),) == read


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "empty"),
        (3, "must be a string or a list"),
        ({"role": "user", "content": "x"}, "put a single message into a list"),
        ([3], "messages[0] is a int"),
        ([{"role": "user", "content": "x"}, {"role": "robot", "content": "x"}], "messages[1].role"),
        ([{"content": "x"}], "messages[0].role"),
        ([{"role": "user", "content": 3}], "messages[0].content"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "user", "content": "x", "contents": "y"}], "messages[0].contents"),
        ([{"role": "user", "content": "x", "name": 3}], "messages[0].name"),
        ([{"role": "user", "content": [3]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "txt"}]}], "messages[0].content[0].type"),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text"),
        ([{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": 1}]}], "cache_control"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "c:/a.png"}}]}], "image_url.url"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png,x"}]}], "image_url.url"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png;base64,*"}]}], "base64"),
        ([{"role": "user", "content": [{"type": "input_audio"}]}], "messages[0].content[0].input_audio"),
        ([{"role": "user", "content": [{"type": "file"}]}], "messages[0].content[0].file"),
        ([{"role": "assistant"}], "needs content or tool_calls"),
        ([{"role": "assistant", "tool_calls": {}}], "messages[0].tool_calls"),
        ([{"role": "assistant", "tool_calls": [3]}], "messages[0].tool_calls[0]"),
        ([{"role": "assistant", "tool_calls": [{"id": "c", "type": "function"}]}], "messages[0].tool_calls[0]"),
        ([{"role": "assistant", "tool_calls": [{"id": "", "function": {"name": "f"}}]}], "tool_calls[0].id"),
        ([{"role": "assistant", "tool_calls": [{"id": "c", "function": {}}]}], "tool_calls[0].function.name"),
        ([{"role": "tool", "content": "x"}], "messages[0].tool_call_id"),
        ([{"role": "tool", "tool_call_id": "", "content": "x"}], "messages[0].tool_call_id"),
        ([{"role": "tool", "tool_call_id": "c", "content": [{"type": "refusal", "refusal": "n"}]}], "refusal"),
    ],
)
def test_what_is_wrong_is_named_by_index_and_key(messages: Any, words: str) -> None:
    """A bad message raises BadRequestError whose sentence says where."""
    with pytest.raises(BadRequestError) as caught:
        read_messages(messages)
    assert words in str(caught.value)


def test_the_callers_objects_are_left_alone() -> None:
    """Reading changes nothing in what the caller gave."""
    messages = [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}]},
        {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"a": [1]}}}]},
    ]
    before = copy.deepcopy(messages)
    read_messages(messages)
    assert before == messages


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "type", "text", "tool_calls", "id", "function"]), inner)
    ),
    max_leaves=10,
)


@given(st.lists(JSON, max_size=3))
def test_nothing_but_bad_request_comes_out_of_arbitrary_values(messages: list[Any]) -> None:
    """Whatever JSON is given, it is read or refused with BadRequestError."""
    try:
        read = read_messages(messages)
    except BadRequestError:
        return
    assert len(messages) == len(read)


DUMP = {
    "content": "hello",
    "refusal": None,
    "role": "assistant",
    "annotations": [],
    "audio": None,
    "function_call": None,
    "tool_calls": None,
}


@pytest.mark.parametrize(
    "message", [DUMP, {**DUMP, "reasoning_content": None}, {"role": "user", "content": "hello", "audio": None}]
)
def test_what_an_sdk_dumps_is_read(message: dict[str, Any]) -> None:
    """A key without a value says nothing, whatever it is called: ``model_dump()`` has every field of its class."""
    assert (Text("hello"),) == read_messages([message])[0].content


def test_what_a_dumped_turn_says_besides_is_kept() -> None:
    """Reasoning, sources, speech and what stands beside a call are read, not dropped."""
    cited = {
        "type": "url_citation",
        "url_citation": {"url": "https://a", "title": "A", "start_index": 0, "end_index": 2},
    }
    call = {"id": "c", "index": 0, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    read = read_messages(
        [
            {
                "role": "assistant",
                "content": "hello",
                "reasoning_content": "Hm.",
                "annotations": [cited],
                "audio": {"id": "audio_1", "data": PIXEL, "transcript": "hello", "expires_at": 1},
                "tool_calls": [{**call, "extra_content": {"google": {"thought_signature": "s"}}}],
            }
        ]
    )[0]
    expected = (
        Reasoning("Hm."),
        Text("hello", citations=(Citation(url="https://a", title="A", start=0, end=2, raw=cited),)),
        Audio(data=b"pixel", file_id="audio_1", transcript="hello"),
        ToolCall("c", "f", raw_arguments="{}", extra={"extra_content": {"google": {"thought_signature": "s"}}}),
    )
    assert expected == read.content


def test_the_names_of_the_responses_api_are_understood() -> None:
    """``input_text``, ``output_text`` and ``input_image`` are what ``text`` and ``image_url`` are elsewhere."""
    content = [
        {"type": "input_text", "text": "a"},
        {"type": "output_text", "text": "b", "annotations": [], "logprobs": []},
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
    ]
    expected = (Text("a"), Text("b"), Image(url="https://example.com/a.png", detail="low"))
    assert expected == read_messages([{"role": "user", "content": content}])[0].content


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"role": "user", "content": [{"type": "text", "text": "x", "colour": "red"}]}, "content[0].colour"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a", "siez": 1}}]}, "siez"),
        ({"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"tll": "1h"}}]}, "tll"),
        (
            {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "", "args": 1}}]},
            "tool_calls[0].function.args",
        ),
        ({"role": "assistant", "content": "x", "function_call": {"name": "f"}}, "function_call"),
        ({"role": "assistant", "content": "", "tool_calls": None, "annotations": 3}, "annotations"),
    ],
)
def test_a_key_that_would_be_lost_is_refused(message: dict[str, Any], words: str) -> None:
    """A key that nobody reads and that says something is named, wherever it stands."""
    with pytest.raises(BadRequestError) as caught:
        read_messages([message])
    assert words in str(caught.value)


JPEG, PNG = b"\xff\xd8\xff\xe0\x00\x10JFIF", b"\x89PNG\r\n\x1a\n0000"


@pytest.mark.parametrize(
    ("data", "said", "expected"),
    [
        (JPEG, "image/jpg", "image/jpeg"),
        (PNG, "image/jpeg", "image/png"),
        (PNG, None, "image/png"),
        (b"GIF89a00", "image/png", "image/gif"),
        (b"RIFF0000WEBPVP8 ", "application/octet-stream", "image/webp"),
        (b"pixel", "image/jpg", "image/jpeg"),
        (b"pixel", "image/png", "image/png"),
        (b"pixel", None, None),
    ],
)
def test_the_type_of_a_picture_is_what_its_bytes_show(data: bytes, said: str | None, expected: str | None) -> None:
    """A nearly right or wrong media type is corrected from the first bytes, for values and dicts alike."""
    assert expected == Image(data=data, media_type=said).media_type
    if said is not None:
        url = f"data:{said};base64,{base64.b64encode(data).decode()}"
        read = read_messages([{"role": "user", "content": [{"type": "image_url", "image_url": url}]}])
        assert (Image(data=data, media_type=expected),) == read[0].content


@pytest.mark.parametrize("kind", [Image, Document, Audio, Video])
def test_bytes_are_bytes(kind: Any) -> None:
    """Base64 text in place of bytes is refused by name; other forms of bytes are taken."""
    with pytest.raises(TypeError, match=f"{kind.__name__}: data must be bytes, not str"):
        kind(data=PIXEL, media_type="x/y")
    for text in (base64.b64encode(b"%PDF-1.4 and more than a few bytes"), b"data:x/y;base64,iVBORw0KGgo="):
        with pytest.raises(TypeError, match=f"{kind.__name__}: data holds base64 text"):
            kind(data=text, media_type="x/y")
    assert b"ab" == kind(data=bytearray(b"ab"), media_type="x/y").data
    assert b"data: a plain text" == kind(data=b"data: a plain text", media_type="text/plain").data


def test_a_tool_s_result_may_be_what_python_has() -> None:
    """Pydantic models, dataclasses, dates, Decimals, enums and sets become the JSON that they mean."""
    value = {
        "city": City(name="Oslo", since=date(1048, 1, 1)),
        "price": Price(Decimal("12.50"), Colour.RED),
        "when": datetime(2026, 11, 28, 12, tzinfo=timezone.utc),
        "ids": {UUID(int=1)},
        "path": PurePosixPath("/a"),
        "rest": (1, None, True, 1.5, "x"),
    }
    expected = {
        "city": {"name": "Oslo", "since": "1048-01-01"},
        "price": {"amount": "12.50", "colour": "red"},
        "when": "2026-11-28T12:00:00+00:00",
        "ids": ["00000000-0000-0000-0000-000000000001"],
        "path": "/a",
        "rest": [1, None, True, 1.5, "x"],
    }
    result = Message.tool("c", value).content[0]
    assert isinstance(result, ToolResult)
    assert (Json(expected),) == result.content
    read = read_messages([{"role": "tool", "tool_call_id": "c", "content": City(name="Oslo", since=date(1048, 1, 1))}])
    assert (ToolResult("c", (Json({"name": "Oslo", "since": "1048-01-01"}),)),) == read[0].content
