"""What a simulated model is asked and what it answers, in terms that no wire format owns.

A wire reads its JSON into a `ModelRequest`; `asyncllm._testing.behaviour.compose` turns that into a `Reply` whose every
number is known; the wire writes the reply in the provider's own form.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Finish = Literal["stop", "stop_sequence", "length", "tool_calls", "content_filter", "refusal", "pause"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedTool:
    """Holds a tool that a request offers: its name and the JSON schema of its arguments."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """Holds one request to a simulated model.

    Attributes:
        provider: the kind of host it was sent to (``"openai"``).
        prompt: the text of the last user turn.
        text: everything the model reads, tools and system text first; what input tokens are estimated from.
        cache_marks: (length of ``text`` up to the mark, lifetime ``"5m"``, ``"30m"`` or ``"1h"``), in order.
        tools: the tools offered.
        tool_choice: ``"auto"``, ``"none"``, ``"required"`` or the name of the tool to call.
        parallel: whether several tools may be called at once.
        tool_results: the results since the model's last turn, as text, in order.
        schema: the JSON schema the answer must fit; ``{}`` for any JSON object; None for plain text.
        max_tokens: the most output tokens; None for no limit.
        reasoning: reasoning was asked for; ``"omitted"`` when its text shall not be shown.
        hosted_tools: the tools offered that the provider runs itself, in the words of `HostedUse`.
        body: the request as sent.
    """

    provider: str
    model: str
    stream: bool = False
    prompt: str = ""
    text: str = ""
    cache_marks: tuple[tuple[int, str], ...] = ()
    tools: tuple[OfferedTool, ...] = ()
    tool_choice: str = "auto"
    parallel: bool = True
    tool_results: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    reasoning: bool | Literal["omitted"] = False
    hosted_tools: tuple[str, ...] = ()
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ToolUse:
    """Describes a tool call of a simulated model; ``arguments`` is an object, or a string to be sent as it is (even
    broken).
    """

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)

    @property
    def json(self) -> str:
        """Returns the arguments as the text that travels."""
        if isinstance(self.arguments, str):
            return self.arguments
        return json.dumps(self.arguments, ensure_ascii=False)


HostedWord = Literal["web_search", "code_execution", "file_search", "mcp"]


@dataclass(frozen=True, slots=True)
class HostedUse:
    """Describes one use of a tool that the provider runs itself; the request must offer the tool.

    Attributes:
        tool: ``"web_search"``, ``"code_execution"``, ``"file_search"`` or ``"mcp"``.
        asked: what it is given: the query, the code, or the question to an MCP server's tool.
        found: what comes out: the output of the code, the text of the passage, the answer of the server's tool.
        sources: (address or file id, title) of what was found; the text of the reply cites them.
        name: the tool of an MCP server that is called.
        is_error: it failed; ``found`` is the error.
    """

    tool: HostedWord
    asked: str = ""
    found: str = ""
    sources: Sequence[tuple[str, str]] = ()
    name: str = "ask"
    is_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Describes what a simulated model says. Whatever is None is worked out from the rest.

    Attributes:
        reasoning: thinking before the answer; written only where the wire has a place for it.
        hosted: what the provider's own tools did before the text.
        redacted: the thinking is sent encrypted (Anthropic's ``redacted_thinking``).
        refusal: why the model refuses; it then says nothing else. ``""`` is blocked without a word where the wire can.
        finish: why it ended.
        stop_sequence: the stop sequence that ended it.
        input_tokens: tokens read, cached ones included.
        output_tokens: tokens written, reasoning included.
        cache_read_tokens: part of ``input_tokens`` that came from the cache.
        cache_write_tokens: part of ``input_tokens`` that was written to the cache.
    """

    text: str = ""
    reasoning: str = ""
    redacted: bool = False
    tool_calls: tuple[ToolUse, ...] = ()
    hosted: Sequence[HostedUse] = ()
    refusal: str | None = None
    finish: Finish | None = None
    stop_sequence: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None


Replies = str | Reply | Callable[[ModelRequest], str | Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelBehaviour:
    """Describes how a simulated model behaves.

    Attributes:
        reply: what it says: a text, a `Reply`, or a function of the `ModelRequest` that gives one; None for the
            built-in model, which answers sums, counts, calls tools and lets the provider run its own where the prompt
            speaks of them, fits schemas and else repeats what it was told.
        latency: seconds before the head of the answer.
        first_chunk_delay: seconds from the head of a stream to its first event.
        chunk_delay: seconds between two writes of a stream.
        chunk_size: characters of text (or of tool arguments) in one event.
        events_per_write: events sent in one write to the socket; None for all at once.
        write_size: splits a stream into writes of so many bytes, wherever events begin and end; None keeps them whole.
        tool_use: ``"auto"`` calls a tool when the prompt speaks of it or the request demands it, ``"always"`` whenever
            tools are offered and no result is there yet, ``"never"`` does not even on demand.
        tool_calls: how many calls one answer makes, where parallel calls are allowed.
        reasoning: reasons also when not asked to.
        redacted: sends its thinking encrypted.
        context_window: input tokens above this are the provider's "too long" error; None for no limit.
    """

    reply: Replies | None = None
    latency: float = 0.0
    first_chunk_delay: float = 0.0
    chunk_delay: float = 0.0
    chunk_size: int = 8
    events_per_write: int | None = 1
    write_size: int | None = None
    tool_use: Literal["auto", "always", "never"] = "auto"
    tool_calls: int = 1
    reasoning: bool = False
    redacted: bool = False
    context_window: int | None = None


def tokens(text: str) -> int:
    """Returns the simulator's token count: a token for every four characters begun."""
    return (len(text) + 3) // 4


def pieces(text: str, size: int) -> list[str]:
    """Returns the text in pieces of ``size`` characters, as the events of a stream carry it."""
    return [text[start : start + size] for start in range(0, len(text), size)]
