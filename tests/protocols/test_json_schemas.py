"""Schemas in the subset of OpenAI's strict mode, and what the subset cannot say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from asyncllm._protocols.json_schemas import has_open_objects, strict_schema, with_object_root
from asyncllm._protocols.schema_subsets import for_gemini, is_recursive


class Node(BaseModel):
    value: int = 1
    next: Node | None = None


def test_optional_properties_become_required() -> None:
    """Every object is closed and requires all of its properties, without defaults; the given schema stays as it was."""
    given: dict[str, Any] = {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "default": 1},
            "b": {"type": "array", "items": {"type": "object", "properties": {"c": {"type": "string"}}}},
        },
        "required": ["a"],
    }
    inner = {
        "type": "object",
        "properties": {"c": {"type": "string"}},
        "required": ["c"],
        "additionalProperties": False,
    }
    assert {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "array", "items": inner}},
        "required": ["a", "b"],
        "additionalProperties": False,
    } == strict_schema(given, json.dumps, nullable=False)
    assert 1 == given["properties"]["a"]["default"]


@pytest.mark.parametrize(
    ("optional", "written"),
    [
        ({"type": "integer"}, {"type": ["integer", "null"]}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"enum": ["x"]}, {"anyOf": [{"enum": ["x"]}, {"type": "null"}]}),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        ({"$ref": "#/$defs/X"}, {"anyOf": [{"$ref": "#/$defs/X"}, {"type": "null"}]}),
    ],
)
def test_optional_arguments_may_be_null(optional: dict[str, Any], written: dict[str, Any]) -> None:
    """An argument that may be left out may be null instead."""
    found = strict_schema({"type": "object", "properties": {"a": optional}}, json.dumps, nullable=True)
    assert found is not None
    assert written == found["properties"]["a"]


def test_a_recursive_class_has_an_object_at_its_root() -> None:
    """The root's reference is replaced by what it refers to, and inner references stay."""
    schema = Node.model_json_schema()
    root = with_object_root(schema)
    assert ("object", {"Node"}) == (root["type"], set(root["$defs"]))
    strict = strict_schema(schema, json.dumps, nullable=False)
    assert strict is not None
    assert ["value", "next"] == strict["required"]
    assert {"$ref": "#/$defs/nowhere"} == with_object_root({"$ref": "#/$defs/nowhere"})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {"type": "integer"}}}},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": {"type": "array"}}},
        {"type": "object", "properties": {"a": {"allOf": [{"type": "object"}, {"type": "object"}]}}},
        {"type": "array", "items": {"type": "integer"}},
    ],
)
def test_what_the_subset_cannot_say(schema: dict[str, Any]) -> None:
    """Fields with keys of their own or of any type, two schemas at once, and roots that are no objects."""
    assert strict_schema(schema, json.dumps, nullable=False) is None


def test_open_objects() -> None:
    """A map is open, a class is not."""
    assert has_open_objects({"type": "object", "properties": {"a": {"type": "object"}}})
    assert not has_open_objects(Node.model_json_schema())


def test_what_the_subset_has_no_word_for_stands_in_the_description() -> None:
    """The model still reads it, and the answer is checked against it afterwards."""
    strict = strict_schema(
        {
            "type": "object",
            "properties": {
                "a": {"type": "string", "minLength": 2, "format": "uri", "description": "An address."},
                "b": {"type": "integer", "not": {"const": 0}, "minimum": 1},
                "c": {"type": "string", "pattern": "(?=x)x"},
            },
        },
        json.dumps,
        nullable=False,
    )
    assert strict is not None
    assert {
        "a": {"type": "string", "description": 'An address.\n\n{minLength: 2, format: "uri"}'},
        "b": {"type": "integer", "minimum": 1, "description": '{not: {"const": 0}}'},
        "c": {"type": "string", "description": '{pattern: "(?=x)x"}'},
    } == strict["properties"]


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ({"const": "a"}, {"enum": ["a"], "type": "string"}),
        ({"enum": ["a", None]}, {"anyOf": [{"enum": ["a"], "type": "string"}, {"type": "null"}]}),
        ({"enum": [True]}, {"description": "{enum: [true]}"}),
        ({"type": "string", "pattern": "x", "default": "x"}, {"type": "string", "description": '{pattern: "x"}'}),
        ({"$ref": "#/definitions/A", "description": "an A"}, {"$ref": "#/$defs/A"}),
        ({"allOf": [{"type": "integer"}], "description": "n"}, {"type": "integer", "description": "n"}),
    ],
)
def test_the_subset_of_gemini(given: dict[str, Any], written: dict[str, Any]) -> None:
    """Enums of strings and numbers, references alone, and what is not known in the description."""
    found = for_gemini({"type": "object", "properties": {"a": given}}, json.dumps)
    assert found is not None
    assert written == found["properties"]["a"]


def test_recursion_is_seen() -> None:
    """Gemini takes it where a property may be left out, Claude never does."""
    needed = {
        "type": "object",
        "properties": {"down": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["down"],
    }
    assert for_gemini(needed, json.dumps) is None
    assert is_recursive(Node.model_json_schema())
    assert not is_recursive(Node.model_json_schema(), only_required=True)
    assert for_gemini(with_object_root(Node.model_json_schema()), json.dumps) is not None
