"""Anthropic's Messages API, as the server.

Shapes as in Anthropic's own SDK types (``message.py``, ``raw_message_stream_event.py``, ``usage.py``,
``model_info.py``); a ``ping`` after the first block has begun and blanks at the end of data lines, as public
recordings show them.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qs

from ..listing import ListedModel, listed, moment
from ..model import ModelRequest, OfferedTool, Reply, pieces, tokens
from ..record import Arrival
from . import anthropic_errors, provider_runs
from .framings import SSE
from .wire import Events, Gathered, Headers, Operation, Problem, Rules, Turn, accepted, dumps

_FINISH: Mapping[str, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
}

_CHOICE: Mapping[str, str] = {"any": "required", "none": "none"}
_TOLD = ("text", "thinking", "tool_use")  # the blocks whose deltas are content for the caller


class Anthropic:
    """Answers ``POST /v1/messages``, ``POST /v1/messages/count_tokens``, ``GET /v1/models``."""

    name = "anthropic"
    framing = SSE
    heartbeat = b'event: ping\ndata: {"type": "ping"}\n\n'
    waits_in_body = False

    def operation(self, arrival: Arrival) -> Operation | None:
        """Returns what the request wants; None when the path is not of this format."""
        path = arrival.path
        body = arrival.body if isinstance(arrival.body, dict) else {}
        model = str(body.get("model") or "")
        if arrival.method == "POST" and path == "/v1/messages":
            return Operation(name="generate", model=model, stream=body.get("stream") is True)
        if arrival.method == "POST" and path == "/v1/messages/count_tokens":
            return Operation(name="count_tokens", model=model)
        if arrival.method == "GET" and path == "/v1/models":
            return Operation(name="models")
        if arrival.method == "GET" and path.startswith("/v1/models/"):
            return Operation(name="model", model=path.removeprefix("/v1/models/"))
        return None

    def check(self, arrival: Arrival, operation: Operation, rules: Rules) -> Problem | None:
        """Returns what the provider would refuse the request for; None if it takes it."""
        key = (
            arrival.headers.get("x-api-key") or arrival.headers.get("authorization", "").removeprefix("Bearer ").strip()
        )
        if rules.keys is not None and not accepted(key, rules.keys):
            message = "invalid x-api-key" if key else "x-api-key header is required"
            return Problem(status=401, message=message)
        if "anthropic-version" not in arrival.headers:
            return Problem(status=400, message="anthropic-version: header is required")
        if operation.name in ("generate", "count_tokens"):
            problem = anthropic_errors.check_body(
                arrival.body,
                version=arrival.headers["anthropic-version"],
                counting=operation.name == "count_tokens",
                signature=signature if rules.signatures else None,
                continued=arrival.continued,
            )
            if problem is not None:
                return problem
        if operation.model and rules.models is not None and operation.model not in rules.models:
            return Problem(status=404, message=f"model: {operation.model}")
        return None

    def too_long(self, length: int, window: int) -> Problem:
        """Returns the refusal of a prompt that does not fit the context window."""
        return Problem(status=400, message=f"prompt is too long: {length} tokens > {window} maximum")

    def parse(self, arrival: Arrival, operation: Operation) -> ModelRequest:
        """Reads a request that passed `check`."""
        body: Mapping[str, Any] = arrival.body
        messages: Sequence[Mapping[str, Any]] = body["messages"]
        choice = body.get("tool_choice") or {}
        gathered = _gathered(body)
        users = [message for message in messages if message["role"] == "user"]
        texts = [text for message in users if (text := _text_of(message["content"]))]
        thinking = body.get("thinking") or {}
        reasons = thinking.get("type", "disabled") != "disabled"
        return ModelRequest(
            provider=arrival.provider,
            model=operation.model,
            stream=operation.stream,
            prompt=texts[-1] if texts else "",
            text=gathered.text,
            cache_marks=tuple(gathered.marks),
            tools=tuple(
                OfferedTool(name=tool["name"], parameters=tool["input_schema"])
                for tool in body.get("tools") or ()
                if "input_schema" in tool
            ),
            tool_choice=str(choice.get("name") or _CHOICE.get(str(choice.get("type")), "auto")),
            parallel=choice.get("disable_parallel_tool_use") is not True,
            tool_results=tuple(_results(messages[-1])),
            schema=((body.get("output_config") or {}).get("format") or {}).get("schema"),
            max_tokens=body.get("max_tokens"),
            stop=tuple(body.get("stop_sequences") or ()),
            reasoning="omitted" if reasons and thinking.get("display") == "omitted" else reasons,
            hosted_tools=provider_runs.offered(
                [*[tool.get("type") for tool in body.get("tools") or ()], "mcp" if body.get("mcp_servers") else None]
            ),
            body=body,
        )

    def unary(self, request: ModelRequest, reply: Reply, turn: Turn) -> bytes:
        """Returns the whole answer."""
        blocks = [block for block, _ in _blocks(request, reply, turn)]
        message = _message(request, turn, _usage(request, reply))
        container = provider_runs.claude_container(reply, turn.token, turn.now)
        return dumps({**message, "content": blocks, **_ending(reply), **container})

    def events(self, request: ModelRequest, reply: Reply, turn: Turn) -> Events:
        """Returns the answer as a stream."""
        usage = _usage(request, reply)
        later = ("output_tokens_details", "server_tool_use", "iterations")
        begun = {word: value for word, value in usage.items() if word not in later} | {"output_tokens": 1}
        opening = {**_message(request, turn, begun), "stop_reason": None, "stop_sequence": None}
        data = [_event({"type": "message_start", "message": opening})]
        content: list[int] = []
        for index, (block, deltas) in enumerate(_blocks(request, reply, turn)):
            # a call and what is encrypted are content from their first event; text and thinking when there is some
            if block["type"] in ("tool_use", "redacted_thinking"):
                content.append(len(data))
            data.append(_event({"type": "content_block_start", "index": index, "content_block": _begun(block)}))
            if index == 0:
                data.append(self.heartbeat)
            for delta in deltas:
                if block["type"] in _TOLD and any(delta.get(word) for word in ("text", "thinking", "partial_json")):
                    content.append(len(data))
                data.append(_event({"type": "content_block_delta", "index": index, "delta": delta}))
            data.append(_event({"type": "content_block_stop", "index": index}))
        end = len(data)
        ending = {**_ending(reply), **provider_runs.claude_container(reply, turn.token, turn.now)}
        data.append(_event({"type": "message_delta", "delta": ending, "usage": usage}))
        data.append(_event({"type": "message_stop"}))
        return Events(data=data, content=content, end=end)

    def error(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error body."""
        return dumps(anthropic_errors.body(problem, f"req_{turn.token}"))

    def error_event(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error as an event of a stream."""
        return b"event: error\ndata: " + self.error(problem, turn) + b"\n\n"

    def failed(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error as the body of a 200 that is no stream."""
        return self.error(problem, turn)

    def headers(self, status: int, turn: Turn, code: str | None = None) -> Headers:
        """Returns the request id and the rate limits."""
        reset = datetime.fromtimestamp(int(turn.now) + 1, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        retry = (("x-should-retry", "false"),) if 400 <= status < 500 and status not in (408, 409, 429) else ()
        return (
            ("request-id", f"req_{turn.token}"),
            ("anthropic-organization-id", "00000000-0000-4000-8000-000000000000"),
            ("anthropic-ratelimit-requests-limit", "4000"),
            ("anthropic-ratelimit-requests-remaining", "3999" if status != 429 else "0"),
            ("anthropic-ratelimit-requests-reset", reset),
            ("anthropic-ratelimit-tokens-limit", "2400000"),
            ("anthropic-ratelimit-tokens-remaining", "2399000"),
            ("anthropic-ratelimit-tokens-reset", reset),
            *retry,
        )

    def look_up(self, arrival: Arrival, operation: Operation, models: Sequence[ListedModel]) -> bytes:
        """Returns the list of models by pages, one of them, or a count of tokens."""
        if operation.name == "count_tokens":
            return dumps({"input_tokens": tokens(self.parse(arrival, operation).text)})
        if operation.name == "model":
            return dumps(_entry(listed(operation.model, models)))
        asked = parse_qs(arrival.query)
        wanted = asked.get("lifecycle[]", ["active", "deprecated"])
        entries = [entry for entry in map(_entry, models) if entry["lifecycle"] in wanted]
        names = [entry["id"] for entry in entries]
        after, limit = asked.get("after_id", [""])[0], asked.get("limit", [""])[0]
        start = names.index(after) + 1 if after in names else 0
        end = start + (int(limit) if limit.isdigit() else 20)
        page = entries[start:end]
        bounds = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
        return dumps({"data": page, "has_more": end < len(entries), **bounds})


def signature(thinking: str) -> str:
    """Returns the signature this server gives to a thinking text, and demands back."""
    return "Esim" + b64encode(blake2b(thinking.encode("utf-8", "surrogatepass"), digest_size=45).digest()).decode()


def _entry(model: ListedModel) -> dict[str, Any]:
    retired = model.retired(datetime.now(timezone.utc).date())
    return {
        "type": "model",
        "id": model.name,
        "display_name": model.name.replace("-", " ").title(),
        "created_at": "2026-06-01T00:00:00Z",
        "lifecycle": "retired" if retired else "deprecated" if model.deprecated else "active",
        "deprecated_at": moment(model.deprecated),
        "retires_at": moment(model.retires),
        "max_input_tokens": 1_000_000,
        "max_tokens": 128_000,
    }


def _event(value: Mapping[str, Any]) -> bytes:
    data = dumps(value)
    return b"event: %s\ndata: %s%s\n\n" % (str(value["type"]).encode(), data, b" " * (len(data) % 8))


def _message(request: ModelRequest, turn: Turn, usage: Mapping[str, Any]) -> dict[str, Any]:
    head = {"id": f"msg_{turn.token}", "type": "message", "role": "assistant", "model": request.model}
    return {**head, "content": [], "usage": usage}


def _ending(reply: Reply) -> dict[str, Any]:
    details = None
    if reply.finish in ("refusal", "content_filter"):
        details = {"type": "refusal", "category": "general_harms", "explanation": reply.refusal}
    reason = _FINISH[reply.finish or "stop"]
    return {"stop_reason": reason, "stop_sequence": reply.stop_sequence, "stop_details": details}


def _blocks(request: ModelRequest, reply: Reply, turn: Turn) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Yields each block whole, and the deltas a stream builds it from."""
    if reply.reasoning and request.reasoning:
        yield _thinking(request, reply, turn)
    for ran, result in provider_runs.claude_blocks(reply, request.body, turn.token):
        asked = pieces(json.dumps(ran["input"], ensure_ascii=False), turn.chunk_size)
        yield ran, [{"type": "input_json_delta", "partial_json": piece} for piece in asked]
        yield result, []
    if summed := _compaction(request):
        block = summed[0]
        yield block, [{"type": "compaction_delta", "content": block["content"]}]
    text = reply.refusal or reply.text
    if text:
        citations = provider_runs.claude_citations(reply, text)
        deltas = [{"type": "citations_delta", "citation": citation} for citation in citations]
        deltas += [{"type": "text_delta", "text": piece} for piece in pieces(text, turn.chunk_size)]
        yield {"type": "text", "text": text, **({"citations": citations} if citations else {})}, deltas
    for at, call in enumerate(reply.tool_calls):
        block = {"type": "tool_use", "id": f"toolu_{turn.token}{at}", "name": call.name, "input": _object(call.json)}
        deltas = [{"type": "input_json_delta", "partial_json": ""}]
        if block["input"] or call.json != "{}":
            deltas += [{"type": "input_json_delta", "partial_json": it} for it in pieces(call.json, turn.chunk_size)]
        yield block, deltas


def _compaction(request: ModelRequest) -> tuple[dict[str, Any], dict[str, Any]] | None:
    return provider_runs.claude_compaction(request.body, tokens(request.text), tokens(request.prompt) + 12)


def _thinking(request: ModelRequest, reply: Reply, turn: Turn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    if reply.redacted:
        return {"type": "redacted_thinking", "data": b64encode(reply.reasoning.encode()).decode()}, []
    shown = "" if request.reasoning == "omitted" else reply.reasoning
    deltas: list[dict[str, Any]] = [
        {"type": "thinking_delta", "thinking": piece} for piece in pieces(shown, turn.chunk_size)
    ]
    deltas.append({"type": "signature_delta", "signature": signature(shown)})
    return {"type": "thinking", "thinking": shown, "signature": signature(shown)}, deltas


def _begun(block: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a block as ``content_block_start`` shows it: its texts still empty."""
    empty: dict[str, dict[str, Any]] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
        "server_tool_use": {"input": {}},
        "mcp_tool_use": {"input": {}},
        "compaction": {"content": None},
    }
    begun = {**block, **empty.get(str(block["type"]), {})}
    return {**begun, "citations": []} if block.get("citations") else begun


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _usage(request: ModelRequest, reply: Reply) -> dict[str, Any]:
    read, written = reply.cache_read_tokens or 0, reply.cache_write_tokens or 0
    hour = written if request.cache_marks and request.cache_marks[-1][1] == "1h" else 0
    return {
        "input_tokens": (reply.input_tokens or 0) - read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": written - hour, "ephemeral_1h_input_tokens": hour},
        "output_tokens": reply.output_tokens,
        "output_tokens_details": {"thinking_tokens": reply.reasoning_tokens},
        "service_tier": "standard",
        **provider_runs.claude_usage(reply, request.body),
        **(summed[1] if (summed := _compaction(request)) else {}),
    }


def _gathered(body: Mapping[str, Any]) -> Gathered:
    """Returns the prompt in the order it is cached: tools, system, messages."""
    gathered = Gathered()
    for tool in body.get("tools") or ():
        _add(tool, gathered)
    system = body.get("system") or ()
    for block in [{"type": "text", "text": system}] if isinstance(system, str) else system:
        _add(block, gathered)
    said: list[dict[str, Any]] = []
    for message in body["messages"]:
        content = message["content"]
        said += [{"type": "text", "text": content}] if isinstance(content, str) else content
    for block in provider_runs.since_compaction(said):
        _add(block, gathered)
    if body.get("cache_control"):
        gathered.mark(str(body["cache_control"].get("ttl", "5m")))
    return gathered


def _add(block: Mapping[str, Any], gathered: Gathered) -> None:
    mark = block.get("cache_control")
    if block.get("type") == "text":
        gathered.add(str(block["text"]))
    else:
        gathered.add(json.dumps({key: value for key, value in block.items() if key != "cache_control"}))
    if mark:
        gathered.mark(str(mark.get("ttl", "5m")))


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(block.get("text", "")) for block in content if block.get("type") == "text")
    return str(content)


def _results(message: Mapping[str, Any]) -> Iterator[str]:
    """Yields the tool results in the last message, as text."""
    for block in message["content"] if isinstance(message["content"], list) else ():
        if block.get("type") == "tool_result":
            yield _text_of(block.get("content") or "")
