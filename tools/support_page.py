"""Writes the table which keyword, part and feature works on which host.

Nothing is claimed here: each cell is found by asking the host's own code. A request with the keyword or the part is
written for the host, and compared with the one without it. So a cell says what a call does: it is sent, left out with
a warning on the reply, or refused before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from asyncllm._config.rules import SecretStr
from asyncllm._engine.questions import verb_of
from asyncllm._models.lookup import FactBook
from asyncllm._protocols.codec import Context, WireRequest
from asyncllm._protocols.wire_json import WireJSON
from asyncllm._providers.provider import Provider
from asyncllm._providers.spec import build_host, every_host
from asyncllm._schema.content import Audio, Document, Image, Origin, Video
from asyncllm._schema.hosted import CodeExecution, FileSearch, HostedTool, MCPServer, WebSearch
from asyncllm._schema.messages import Message
from asyncllm._schema.request import Operation, Request, ResponseFormat, Tool, ToolChoice
from asyncllm._schema.vectors import EmbedRequest, RerankRequest
from asyncllm.errors import AsyncLLMError

INTRODUCTION = """\
# What works where

Which keyword, part of a message and feature each host takes. This page is made from the code: each cell is what a call
with that keyword does there, with the model in the second column.

| word | meaning |
|---|---|
| yes | it is sent |
| warns | it is left out, and `reply.warnings` says so |
| no | the call raises an error that says so (`UnsupportedParameterError`, ...), and nothing is sent |
| itself | the host does it by itself, nothing has to be sent |

"Yes" means that the host takes it. Whether one of its models can do it is in
[`client.models()`](../models.md). Hosts that are not listed are `openai_compatible`.
"""
OTHERS = """
The other keywords of [calls](../calls.md), such as `fallback`, `timeout` and `tags`, are the client's own work, and
the same on every host. So are `extra_body` and `extra_headers`, which are sent as they are. Where `compact_at` is
refused, a [conversation](../calls.md#conversations) can sum up its history with `Compact(tokens=...)`.

### Why not

| host | keyword | what the error or the warning says |
|---|---|---|"""
VERBS = """\
`count_tokens` without an endpoint is estimated here. The last column says how `response_format` holds the model to a
simple schema; the answer is checked on every host.
"""


@dataclass(frozen=True)
class Row:
    """A host with a model of it."""

    title: str
    kind: str
    model: str
    options: Mapping[str, str] = field(default_factory=dict)

    def provider(self) -> Provider:
        """The host, as a configuration makes it."""
        spec = every_host()[self.kind]
        options = {spec.credential: SecretStr("k"), **spec.example, **self.options}
        return build_host(self.kind, self.kind, options, {})


_AZURE = {"base_url": "https://resource.openai.azure.com"}
# Hosts that speak in several ways, by the model or by what the entry says; the others have a row each.
_SEVERAL = (
    Row("openai", "openai", "gpt-5.4-mini"),
    Row("openai, `api: responses`", "openai", "gpt-5.4-mini", {"api": "responses"}),
    Row("anthropic", "anthropic", "claude-sonnet-5-5"),
    Row("gemini", "gemini", "gemini-3.8-flash"),
    Row("bedrock: Claude", "bedrock", "global.anthropic.claude-sonnet-5-5"),
    Row("bedrock: Nova", "bedrock", "us.amazon.nova-2-lite-v1:0"),
    Row("bedrock: Llama, `api: invoke`", "bedrock", "meta.llama3-8b-instruct-v1:0", {"api": "invoke"}),
    Row("vertex: Gemini", "vertex", "gemini-3.8-flash"),
    Row("vertex: Claude", "vertex", "claude-sonnet-5-5"),
    Row("vertex: others", "vertex", "meta/llama-4-maverick-17b-128e-instruct-maas"),
    Row("azure", "azure", "gpt-5.4-mini", _AZURE),
)
_PLACES = {"openai_compatible": {"base_url": "http://127.0.0.1:9000/v1"}}


def rows() -> tuple[Row, ...]:
    """Every host, with the first of its models."""
    told = {row.kind for row in _SEVERAL}
    others = [
        Row(kind, kind, spec.models[0] if spec.models else "your-model", _PLACES.get(kind, {}))
        for kind, spec in every_host().items()
        if kind not in told
    ]
    return (*_SEVERAL, *others)


_FACTS = FactBook()
_TOOLS = (Tool("look", "Looks.", {"type": "object", "properties": {"at": {"type": "string"}}}),)
_CITY = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}
# keyword -> the fields of the request without it, and with it
KEYWORDS: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "temperature": ({}, {"temperature": 0.5}),
    "top_p": ({}, {"top_p": 0.5}),
    "max_tokens": ({}, {"max_tokens": 77}),
    "stop": ({}, {"stop": ("END",)}),
    "seed": ({}, {"seed": 7}),
    "tools": ({}, {"tools": _TOOLS}),
    "tool_choice": ({"tools": _TOOLS}, {"tools": _TOOLS, "tool_choice": ToolChoice("required")}),
    "parallel_tool_calls": ({"tools": _TOOLS}, {"tools": _TOOLS, "parallel_tool_calls": False}),
    "response_format": ({}, {"response_format": ResponseFormat(schema=_CITY)}),
    "reasoning": ({}, {"reasoning": "low"}),
    "cache": ({}, {"cache": "auto"}),
    "compact_at": ({}, {"compact_at": 50_000}),
}
EXPLAINED = tuple(name for name in KEYWORDS if name != "compact_at")
_PDF, _PNG, _WAV, _MP4 = (
    b"%PDF-1.4 x",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF\x00\x00\x00\x00WAVEfmt ",
    b"\x00\x00\x00\x18ftypmp42",
)
PARTS: Mapping[str, Any] = {
    "Image (data)": Image(data=_PNG, media_type="image/png"),
    "Image (url)": Image(url="https://example.com/a.png", media_type="image/png"),
    "Document (PDF data)": Document(data=_PDF, media_type="application/pdf", name="a.pdf"),
    "Document (url)": Document(url="https://example.com/a.pdf", media_type="application/pdf"),
    "Document (text)": Document(text="A text.", name="a.txt"),
    "Audio": Audio(data=_WAV, media_type="audio/wav"),
    "Video": Video(data=_MP4, media_type="video/mp4"),
}
HOSTED: Mapping[str, HostedTool] = {
    "WebSearch": WebSearch(),
    "CodeExecution": CodeExecution(),
    "FileSearch": FileSearch(["vs_1"]),
    "MCPServer": MCPServer("https://mcp.example.com/sse"),
}
# What hosts embed and rank with, where it is not the model that chats.
_EMBEDDING = {
    "bedrock": "amazon.titan-embed-text-v2:0",
    "vertex": "gemini-embedding-001",
    "gemini": "gemini-embedding-001",
}
_RANKING = {"bedrock": "cohere.rerank-v3-5:0", "vertex": "semantic-ranker-default-004"}


class Asked:
    """A host that is asked what it does with a request."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.host = row.provider()
        self.asked = Request(model=row.model, messages=(Message.user("Hi"),))

    def context(self, protocol: str, model: str) -> Context:
        """What a codec is told about a call."""
        return Context(
            origin=Origin(self.host.origin or self.host.kind, protocol),
            provider=self.row.kind,
            model=model,
            json=WireJSON(),
            new_id=lambda prefix: f"{prefix}1",
            now=lambda: 1_795_000_000.0,
            facts=_FACTS.find(self.row.kind, model),
        )

    def written(self, **given: Any) -> WireRequest:
        """The request on the wire."""
        request = replace(self.asked, **given)
        protocol = self.host.resolve("chat", self.row.model, request).protocol
        return protocol.encode(request, self.context(protocol.name, self.row.model))

    def keyword(self, name: str) -> str:
        """What becomes of a keyword."""
        without, given = KEYWORDS[name]
        return self._fate(lambda: (self.written(**without), self.written(**given)), name)

    def reason(self, name: str) -> str:
        """Why a keyword is left out or refused; ``""`` where it is sent."""
        try:
            left = [one for one in self.written(**KEYWORDS[name][1]).left_out if one.keyword == name]
        except AsyncLLMError as error:
            return error.message.removeprefix(f"{name}: ")
        return left[0].reason if left else ""

    def part(self, name: str) -> str:
        """What becomes of a part."""
        message = Message.user("What is this?", PARTS[name])
        return self._fate(lambda: (self.written(), self.written(messages=(message,))), "messages")

    def hosted(self, name: str) -> str:
        """What becomes of a tool that the provider runs."""
        return self._fate(lambda: (self.written(), self.written(tools=(HOSTED[name],))), "tools")

    def verb(self, operation: Operation, request: Any) -> str:
        """Whether the host has an API for one thing more than chat."""

        def ask() -> tuple[None, WireRequest]:
            protocol = self.host.resolve(operation, request.model, None).protocol
            verb, dialect = verb_of(protocol, operation, self.row.kind)
            return None, verb.write(request, self.context(protocol.name, request.model), dialect)

        return self._fate(ask, operation)

    def _fate(self, ask: Callable[[], tuple[WireRequest | None, WireRequest]], keyword: str) -> str:
        try:
            plain, told = ask()
        except AsyncLLMError:
            return "no"
        if any(left.keyword == keyword for left in told.left_out):
            return "warns"
        return "itself" if plain is not None and plain.body == told.body and plain.headers == told.headers else "yes"

    def schema(self) -> str:
        """How the model is held to a schema."""
        try:
            told = self.written(response_format=ResponseFormat(schema=_CITY))
        except AsyncLLMError:
            return "no"
        if told.answer_tool:
            return "a tool that must be called"
        return "instructions" if any("schema" in one for one in told.warnings) else "the host's own way"

    def features(self) -> dict[str, str]:
        """What there is besides `send` and `stream`."""
        kind, model = self.row.kind, self.row.model
        embed = EmbedRequest(model=_EMBEDDING.get(kind, model), messages=(), texts=("a",))
        rank = RerankRequest(model=_RANKING.get(kind, model), messages=(), query="a", documents=("b",))
        host = self.host
        found = {
            "embed": self.verb("embed", embed) == "yes",
            "rerank": self.verb("rerank", rank) == "yes",
            "batch": host.batching is not None and host.batching(model) is not None,
            "upload": host.filing is not None,
            "models": host.listing is not None,
            "count_tokens": host.counting is not None and host.counting(model) is not None,
        }
        return {name: "yes" if has else "no" for name, has in found.items()} | {"schema": self.schema()}


def table(asked: list[Asked], columns: list[str], cell: Callable[[Asked, str], str]) -> str:
    """A table with a row for each host."""
    lines = ["| host | model | " + " | ".join([f"`{column}`" for column in columns]) + " |"]
    lines.append("|---" * (len(columns) + 2) + "|")
    for one in asked:
        cells = [cell(one, column) for column in columns]
        lines.append(f"| {one.row.title} | `{one.row.model}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def page() -> str:
    """The page."""
    asked = [Asked(row) for row in rows()]
    features = {one: one.features() for one in asked}
    verbs = [name for name in features[asked[0]] if name != "schema"]
    parts = [
        INTRODUCTION,
        "## Keywords of a call\n",
        table(asked, list(KEYWORDS), Asked.keyword),
        OTHERS,
        *[
            f"| {one.row.title} | `{name}` | {why} |"
            for one in asked
            for name in EXPLAINED
            if (why := one.reason(name))
        ],
        "\n## Parts of messages\n",
        "Text goes everywhere. Files that were uploaded are in [images and files](../files.md).\n",
        table(asked, list(PARTS), Asked.part),
        "\n## Tools that the provider runs\n",
        table(asked, list(HOSTED), Asked.hosted),
        "\n## Verbs and structured output\n",
        VERBS,
        table(
            asked, [*verbs, "response_format by"], lambda one, name: features[one].get(name, features[one]["schema"])
        ),
    ]
    return "\n".join(parts) + "\n"
