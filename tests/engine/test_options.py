"""The keywords of a call become a request, or a sentence about the one that is wrong."""

from __future__ import annotations

import fractions
from typing import Any

import pydantic
import pytest

from asyncllm._engine.formats import Formats
from asyncllm._engine.intake import read_call
from asyncllm._options import Arguments
from asyncllm._protocols.wire_json import WireJSON
from asyncllm._schema.messages import Message
from asyncllm._schema.request import ProviderTool, Request, ResponseFormat, Tool, ToolChoice
from asyncllm.errors import BadRequestError

WEATHER = {"type": "function", "function": {"name": "weather", "description": "d", "parameters": {"type": "object"}}}


def read(response_format: Any = None, **options: Any) -> Arguments:
    return read_call([Message.user("Hi")], response_format, options, Formats(WireJSON()))


def build(**options: Any) -> Request:
    return read(**options).request


def test_nothing_asked_is_nothing_set() -> None:
    """Without keywords a request has only its model and messages."""
    assert Request(model="", messages=(Message.user("Hi"),)) == build()


def test_tools_may_be_values_or_dicts() -> None:
    """OpenAI's function dicts become Tool values; any other dict is a tool of the provider, sent as it is."""
    search = {"type": "web_search_20260318", "name": "web_search"}
    tool = Tool("weather", "d", {"type": "object"})
    custom = ProviderTool({"type": "custom", "custom": {"name": "c"}})
    assert (tool, ProviderTool(search), custom) == build(tools=[WEATHER, search, custom]).tools
    assert (tool,) == build(tools=[tool]).tools


def test_numbers_of_other_libraries_are_numbers() -> None:
    """What counts as a number in Python's own sense, as numpy's do, is read as one."""
    assert 0.5 == build(temperature=fractions.Fraction(1, 2)).temperature
    assert float is type(build(temperature=fractions.Fraction(1, 2)).temperature)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ("weather", ToolChoice("tool", ("weather",))),
        (ToolChoice("tool", ("weather",)), ToolChoice("tool", ("weather",))),
        ({"type": "function", "function": {"name": "weather"}}, ToolChoice("tool", ("weather",))),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "weather"}}]},
            },
            ToolChoice("required", ("weather",)),
        ),
    ],
)
def test_tool_choice_is_read(choice: Any, expected: ToolChoice) -> None:
    """Modes, tool names and OpenAI's dicts all name a choice."""
    assert expected == build(tools=[WEATHER], tool_choice=choice).tool_choice


class Weather(pydantic.BaseModel):
    """A type to answer with."""

    celsius: int


@pytest.mark.parametrize(
    ("response_format", "expected"),
    [
        ("json", ResponseFormat()),
        ({"type": "json_object"}, ResponseFormat()),
        ({"type": "object"}, ResponseFormat(schema={"type": "object"})),
        (
            {"type": "object", "title": "My type"},
            ResponseFormat(schema={"type": "object", "title": "My type"}, name="My_type"),
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True}},
            ResponseFormat(schema={"type": "object"}, name="n", strict=True),
        ),
        (Weather, ResponseFormat(schema=Weather.model_json_schema(), name="Weather")),
        (ResponseFormat(name="x"), ResponseFormat(name="x")),
    ],
)
def test_response_format_is_read(response_format: Any, expected: ResponseFormat) -> None:
    """A word, a schema, OpenAI's dict and a pydantic class all name a format."""
    assert expected == build(response_format=response_format).response_format


def test_the_other_keywords_are_carried() -> None:
    """Stop words become a tuple, header names lower case."""
    request = build(stop="END", reasoning="low", extra_headers={"X-Beta": "1"}, extra_body={"a": 1}, max_tokens=5)
    assert (("END",), "low", {"x-beta": "1"}, {"a": 1}, 5) == (
        request.stop,
        request.reasoning,
        request.extra_headers,
        request.extra_body,
        request.max_tokens,
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": "hot"}, "temperature must be a number"),
        ({"top_p": True}, "top_p must be a number"),
        ({"max_tokens": 0}, "max_tokens must be a whole number"),
        ({"max_tokens": 1.5}, "max_tokens must be a whole number"),
        ({"stop": [""]}, "stop must be"),
        ({"reasoning": True}, "reasoning must be"),
        ({"reasoning": -1}, "negative"),
        ({"extra_body": [1]}, "extra_body must be a dict"),
        ({"extra_headers": {"a b": "x"}}, "is not a header name"),
        ({"extra_headers": {"a": "x\r\nb: y"}}, "characters that no header can carry"),
        ({"extra_headers": {"a": 1}}, "strings to strings"),
        ({"tools": [3]}, "tools[0] is a int"),
        ({"tools": [Tool("")]}, "tools[0].name"),
        ({"tools": [{"type": "function", "function": 3}]}, "tools[0].function must be"),
        ({"tools": [{"type": "function", "function": {"name": 3}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": 3}}]}, "parameters"),
        ({"tools": [WEATHER], "tool_choice": "wether"}, "'wether'"),
        ({"tools": [WEATHER], "tool_choice": 3}, "tool_choice must be"),
        ({"response_format": 3}, "response_format must be"),
    ],
)
def test_what_is_wrong_is_named_by_keyword(options: dict[str, Any], words: str) -> None:
    """A bad keyword raises BadRequestError whose sentence names it."""
    with pytest.raises(BadRequestError) as caught:
        build(**options)
    assert words in str(caught.value)
