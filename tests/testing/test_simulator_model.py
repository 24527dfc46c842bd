"""The built-in model of the simulator: what it says to what, and the values it makes up for schemas."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asyncllm._testing.behaviour import CacheMemory, compose
from asyncllm._testing.samples import sample
from asyncllm.testing import ModelBehaviour, ModelRequest, OfferedTool, Reply, ToolUse

CITY = OfferedTool(name="find_city", parameters={"type": "object", "properties": {"name": {"type": "string"}}})
CLOCK = OfferedTool(name="clock")


def said(prompt: str = "hi", behaviour: ModelBehaviour | None = None, **more: Any) -> Reply:
    request = ModelRequest(provider="openai", model="m", prompt=prompt, text=prompt, **more)
    return compose(request, behaviour or ModelBehaviour(), 0, CacheMemory())


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("What is 2+2?", "4"),
        ("What is 7 - 10?", "-3"),
        ("6 * 7", "42"),
        ("Please count up to 3", "1 2 3"),
        ("", "Hello! How can I help?"),
    ],
)
def test_text(prompt: str, text: str) -> None:
    """It adds up, counts and greets."""
    assert text == said(prompt).text


def test_it_repeats_what_it_is_told() -> None:
    """Anything else is said again, the same way every time."""
    assert said("A  fine\nday").text.endswith(": A fine day")
    assert said("A fine day") == said("A fine day")


@pytest.mark.parametrize(
    ("prompt", "more", "behaviour", "names"),
    [
        ("find a city", {}, {}, ["find_city"]),
        ("city and clock", {}, {}, ["find_city", "clock"]),
        ("city and clock", {"parallel": False}, {}, ["find_city"]),
        ("hello", {}, {}, []),
        ("hello", {"tool_choice": "required"}, {}, ["find_city"]),
        ("hello", {"tool_choice": "clock"}, {}, ["clock"]),
        ("city", {"tool_choice": "none"}, {}, []),
        ("city", {"tool_results": ("done",)}, {}, []),
        ("hello", {}, {"tool_use": "always"}, ["find_city"]),
        ("city", {"tool_choice": "required"}, {"tool_use": "never"}, []),
        ("city", {}, {"tool_calls": 3}, ["find_city"] * 3),
    ],
)
def test_tools(prompt: str, more: dict[str, Any], behaviour: dict[str, Any], names: list[str]) -> None:
    """It calls the tools that the prompt speaks of, or that the request demands, as far as it may."""
    reply = said(prompt, ModelBehaviour(**behaviour), tools=(CITY, CLOCK), **more)
    assert names == [call.name for call in reply.tool_calls]
    assert ("tool_calls" if names else "stop") == reply.finish


def test_arguments_take_a_name_from_the_prompt() -> None:
    """Free strings of a call hold the name the prompt speaks of, else the property's own."""
    assert ToolUse("find_city", {"name": "Oslo"}) == said("find the city of Oslo", tools=(CITY,)).tool_calls[0]
    assert {"name": "name"} == said("city?", tools=(CITY,)).tool_calls[0].arguments
    assert "{}" == said("clock", tools=(CLOCK,)).tool_calls[0].json
    odd = OfferedTool(name="odd", parameters={"type": "array"})
    assert {} == said("odd", tools=(odd,)).tool_calls[0].arguments


def test_json_without_a_schema() -> None:
    """Any JSON object will do where no schema is given."""
    assert {"answer": "4"} == json.loads(said("2+2", schema={}).text)


def test_stop_sequences_and_limits() -> None:
    """The first stop sequence in the text cuts it; limits cut reasoning, text and arguments in this order."""
    assert ("1 2", " 3", "stop_sequence") == (
        (found := said("count to 9", stop=("7", " 3"))).text,
        found.stop_sequence,
        found.finish,
    )
    fixed = Reply(reasoning="r" * 8, text="t" * 8, tool_calls=(ToolUse("f", {"a": "b" * 40}), ToolUse("g", {})))
    behaviour = ModelBehaviour(reply=fixed)
    whole = said(behaviour=behaviour)
    assert (whole.finish, whole.output_tokens) == ("tool_calls", 2 + 2 + 1 + 13 + 1 + 1)
    for limit, sizes in ((1, (4, 0, 0)), (3, (8, 4, 0)), (6, (8, 8, 1)), (19, (8, 8, 2))):
        cut = said(behaviour=behaviour, max_tokens=limit)
        assert (*sizes, "length") == (len(cut.reasoning), len(cut.text), len(cut.tool_calls), cut.finish)
    assert whole == said(behaviour=behaviour, max_tokens=100)


def test_reasoning_counts() -> None:
    """Reasoning is part of the output."""
    reply = said("2+2", ModelBehaviour(reasoning=True))
    assert reply.reasoning
    assert reply.output_tokens == 1 + (reply.reasoning_tokens or 0)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "text"),
        ({"type": "string", "minLength": 6, "maxLength": 8}, "textxx"),
        ({"type": "string", "maxLength": 2}, "te"),
        ({"type": "string", "format": "date"}, "2026-11-20"),
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 5, "multipleOf": 4}, 8),
        ({"type": "number", "exclusiveMinimum": 5}, 6.0),
        ({"type": "number", "maximum": -2}, -2.0),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["integer", "null"]}, 1),
        ({"enum": ["b", "a"]}, "b"),
        ({"const": 7}, 7),
        ({"default": 8, "type": "integer"}, 8),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"oneOf": [{"type": "boolean"}]}, True),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 3}, [1, 1, 1]),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 0}, []),
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}]}, [1, True]),
        ({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}, {"a": "a"}),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 1}),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "integer"}}}, 1),
        ({"$ref": "#/$defs/a~1b/nothing", "$defs": {"a/b": {}}}, "text"),
        ({"$ref": "#/x/y", "x": 1}, "text"),
        (
            {
                "allOf": [
                    {"$ref": "#/$defs/A"},
                    {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]},
                    {"description": "both"},
                ],
                "$defs": {"A": {"type": "object", "properties": {"a": {"type": "integer"}}}},
            },
            {"a": 1, "b": 1},
        ),
    ],
)
def test_samples(schema: dict[str, Any], value: Any) -> None:
    """Each keyword gives a value that fits it."""
    assert value == sample(schema)
    assert type(value) is type(sample(schema))


def test_recursive_schemas_end() -> None:
    """A schema that holds itself ends, whether by null, by leaving out, by an empty list, or by depth."""
    node = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/N"}, {"type": "null"}]}}}
    assert "null" in json.dumps(sample({"$ref": "#/$defs/N", "$defs": {"N": {**node, "required": ["next"]}}}))
    optional = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    assert json.dumps(sample(optional)).count("next") < 10
    tree = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}}, "required": ["kids"]}
    assert json.dumps(sample(tree)).count("kids") < 10
    endless = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    assert json.dumps(sample(endless)).count("next") < 20
    stubborn = {"anyOf": [{"$ref": "#"}, {"type": "integer"}]}
    assert sample(stubborn) in (None, 1)
