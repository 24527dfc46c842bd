"""The estimate of input tokens: what adds to it, how far it is off, and what it costs."""

from __future__ import annotations

import runpy
import statistics
import timeit
from pathlib import Path
from typing import Any

import pytest

from asyncllm._models.tokens import ERROR_BAND, IMAGE_TOKENS, MEDIA_TOKENS, estimate_tokens, prompt_family_of
from asyncllm._schema.content import (
    Audio,
    Document,
    Image,
    Json,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
)
from asyncllm._schema.messages import Message
from asyncllm._schema.request import ProviderTool, Request, ResponseFormat, Tool, ToolChoice
from recordings import FOLDER

SCRIPT = Path(__file__).resolve().parent.parent.parent / "benchmarks" / "token_estimates.py"


def tokens(*parts: Any, model: str = "m", role: Any = "user", **fields: Any) -> int:
    return estimate_tokens(Request(model=model, messages=(Message(role, parts),), **fields))


EMPTY = tokens(Text(""))


def test_longer_is_more() -> None:
    """A token for every few bytes, and something for each message."""
    prose = "The quick brown fox jumps over the lazy dog. "
    assert 80 < tokens(Text(prose * 10)) < 130
    assert tokens(Text("é" * 400)) > tokens(Text("e" * 400))
    two = Request(model="m", messages=(Message.user("a"), Message.user("b")))
    assert estimate_tokens(two) > tokens(Text("ab"))


@pytest.mark.parametrize(
    ("part", "least"),
    [
        (Image(url="https://x.example/p.png"), IMAGE_TOKENS),
        (Audio(data=b"x", media_type="audio/wav"), MEDIA_TOKENS),
        (Document(data=b"x", media_type="application/pdf"), MEDIA_TOKENS),
        (Document(text="word " * 100), 80),
        (Reasoning("word " * 100), 80),
        (Refusal("word " * 100), 80),
        (ToolCall("1", "f", '{"a": "' + "word " * 100 + '"}'), 80),
    ],
)
def test_every_part_counts(part: Any, least: int) -> None:
    """Media by the piece, everything else by its length."""
    assert least <= tokens(part) - EMPTY


@pytest.mark.parametrize(
    "inner", [Text("word " * 100), Json({"a": "word " * 100}), Image(data=b"x", media_type="image/png")]
)
def test_results_of_tools_count(inner: Any) -> None:
    """What a tool gave back is part of the prompt."""
    assert 80 <= tokens(ToolResult("1", (inner,)), role="tool") - EMPTY


def test_what_is_not_known_does_not_count() -> None:
    """A part without text adds nothing."""
    assert EMPTY == tokens(Unknown(type="odd", raw={}))


def test_tools_and_schemas() -> None:
    """Tools count with their schemas, unless they must not be used; so does a schema of the answer for some."""
    tool = Tool("get_weather", "Tells the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
    plain = tokens(Text("hi"))
    assert 20 < tokens(Text("hi"), tools=(tool,)) - plain
    assert 5 < tokens(Text("hi"), tools=(ProviderTool({"type": "web_search"}),)) - plain
    assert plain == tokens(Text("hi"), tools=(tool,), tool_choice=ToolChoice("none"))
    schema = ResponseFormat(schema={"type": "object", "properties": {"a": {"type": "string"}}})
    assert tokens(Text("hi"), model="claude-sonnet-4-5") + 100 < tokens(
        Text("hi"), model="claude-sonnet-4-5", response_format=schema
    )
    assert plain == tokens(Text("hi"), response_format=ResponseFormat())


@pytest.mark.parametrize(
    ("model", "mark"),
    [
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude"),
        ("claude-3-7-sonnet-20250219", "claude-3"),
        ("openai/gpt-oss-120b", "gpt-oss"),
        ("GPT-5.4", "gpt"),
        ("x-ai/grok-4", "grok"),
        ("something-else", ""),
    ],
)
def test_families(model: str, mark: str) -> None:
    """A model belongs to the first family whose mark is in its name."""
    assert mark == prompt_family_of(model).marks[0]


@pytest.mark.slow
def test_the_stated_error_is_the_measured_one() -> None:
    """Over the recorded exchanges half of the estimates are within a sixth, and 95 of 100 within the stated band."""
    if not FOLDER.is_dir():
        pytest.skip("the recorded exchanges are not beside this checkout")
    script = runpy.run_path(str(SCRIPT))
    errors = [abs(estimate_tokens(one.request) / one.counted - 1) for one in script["samples"]()]
    assert 800 < len(errors)
    assert statistics.median(errors) < 0.16
    assert ERROR_BAND >= sorted(errors)[int(0.95 * len(errors)) - 1]


@pytest.mark.slow
def test_an_estimate_is_cheap() -> None:
    """A short prompt takes well under 20 µs."""
    request = Request(model="gpt-5.4", messages=(Message.system("Be brief."), Message.user("What is 2+2?")))
    took = min(timeit.repeat(lambda: estimate_tokens(request), number=2000, repeat=5)) / 2000
    assert took < 20e-6
