"""Forty types and schemas of growing nastiness on every host: each is sent as the host allows, and read back whole.

The simulator judges what it is sent by the hosts' documented rules (a schema they refuse is a 400). The model answers
with a value of the type, as text or by the tool that it must call. So a passing cell means: accepted, answered, and
validated against the whole type.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import uuid
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar, Union

import pydantic
import pytest
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import NotRequired, TypedDict

from asyncllm import Client, errors
from asyncllm._testing.samples import sample
from asyncllm.testing import ModelRequest, Reply, Simulator, ToolUse

pytestmark = pytest.mark.anyio
T = TypeVar("T")


class Flat(BaseModel):
    name: str
    people: int


class Optional1(BaseModel):
    name: str
    nick: str | None = None
    size: int = 3


class Inner(BaseModel):
    """Something inside."""

    x: float
    y: float


class Nested(BaseModel):
    """Something with parts."""

    inner: Inner = Field(description="The one inside.")
    more: list[Inner]


class Deep(BaseModel):
    a: list[list[list[Inner]]]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Choices(BaseModel):
    colour: Colour
    level: Level
    word: Literal["a", "b"]
    mixed: Literal["x", 1, True, None]  # noqa: PYI061  # null among the words
    one: Literal["only"]


class Node(BaseModel):
    value: int
    next: Node | None = None


class Tree(BaseModel):
    name: str
    children: list[Tree]


class Odd(BaseModel):
    even: list[Even]


class Even(BaseModel):
    odd: Odd | None = None


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


class Pet(BaseModel):
    pet: Annotated[Union[Cat, Dog], Field(discriminator="kind")]


class PlainUnion(BaseModel):
    value: Union[int, str, list[int], Inner, None]


class Counts(BaseModel):
    counts: dict[str, int]


class MapOfModels(BaseModel):
    places: dict[str, Inner]
    title: str


class Anything(BaseModel):
    value: Any
    rest: list[Any]


class Times(BaseModel):
    day: datetime.date
    at: datetime.datetime
    clock: datetime.time
    took: datetime.timedelta


class Formats(BaseModel):
    ident: uuid.UUID
    address: pydantic.AnyUrl
    amount: Decimal
    host: pydantic.IPvAnyAddress


class Bounds(BaseModel):
    age: int = Field(ge=0, le=150)
    share: float = Field(gt=0, lt=1)
    step: int = Field(multiple_of=5)
    word: str = Field(min_length=2, max_length=12)
    code: str = Field(pattern="^c")
    many: list[int] = Field(min_length=2, max_length=3)


class Sets(BaseModel):
    names: set[str]
    pair: tuple[int, str]
    any_length: tuple[int, ...]


class Forbidding(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Aliased(BaseModel):
    from_: str = Field(alias="from", description="Who.")
    class_: int = Field(alias="class")


class Box(BaseModel, Generic[T]):
    content: T


class WithDefaults(BaseModel):
    inner: Inner = Inner(x=1, y=2)
    names: list[str] = []
    colour: Colour = Colour.RED


@dataclasses.dataclass
class Town:
    name: str
    since: int | None = None
    inner: Inner | None = None


class Place(TypedDict):
    name: str
    towns: list[Town]
    note: NotRequired[str]


class Empty(BaseModel):
    pass


Many: Any = pydantic.create_model("Many", **{f"field_{number}": (int | None, None) for number in range(30)})
Unions: Any = pydantic.create_model("Unions", **{f"field_{number}": (Union[int, str], ...) for number in range(20)})
Ten: Any = {"type": "integer"}
for _ in range(12):
    Ten = {"type": "object", "properties": {"down": Ten}, "required": ["down"], "additionalProperties": False}

SCHEMAS: dict[str, Any] = {
    "flat": Flat,
    "optional": Optional1,
    "nested": Nested,
    "deep lists": Deep,
    "enums and literals": Choices,
    "recursive, optional": Node,
    "recursive, required": Tree,
    "recursive, two classes": Odd,
    "discriminated union": Pet,
    "union": PlainUnion,
    "union at the root": Union[Cat, Dog],
    "map": Counts,
    "map of models": MapOfModels,
    "map at the root": dict[str, int],
    "any": Anything,
    "times": Times,
    "formats": Formats,
    "bounds": Bounds,
    "look-around": {
        "type": "object",
        "properties": {"code": {"type": "string", "pattern": "^(?=c)code"}},
        "required": ["code"],
    },
    "sets and tuples": Sets,
    "forbids more": Forbidding,
    "allows more": Open,
    "aliases": Aliased,
    "generic": Box[list[Inner]],
    "defaults": WithDefaults,
    "dataclass": Town,
    "typed dict": Place,
    "empty": Empty,
    "list": list[Inner],
    "list of optional": list[int | None],
    "literal": Literal["yes", "no"],
    "enum": Colour,
    "number": int,
    "text": str,
    "thirty optional fields": Many,
    "twenty unions": Unions,
    "schema, twelve levels": Ten,
    "schema, definitions": {
        "type": "object",
        "properties": {"a": {"$ref": "#/definitions/A", "description": "An A."}, "b": {"$ref": "#/definitions/A"}},
        "required": ["a"],
        "definitions": {"A": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}},
    },
    "schema, conditions": {
        "type": "object",
        "properties": {"kind": {"enum": ["a", "b"]}, "n": {"type": "integer", "not": {"const": 0}}},
        "required": ["kind", "n"],
        "if": {"properties": {"kind": {"const": "b"}}},
        "then": {"properties": {"n": {"minimum": 10}}},
    },
    "schema, all of": {
        "type": "object",
        "properties": {
            "both": {
                "allOf": [
                    {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
                    {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]},
                ]
            }
        },
        "required": ["both"],
    },
    "schema, remarks": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://example.com/a",
        "$comment": "a remark",
        "title": "A",
        "type": "object",
        "properties": {
            "a": {"type": "string", "examples": ["x"], "deprecated": True, "contentMediaType": "text/plain"},
            "b": {"type": ["string", "null"], "default": None},
            "c": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True, "contains": {"minimum": 1}},
        },
        "required": ["a", "c"],
    },
}
HOSTS = ("openai", "responses", "anthropic", "gemini", "bedrock", "vertex", "azure", "hints", "deepseek")
MODELS = {"bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic": "claude-sonnet-4-5"}


EXAMPLES: dict[str, Any] = {
    "formats": {
        "ident": str(uuid.UUID(int=7)),
        "address": "https://example.com/",
        "amount": "1.50",
        "host": "192.0.2.1",
    },
    "bounds": {"age": 3, "share": 0.5, "step": 10, "word": "word", "code": "code", "many": [1, 2]},
}
"""Values of types whose schema alone does not lead to one."""


def answer_of(name: str) -> dict[str, Any]:
    """A value of a type, as a model would write it: an object, around what is none."""
    kind = SCHEMAS[name]
    schema = kind if isinstance(kind, dict) else pydantic.TypeAdapter(kind).json_schema()
    found = EXAMPLES.get(name, sample(schema))
    return found if isinstance(found, dict) else {"value": found}


def config(sim: Simulator) -> dict[str, Any]:
    """Every host of the simulator; hosts of the chat format that take JSON or nothing instead of a schema."""
    base = sim.config()
    chat = {**base["providers"]["openai"], "kind": "openai", "api": "chat"}
    more = {
        "responses": {**chat, "api": "responses"},
        "hints": {**chat, "dialect": {"json_schema": "json_object", "forced_tool_choice": "no"}},
        "deepseek": {**chat, "dialect": {"json_schema": "none"}},
    }
    return {**base, "providers": {**base["providers"], **more}}


def test_there_are_forty() -> None:
    """The table is as long as it says."""
    assert 40 <= len(SCHEMAS)


@pytest.mark.parametrize("host", HOSTS)
async def test_every_schema_is_taken_and_answered(host: str) -> None:
    """The host takes what it is sent, and the answer, whole and streamed, is a value of the type."""
    failed: dict[str, str] = {}
    answer: dict[str, Any] = {}

    def model(request: ModelRequest) -> Reply | str:
        if request.tools:
            return Reply(tool_calls=(ToolUse(request.tools[0].name, answer),))
        return json.dumps(answer)

    async with Simulator(reply=model) as sim, Client(config(sim), environ={}) as client:
        for name, kind in SCHEMAS.items():
            answer = answer_of(name)
            asked = {"response_format": kind, "provider": host, "model": MODELS.get(host), "fallback": []}
            try:
                reply = await client.send("Answer.", **asked)
                async with client.stream("Answer.", **asked) as stream:
                    async for _ in stream:
                        pass
                assert (reply.parsed, reply.finish_reason) == (stream.response.parsed, "stop")
                assert reply.tool_calls == ()
                if not isinstance(kind, dict):
                    pydantic.TypeAdapter(kind).validate_python(reply.parsed)
            except Exception as error:  # each cell is named
                failed[name] = f"{type(error).__name__}: {error}"[:300]
    assert {} == failed


@pytest.mark.parametrize(
    ("host", "name", "settings", "expected"),
    [
        ("anthropic", "nested", {}, "native"),
        ("anthropic", "recursive, optional", {}, "tool"),
        ("anthropic", "map", {}, "tool"),
        ("anthropic", "thirty optional fields", {}, "tool"),
        ("anthropic", "map", {"reasoning": 2000}, "words"),
        ("bedrock", "map", {}, "tool"),
        ("gemini", "recursive, optional", {}, "native"),
        ("gemini", "recursive, required", {}, "words"),
        ("openai", "bounds", {}, "strict"),
        ("openai", "map", {}, "native"),
        ("responses", "schema, conditions", {}, "strict"),
        ("hints", "flat", {}, "words"),
        ("deepseek", "flat", {}, "tool"),
    ],
)
async def test_the_best_way_that_a_host_has(host: str, name: str, settings: Any, expected: str) -> None:
    """The host's own mechanism first, strict if it can; then a tool that must be called; words last, with a warning."""
    async with Simulator() as sim, Client(config(sim), environ={}) as client:
        asked = {"provider": host, "model": MODELS.get(host), "fallback": [], "max_tokens": 8000, **settings}
        call = client.stream("Answer.", response_format=SCHEMAS[name], **asked)
        try:
            async for _ in call:
                pass
        except errors.StructuredOutputError:
            pass  # the model of the simulator reads no words, and no bounds in a description
        body = json.dumps(sim.requests[-1].body)
        ways = {
            "tool": "give_answer" in body,
            "words": any("as an instruction" in warning for warning in call.response.warnings),
            "strict": '"strict": true' in body,
        }
        ways["native"] = not any(ways.values())
        assert [expected] == [way for way, taken in ways.items() if taken]
