"""Bedrock's Converse and ConverseStream, as the server, with its counts of tokens and the control plane's listings.

Shapes as in botocore's model of ``bedrock-runtime``; key order, padding (``p``) and the missing ``contentBlockStart``
of text as public recordings show them. ``metadata`` follows ``messageStop``, and nothing ends a stream but its body.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from ..listing import ListedModel
from ..model import ModelRequest, OfferedTool, Reply, pieces, tokens
from ..record import Arrival
from . import aws_auth, bedrock_errors, bedrock_models, converse_checks, provider_runs
from .anthropic import signature
from .framings import EVENT_STREAM, message
from .wire import Events, Gathered, Headers, Operation, Problem, Rules, Turn, dumps

_FINISH: Mapping[str, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
    "refusal": "content_filtered",
    "pause": "end_turn",
}
_VERBS: Mapping[str, Operation] = {
    "converse": Operation(name="generate"),
    "converse-stream": Operation(name="generate", stream=True),
    "count-tokens": Operation(name="count_tokens"),
}
_PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class Bedrock:
    """Holds what the formats that Bedrock speaks have in common: errors, exception frames, the request id."""

    framing = EVENT_STREAM
    heartbeat = b""  # there is none: a Bedrock stream that has nothing to say is silent
    waits_in_body = False

    def error(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error body."""
        return bedrock_errors.body(problem)

    def error_event(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error as an exception frame."""
        return bedrock_errors.frame(problem)

    def failed(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error as the body of a 200 that is no stream."""
        return bedrock_errors.body(problem)

    def headers(self, status: int, turn: Turn, code: str | None = None) -> Headers:
        """Returns the request id, and the code of an error."""
        return bedrock_errors.headers(status, turn, code)


class ConverseServer(Bedrock):
    """Answers ``POST /model/{id}/converse``, ``/converse-stream``, ``/count-tokens``; ``GET /foundation-models`` and
    others.
    """

    name = "converse"

    def operation(self, arrival: Arrival) -> Operation | None:
        """Returns what the request wants; None when the path is not of this format."""
        return bedrock_models.operation(arrival) or model_operation(arrival, _VERBS)

    def check(self, arrival: Arrival, operation: Operation, rules: Rules) -> Problem | None:
        """Returns what the provider would refuse the request for; None if it takes it."""
        problem = aws_auth.check(arrival, rules.keys)
        if problem is not None:
            return problem
        if operation.name == "model" and rules.models is not None:
            return None if bedrock_models.exists(operation.model, rules.models) else bedrock_errors.unknown_model()
        if problem := bedrock_errors.check_model(operation.model, rules):
            return problem
        if operation.name not in ("generate", "count_tokens"):
            return None
        signed = rules.signatures and "anthropic." in operation.model  # other models sign nothing and take it unsigned
        return converse_checks.check_body(_body(arrival, operation), signature if signed else None)

    def too_long(self, length: int, window: int) -> Problem:
        """Returns the refusal of a prompt that does not fit the context window."""
        return bedrock_errors.bad("The model returned the following errors: Input is too long for requested model.")

    def parse(self, arrival: Arrival, operation: Operation) -> ModelRequest:
        """Reads a request that passed `check`."""
        body = _body(arrival, operation)
        messages: Sequence[Mapping[str, Any]] = body["messages"]
        settings = body.get("inferenceConfig") or {}
        config = body.get("toolConfig") or {}
        choice = config.get("toolChoice") or {}
        more = body.get("additionalModelRequestFields") or {}
        claudes = more.get("tool_choice") or {}
        gathered = _gathered(body)
        texts = [text for said in messages if said["role"] == "user" and (text := _text_of(said["content"]))]
        named = (choice.get("tool") or {}).get("name")
        return ModelRequest(
            provider=arrival.provider,
            model=operation.model,
            stream=operation.stream,
            prompt=texts[-1] if texts else "",
            text=gathered.text,
            cache_marks=tuple(gathered.marks),
            tools=tuple(_tools(config)),
            tool_choice=named
            or ("required" if "any" in choice else "none" if claudes.get("type") == "none" else "auto"),
            parallel=claudes.get("disable_parallel_tool_use") is not True,
            tool_results=tuple(_results(messages[-1])),
            schema=_schema(body),
            max_tokens=settings.get("maxTokens"),
            stop=tuple(settings.get("stopSequences") or ()),
            reasoning="omitted" if (more.get("thinking") or {}).get("display") == "omitted" else _reasons(more),
            hosted_tools=provider_runs.offered(
                [tool["systemTool"].get("name") for tool in config.get("tools") or () if "systemTool" in tool]
            ),
            body=body,
        )

    def unary(self, request: ModelRequest, reply: Reply, turn: Turn) -> bytes:
        """Returns the whole answer."""
        content = [block for block, _ in _blocks(request, reply, turn)]
        answer = {"output": {"message": {"role": "assistant", "content": content}}, **_ending(request, reply)}
        return dumps({"metrics": {"latencyMs": 12}, **answer, "usage": _usage(request, reply)})

    def events(self, request: ModelRequest, reply: Reply, turn: Turn) -> Events:
        """Returns the answer as a stream."""
        told: list[tuple[str, dict[str, Any]]] = [("messageStart", {"role": "assistant"})]
        content: list[int] = []
        for index, (block, deltas) in enumerate(_blocks(request, reply, turn)):
            where = {"contentBlockIndex": index}
            if "toolUse" in block and "type" not in block["toolUse"]:
                begun = {word: block["toolUse"][word] for word in ("name", "toolUseId")}
                content.append(len(told))
                told.append(("contentBlockStart", {**where, "start": {"toolUse": begun}}))
            ran = _ran(block)
            if ran is not None:
                told.append(("contentBlockStart", {**where, "start": ran}))
            for delta in deltas:
                if ran is None and "signature" not in delta.get("reasoningContent", ()):
                    content.append(len(told))
                told.append(("contentBlockDelta", {**where, "delta": delta}))
            told.append(("contentBlockStop", where))
        end = len(told)
        told.append(("messageStop", _ending(request, reply)))
        told.append(("metadata", {"metrics": {"latencyMs": 12}, "usage": _usage(request, reply)}))
        data = [message(name, padded(value, turn, at)) for at, (name, value) in enumerate(told)]
        return Events(data=data, content=content, end=end)

    def look_up(self, arrival: Arrival, operation: Operation, models: Sequence[ListedModel]) -> bytes:
        """Returns a count of tokens, or what the control plane lists."""
        if operation.name == "count_tokens":
            return dumps({"inputTokens": tokens(self.parse(arrival, operation).text)})
        return bedrock_models.look_up(arrival, operation, models)


def model_operation(arrival: Arrival, verbs: Mapping[str, Operation]) -> Operation | None:
    """Returns what ``POST /model/{id}/{verb}`` wants; None when the path is no such or the verb is not among these."""
    start, _, rest = arrival.path.lstrip("/").partition("/")
    name, _, verb = rest.rpartition("/")
    known = verbs.get(verb)
    if arrival.method != "POST" or start != "model" or not name or known is None:
        return None
    return Operation(name=known.name, model=unquote(name), stream=known.stream)


def padded(value: Mapping[str, Any], turn: Turn, at: int) -> bytes:
    """Returns an event's JSON, its keys in order, with the padding that hides its length."""
    length = 1 + (int(turn.token[:6], 16) + at * 37) % len(_PADDING)
    return dumps(dict(sorted({**value, "p": _PADDING[:length]}.items())))


def _body(arrival: Arrival, operation: Operation) -> Any:
    """Returns the conversation: the body itself, or what a count of tokens wraps."""
    body = arrival.body
    if operation.name != "count_tokens" or not isinstance(body, dict):
        return body
    wrapped = body.get("input") or {}
    if "invokeModel" in wrapped:
        return _counted(json.loads(b64decode(wrapped["invokeModel"]["body"])))
    return wrapped.get("converse")


def _counted(claude: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a Messages body as the conversation that its tokens are counted of."""
    return {"messages": [{"role": "user", "content": [{"text": json.dumps(claude["messages"])}]}]}


def _ending(request: ModelRequest, reply: Reply) -> dict[str, Any]:
    ending: dict[str, Any] = {"stopReason": _FINISH[reply.finish or "stop"]}
    if reply.stop_sequence and "/stop_sequence" in (request.body.get("additionalModelResponseFieldPaths") or ()):
        ending["additionalModelResponseFields"] = {"stop_sequence": reply.stop_sequence}
    return ending


def _blocks(request: ModelRequest, reply: Reply, turn: Turn) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Yields each block whole, and the deltas a stream builds it from."""
    if reply.reasoning and request.reasoning:
        yield _thinking(request, reply, turn)
    for ran, result in provider_runs.converse_blocks(reply, turn.token):
        asked = pieces(json.dumps(ran["toolUse"]["input"], ensure_ascii=False), turn.chunk_size)
        yield ran, [{"toolUse": {"input": piece}} for piece in asked]
        yield result, [{"toolResult": result["toolResult"]["content"]}]
    text = reply.refusal or reply.text
    if text or not (reply.tool_calls or reply.reasoning):
        yield {"text": text}, [{"text": piece} for piece in pieces(text, turn.chunk_size)]
    for at, call in enumerate(reply.tool_calls):
        use = {"input": _object(call.json), "name": call.name, "toolUseId": f"tooluse_{turn.token}{at}"}
        yield {"toolUse": use}, [{"toolUse": {"input": piece}} for piece in pieces(call.json, turn.chunk_size)]


def _ran(block: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns how a stream begins the block of a tool that Bedrock runs; None for other blocks."""
    kind = next(iter(block))
    if "type" not in (block[kind] if kind in ("toolUse", "toolResult") else ()):
        return None
    return {kind: {name: value for name, value in block[kind].items() if name not in ("input", "content")}}


def _thinking(request: ModelRequest, reply: Reply, turn: Turn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    if reply.redacted:
        hidden = {"reasoningContent": {"redactedContent": b64encode(reply.reasoning.encode()).decode()}}
        return hidden, [hidden]
    shown = "" if request.reasoning == "omitted" else reply.reasoning
    texts = [{"reasoningContent": {"text": piece}} for piece in pieces(shown, turn.chunk_size)]
    whole = {"reasoningText": {"signature": signature(shown), "text": shown}}
    return {"reasoningContent": whole}, [*texts, {"reasoningContent": {"signature": signature(shown)}}]


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _usage(request: ModelRequest, reply: Reply) -> dict[str, Any]:
    read, written = reply.cache_read_tokens or 0, reply.cache_write_tokens or 0
    total, said = reply.input_tokens or 0, reply.output_tokens or 0
    usage: dict[str, Any] = {"cacheReadInputTokens": read, "cacheWriteInputTokens": written}
    if written and request.cache_marks:
        usage["cacheDetails"] = [{"inputTokens": written, "ttl": request.cache_marks[-1][1]}]
    return {**usage, "inputTokens": total - read - written, "outputTokens": said, "totalTokens": total + said}


def _reasons(more: Mapping[str, Any]) -> bool:
    """Whether reasoning is asked for, in the words of any of the models."""
    thinking = (more.get("thinking") or more.get("reasoningConfig") or {}).get("type", "disabled")
    effort = more.get("reasoning_effort") or more.get("reasoning_config") or (more.get("reasoning") or {}).get("effort")
    return thinking != "disabled" or effort not in (None, "none")


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    wanted = (body.get("outputConfig") or {}).get("textFormat")
    return json.loads(wanted["structure"]["jsonSchema"]["schema"]) if wanted else None


def _tools(config: Mapping[str, Any]) -> Iterator[OfferedTool]:
    for tool in config.get("tools") or ():
        if "toolSpec" in tool:
            yield OfferedTool(name=tool["toolSpec"]["name"], parameters=tool["toolSpec"]["inputSchema"]["json"])


def _gathered(body: Mapping[str, Any]) -> Gathered:
    """Returns the prompt in the order it is cached: tools, system, messages."""
    gathered = Gathered()
    blocks = [*((body.get("toolConfig") or {}).get("tools") or ()), *(body.get("system") or ())]
    for block in [*blocks, *(block for said in body["messages"] for block in said["content"])]:
        if "cachePoint" in block:
            gathered.mark(str(block["cachePoint"].get("ttl", "5m")))
        else:
            gathered.add(block["text"] if "text" in block else json.dumps(block))
    return gathered


def _text_of(content: Sequence[Mapping[str, Any]]) -> str:
    return "".join(str(block.get("text", "")) for block in content)


def _results(said: Mapping[str, Any]) -> Iterator[str]:
    """Yields the tool results in the last message, as text."""
    for block in said["content"]:
        if "toolResult" in block:
            parts = block["toolResult"].get("content") or ()
            yield "".join(part["text"] if "text" in part else json.dumps(part.get("json")) for part in parts)
