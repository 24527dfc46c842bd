"""How far the estimate of input tokens is off: over every recorded exchange whose usage and prompt are known.

Run ``python benchmarks/token_estimates.py`` beside the recorded exchanges (``../shared/wire/dev``). The error is
``estimate / counted - 1``. Left out are prompts that the recording cut or that hold more than text (pictures, files,
audio), prompts that a provider's own tools added to (searches), and continued conversations whose beginning the
provider has; they cannot be told from the request.
"""

from __future__ import annotations

import base64
import json
import re
import statistics
import sys
import timeit
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from asyncllm import Message
from asyncllm._framing.eventstream import EventStreamFramer
from asyncllm._models.tokens import estimate_tokens
from asyncllm._schema.content import Part, Reasoning, Text, ToolCall, ToolResult
from asyncllm._schema.request import ProviderTool, Request, ResponseFormat, Tool, ToolChoice

FOLDER = Path(__file__).resolve().parent.parent.parent / "shared" / "wire" / "dev"
_DROPPED = re.compile(r"\.\.\.\[dropped (\d+) characters\]\.\.\.")
_MEDIA = re.compile(
    r'"(?:image_url|input_image|input_file|input_audio|inline_?[dD]ata|file_?[dD]ata|image|document|'
    r'video|audio|file|document_url|video_url)"\s*:|"type":\s*"(?:image|document|container_upload)"'
)
_HOSTED = re.compile(
    r"web_search|webSearch|google_?[sS]earch|code_execution|codeExecution|code_interpreter|file_search|url_?[cC]ontext"
    r"|web_fetch|image_generation|computer|browser_search|x_search|\"mcp\"|mcp_servers|nova_grounding|systemTool|plugins|tool_search"
    r"|context_management|task_budget|groq/compound|compound-beta|MAGIC_STRING|bash_2|text_editor|str_replace_|memory_2|advisor|shell|apply_patch|\"documents\"|citation"
)


SIZES = ((100, "under 100 tokens"), (1000, "100 to 999 tokens"), (sys.maxsize, "1000 tokens and more"))


class Sample(NamedTuple):
    """A request and what the provider counted."""

    ident: str
    provider: str
    model: str
    request: Request
    counted: int


def samples() -> Iterator[Sample]:
    """Every exchange that can be judged."""
    for path in sorted(FOLDER.glob("*.jsonl")):
        for line in path.read_text(encoding="utf8").splitlines():
            exchange = json.loads(line)
            found = sample(exchange)
            if found is not None:
                yield found


def sample(exchange: Mapping[str, Any]) -> Sample | None:
    """What an exchange says; None where it cannot be judged."""
    body = exchange.get("request_json")
    if exchange.get("kind") not in ("generate", "count_tokens") or exchange.get("status") != 200:
        return None
    if not isinstance(body, dict):
        return None
    if exchange["kind"] == "count_tokens":
        inner = body.get("generateContentRequest") or body
        inner = (inner.get("input") or {}).get("converse") or inner if isinstance(inner.get("input"), dict) else inner
        if "invokeModel" in json.dumps(inner):
            return None
        body = inner
    text = json.dumps(body, ensure_ascii=False)
    if _MEDIA.search(text) or _HOSTED.search(text) or "dropped-payload" in text or "previous_response_id" in text:
        return None
    request = read(body)
    counted = usage(exchange)
    if request is None or not counted:
        return None
    if not request.model:
        named = re.search(r"/models?/([^/:]+(?::\d)?)", unquote(exchange.get("endpoint") or ""))
        request = replace(request, model=named[1] if named else "")
    return Sample(exchange["id"], exchange["provider"], request.model, request, counted)


# -- requests -----------------------------------------------------------------------------------------------------


def read(body: Mapping[str, Any]) -> Request | None:
    """A request with the texts of a wire's body, whichever wire it is."""
    messages: list[Message] = []
    system = body.get("system") or body.get("systemInstruction") or body.get("instructions")
    if isinstance(system, Mapping):
        system = system.get("parts")
    parts = tuple(read_parts(system)) if system else ()
    if parts:
        messages.append(Message("system", parts))
    turns = body.get("messages") or body.get("contents") or body.get("input")
    if isinstance(turns, str):
        messages.append(Message.user(restored(turns)))
    for turn in turns if isinstance(turns, list) else ():
        message = read_turn(turn)
        if message is not None:
            messages.append(message)
    if not messages:
        return None
    return Request(
        model=str(body.get("model") or ""),
        messages=tuple(messages),
        tools=tuple(read_tools(body)),
        tool_choice=ToolChoice("none") if body.get("tool_choice") in ("none", {"type": "none"}) else None,
        response_format=read_format(body),
    )


def read_format(body: Mapping[str, Any]) -> ResponseFormat | None:
    """The schema that the answer must fit, wherever a wire has it."""
    config = body.get("generationConfig") or {}
    wanted = body.get("response_format") or (body.get("text") or {}).get("format") or body.get("output_format") or {}
    wanted = (body.get("output_config") or {}).get("format") or wanted
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    schema = schema or (wanted.get("json_schema") or {}).get("schema") or wanted.get("schema")
    return ResponseFormat(schema=schema) if isinstance(schema, Mapping) else None


def read_turn(turn: Mapping[str, Any]) -> Message | None:
    kind = turn.get("type")
    if kind == "function_call":
        return Message("assistant", (ToolCall("c", turn.get("name") or "f", str(turn.get("arguments"))),))
    if kind == "function_call_output":
        return Message("tool", (ToolResult("c", tuple(read_parts(turn.get("output")))),))
    if kind == "reasoning":
        told = "".join(part.get("text") or "" for part in turn.get("summary") or ())
        return Message("assistant", (Reasoning(told, encrypted=turn.get("encrypted_content")),))
    role = {"model": "assistant", "developer": "system", "function": "tool"}.get(turn.get("role"), turn.get("role"))
    parts = list(read_parts(turn.get("content") or turn.get("parts")))
    told = turn.get("reasoning_content") or turn.get("reasoning")
    if isinstance(told, str) and told:
        parts.append(Reasoning(told))
    for call in turn.get("tool_calls") or ():
        function = call.get("function") or {}
        parts.append(ToolCall("c", function.get("name") or "f", str(function.get("arguments"))))
    if role == "tool":
        return Message("tool", (ToolResult("c", tuple(part for part in parts if isinstance(part, Text))),))
    return Message(role, tuple(parts)) if role in ("system", "user", "assistant") and parts else None


def read_parts(content: Any) -> Iterator[Part]:
    if isinstance(content, str):
        yield Text(restored(content))
        return
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            yield Text(restored(part))
        elif isinstance(part, Mapping):
            yield from read_part(part)


def read_part(part: Mapping[str, Any]) -> Iterator[Part]:
    call = part.get("toolUse") or part.get("functionCall") or (part if part.get("type") == "tool_use" else None)
    result = (
        part.get("toolResult") or part.get("functionResponse") or (part if part.get("type") == "tool_result" else None)
    )
    if call is not None:
        arguments = call.get("input") or call.get("args") or {}
        yield ToolCall("c", call.get("name") or "f", json.dumps(arguments, ensure_ascii=False))
    elif result is not None:
        inner = result.get("content") if "content" in result else result.get("response")
        text = inner if isinstance(inner, str) else json.dumps(inner, ensure_ascii=False)
        yield ToolResult("c", (Text(restored(text)),))
    elif part.get("thinking") or part.get("thought") or part.get("reasoningContent"):
        told = part.get("thinking") or part.get("text")
        told = told or ((part.get("reasoningContent") or {}).get("reasoningText") or {}).get("text")
        yield Reasoning(told if isinstance(told, str) else "")
    elif isinstance(part.get("text"), str):
        yield Text(restored(part["text"]))


def read_tools(body: Mapping[str, Any]) -> Iterator[Tool | ProviderTool]:
    tools = body.get("tools") or (body.get("toolConfig") or {}).get("tools") or ()
    for tool in tools if isinstance(tools, list) else ():
        for one in tool.get("functionDeclarations") or [tool.get("function") or tool.get("toolSpec") or tool]:
            schema = (
                one.get("parameters")
                or one.get("parametersJsonSchema")
                or one.get("input_schema")
                or (one.get("inputSchema") or {}).get("json")
            )
            if one.get("name"):
                yield Tool(one["name"], one.get("description") or "", schema or {})


def restored(text: str) -> str:
    """Text whose middle the recording dropped, as long as it was."""
    return _DROPPED.sub(lambda found: ("word " * (int(found[1]) // 5 + 1))[: int(found[1])], text)


# -- usage --------------------------------------------------------------------------------------------------------


def usage(exchange: Mapping[str, Any]) -> int | None:
    """The input tokens that the answer names, cached ones included."""
    counted = [found for value in values(exchange) for found in counts(value) if found]
    return max(counted) if counted else None


def values(exchange: Mapping[str, Any]) -> Iterator[Any]:
    """The JSON values of an answer."""
    if exchange.get("response_body_b64"):
        framer = EventStreamFramer()
        for frame in framer.feed(base64.b64decode(exchange["response_body_b64"])):
            try:
                yield json.loads(frame.data)
            except ValueError:
                continue
        return
    text = exchange.get("response_body") or ""
    try:
        yield json.loads(text)
    except ValueError:
        for line in text.splitlines():
            if line.startswith("data:"):
                try:
                    yield json.loads(line[5:])
                except ValueError:
                    continue


def counts(value: Any) -> Iterator[int]:
    if isinstance(value, list):
        for item in value:
            yield from counts(item)
    if not isinstance(value, Mapping):
        return
    for key in ("prompt_tokens", "promptTokenCount", "totalTokens" if "outputTokens" not in value else "-"):
        if isinstance(value.get(key), int):
            yield value[key]
    own = value.get("input_tokens", value.get("inputTokens"))
    if isinstance(own, int):
        details = (
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
            "cacheReadInputTokens",
            "cacheWriteInputTokens",
        )
        yield own + sum(value.get(name) or 0 for name in details)
    for inner in ("usage", "usageMetadata", "message", "metadata", "response", "x_groq"):
        yield from counts(value.get(inner))


# -- the report ---------------------------------------------------------------------------------------------------


def quantile(errors: list[float], part: float) -> float:
    return sorted(errors)[min(len(errors) - 1, int(part * len(errors)))]


def main() -> None:
    found = list(samples())
    groups: defaultdict[str, list[float]] = defaultdict(list)
    for one in found:
        error = estimate_tokens(one.request) / one.counted - 1
        groups["all"].append(error)
        groups["with tools" if one.request.tools else "without tools"].append(error)
        groups[next(name for most, name in SIZES if one.counted < most)].append(error)
        groups[f"  {one.provider}"].append(error)
        if "-v" in sys.argv:
            print(f"{error:+7.2f} {estimate_tokens(one.request):6} {one.counted:6} {one.ident} {one.model[:40]}")
    print(f"{'':24}{'n':>5} {'median':>8} {'|median|':>8} {'|p95|':>8} {'p5':>7} {'p95':>7}")
    for name, errors in sorted(groups.items(), key=lambda pair: (pair[0].startswith(" "), pair[0])):
        size = [abs(error) for error in errors]
        print(
            f"{name:24}{len(errors):5} {statistics.median(errors):+8.1%} {statistics.median(size):8.1%} "
            f"{quantile(size, 0.95):8.1%} {quantile(errors, 0.05):+7.0%} {quantile(errors, 0.95):+7.0%}"
        )
    short = Request(model="gpt-5.4", messages=(Message.system("You are brief."), Message.user("What is 2+2?")))
    runs = 20_000
    print(f"\na short prompt: {timeit.timeit(lambda: estimate_tokens(short), number=runs) / runs * 1e6:.2f} µs")


if __name__ == "__main__":
    main()
