"""Structured answers while they grow: dicts that are checked as far as they go, and items as soon as they are whole."""

from __future__ import annotations

import datetime
import enum
import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel
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
