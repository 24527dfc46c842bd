"""A response_format becomes what is asked for on the wire, and the answer becomes the type that was asked for."""

from __future__ import annotations

import dataclasses
import enum
import json
import typing
from decimal import Decimal
from typing import Any, Literal, Union

import pydantic
import pytest
import typing_extensions

from asyncllm import Message, ProviderToolCall, Response, StructuredOutputError, Text, ToolCall
from asyncllm._engine.formats import Format, Formats
from asyncllm._protocols.wire_json import WireJSON
from asyncllm._schema.content import Part
from asyncllm._schema.request import ResponseFormat
from asyncllm.errors import BadRequestError


class City(pydantic.BaseModel):
    """A place."""

    name: str
    people: int = 0


@dataclasses.dataclass
class Town:
    name: str
    since: int | None = None


class Place(typing.TypedDict):
    name: str
    towns: typing.List[typing_extensions.TypedDict("Inner", {"n": int})]  # type: ignore[misc]  # noqa: UP006


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Node(pydantic.BaseModel):
    value: int
    next: Node | None = None


def read(response_format: Any) -> Format:
    return Formats(WireJSON()).read(response_format)


def reply(*parts: str | Part, finish: Any = "stop") -> Response:
    return Response(message=Message.assistant(*parts), finish_reason=finish, provider="p", model="m")


def parsed(response_format: Any, *parts: str | Part, finish: Any = "stop") -> Any:
    parse = read(response_format).parse
    assert parse is not None
    return parse(reply(*parts, finish=finish))


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (City, '{"name": "Oslo", "people": 7}', City(name="Oslo", people=7)),
        (Town, '{"name": "Oslo", "since": null}', Town("Oslo")),
        (Place, '{"name": "Oslo", "towns": [{"n": 1}]}', {"name": "Oslo", "towns": [{"n": 1}]}),
        (list[City], '{"value": [{"name": "Oslo"}]}', [City(name="Oslo")]),
        (list[int], "[1, 2]", [1, 2]),
        (Union[City, Town], '{"value": {"name": "Oslo", "since": 1048}}', Town("Oslo", 1048)),
        (Literal["yes", "no"], '{"value": "yes"}', "yes"),
        (Literal["yes", "no"], '"no"', "no"),
        (Colour, '{"value": "blue"}', Colour.BLUE),
        (int, '{"value": 3}', 3),
        (dict[str, int], '{"a": 1, "value": 2}', {"a": 1, "value": 2}),
        (Decimal, '{"value": "1.50"}', Decimal("1.50")),
        (Node, '{"value": 1, "next": {"value": 2, "next": null}}', Node(value=1, next=Node(value=2))),
        ({"type": "array", "items": {"type": "integer"}}, '{"value": [1]}', [1]),
        ({"type": "object"}, '{"a": 1}', {"a": 1}),
        ("json", "[true]", [True]),
    ],
)
def test_every_kind_of_type_is_read(kind: Any, text: str, expected: Any) -> None:
    """Models, dataclasses, TypedDicts, lists, unions, literals, enums, plain types and schemas are all read."""
    assert expected == parsed(kind, text)


@pytest.mark.parametrize("kind", [City, Town, Place, Node, list[City], Union[City, Town], Literal["a"], Colour, int])
def test_the_schema_has_an_object_at_its_root(kind: Any) -> None:
    """Whatever the type is, providers are asked for an object, with definitions where references look for them."""
    asked = read(kind).asked
    assert asked is not None
    assert asked.schema is not None
    root = asked.schema
    if "$ref" in root:
        root = asked.schema["$defs"][root["$ref"].rpartition("/")[2]]
    assert "object" == root["type"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, ResponseFormat()),
        (
            {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True},
            ResponseFormat(schema={"type": "object"}, name="n", strict=True),
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
            ResponseFormat(schema={"type": "object"}, name="n"),
        ),
    ],
)
def test_the_dicts_of_openai_s_apis_are_understood(given: Any, expected: ResponseFormat | None) -> None:
    """Plain text is no format, and the flat form means the schema inside it."""
    assert expected == read(given).asked


@pytest.mark.parametrize(
    "parts",
    [
        ('```json\n{"name": "Oslo"}\n```',),
        ('```\n{"name": "Oslo"}\n```\n',),
        ('Here it is:\n```json\n{"name": "Oslo"}\n```',),
        ("I will look.", '{"name": "Oslo"}'),
        ("Let me search.", ProviderToolCall(id="1", name="web_search", raw={}), '{"name": "Oslo"}'),
        ('{"na', 'me": "Oslo"}'),
        ("So:", '{"na', 'me": "Oslo"}'),
        ('{"name": "Oslo"}', Text("\n ")),
        ('{"name": "Oslo"}', Text("")),
    ],
)
def test_the_last_text_is_the_answer(parts: tuple[Any, ...]) -> None:
    """Comments before the answer, code fences around it and cuts within it do not hide it."""
    assert City(name="Oslo") == parsed(City, *parts)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (Colour, "blue", Colour.BLUE),
        (Literal["yes", "no"], " yes\n", "yes"),
        (Literal["yes"] | None, "```\nyes\n```", "yes"),
        ({"type": "string", "enum": ["yes"]}, "yes", "yes"),
        (str, "It is {blue}.", "It is {blue}."),
        (Decimal, "1.50", Decimal("1.50")),
    ],
)
def test_a_word_without_quotes_is_an_answer(kind: Any, text: str, expected: Any) -> None:
    """Where a string fits, a model that is not held to JSON may answer with the word alone."""
    assert expected == parsed(kind, text)


@pytest.mark.parametrize("text", ["maybe", '{"value": "ye', '"ye', "yes or no"])
def test_a_word_that_is_none_of_them_is_refused(text: str) -> None:
    """The error names what would fit, and a value that was cut is no word."""
    with pytest.raises(StructuredOutputError, match="Input should be 'yes' or 'no'" if text[0] in "my" else "JSON"):
        parsed(Literal["yes", "no"], text)


OSLO = '{"name": "Oslo", "people": 7}'


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeff{OSLO}",
        f"Here is the JSON: {OSLO}",
        f"{OSLO}\nLet me know!",
        f"`{OSLO}`",
        f"```json {OSLO} ```",
        f"```{OSLO}```",
        f"```json\n{OSLO}",
        f"~~~json\n{OSLO}\n~~~",
        f"```json\n{OSLO}\n```\nas in\n```python\nprint(1)\n```",
        f'<think>{{"name": 1}} or {{}}?</think>{OSLO}',
        f'First {{"name": "Bergen"}}, then {OSLO}.',
        f"Brackets [are] {{no}} matter: {OSLO}",
        json.dumps(OSLO),
    ],
)
def test_an_answer_among_words_is_found(text: str) -> None:
    """The last object that fits is the answer, whatever is said around it."""
    assert City(name="Oslo", people=7) == parsed(City, text)


@pytest.mark.parametrize(
    "text",
    [
        '{"cities": [{"name": "Oslo", "people": 7}, {"name": "Ber',
        'Here: [{"name": "Oslo"}, {"na',
        '{"city": {"name": "Oslo"}}',
        '"Oslo"',
        "Oslo, 7",
    ],
)
def test_a_part_of_a_value_is_no_answer(text: str) -> None:
    """What stands inside of a value that was cut, or does not fit, is not taken for the answer."""
    with pytest.raises(StructuredOutputError):
        parsed(City, text)


@pytest.mark.parametrize("text", ["{" * 5000, '{"' * 5000, "[{" * 5000 + '"' * 5000, "{}" * 5000])
def test_brackets_without_end_take_no_time(text: str) -> None:
    """Each character is looked at once."""
    with pytest.raises(StructuredOutputError):
        parsed(City, f"no {text}")


@pytest.mark.parametrize("finish", ["stop", "other", "tool_calls"])
def test_an_odd_finish_word_does_not_matter(finish: str) -> None:
    """An answer that is whole and fits is taken, whatever word the host ended it with."""
    assert City(name="Oslo") == parsed(City, '{"name": "Oslo"}', finish=finish)


@pytest.mark.parametrize("finish", ["length", "content_filter", "refusal", "pause"])
def test_what_is_no_whole_answer_raises_with_its_text(finish: str) -> None:
    """A reply that was cut, refused or blocked is an error that says so and holds the text."""
    with pytest.raises(StructuredOutputError) as caught:
        parsed(City, '{"name": "Os', finish=finish)
    assert ('{"name": "Os', finish) == (caught.value.text, caught.value.finish_reason)


def test_a_reply_with_calls_is_no_answer_yet() -> None:
    """While the model calls tools nothing is parsed."""
    assert parsed(City, "I will look.", ToolCall("c", "f"), finish="tool_calls") is None


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        (City, '{"name": 3}', "name: "),
        (City, "Oslo", "JSON"),
        (City, "", "JSON"),
        (list[int], '{"value": ["a"]}', "value.0: "),
        ({"type": "object", "required": ["a"]}, "{}", "a: is missing"),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, '{"a": 5}', "a: 5 is not of type string"),
        ({"type": "object", "additionalProperties": False}, '{"a": 5}', "a: is not a field of the schema"),
        ({"type": "object"}, "[1]", "[1] is not of type object"),
        ({"type": "json_schema", "name": "n", "schema": {"type": "object", "required": ["a"]}}, "{}", "a: is missing"),
    ],
)
def test_what_does_not_fit_is_told(kind: Any, text: str, words: str) -> None:
    """An answer that is no JSON or does not fit raises with a sentence for each problem."""
    with pytest.raises(StructuredOutputError) as caught:
        parsed(kind, text)
    assert words in "; ".join(caught.value.problems)
    assert text == caught.value.text


def test_null_for_what_may_be_left_out_is_taken_as_left_out() -> None:
    """Strict schemas make every field required and nullable; the nulls of fields with a default are dropped."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a"]}
    assert City(name="Oslo") == parsed(City, '{"name": "Oslo", "people": null}')
    assert [City(name="Oslo")] == parsed(list[City], '{"value": [{"name": "Oslo", "people": null}]}')
    assert {"a": 1} == parsed(schema, '{"a": 1, "b": null}')
    with pytest.raises(StructuredOutputError):
        parsed(schema, '{"a": null}')


@pytest.mark.parametrize(
    "given",
    [
        3,
        "jsn",
        ["json"],
        City(name="x"),
        {"type": "banana"},
        {"type": "json_schema", "name": "n"},
        {"type": "object", "properties": []},
        {"$ref": "#/$defs/nowhere"},
        {"$ref": "https://example.com/schema.json"},
        {"type": "object", "properties": {"a": {"pattern": "("}}},
        type("Plain", (), {}),
        Union[int, type("Plain", (), {})],
    ],
)
def test_what_is_no_format_is_refused_by_name(given: Any) -> None:
    """What no schema can be made of is refused before anything is sent."""
    with pytest.raises(BadRequestError, match="response_format"):
        read(given)


def test_a_type_is_looked_at_once() -> None:
    """Building a schema takes longer than a call, so what was built for a type is kept."""
    formats = Formats(WireJSON())
    assert formats.read(City) is formats.read(City)
    assert formats.read(list[City]) is formats.read(list[City])
