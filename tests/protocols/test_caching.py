"""``cache="auto"``: marks of the prompt cache, where a host wants them and within what it takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from asyncllm._protocols.anthropic import AnthropicMessages
from asyncllm._protocols.caching import MOST_MARKS, with_marks
from asyncllm._protocols.converse import Converse
from asyncllm._protocols.openai_chat import ChatDialect, OpenAIChat
from asyncllm._schema.content import CacheMark, Image, Reasoning, Text, ToolCall
from asyncllm._schema.messages import Message
from asyncllm._schema.request import ProviderTool, Request, Tool
from recordings import context

TOOLS = (Tool("f"), Tool("g"), ProviderTool({"type": "search"}))
TALK = (
    Message.system("You are"),
    Message.system("a host."),
    Message.user("one"),
    Message.assistant(ToolCall("c", "f", {})),
    Message.tool("c", "1"),
    Message.assistant("two"),
    Message.user(Text("three"), Image(data=b"x", media_type="image/png")),
)
OPENROUTER = OpenAIChat(ChatDialect(cache_marks="cache_control"))
OWN = (Text("a", cache=CacheMark()), Text("b", cache=CacheMark()))


def request(*messages: Message, **fields: Any) -> Request:
    return Request(model="m", messages=messages or TALK, **fields)


def marked(found: Request) -> Iterator[str]:
    """Where the marks stand."""
    for tool in found.tools:
        if isinstance(tool, Tool) and tool.cache is not None:
            yield tool.name
    for place, message in enumerate(found.messages):
        for index, part in enumerate(message.content):
            if getattr(part, "cache", None) is not None:
                yield f"{place}.{index}"


def test_tools_system_and_the_last_two_turns_are_marked() -> None:
    """Each on its last part; results of tools are a turn of the user. The caller's request stays as it was."""
    asked = request(tools=TOOLS)
    assert ["g", "1.0", "4.0", "6.1"] == list(marked(with_marks(asked)))
    assert [] == list(marked(asked))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (request(Message.user("Hi")), ["0.0"]),
        (request(Message.user("Hi"), Message.assistant(Reasoning("hm"))), ["0.0"]),
        (request(Message.user(Text("a"), Text("\n"))), ["0.0"]),
        (request(Message.user(Text("a", cache=CacheMark("1h")))), ["0.0"]),
        (
            request(Message.user(*[Text(str(n), cache=CacheMark()) for n in range(4)], Text("z"))),
            ["0.0", "0.1", "0.2", "0.3"],
        ),
        (
            request(Message.user(Text("a", cache=CacheMark()), Text("b", cache=CacheMark())), *TALK[2:]),
            ["0.0", "0.1", "3.0", "5.1"],
        ),
    ],
)
def test_marks_keep_within_what_hosts_take(asked: Request, expected: list[str]) -> None:
    """Four at most, the caller's own among them; none on blank text or reasoning."""
    found = list(marked(with_marks(asked)))
    assert expected == found
    assert len(found) <= MOST_MARKS


def body(codec: Any, kind: str, model: str, **fields: Any) -> dict[str, Any]:
    asked = Request(model=model, messages=TALK, tools=TOOLS[:2], **fields)
    written: dict[str, Any] = json.loads(codec.encode(asked, context(kind, codec.name, model)).body)
    return written


@pytest.mark.parametrize(
    ("codec", "kind", "model", "word", "marks"),
    [
        (AnthropicMessages(), "anthropic", "claude-opus-5", "cache_control", 4),
        (AnthropicMessages(), "bedrock", "anthropic.claude-3-opus-20240229-v1:0", "cache_control", 0),
        (Converse(), "bedrock", "us.anthropic.claude-opus-4-7", "cachePoint", 4),
        (Converse(), "bedrock", "us.amazon.nova-2-lite-v1:0", "cachePoint", 3),
        (Converse(), "bedrock", "meta.llama3-3-70b-instruct-v1:0", "cachePoint", 0),
        (
            OpenAIChat(ChatDialect(cache_marks="cache_control")),
            "openrouter",
            "anthropic/claude-opus-5",
            "cache_control",
            4,
        ),
        (OpenAIChat(), "openai", "gpt-6-sol", "breakpoint", 0),
    ],
)
def test_each_wire_writes_the_marks_in_its_own_words(codec: Any, kind: str, model: str, word: str, marks: int) -> None:
    """Where the host caches only what is marked, and where the model takes marks."""
    assert 0 == json.dumps(body(codec, kind, model)).count(word)
    assert marks == json.dumps(body(codec, kind, model, cache="auto")).count(word)


def test_a_model_without_a_cache_says_so() -> None:
    """The keyword is named as left out."""
    model = "meta.llama3-3-70b-instruct-v1:0"
    asked = Request(model=model, messages=TALK, cache="auto")
    assert ["cache"] == [
        left.keyword for left in Converse().encode(asked, context("bedrock", "converse", model)).left_out
    ]
