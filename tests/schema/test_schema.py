"""The canonical values: frozen, slotted, and easy to make."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm._schema import content, events, messages, request, response, usage
from asyncllm._schema.content import Image, Json, Reasoning, Text, ToolCall, ToolResult, parse_arguments
from asyncllm._schema.messages import Message
from asyncllm._schema.response import Response
from asyncllm._schema.usage import UNKNOWN_USAGE, Usage

VALUES = [
    kind
    for module in (content, events, messages, request, response, usage)
    for kind in vars(module).values()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__module__ == module.__name__
]


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_every_value_is_frozen_and_slotted(kind: Any) -> None:
    """No value can be changed, and none carries a dict."""
    assert (True, True) == (kind.__dataclass_params__.frozen, "__slots__" in vars(kind))


def test_the_schema_stands_on_the_standard_library_alone() -> None:
    """Importing every schema module loads nothing from outside."""
    code = (
        "import sys; before = set(sys.modules)\n"
        "from asyncllm._schema import accumulate, content, events, messages, request, response, usage\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before} - {'asyncllm'}\n"
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_messages_are_made_of_strings_and_parts() -> None:
    """The constructors take both, in order."""
    image = Image(url="https://example.com/a.png")
    assert (Text("a"), image) == Message.user("a", image).content
    assert ("system", "assistant") == (Message.system("x").role, Message.assistant("x").role)
    assert "ab" == Message.assistant("a", Reasoning("hidden"), "b").text


@pytest.mark.parametrize("content", [3, {"type": "text"}, [3]])
def test_a_message_of_something_else_is_refused(content: Any) -> None:
    """Numbers and dicts are no content."""
    with pytest.raises(TypeError, match="part"):
        Message("user", content)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("3 C", (Text("3 C"),)),
        ({"a": 1}, (Json({"a": 1}),)),
        (None, (Json(None),)),
        ([], (Json([]),)),
        (Text("x"), (Text("x"),)),
        ([Text("x"), Image(file_id="f")], (Text("x"), Image(file_id="f"))),
    ],
)
def test_a_tool_result_takes_any_value(result: Any, expected: tuple[Any, ...]) -> None:
    """Text stays text, parts stay parts, the rest is JSON."""
    assert (ToolResult("c1", expected, is_error=True, name="f"),) == Message.tool(
        "c1", result, is_error=True, name="f"
    ).content


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("", {}),
        ("  ", {}),
        ('{"a": 1}', {"a": 1}),
        ('{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        ("[1]", None),
        ('"x"', None),
        ("null", None),
        ("{", None),
        ('{"a": NaN}', None),
        ("[" * 100_000, None),
    ],
)
def test_arguments_are_a_dict_or_none(raw: str, expected: dict[str, Any] | None) -> None:
    """Whatever the model wrote, arguments are a dict or None, and the text is kept."""
    call = ToolCall("c", "f", raw_arguments=raw)
    assert (expected, raw) == (call.arguments, call.raw_arguments)


def test_arguments_given_as_a_dict_become_text() -> None:
    """A call made from a dict has the JSON text of it."""
    assert '{"a":"é"}' == ToolCall("c", "f", {"a": "é"}).raw_arguments


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text(), max_size=4))
def test_arguments_survive_their_text(arguments: dict[str, Any]) -> None:
    """What goes into a call comes out of it."""
    assert arguments == ToolCall("c", "f", arguments).arguments


def test_parsed_arguments_are_a_fresh_dict() -> None:
    """Changing what was read changes nothing in the call."""
    call = ToolCall("c", "f", {"a": 1})
    call.arguments.clear()  # type: ignore[union-attr]
    assert {"a": 1} == call.arguments
    assert {"a": 1} == parse_arguments(call.raw_arguments)


def test_the_total_is_added_up_only_from_known_numbers() -> None:
    """Two known numbers have a sum, an unknown one has none, and the wire's own total wins."""
    assert (5, None, 9) == (
        Usage(input_tokens=2, output_tokens=3).total_tokens,
        Usage(input_tokens=2).total_tokens,
        Usage(input_tokens=2, output_tokens=3, total_tokens=9).total_tokens,
    )


def test_a_response_reads_its_message() -> None:
    """Text, calls and reasoning of a response are those of its message."""
    call = ToolCall("c", "f")
    reply = Response(
        message=Message.assistant(Reasoning("a"), "x", Reasoning("b"), call, "y"),
        finish_reason="tool_calls",
    )
    assert ("xy", (call,), "ab", UNKNOWN_USAGE) == (reply.text, reply.tool_calls, reply.reasoning, reply.usage)


def test_values_survive_pickling() -> None:
    """A response with calls goes through pickle unchanged."""
    reply = Response(message=Message.assistant("x", ToolCall("c", "f", {"a": 1})), finish_reason="tool_calls")
    assert reply == pickle.loads(pickle.dumps(reply))


def test_only_text_deltas_have_text() -> None:
    """str(event) and event.text are empty for everything but TextDelta."""
    others = [
        events.ResponseStart(),
        events.PartStart(0, Text("hidden")),
        events.ReasoningDelta("hidden"),
        events.ToolCallDelta("hidden"),
        events.PartEnd(0, Text("hidden")),
        events.ResponseEnd("stop"),
        events.Restart(),
    ]
    assert {("", "")} == {(str(event), event.text) for event in others}
    assert ("Hi", "Hi") == (str(events.TextDelta("Hi")), events.TextDelta("Hi").text)


def test_a_reply_shows_the_container_it_worked_in() -> None:
    """The next turn needs its id."""
    reply = Response(message=Message.assistant("a"), finish_reason="stop", raw={"container": {"id": "container_1"}})
    assert "container container_1" in repr(reply)
    assert "container" not in repr(Response(message=Message.assistant("a"), finish_reason="stop"))


def test_a_reply_shows_what_stands_beside_it() -> None:
    """Log probabilities and the choices after the first can be seen, and a long list of them is cut."""
    logged = {"index": 0, "logprobs": {"content": [{"token": "a", "logprob": -0.5}] * 100}}
    other = {"index": 1, "message": {"role": "assistant", "content": "the other answer"}}
    replies = [
        Response(message=Message.assistant("a"), finish_reason="stop", raw={"choices": choices})
        for choices in ([logged], [other], [{"index": 0, "message": {"content": "a"}}])
    ]
    assert "-0.5" in repr(replies[0]) and len(repr(replies[0])) < 450
    assert "the other answer" in repr(replies[1])
    assert "raw" not in repr(replies[2])
