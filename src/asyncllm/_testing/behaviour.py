"""The built-in model: what it says is a function of the request and the seed, so that a test can be run again.

It adds up ("What is 2+2?"), counts ("Count to 10"), calls the tools that the prompt speaks of, lets the provider run
its own tools where the prompt speaks of them ("Search the web for ..."), quotes tool results, fits the schema it was
given, and otherwise repeats the prompt. Limits apply to custom replies too: stop sequences and ``max_tokens`` cut them
as a provider would.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import blake2b

from .model import HostedUse, HostedWord, ModelBehaviour, ModelRequest, OfferedTool, Reply, ToolUse, tokens
from .samples import sample

_SUM = re.compile(r"(-?\d+)\s*([-+*×])\s*(-?\d+)")
_COUNT = re.compile(r"\bcount(?:\s+\w+)?\s+to\s+(\d{1,4})\b", re.IGNORECASE)
_NAME = re.compile(r"(?<=[a-z,:] )[A-Z]\w+")
# The tools that a provider runs itself, and the words of a prompt that ask for them.
_HOSTED: Mapping[HostedWord, tuple[str, ...]] = {
    "web_search": ("search", "web", "news", "latest"),
    "code_execution": ("code", "python", "compute"),
    "file_search": ("file", "files", "document", "documents"),
    "mcp": ("mcp", "server"),
}
_OPENINGS = ("You said", "I heard", "Your words were", "You wrote")


class CacheMemory:
    """Remembers which prompt prefixes this server has cached; the first request with a mark writes, later ones read."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()

    def usage(self, request: ModelRequest) -> tuple[int, int]:
        """Returns (tokens read, tokens written) for the marks of this request, and remembers what it wrote."""
        if not request.cache_marks:
            return 0, 0
        read = 0
        for length, _ in request.cache_marks:
            key = (request.model, request.text[:length])
            if key in self._seen:
                read = tokens(key[1])
            self._seen.add(key)
        return read, tokens(request.text[: request.cache_marks[-1][0]]) - read


def compose(request: ModelRequest, behaviour: ModelBehaviour, seed: int, cache: CacheMemory) -> Reply:
    """Returns the reply to a request, cut to its limits, with every number filled in."""
    said = behaviour.reply(request) if callable(behaviour.reply) else behaviour.reply
    if said is None:
        said = _built_in(request, behaviour, seed)
    reply = Reply(text=said) if isinstance(said, str) else said
    if not reply.reasoning and (request.reasoning or behaviour.reasoning):
        reply = replace(reply, reasoning=f"The request is: {request.prompt or 'empty'}. Answer it directly.")
    missing = [use.tool for use in reply.hosted if use.tool not in request.hosted_tools]
    if missing:
        raise ValueError(f"the reply uses {missing[0]}, which the request does not offer as a tool of the provider's")
    if behaviour.redacted:
        reply = replace(reply, redacted=True)
    return _counted(_within_budget(_stopped(reply, request), request), request, cache)


def _built_in(request: ModelRequest, behaviour: ModelBehaviour, seed: int) -> Reply:
    calls = () if request.tool_results else tuple(_calls(request, behaviour))
    if calls:
        return Reply(tool_calls=calls)
    hosted = tuple(_uses(request, _text(request, seed)))
    if request.schema is not None:
        value = sample(request.schema, "") if request.schema else {"answer": _text(request, seed)}
        return Reply(text=json.dumps(value, ensure_ascii=False), hosted=hosted)
    return Reply(text=_text(request, seed), hosted=hosted)


def _uses(request: ModelRequest, text: str) -> Iterator[HostedUse]:
    """Yields what the provider's own tools do for a prompt that speaks of them."""
    if request.tool_results or request.tool_choice == "none":
        return
    words = set(re.findall(r"\w+", request.prompt.lower()))
    for tool, marks in _HOSTED.items():
        if tool not in request.hosted_tools or words.isdisjoint(marks):
            continue
        if tool == "code_execution":
            yield HostedUse(tool, f"print({text!r})", f"{text}\n")
        elif tool == "mcp":
            yield HostedUse(tool, request.prompt, text)
        else:
            source = ("https://example.org/", "example.org") if tool == "web_search" else ("file-sim", "sim.txt")
            yield HostedUse(tool, request.prompt, text, (source,))


def _text(request: ModelRequest, seed: int) -> str:
    if request.tool_results:
        return f"The tool answered: {' '.join(request.tool_results)}"
    if found := _SUM.search(request.prompt):
        left, sign, right = int(found[1]), found[2], int(found[3])
        return str({"+": left + right, "-": left - right}.get(sign, left * right))
    if found := _COUNT.search(request.prompt):
        return " ".join(str(number) for number in range(1, int(found[1]) + 1))
    words = " ".join(request.prompt.split())[:2000]
    opening = _OPENINGS[blake2b(f"{seed}:{request.model}:{words}".encode(), digest_size=1).digest()[0] % len(_OPENINGS)]
    return f"{opening}: {words}" if words else "Hello! How can I help?"


def _calls(request: ModelRequest, behaviour: ModelBehaviour) -> Iterator[ToolUse]:
    if not request.tools or request.tool_choice == "none" or behaviour.tool_use == "never":
        return
    named = [tool for tool in request.tools if tool.name == request.tool_choice]
    wanted = named or [tool for tool in request.tools if _speaks_of(request.prompt, tool.name)]
    if not wanted and (request.tool_choice != "auto" or behaviour.tool_use == "always"):
        wanted = [request.tools[0]]
    if not wanted:
        return
    most = max(behaviour.tool_calls, len(wanted)) if request.parallel else 1
    for number in range(most):
        yield _call(wanted[number % len(wanted)], request.prompt)


def _speaks_of(prompt: str, name: str) -> bool:
    """Whether the prompt holds the tool's name, or a telling word of it (``weather`` of ``get_weather``)."""
    words = set(re.findall(r"\w+", prompt.lower()))
    low = name.lower()
    return low in words or any(len(word) > 3 and word in words for word in re.split(r"[^a-z0-9]+", low))


def _call(tool: OfferedTool, prompt: str) -> ToolUse:
    name = _NAME.search(prompt)
    value = sample(tool.parameters or {"type": "object"}, name[0] if name else "")
    return ToolUse(tool.name, value if isinstance(value, dict) else {})


def _stopped(reply: Reply, request: ModelRequest) -> Reply:
    """Cuts the text at the first stop sequence in it."""
    found = [(at, word) for word in request.stop if word and (at := reply.text.find(word)) >= 0]
    if not found or reply.refusal is not None:
        return reply
    at, word = min(found)
    return replace(reply, text=reply.text[:at], tool_calls=(), finish="stop_sequence", stop_sequence=word)


def _within_budget(reply: Reply, request: ModelRequest) -> Reply:
    """Cuts reasoning, text and tool arguments, in that order, at ``max_tokens``."""
    if request.max_tokens is None:
        return reply
    left = request.max_tokens
    total = tokens(reply.reasoning) + tokens(reply.text) + sum(map(_call_tokens, reply.tool_calls))
    if total <= left:
        return reply
    reasoning = reply.reasoning[: left * 4]
    left -= tokens(reasoning)
    text = reply.text[: left * 4]
    left -= tokens(text)
    calls = []
    for call in reply.tool_calls:
        if left <= 0:
            break
        calls.append(ToolUse(call.name, call.json[: left * 4]))
        left -= _call_tokens(calls[-1])
    return replace(reply, reasoning=reasoning, text=text, tool_calls=tuple(calls), finish="length", stop_sequence=None)


def _call_tokens(call: ToolUse) -> int:
    return tokens(call.name) + tokens(call.json)


def _counted(reply: Reply, request: ModelRequest, cache: CacheMemory) -> Reply:
    read, written = cache.usage(request)
    thought = tokens(reply.reasoning) if reply.reasoning_tokens is None else reply.reasoning_tokens
    said = tokens(reply.refusal or reply.text) + sum(map(_call_tokens, reply.tool_calls))
    finish = reply.finish or ("refusal" if reply.refusal is not None else "tool_calls" if reply.tool_calls else "stop")
    return replace(
        reply,
        finish=finish,
        input_tokens=tokens(request.text) if reply.input_tokens is None else reply.input_tokens,
        output_tokens=thought + said if reply.output_tokens is None else reply.output_tokens,
        reasoning_tokens=thought,
        cache_read_tokens=read if reply.cache_read_tokens is None else reply.cache_read_tokens,
        cache_write_tokens=written if reply.cache_write_tokens is None else reply.cache_write_tokens,
    )
