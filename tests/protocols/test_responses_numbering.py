"""Responses streams whose numbers and ids are not OpenAI's: each text, call and thought comes once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from asyncllm._framing.framer import Frame
from asyncllm._protocols.codec import Context
from asyncllm._schema.messages import Message
from asyncllm._schema.request import Request
from asyncllm._schema.response import Response
from recordings import context
from wire_samples import CODECS, gathered

ARGUMENTS = '{"x":1}'


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **fields}


def message(*texts: str, ident: str = "m1") -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    return {"type": "message", "id": ident, "role": "assistant", "content": content}


def call(arguments: object = "", number: int = 1) -> dict[str, Any]:
    return {"type": "function_call", "id": f"f{number}", "call_id": f"c{number}", "name": "f", "arguments": arguments}


def thought(text: str = "") -> dict[str, Any]:
    content = [{"type": "reasoning_text", "text": text}] if text else []
    return {"type": "reasoning", "id": "r1", "summary": [], "content": content}


def added(at: int, item: dict[str, Any]) -> dict[str, Any]:
    return event("output_item.added", output_index=at, item=item)


def done(at: int, item: dict[str, Any]) -> dict[str, Any]:
    return event("output_item.done", output_index=at, item=item)


def said(text: str, at: int = 0, place: int = 0, ident: str = "m1") -> dict[str, Any]:
    return event("output_text.delta", output_index=at, content_index=place, item_id=ident, delta=text)


def whole(text: str, at: int = 0, place: int = 0, ident: str = "m1") -> dict[str, Any]:
    return event("output_text.done", output_index=at, content_index=place, item_id=ident, text=text)


def argued(text: str, at: int = 0, number: int = 1) -> dict[str, Any]:
    return event("function_call_arguments.delta", output_index=at, item_id=f"f{number}", delta=text)


def all_argued(text: str) -> dict[str, Any]:
    return event("function_call_arguments.done", output_index=0, item_id="f1", arguments=text)


def pondered(text: str, place: int) -> dict[str, Any]:
    return event("reasoning_text.delta", output_index=0, content_index=place, item_id="r1", delta=text)


def read(events: Sequence[dict[str, Any]], *output: dict[str, Any]) -> Response:
    end = event("completed", response={"id": "r", "status": "completed", "output": list(output)})
    return gathered("responses", [Frame("", json.dumps(one).encode()) for one in (*events, end)])


def sent_back(reply: Response) -> str:
    here: Context = context("host", "responses")
    request = Request(model="m", messages=(Message.user("q"), reply.message, Message.user("more")))
    return CODECS["responses"].encode(request, here).body.decode()


TEXTS = {
    "a number that is no place": [added(0, message()), said("hel", 0, 7), said("lo", 0, 7), whole("hello", 0, 7)],
    "a number for each delta": [added(0, message()), said("hel", 0, 0), said("lo", 0, 1), whole("hello", 0, 1)],
    "a number for each delta, told at the first": [
        added(0, message()),
        said("hel", 0, 1),
        said("lo", 0, 2),
        whole("hello"),
    ],
    "the text as its end only": [added(0, message()), whole("hello")],
    "the text as the end of its part only": [
        added(0, message()),
        event("content_part.done", output_index=0, content_index=0, item_id="m1", part=message("hello")["content"][0]),
    ],
    "an output index for each event": [added(0, message()), said("hel", 1), said("lo", 2), whole("hello", 3)],
    "other ids in every event": [
        added(0, message()),
        said("hel", ident="x"),
        said("lo", ident="y"),
        whole("hello", ident="z"),
    ],
    "the item as its end only": [],
}


@pytest.mark.parametrize("ends", [0, 4, None], ids=["with its item", "with its item elsewhere", "without its item"])
@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_comes_once(kind: str, ends: int | None) -> None:
    """Whatever the numbers are; and the history that goes back holds it once."""
    item = message("hello", ident="new" if kind.startswith("other ids") else "m1")
    reply = read([*TEXTS[kind], *([] if ends is None else [done(ends if kind[:2] == "an" else 0, item)])], item)
    assert "hello" == reply.text
    assert "hello" == "".join(
        part["text"]
        for item in json.loads(sent_back(reply))["input"]
        if item.get("role") == "assistant"
        for part in item["content"]
    )


def test_repeated_letters_under_numbers_of_their_own() -> None:
    """What is told whole is all the pieces together, not more of the last one."""
    events = [added(0, message()), said("a", 0, 1), said("a", 0, 2), said("a", 0, 3), whole("aaa", 0, 3)]
    assert "aaa" == read([*events, done(0, message("aaa"))], message("aaa")).text


@pytest.mark.parametrize("places", [(0, 1), (0, 0)])
def test_two_equal_texts_are_two(places: tuple[int, int]) -> None:
    """One content after the other, also under one number."""
    first, second = places
    events = [
        added(0, message()),
        said("a", 0, first),
        whole("a", 0, first),
        said("a", 0, second),
        whole("a", 0, second),
    ]
    assert ["a", "a"] == [part.text for part in read([*events, done(0, message("a", "a"))]).message.content]  # type: ignore[union-attr]


def test_items_that_share_a_number() -> None:
    """A message after a message, and a call beside a call, are told apart by their ids."""
    second = message("two", ident="m2")
    events = [added(0, message()), said("one"), done(0, message("one")), added(0, message(ident="m2"))]
    reply = read([*events, said("two", ident="m2"), done(0, second)], message("one"), second)
    assert ["one", "two"] == [part.text for part in reply.message.content]  # type: ignore[union-attr]
    events = [added(0, call()), added(0, call(number=2)), argued('{"a":1}'), argued('{"b":2}', number=2)]
    ends = [call('{"a":1}'), call('{"b":2}', 2)]
    for finished in ([done(0, one) for one in ends], []):
        reply = read([*events, *finished], *ends)
        assert [("c1", {"a": 1}), ("c2", {"b": 2})] == [(one.id, one.arguments) for one in reply.tool_calls]


@pytest.mark.parametrize(
    "events",
    [
        [added(0, call()), argued('{"x"'), argued(":1}"), all_argued(ARGUMENTS)],
        [added(0, call()), all_argued(ARGUMENTS)],
        [added(0, call()), done(0, call(ARGUMENTS))],
        [added(0, call())],
        [added(0, call(ARGUMENTS)), argued(ARGUMENTS), all_argued(ARGUMENTS)],
        [],
    ],
    ids=["deltas", "their end", "their item", "the last event", "twice", "nothing before"],
)
def test_arguments_come_once(events: list[dict[str, Any]]) -> None:
    """Wherever a host tells them."""
    reply = read(events, call(ARGUMENTS))
    assert [("f", ARGUMENTS)] == [(one.name, one.raw_arguments) for one in reply.tool_calls]


def test_a_thought_whose_deltas_are_numbered() -> None:
    """Content of another number is another paragraph only where the host announces it."""
    text = message("hello")
    reply = read([added(0, thought()), pondered("h", 0), pondered("m", 1), done(0, thought("hm")), done(1, text)], text)
    assert ("hm", "hello") == (reply.reasoning, reply.text)
    begun = event("content_part.added", output_index=0, content_index=1, item_id="r1", part={"type": "reasoning_text"})
    assert "h\n\nm" == read([added(0, thought()), pondered("h", 0), begun, pondered("m", 1), done(1, text)]).reasoning


BEGINNINGS = {
    "in the item": [added(0, message("hel")), said("lo")],
    "in the item, and said again": [added(0, message("hel")), said("hel"), said("lo")],
    "in its part": [
        added(0, message()),
        event("content_part.added", output_index=0, content_index=0, item_id="m1", part=message("hel")["content"][0]),
        said("lo"),
    ],
    "under another number": [added(0, message("hel")), said("lo", place=3)],
    "in its part, and nothing more": [
        event("content_part.added", output_index=0, content_index=0, item_id="m1", part=message("hello")["content"][0])
    ],
}


@pytest.mark.parametrize("ends", [True, False], ids=["with its item", "without"])
@pytest.mark.parametrize("where", BEGINNINGS)
def test_a_beginning_that_stands_in_the_announcement(where: str, ends: bool) -> None:
    """What an item or a part held when it was announced is told before its deltas, once."""
    events = BEGINNINGS[where] if "nothing" not in where else [added(0, message()), *BEGINNINGS[where]]
    reply = read([*events, *([done(0, message("hello"))] if ends else [])])
    assert "hello" == reply.text


@pytest.mark.parametrize("ends", [True, False], ids=["with its item", "without"])
def test_arguments_and_thoughts_that_begin_in_the_announcement(ends: bool) -> None:
    """The same is true of calls and of reasoning."""
    reply = read([added(0, call('{"x"')), argued(":1}"), *([done(0, call(ARGUMENTS))] if ends else [])])
    assert [{"x": 1}] == [one.arguments for one in reply.tool_calls]
    reply = read([added(0, thought("h")), pondered("m", 0), *([done(0, thought("hm"))] if ends else []), *said_once()])
    assert "hm" == reply.reasoning


def said_once() -> list[dict[str, Any]]:
    return [added(1, message(ident="m2")), said("x", 1, ident="m2"), done(1, message("x", ident="m2"))]
