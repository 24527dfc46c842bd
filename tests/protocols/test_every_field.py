"""Every field of a request has a fate on every wire: it changes the bytes, is named as left out, or is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, make_dataclass, replace
from typing import Any

import pytest

from asyncllm._protocols.anthropic import AnthropicDialect, AnthropicMessages
from asyncllm._protocols.codec import Codec, LeftOut, Verb, WireRequest
from asyncllm._protocols.converse import Converse
from asyncllm._protocols.gemini import Gemini, GeminiDialect
from asyncllm._protocols.invoke import FAMILIES, InvokeModel
from asyncllm._protocols.openai_chat import ChatDialect, OpenAIChat
from asyncllm._protocols.openai_responses import OpenAIResponses
from asyncllm._schema.messages import Message
from asyncllm._schema.request import Request, ResponseFormat, Tool, ToolChoice
from asyncllm.errors import UnsupportedError
from recordings import context


@dataclass(frozen=True)
class Spoken:
    """A wire format as one host speaks it, and a model that is met there."""

    codec: Codec[Any]
    model: str
    silent: frozenset[str] = frozenset({"cache"})
    """Fields that need no word: what the host says in the path of its route, and a prompt cache that needs no marks."""

    def write(self, request: Request) -> WireRequest:
        """The wire request."""
        return self.codec.encode(replace(request, model=self.model), context("host", self.codec.name, self.model))


MARKS: frozenset[str] = frozenset()
"""What is silent where the prompt cache wants marks, or has to be told that there is none."""

WIRES: Mapping[str, Spoken] = {
    "chat": Spoken(OpenAIChat(), "gpt-5.4"),
    "chat of a compatible host": Spoken(OpenAIChat(ChatDialect(max_tokens_field="max_tokens")), "m"),
    "responses": Spoken(OpenAIResponses(), "gpt-5.4"),
    "anthropic": Spoken(AnthropicMessages(), "claude-sonnet-4-5", MARKS),
    "anthropic on bedrock": Spoken(
        AnthropicMessages(AnthropicDialect(version_in_body=True, model_in_body=False, stream_in_body=False)),
        "anthropic.claude-sonnet-4-5-20250929-v1:0",
        frozenset({"stream"}),
    ),
    "gemini": Spoken(Gemini(), "gemini-2.5-flash"),
    "gemini on vertex": Spoken(Gemini(GeminiDialect.vertex("p", "global")), "gemini-2.5-flash"),
    "converse": Spoken(Converse(), "us.amazon.nova-2-lite-v1:0", MARKS),
    "invoke": Spoken(InvokeModel(FAMILIES["meta.llama3"]), "meta.llama3-8b-instruct-v1:0", MARKS),
}
TOOLS = (Tool("look", "Looks.", {"type": "object", "properties": {"at": {"type": "string"}}}),)
# field -> the same request without it, and with it
SETTINGS: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "messages": ({}, {"messages": (Message.user("Ho"),)}),
    "stream": ({}, {"stream": True}),
    "temperature": ({}, {"temperature": 0.5}),
    "top_p": ({}, {"top_p": 0.5}),
    "max_tokens": ({}, {"max_tokens": 77}),
    "stop": ({}, {"stop": ("END",)}),
    "seed": ({}, {"seed": 7}),
    "tools": ({}, {"tools": TOOLS}),
    "tool_choice": ({"tools": TOOLS}, {"tools": TOOLS, "tool_choice": ToolChoice("required")}),
    "parallel_tool_calls": ({"tools": TOOLS}, {"tools": TOOLS, "parallel_tool_calls": False}),
    "response_format": ({}, {"response_format": ResponseFormat(schema={"type": "object", "properties": {}})}),
    "reasoning": ({}, {"reasoning": "low"}),
    "cache": ({}, {"cache": "auto"}),
    "compact_at": ({}, {"compact_at": 50_000}),
    "extra_body": ({}, {"extra_body": {"x_y": 1}}),
    "extra_headers": ({}, {"extra_headers": {"x-y": "1"}}),
}
# The same keywords where there are no tools: nothing is lost in silence there either.
WITHOUT_TOOLS: Mapping[str, Mapping[str, Any]] = {
    "tool_choice": {"tool_choice": ToolChoice("auto")},
    "parallel_tool_calls": {"parallel_tool_calls": False},
}
ASKED = Request(model="m", messages=(Message.user("Hi"),))


def sent(request: WireRequest) -> tuple[object, ...]:
    """Everything of a request that leaves the machine."""
    return request.method, request.path, request.query, request.headers, request.body


def fate(spoken: Spoken, keyword: str, without: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """What became of a field: ``sent``, ``left out``, ``refused``, or ``lost``."""
    try:
        plain = spoken.write(replace(ASKED, **without))
        told = spoken.write(replace(ASKED, **given))
    except UnsupportedError:
        return "refused"
    if sent(plain) != sent(told):
        return "sent"
    return "left out" if keyword in {left.keyword for left in told.left_out} else "lost"


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("keyword", SETTINGS)
def test_every_field_has_a_fate(wire: str, keyword: str) -> None:
    """A field that is set changes the bytes, is named as left out, or is refused."""
    expected = {"lost"} if keyword in WIRES[wire].silent else {"sent", "left out", "refused"}
    assert fate(WIRES[wire], keyword, *SETTINGS[keyword]) in expected


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("keyword", WITHOUT_TOOLS)
def test_settings_of_tools_without_tools_are_named(wire: str, keyword: str) -> None:
    """A preference among tools that are not there is named as left out."""
    assert "left out" == fate(WIRES[wire], keyword, {}, WITHOUT_TOOLS[keyword])


def untold(request_type: type) -> list[str]:
    """The fields of a request that the table above says nothing of; the model is asked for in every row."""
    return [field.name for field in fields(request_type) if field.name not in (*SETTINGS, "model")]


def test_the_table_knows_every_field() -> None:
    """A new field of the request needs a row, which then asks every wire."""
    assert [] == untold(Request)


def test_a_new_keyword_is_named_for_every_wire_that_says_nothing_of_it() -> None:
    """A field ``verbosity`` is missing from the table; asked for it, each wire that ignores it is found."""
    wider = make_dataclass(
        "wider", [("verbosity", "str | None", None)], bases=(Request,), frozen=True, slots=True, kw_only=True
    )
    assert ["verbosity"] == untold(wider)
    asked = {field.name: getattr(ASKED, field.name) for field in fields(Request)}
    silent = [
        name
        for name, spoken in WIRES.items()
        if sent(spoken.write(wider(**asked))) == sent(spoken.write(wider(**asked, verbosity="low")))
    ]
    assert list(WIRES) == silent


@pytest.mark.parametrize("wire", ["responses", "anthropic", "converse", "invoke"])
def test_a_keyword_is_left_out_in_one_sentence(wire: str) -> None:
    """A keyword without a place stands among what was left out, and is not repeated among the warnings."""
    request = WIRES[wire].write(replace(ASKED, seed=7))
    assert ["seed"] == [left.keyword for left in request.left_out]
    assert str(request.left_out[0]).startswith("seed was left out: ")
    assert [] == [warning for warning in request.warnings if "seed" in warning]


def test_a_codec_is_open_for_more_than_chat() -> None:
    """A verb such as embeddings is a row beside chat, in the same codec, with the same dialect."""

    def write(texts: list[str], here: Any, dialect: ChatDialect) -> WireRequest:
        body = here.json.dumps({"model": here.model, "input": texts})
        return WireRequest(method="POST", path="/embeddings", headers=(), body=body)

    def read(status: int, headers: Mapping[str, str], body: bytes, here: Any, dialect: ChatDialect) -> Any:
        return [item["embedding"] for item in here.json.loads(body)["data"]]

    codec = replace(OpenAIChat(), operations={"embed": Verb(write=write, read=read)})
    here = context("openai", "openai_chat", "m")
    verb = codec.operations["embed"]
    assert ("/embeddings", b'{"model":"m","input":["a"]}') == (
        (request := verb.write(["a"], here, codec.dialect)).path,
        request.body,
    )
    assert [[0.5]] == verb.read(200, {}, b'{"data": [{"embedding": [0.5]}]}', here, codec.dialect)
    assert {"embed", "rerank"} == set(OpenAIChat().operations)


def test_what_is_left_out_reads_as_a_sentence() -> None:
    """The value is the warning: keyword, then reason."""
    assert "seed was left out: Converse has none" == str(LeftOut("seed", "Converse has none"))
