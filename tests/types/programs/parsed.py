"""The type of `parsed` follows `response_format`; a line that ends in ``# error`` must be refused by type checkers."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Literal, Union

from pydantic import BaseModel
from typing_extensions import TypedDict, assert_type

import asyncllm


class City(BaseModel):
    name: str


@dataclass
class Town:
    name: str


class Place(TypedDict):
    name: str


class Colour(enum.Enum):
    RED = "red"


async def kinds_of_formats(client: asyncllm.Client, wanted: type[City] | None) -> None:
    assert_type((await client.send("hi")).parsed, None)
    assert_type((await client.send("hi", response_format=City)).parsed, City)
    assert_type((await client.send("hi", response_format=Town)).parsed, Town)
    assert_type((await client.send("hi", response_format=Place)).parsed, Place)
    assert_type((await client.send("hi", response_format=Colour)).parsed, Colour)
    assert_type((await client.send("hi", response_format=list[City])).parsed, list[City])
    assert_type((await client.send("hi", response_format=Union[City, Town])).parsed, Union[City, Town])
    assert_type((await client.send("hi", response_format=Literal["a", "b"])).parsed, Literal["a", "b"])
    assert_type((await client.send("hi", response_format="json")).parsed, Any)
    assert_type((await client.send("hi", response_format={"type": "object"})).parsed, Any)
    assert_type((await client.send("hi", response_format=asyncllm.ResponseFormat())).parsed, Any)
    assert_type((await client.send("hi", response_format=wanted)).parsed, City | None)
    await client.send("hi", response_format="jsn")  # error
    await client.send("hi", response_format=3)  # error
    (await client.send("hi", response_format=City)).parsed.nmae  # error


async def every_way_to_ask(client: asyncllm.Client, twin: asyncllm.SyncClient) -> None:
    async with client.stream("hi", response_format=City) as stream:
        async for event in stream:
            assert_type(event.text, str)
    assert_type(stream.response.parsed, City)
    assert_type(client.stream("hi").response.parsed, None)
    assert_type(client.stream("hi", response_format=City).text().response.parsed, City)
    talk = client.conversation()
    assert_type((await talk.send("hi", response_format=City)).parsed, City)
    assert_type(talk.stream("hi", response_format=City).response.parsed, City)
    assert_type(twin.send("hi", response_format=City).parsed, City)
    assert_type(twin.stream("hi", response_format=list[int]).response.parsed, list[int])
    assert_type(twin.conversation().send("hi", response_format=City).parsed, City)
    assert_type(twin.conversation().stream("hi", response_format=City).response.parsed, City)
    twin.send("hi", response_format=City).parsed.nmae  # error
    stream.response.parsed.nmae  # error


def a_reply_of_any_type(reply: asyncllm.Response) -> Any:
    return reply.parsed


def a_reply_of_a_wider_type(reply: asyncllm.Response[City]) -> asyncllm.Response[object]:
    return reply
