"""Structured answers while they grow: dicts that are checked as far as they go, and items as soon as they are whole."""

from __future__ import annotations

import datetime
import enum
import json
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, RootModel
from typing_extensions import TypedDict

from asyncllm import errors
from asyncllm._engine.partials import NOTHING, PartialReader
from asyncllm.testing import Simulator
from clients import OpenClient

pytestmark = pytest.mark.anyio


class Kind(enum.Enum):
    CITY = "city"
    TOWN = "town"


class Street(BaseModel):
    name: str
    built: datetime.date


class Place(BaseModel):
    name: str
    kind: Kind
    streets: list[Street]
    inside: Place | None = None


@dataclass
class Point:
    x: float
    y: float


class Movie(TypedDict):
    title: str
    year: int


OSLO = {
    "name": "Oslo",
    "kind": "city",
    "streets": [{"name": "A", "built": "1900-01-02"}, {"name": "B", "built": "1950-03-04"}],
    "inside": None,
}


def grown(asked: Any, text: str, size: int = 1) -> list[Any]:
    """Every value that a reader gives of a text that comes in pieces."""
    reader = PartialReader(asked)
    values = [reader.feed(text[at : at + size]) for at in range(0, len(text), size)]
    return [value for value in values if value is not NOTHING]


def test_a_model_grows_field_by_field() -> None:
    """Nothing is asked of what is not there yet; half the word of an enum or of a date is left out until it fits."""
    values = grown(Place, json.dumps(OSLO))
    assert {} == values[0]
    assert {"name": "Os"} in values
    assert {"name": "Oslo"} in values
    assert {"name": "Oslo", "kind": Kind.CITY} in values
    assert not [value for value in values if value.get("kind") not in (None, Kind.CITY)]
    assert {"name": "Oslo", "kind": Kind.CITY, "streets": [{"name": "A"}]} in values
    assert values[-1]["streets"][1]["built"] == datetime.date(1950, 3, 4)


@pytest.mark.parametrize(
    ("asked", "text", "expected"),
    [
        (Point, '{"x": 1, "y": 2}', {"x": 1.0, "y": 2.0}),
        (Movie, '```json\n{"title": "M", "year": 1931}\n```', {"title": "M", "year": 1931}),
        (list[int], '{"value": [1, 2]}', [1, 2]),
        (list[int], "[1, 2]", [1, 2]),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (None, '{"any": [{"thing": null}]}', {"any": [{"thing": None}]}),
    ],
)
def test_every_kind_of_type_grows(asked: Any, text: str, expected: Any) -> None:
    """Dataclasses, TypedDicts, lists that travel wrapped, maps, and any JSON; a code fence is passed over."""
    values = grown(asked, text)
    assert expected == values[-1]
    assert 1 < len(values)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (list[int], '{"value": [17, 423, 5]}'),
        (dict[str, float], '{"a": 1.5e3, "b": -12}'),
        (None, '{"a": {"b": 12.25}, "c": [100, 200]}'),
        (int, '{"value": 123456}'),
        (Point, '{"x": 1.25, "y": 200}'),
    ],
)
def test_a_number_is_shown_when_it_is_whole(asked: Any, text: str) -> None:
    """Half of a number is another number, so it is not shown before something follows it."""

    def numbers(value: Any) -> list[float]:
        if isinstance(value, dict):
            return [one for inner in value.values() for one in numbers(inner)]
        if isinstance(value, list):
            return [one for inner in value for one in numbers(inner)]
        return [] if value is None else [value]

    values = grown(asked, text)
    assert set(numbers(json.loads(text))) >= {one for value in values for one in numbers(value)}
    assert numbers(json.loads(text)) == numbers(values[-1])


class Odd(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    json_: int = Field(validation_alias="json")
    day: datetime.date = Field(validation_alias=AliasChoices("der-tag", "day"))
    price: Decimal


class Pair(RootModel[list[int]]):
    """A model that is a list."""


Keys = TypedDict("Keys", {"_id": int, "two words": str})
ODD = {"json": 1, "der-tag": "2026-01-02", "price": "1.50"}


@pytest.mark.parametrize(
    ("asked", "text", "expected"),
    [
        (Odd, json.dumps(ODD), {"json": 1, "der-tag": datetime.date(2026, 1, 2), "price": Decimal("1.50")}),
        (Pair, '{"value": [1, 2]}', [1, 2]),
        (Keys, '{"_id": 1, "two words": "a b"}', {"_id": 1, "two words": "a b"}),
    ],
)
def test_odd_types_grow(asked: Any, text: str, expected: Any) -> None:
    """Strict models, aliases, root models, and keys that are no names of Python."""
    assert expected == grown(asked, text)[-1]


ITEMS = {"type": "array", "items": {"type": "integer"}}


async def test_a_schema_of_a_list_grows_as_a_list(open_client: OpenClient) -> None:
    """What travels as {"value": ...} is shown without it, as in the answer."""
    async with Simulator(reply='{"value": [1, 2, 3]}', chunk_size=2) as sim, open_client(sim) as client:
        stream = client.stream("x", response_format=ITEMS)
        values = [value async for value in stream.partials()]
    assert [1, 2, 3] == values[-1] == stream.response.parsed
    assert all(isinstance(value, list) for value in values)


async def test_items_of_a_strict_type_come_early_too(open_client: OpenClient) -> None:
    """Items are read as JSON, as the answer is: a date in a strict model is text there."""
    reply = json.dumps({"value": [ODD] * 20})
    async with Simulator(reply=reply, chunk_size=16) as sim, open_client(sim) as client:
        stream = client.stream("x", response_format=list[Odd])
        early = [item async for item in stream.items() if stream.response.parsed is None]
    assert 10 < len(early)


async def test_an_item_that_does_not_fit_is_judged_at_the_end(open_client: OpenClient) -> None:
    """Those before it were given; the error is that of the whole answer."""
    reply = json.dumps({"value": [1, 2, 3, "x", *range(40)]})
    async with Simulator(reply=reply, chunk_size=4) as sim, open_client(sim) as client:
        got = []
        with pytest.raises(errors.StructuredOutputError):
            async for item in client.stream("x", response_format=list[int]).items():
                got += [item]
    assert [1, 2, 3] == got


async def test_items_of_a_reply_that_begins_again_come_once(open_client: OpenClient) -> None:
    """With validation_retries nothing is sure before the end: no item of a refused answer is given."""
    replies = iter([json.dumps({"value": [7, 8, "x"]}), json.dumps({"value": [1, 2, 3]})])
    async with Simulator(reply=lambda request: next(replies), chunk_size=2) as sim, open_client(sim) as client:
        stream = client.stream("x", response_format=list[int], validation_retries=1)
        assert [1, 2, 3] == [item async for item in stream.items()]
    assert 2 == len(stream.response.attempts)


async def test_partials_of_a_thousand_chunks_take_no_three_times_as_long(open_client: OpenClient) -> None:
    """Partials of a stream of 1,000 chunks cost at most three times the CPU of the stream itself."""
    reply = json.dumps({"value": [{"name": f"street {n}", "built": "1900-01-02"} for n in range(330)]})
    async with Simulator(reply=reply, chunk_size=15) as sim, open_client(sim) as client:

        async def seconds(grows: bool) -> float:
            stream = client.stream("x", response_format=list[Street])
            began = time.thread_time()
            count = 0
            async for _ in stream.partials() if grows else stream:
                count += 1
            assert grows or 1000 <= count
            return time.thread_time() - began

        plain = min([await seconds(False) for _ in range(3)])
        grown = min([await seconds(True) for _ in range(3)])
    assert 3 * plain > grown


def test_the_time_is_linear() -> None:
    """Ten times the text takes about ten times as long, not a hundred."""

    def seconds(count: int) -> float:
        text = json.dumps([{"name": f"street {n}", "built": "1900-01-02"} for n in range(count)])
        start = time.process_time()
        grown(list[Street], text, 32)
        return time.process_time() - start

    seconds(100)
    assert 30 > seconds(5000) / min(seconds(500), seconds(500))


async def test_partials_of_a_stream_end_with_the_value(open_client: OpenClient) -> None:
    """The last item is the model itself, equal to `parsed`."""
    async with Simulator(reply=json.dumps(OSLO), chunk_size=4) as sim, open_client(sim) as client:
        stream = client.stream("x", response_format=Place)
        values = [value async for value in stream.partials()]
    assert isinstance(values[-1], Place)
    assert stream.response.parsed == values[-1]
    assert all(isinstance(value, dict) for value in values[:-1])
    assert 5 < len(values)


async def test_items_come_as_soon_as_they_are_whole(open_client: OpenClient) -> None:
    """Each is a value of the type; together they are the answer."""
    reply = json.dumps({"value": OSLO["streets"] * 20})
    async with Simulator(reply=reply, chunk_size=16) as sim, open_client(sim) as client:
        stream = client.stream("x", response_format=list[Street])
        early = 0
        items = []
        async for item in stream.items():
            items.append(item)
            early += stream.response.parsed is None
    assert stream.response.parsed == items
    assert 40 == len(items)
    assert 20 < early


async def test_a_stream_without_a_format_has_no_partials(open_client: OpenClient) -> None:
    """A sentence says what is needed."""
    async with Simulator() as sim, open_client(sim) as client:
        with pytest.raises(errors.BadRequestError, match="response_format"):
            client.stream("x").partials()
        with pytest.raises(errors.BadRequestError, match="list"):
            client.stream("x", response_format=Place).items()
