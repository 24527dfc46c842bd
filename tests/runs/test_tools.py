"""Tools from functions: the schema, the arguments, the results."""

from __future__ import annotations

import datetime
import enum
import functools
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
    ],
)
async def test_results_are_written_as_parts(value: Any, expected: tuple[Any, ...]) -> None:
    """Text and media stay what they are; everything else is JSON."""

    def give() -> Any:
        return value

    assert expected == await FunctionTool(give).run(ToolCall("1", "give"), context())


async def test_a_result_that_json_cannot_say_is_an_error() -> None:
    """The error names the type."""

    def give() -> Any:
        return object()

    with pytest.raises(errors.BadRequestError, match="object"):
        await FunctionTool(give).run(ToolCall("1", "give"), context())


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
