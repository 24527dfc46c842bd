"""Tools from functions: the schema, the arguments, the results."""

from __future__ import annotations

import asyncio
import datetime
import enum
import functools
import gc
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

import asyncllm
from asyncllm import FunctionTool, Image, RunContext, ToolCall, errors
from asyncllm.testing import ModelRequest, Reply, Simulator, ToolUse
from clients import OpenClient

pytestmark = pytest.mark.anyio


class Unit(enum.Enum):
    CELSIUS = "C"
    FAHRENHEIT = "F"


class Place(BaseModel):
    city: str
    country: str = "NO"


@dataclass
class Weather:
    degrees: float
    day: datetime.date


@asyncllm.tool
async def weather(  # noqa: D417  # a parameter may go without a description
    context: RunContext[dict[str, int]],
    place: Place,
    days: Annotated[int, Field(ge=1)] = 1,
    unit: Unit = Unit.CELSIUS,
    mode: Literal["fast", "exact"] = "fast",
    note: Annotated[str | None, "A note for the service."] = None,
) -> Weather:
    """Gets the weather of a place.

    It knows the next days too.

    Args:
        place: Where.
        days: How many days ahead.
    """  # the others are described elsewhere, or not at all
    context.deps["calls"] = context.deps.get("calls", 0) + 1
    return Weather(2.5 * days, datetime.date(2026, 1, days))


class Calculator:
    @asyncllm.tool(name="sum", timeout=5)
    def add(self, a: int, b: Decimal) -> Decimal:
        """Adds two numbers.

        :param a: the first number
        :param b: the second number
        """
        return a + b


def numpy_style(count: int) -> int:
    """Doubles a number.

    Parameters
    ----------
    count : int
        The number to double.
    """
    return 2 * count


def context(deps: Any = None) -> RunContext[Any]:
    return RunContext(deps, call=ToolCall("1", "weather"))


def test_the_schema_comes_from_hints_defaults_and_docstring() -> None:
    """Types, defaults, constraints and descriptions are in the schema; the context is not."""
    made = weather.definition
    assert ("weather", "Gets the weather of a place.\n\nIt knows the next days too.") == (made.name, made.description)
    properties = made.parameters["properties"]
    assert ["place", "days", "unit", "mode", "note"] == list(properties)
    assert ["place"] == made.parameters["required"]
    assert False is made.parameters["additionalProperties"]
    assert {"type": "integer", "minimum": 1, "default": 1, "description": "How many days ahead."} == properties["days"]
    assert ["fast", "exact"] == properties["mode"]["enum"]
    assert "A note for the service." == properties["note"]["description"]
    assert "C" == properties["unit"]["default"]
    assert "title" not in repr(made.parameters)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (Calculator().add.definition, {"a": "the first number", "b": "the second number"}),
        (FunctionTool(numpy_style).definition, {"count": "The number to double."}),
    ],
)
def test_docstrings_of_every_style_are_read(made: asyncllm.Tool, expected: dict[str, str]) -> None:
    """Parameters are described in Google, NumPy and reST docstrings."""
    assert expected == {name: one.get("description") for name, one in made.parameters["properties"].items()}


async def test_arguments_become_values_of_the_hints() -> None:
    """A tool gets pydantic models, enums and numbers, and its result is JSON."""
    deps: dict[str, int] = {}
    parts = await weather.run(ToolCall("1", "weather", {"place": {"city": "Oslo"}, "days": 2}), context(deps))
    assert (asyncllm.Json({"degrees": 5.0, "day": "2026-01-02"}),) == parts
    assert {"calls": 1} == deps


async def test_a_method_is_a_tool() -> None:
    """The object is bound, a sync function runs in a thread, and the name is the one given."""
    add = Calculator().add
    assert "sum" == add.name
    assert (asyncllm.Json("3.5"),) == await add.run(
        ToolCall("1", "sum", raw_arguments='{"a": 1, "b": "2.5"}'), context()
    )
    assert Decimal(3) == add(1, Decimal(2))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ('{"place": {}, "days": 0, "more": 1}', {"place.city", "days", "more"}),
        ("[]", {"Input should be an object"}),
        ('{"place": ', {"Invalid JSON"}),
        ("", {"place"}),
    ],
)
async def test_arguments_that_do_not_fit_never_reach_the_function(raw: str, expected: set[str]) -> None:
    """Each problem is named by the place of the argument."""
    deps: dict[str, int] = {}
    with pytest.raises(errors.ToolArgumentsError) as caught:
        await weather.run(ToolCall("1", "weather", raw_arguments=raw), context(deps))
    assert expected == {problem.partition(":")[0] for problem in caught.value.problems}
    assert {} == deps


def test_a_signature_that_no_model_can_call_is_refused() -> None:
    """*args, **kwargs and types without a schema are refused where the function is written."""
    with pytest.raises(errors.BadRequestError, match=r"\*many"):

        @asyncllm.tool
        def several(*many: int) -> int:
            return sum(many)

    with pytest.raises(errors.BadRequestError, match="no JSON schema"):

        @asyncllm.tool
        def odd(value: Simulated) -> int:
            return 1


PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


class Simulated:
    """A type that pydantic does not know."""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", (asyncllm.Text("text"),)),
        (None, (asyncllm.Json(None),)),
        ([1, 2], (asyncllm.Json([1, 2]),)),
        (Place(city="Oslo"), (asyncllm.Json({"city": "Oslo", "country": "NO"}),)),
        (Image(url="https://example.com/a.png"), (Image(url="https://example.com/a.png"),)),
        (
            ["a picture:", Image(url="https://example.com/a.png")],
            (asyncllm.Text("a picture:"), Image(url="https://example.com/a.png")),
        ),
        (datetime.date(2026, 1, 1), (asyncllm.Json("2026-01-01"),)),
        ([float("nan"), {"a": float("-inf")}], (asyncllm.Json(["NaN", {"a": "-Infinity"}]),)),
        (range(2), (asyncllm.Json([0, 1]),)),
        ([Weather(1, datetime.date(2026, 1, 1))], (asyncllm.Json([{"degrees": 1.0, "day": "2026-01-01"}]),)),
        (PNG, (Image(data=PNG, media_type="image/png"),)),
        (b"%PDF-1.7", (asyncllm.Document(data=b"%PDF-1.7", media_type="application/pdf"),)),
        ("größe".encode(), (asyncllm.Text("größe"),)),
        ("a\ud800", (asyncllm.Text("a\ufffd"),)),
        (asyncllm.Text("a\ud800"), (asyncllm.Text("a\ufffd"),)),
        ({"a\ud800": ["\ud83d\ude00"]}, (asyncllm.Json({"a\ufffd": ["\U0001f600"]}),)),
    ],
)
async def test_results_are_written_as_parts(value: Any, expected: tuple[Any, ...]) -> None:
    """Text and media stay what they are; everything else is JSON."""

    def give() -> Any:
        return value

    assert expected == await FunctionTool(give).run(ToolCall("1", "give"), context())


async def test_a_result_that_json_cannot_say_is_an_error() -> None:
    """The error names the type."""
    loop: list[Any] = []
    loop.append(loop)
    for value, said in (
        (object(), "object"),
        (b"\xff\xfe", "2 bytes"),
        ({"a": Image(data=PNG)}, "dict"),
        (loop, "list"),
    ):

        def give(value: Any = value) -> Any:
            return value

        with pytest.raises(errors.BadRequestError, match=said):
            await FunctionTool(give, parameters={"type": "object"}).run(ToolCall("1", "give"), context())


async def test_a_function_may_be_given_to_send(open_client: OpenClient) -> None:
    """Only its definition is sent; the calls are the caller's to answer."""
    async with Simulator(tool_use="always") as sim, open_client(sim) as client:
        reply = await client.send("go", tools=[numpy_style], provider="openai")
        (sent,) = sim.requests[-1].body["tools"]
    assert "numpy_style" == sent["function"]["name"] == reply.tool_calls[0].name
    assert ["count"] == list(sent["function"]["parameters"]["properties"])


class Searcher:
    """Something else."""

    def __call__(self, query: str) -> str:
        """Searches.

        Args:
            query: What to look for,
                in words.
        """
        return query


def test_objects_and_partials_have_names_and_docstrings() -> None:
    """An object is described by its __call__, a partial by its function; what has no name is refused."""
    found = FunctionTool(Searcher()).definition
    assert ("Searcher", "Searches.") == (found.name, found.description)
    assert "What to look for, in words." == found.parameters["properties"]["query"]["description"]
    partial = FunctionTool(functools.partial(numpy_style)).definition
    assert ("numpy_style", "Doubles a number.") == (partial.name, partial.description)
    with pytest.raises(errors.BadRequestError, match="cannot be called '<lambda>'"):
        _ = FunctionTool(lambda a: a).definition
    assert "echo" == FunctionTool(lambda a: a, name="echo").definition.name


async def test_a_schema_of_ones_own(open_client: OpenClient) -> None:
    """The model's arguments are checked against it, and a ToolError is told as it stands."""

    async def look(**arguments: Any) -> str:
        raise asyncllm.ToolError(f"nothing at {arguments['at']}")

    schema = {"type": "object", "properties": {"at": {"type": "integer"}}, "required": ["at"]}
    made = FunctionTool(look, description="Looks.", parameters=schema)
    assert (schema, "Looks.") == (made.definition.parameters, made.definition.description)
    with pytest.raises(errors.ToolArgumentsError, match="at"):
        await made.run(ToolCall("1", "look", {"at": "x"}), context())
    with pytest.raises(errors.ToolArgumentsError, match="object"):
        await made.run(ToolCall("1", "look", raw_arguments="[]"), context())
    calls = (ToolUse("look", {"at": 3}),)

    def model(request: ModelRequest) -> Reply | str:
        return request.tool_results[0] if request.tool_results else Reply(tool_calls=calls)

    async with Simulator(reply=model) as sim, open_client(sim) as client:
        run = await client.run("go", tools=[made])
    assert ((asyncllm.Text("nothing at 3"),), True) == (
        run.steps[0].calls[0].result.content,
        run.steps[0].calls[0].result.is_error,
    )


async def ran(made: Any, raw: str = "{}", deps: Any = None) -> Any:
    """The value of the only part that a tool returns."""
    made = made if isinstance(made, FunctionTool) else FunctionTool(made, name="it")
    (part,) = await made.run(ToolCall("1", "it", raw_arguments=raw), context(deps))
    return part.value if isinstance(part, asyncllm.Json) else part


def schema_of(made: Any) -> dict[str, Any]:
    """The properties of a tool."""
    found: dict[str, Any] = FunctionTool(made).definition.parameters["properties"]
    return found


async def test_a_default_may_be_a_field() -> None:
    """`Field(...)` as a default means what it means in Annotated: constraints, description, whether it is needed."""

    def look(count: int = Field(ge=1, description="How many."), *, far: int = Field(5, le=9)) -> list[int]:
        """Looks.

        Args:
            count: Not this.
            far: How far.
        """
        return [count, far]

    shown = FunctionTool(look).definition.parameters
    assert ["count"] == shown["required"]
    assert {"type": "integer", "minimum": 1, "description": "How many."} == shown["properties"]["count"]
    assert {"type": "integer", "maximum": 9, "default": 5, "description": "How far."} == shown["properties"]["far"]
    assert [2, 5] == await ran(look, '{"count": 2}')
    with pytest.raises(errors.ToolArgumentsError, match="greater than or equal to 1"):
        await ran(look, '{"count": 0}')


async def test_the_context_may_stand_anywhere() -> None:
    """A parameter of type RunContext gets the context, wherever it stands, and is not for the model."""

    def last(a: int, where: RunContext[int]) -> int:
        return a + where.deps

    def named(a: int, *, where: RunContext[int] | None = None) -> int:
        return a + (0 if where is None else where.deps)

    def by_place(where: RunContext[int], a: int = 1, /, b: int = 2) -> int:
        return 100 * where.deps + 10 * a + b

    assert [["a"], ["a"], ["a", "b"]] == [list(schema_of(one)) for one in (last, named, by_place)]
    assert [8, 8, 717] == [
        await ran(one, '{"a": 1}' if one is not by_place else '{"b": 7}', 7) for one in (last, named, by_place)
    ]


async def test_parameters_by_place_are_given_by_place() -> None:
    """A parameter that cannot be given by name is a property like the others."""

    def less(a: int, b: int = 1, /, *, times: int = 1) -> int:
        return (a - b) * times

    assert [4, 6] == [await ran(less, '{"a": 5}'), await ran(less, '{"times": 2, "b": 2, "a": 5}')]


async def test_what_a_partial_has_bound_is_not_for_the_model() -> None:
    """A bound key or connection is neither shown nor taken from the model."""

    def fetch(key: str, city: str, *, unit: str = "C") -> str:
        return f"{key} {city} {unit}"

    for made in (functools.partial(fetch, "secret"), functools.partial(fetch, key="secret")):
        assert ["city", "unit"] == list(schema_of(made))
        assert asyncllm.Text("secret Oslo C") == await ran(made, '{"city": "Oslo"}')
    with pytest.raises(errors.ToolArgumentsError, match="key"):
        await ran(functools.partial(fetch, key="secret"), '{"city": "Oslo", "key": "mine"}')


class Box:
    """Tools in all the ways that a class has them."""

    factor = 3

    @asyncllm.tool(name="by_class")
    @classmethod
    def of_class(cls, a: int) -> int:
        return cls.factor * a

    @classmethod
    @asyncllm.tool
    def of_class_too(cls, a: int) -> int:
        return cls.factor * a

    @asyncllm.tool
    @staticmethod
    def alone(a: int) -> int:
        return 2 * a

    @staticmethod
    @asyncllm.tool
    def alone_too(a: int) -> int:
        return 2 * a

    @classmethod
    def plain(cls, a: int) -> int:
        return cls.factor * a


async def test_tools_of_classes(open_client: OpenClient) -> None:
    """Classmethod and staticmethod may stand above or below @tool, and be taken from the class or an object."""
    for owner in (Box, Box()):
        made = [owner.of_class, owner.of_class_too, owner.alone, owner.alone_too, owner.plain]
        calls = tuple([ToolUse(name, {"a": 1}) for name in ("by_class", "of_class_too", "alone", "alone_too", "plain")])

        def model(request: ModelRequest, calls: tuple[ToolUse, ...] = calls) -> Reply | str:
            return " ".join(request.tool_results) if request.tool_results else Reply(tool_calls=calls)

        async with Simulator(reply=model) as sim, open_client(sim) as client:
            assert "3 3 2 2 3" == (await client.run("go", tools=made)).text


async def test_classes_are_tools() -> None:
    """A class is called with what its fields are; what Python itself writes as docstring is none."""
    assert ("Weather", "") == (FunctionTool(Weather).name, FunctionTool(Weather).definition.description)
    assert {"type": "string"} == schema_of(Place)["city"]
    assert {"city": "Oslo", "country": "NO"} == await ran(Place, '{"city": "Oslo"}')


async def test_types_may_be_local_to_the_function_with_the_tool() -> None:
    """With postponed annotations too, @tool finds the types that the surrounding function defines."""

    class Local(BaseModel):
        a: int

    class Holder:
        @asyncllm.tool
        def method(self, local: Local) -> int:
            return local.a

    @asyncllm.tool
    def one(local: Local) -> int:
        return local.a

    @asyncllm.tool(name="two")
    async def other(local: list[Local]) -> int:
        return local[0].a

    assert 1 == await ran(one, '{"local": {"a": 1}}')
    assert 2 == await ran(other, '{"local": [{"a": 2}]}')
    assert 3 == await ran(Holder().method, '{"local": {"a": 3}}')
    with pytest.raises(errors.BadRequestError, match="'Nowhere' is not defined"):

        @asyncllm.tool
        def lost(local: Nowhere) -> None:  # type: ignore[name-defined]  # noqa: F821
            return None


async def test_generators_are_read_to_their_end() -> None:
    """All items are the result; a sync generator works in the thread."""
    threads: set[int] = set()

    def count(to: int) -> Iterator[int]:
        threads.add(threading.get_ident())
        yield from range(to)

    async def count_async(to: int) -> AsyncIterator[int]:
        for number in range(to):
            yield number

    assert [0, 1] == await ran(count, '{"to": 2}')
    assert [0, 1] == await ran(count_async, '{"to": 2}')
    assert threading.get_ident() not in threads


async def test_a_sync_wrapper_of_an_async_function_runs_in_a_thread() -> None:
    """What counts is the wrapper: it may block, and may give something to await."""

    async def inner(a: int) -> int:
        return a + 1

    @functools.wraps(inner)
    def blocking(a: int) -> Any:
        return asyncio.run(inner(a))

    @functools.wraps(inner)
    def passing(a: int) -> Any:
        return inner(a)

    def ended() -> Any:
        return next(iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        await ran(ended)
    with pytest.raises(RuntimeError, match="SystemExit: 3"):
        await ran(lambda: sys.exit(3))
    assert [2, 2] == [await ran(blocking, '{"a": 1}'), await ran(passing, '{"a": 1}')]


async def test_an_exception_that_is_returned_is_raised() -> None:
    """The model is told of it as of any other failure."""

    def give() -> Any:
        return KeyError("no such city")

    with pytest.raises(KeyError, match="no such city"):
        await ran(give)


def test_one_line_of_numpy_describes_several_parameters() -> None:
    """NumPy style has "a, b : int", Google style "*names:"."""

    def both(a: int, b: int, c: int) -> None:
        """Does it.

        Parameters
        ----------
        a, b : int
            Both.
        c
            The third.
        """

    assert ["Both.", "Both.", "The third."] == [one["description"] for one in schema_of(both).values()]


async def test_what_a_function_takes_is_read_once_for_a_client(open_client: OpenClient) -> None:
    """A plain function in the tools of many runs is read once, and is not kept alive by it."""
    reads: list[str] = []

    class Doc(str):
        def expandtabs(self, tabsize: int = 8) -> str:  # what inspect does with each docstring
            reads.append("read")
            return str(self)

    def make() -> Any:
        def look(a: int) -> int:
            return a

        look.__doc__ = Doc("Looks.")
        return look

    look = make()
    async with Simulator() as sim, open_client(sim) as client:
        for _ in range(3):
            await client.run("hi", tools=[look])
        assert "Looks." == sim.requests[-1].body["tools"][0]["function"]["description"]
        gone = weakref.ref(look)
        del look
        gc.collect()
    assert (1, None) == (len(reads), gone())
