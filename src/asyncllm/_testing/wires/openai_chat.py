"""OpenAI's chat completions, as the server.

Shapes as in OpenAI's own SDK types (``chat_completion.py``, ``chat_completion_chunk.py``, ``completion_usage.py``);
error messages as the API gave them in public recordings. Compatible hosts say the same, and ``reasoning_content``
besides, which OpenAI itself does not have.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from ..._models.lookup import FactBook
from ..._schema.facts import ModelFacts
from ..listing import ListedModel, listed
from ..model import ModelRequest, OfferedTool, Reply, pieces
from ..record import Arrival
from . import openai_errors, provider_runs
from .framings import SSE, Framing
from .wire import Events, Gathered, Headers, Operation, Problem, Rules, Turn, dumps

_FINISH: Mapping[str, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "stop",
    "pause": "stop",
}


_TOKEN = 4  # characters of a token, as everything here counts
_FREE_TEXT: Mapping[str, Any] = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


@lru_cache(maxsize=256)
def _known(model: str) -> ModelFacts:
    return FactBook().find("openai", model)


@dataclass(frozen=True)
class ChatServer:
    """Answers ``POST /chat/completions``, ``GET /models``.

    Attributes:
        shows_reasoning: reasoning is written as ``reasoning_content``, as many compatible hosts do; else only counted.
        has_responses: the Responses API is there as well, and OpenAI's models that need it for their tools are refused
            here.
    """

    shows_reasoning: bool = False
    has_responses: bool = False

    name: ClassVar[str] = "openai_chat"
    framing: ClassVar[Framing] = SSE
    heartbeat: ClassVar[bytes] = b": keep-alive\n\n"
    waits_in_body: ClassVar[bool] = False

    def operation(self, arrival: Arrival) -> Operation | None:
        """Returns what the request wants; None when the path is not of this format."""
        path = arrival.path
        body = arrival.body if isinstance(arrival.body, dict) else {}
        if path.endswith("/chat/completions") and arrival.method == "POST":
            return Operation(name="generate", model=str(body.get("model") or ""), stream=body.get("stream") is True)
        if arrival.method != "GET":
            return None
        if path.endswith("/models"):
            return Operation(name="models")
        if "/models/" in path:
            return Operation(name="model", model=path.rpartition("/models/")[2])
        return None

    def check(self, arrival: Arrival, operation: Operation, rules: Rules) -> Problem | None:
        """Returns what the provider would refuse the request for; None if it takes it."""
        problem = openai_errors.check_key(arrival.headers, rules)
        if problem is None and operation.name == "generate":
            problem = openai_errors.check_body(arrival.body) or openai_errors.check_answers(arrival.body)
            if problem is None and self.has_responses:
                problem = openai_errors.check_chat_model(arrival.body, _known(operation.model))
        return problem or openai_errors.check_model(operation.model, rules)

    def too_long(self, length: int, window: int) -> Problem:
        """Returns the refusal of a prompt that does not fit the context window."""
        message = (
            f"This model's maximum context length is {window} tokens. However, your messages resulted in {length} "
            "tokens. Please reduce the length of the messages."
        )
        return Problem(status=400, code="context_length_exceeded", message=message, param="messages")

    def parse(self, arrival: Arrival, operation: Operation) -> ModelRequest:
        """Reads a request that passed `check`."""
        body: Mapping[str, Any] = arrival.body
        messages: Sequence[Mapping[str, Any]] = body["messages"]
        gathered = Gathered()
        for tool in body.get("tools") or ():
            gathered.add(json.dumps(tool))
        for message in messages:
            _gather(message, gathered)
        results: list[str] = []
        for message in reversed(messages):
            if message["role"] == "tool":
                results.insert(0, _text_of(message.get("content")))
            elif message["role"] != "user":  # pictures of a result stand in a user message after it
                break
        users = [message for message in messages if message["role"] == "user"]
        effort = body.get("reasoning_effort")
        stop = body.get("stop") or ()
        return ModelRequest(
            provider=arrival.provider,
            model=operation.model,
            stream=operation.stream,
            prompt=_text_of(users[-1].get("content")) if users else "",
            text=gathered.text,
            cache_marks=tuple(gathered.marks),
            tools=tuple(_tools(body)),
            tool_choice=_tool_choice(body.get("tool_choice")),
            parallel=body.get("parallel_tool_calls") is not False,
            tool_results=tuple(results),
            schema=_schema(body.get("response_format")),
            max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
            reasoning=effort is not None and effort != "none",
            hosted_tools=provider_runs.offered(
                [
                    *[tool.get("type") for tool in body.get("tools") or ()],
                    "web_search" if "web_search_options" in body else None,
                ]
            ),
            body=body,
        )

    def unary(self, request: ModelRequest, reply: Reply, turn: Turn) -> bytes:
        """Returns the whole answer."""
        choices = [self._choice(request, reply, turn, at) for at in range(_answers(request))]
        head = {"id": f"chatcmpl-{turn.token}", "object": "chat.completion", "created": int(turn.now)}
        tail = {"service_tier": "default", "system_fingerprint": "fp_51m"}
        usage = _usage(reply, len(choices)) | provider_runs.chat_usage(reply, request.body)
        return dumps({**head, "model": request.model, "choices": choices, "usage": usage, **tail})

    def _choice(self, request: ModelRequest, reply: Reply, turn: Turn, index: int) -> dict[str, Any]:
        """Returns one of the answers; they all say the same."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if reply.refusal is not None or (reply.tool_calls and not reply.text) else reply.text,
            "refusal": reply.refusal,
            "annotations": [],
            **provider_runs.chat_fields(reply, request.body),
        }
        if reply.reasoning and self.shows_reasoning:
            message["reasoning_content"] = reply.reasoning
        if reply.tool_calls:
            custom = _custom_tools(request)
            message["tool_calls"] = [
                {"id": _call_id(turn, at, index), **_called(call.name, call.json, custom)}
                for at, call in enumerate(reply.tool_calls)
            ]
        logged = _logprobs(request, reply.text) if reply.text else None
        return {
            "index": index,
            "message": message,
            "logprobs": logged,
            "finish_reason": _FINISH[reply.finish or "stop"],
        }

    def events(self, request: ModelRequest, reply: Reply, turn: Turn) -> Events:
        """Returns the answer as a stream."""
        options = request.body.get("stream_options") or {}
        with_usage = options.get("include_usage") is True
        common = {
            "id": f"chatcmpl-{turn.token}",
            "object": "chat.completion.chunk",
            "created": int(turn.now),
            "model": request.model,
            "service_tier": "default",
            "system_fingerprint": "fp_51m",
        }
        head = dumps(common)[:-1]
        middle = b',"usage":null' if with_usage else b""
        tail = (
            b"" if options.get("include_obfuscation") is False else b',"obfuscation":"' + turn.token[:9].encode() + b'"'
        )

        def chunk(delta: Mapping[str, Any], finish: str | None = None, index: int = 0) -> bytes:
            logged = _logprobs(request, delta["content"]) if delta.get("content") else None
            choice = dumps({"index": index, "delta": delta, "logprobs": logged, "finish_reason": finish})
            return b'data: %s,"choices":[%s]%s%s}\n\n' % (head, choice, middle, tail)

        thought = pieces(reply.reasoning, turn.chunk_size) if self.shows_reasoning else ()
        content = [chunk({"reasoning_content": piece}) for piece in thought]
        answers = range(_answers(request))
        content += [chunk(delta, index=at) for delta in _deltas(request, reply, turn) for at in answers]
        opening = chunk({"role": "assistant", "content": None if reply.tool_calls else "", "refusal": None})
        closing = [chunk({}, _FINISH[reply.finish or "stop"], at) for at in answers]
        if with_usage:
            usage = dumps(_usage(reply, len(answers)) | provider_runs.chat_usage(reply, request.body))
            closing.append(b'data: %s,"choices":[],"usage":%s%s}\n\n' % (head, usage, tail))
        closing.append(b"data: [DONE]\n\n")
        end = 1 + len(content)
        return Events(data=[opening, *content, *closing], content=range(1, end), end=end)

    def error(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error body."""
        return dumps(openai_errors.body(problem))

    def error_event(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error as an event of a stream."""
        return b"data: " + dumps(openai_errors.body(problem)) + b"\n\n"

    def failed(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error as the body of a 200 that is no stream."""
        return self.error(problem, turn)

    def headers(self, status: int, turn: Turn, code: str | None = None) -> Headers:
        """Returns the request id and the rate limits."""
        return openai_headers(status, turn)

    def look_up(self, arrival: Arrival, operation: Operation, models: Sequence[ListedModel]) -> bytes:
        """Returns the list of models, or one of them."""
        if operation.name == "model":
            return dumps(_entry(listed(operation.model, models)))
        return dumps({"object": "list", "data": [_entry(model) for model in models]})


def openai_headers(status: int, turn: Turn) -> Headers:
    """Returns the request id and the rate limits, as OpenAI sends them with every answer."""
    return (
        ("x-request-id", f"req_{turn.token}"),
        ("openai-processing-ms", "12"),
        ("openai-version", "2020-10-01"),
        ("x-ratelimit-limit-requests", "5000"),
        ("x-ratelimit-limit-tokens", "800000"),
        ("x-ratelimit-remaining-requests", "4999" if status != 429 else "0"),
        ("x-ratelimit-remaining-tokens", "799960"),
        ("x-ratelimit-reset-requests", "12ms" if status != 429 else "1s"),
        ("x-ratelimit-reset-tokens", "3ms"),
    )


def _entry(model: ListedModel) -> dict[str, Any]:
    owner = "org-simulator" if model.base else "simulator"
    facts = {"id": model.name, "object": "model", "created": 1_780_000_000, "owned_by": owner}
    return {**facts, "shutdown_date": model.retires.isoformat() if model.retires else None}


def _answers(request: ModelRequest) -> int:
    """Returns how many answers are asked for."""
    return int(request.body.get("n") or 1)


def _logprobs(request: ModelRequest, text: str) -> dict[str, Any] | None:
    """Returns how likely each token of a text was, where that was asked for; the runners-up are made up."""
    if request.body.get("logprobs") is not True:
        return None
    others = range(int(request.body.get("top_logprobs") or 0))
    found = []
    for piece in pieces(text, _TOKEN):
        rows = [
            {
                "token": piece if not at else f"{piece}{at}",
                "logprob": -0.01 * (at + 1) ** 2,
                "bytes": list(piece.encode()),
            }
            for at in (0, *others[1:])
        ]
        found.append({**rows[0], "top_logprobs": rows[: len(others)]})
    return {"content": found, "refusal": None}


def _custom_tools(request: ModelRequest) -> frozenset[str]:
    tools = request.body.get("tools") or ()
    return frozenset(tool["custom"]["name"] for tool in tools if tool.get("type") == "custom")


def _called(name: str, text: str, custom: frozenset[str]) -> dict[str, Any]:
    """Returns a call; a custom tool is given a text."""
    if name in custom:
        return {"type": "custom", "custom": {"name": name, "input": text}}
    return {"type": "function", "function": {"name": name, "arguments": text}}


def _deltas(request: ModelRequest, reply: Reply, turn: Turn) -> Iterator[dict[str, Any]]:
    word, text = ("content", reply.text) if reply.refusal is None else ("refusal", reply.refusal)
    ran = provider_runs.chat_fields(reply, request.body)
    if "executed_tools" in ran:
        yield ran
    for piece in pieces(text, turn.chunk_size):
        yield {word: piece}
    if "annotations" in ran:
        yield ran
    custom = _custom_tools(request)
    for at, call in enumerate(reply.tool_calls):
        if call.name in custom:
            yield {"tool_calls": [{"index": at, "id": _call_id(turn, at), **_called(call.name, call.json, custom)}]}
            continue
        yield {"tool_calls": [{"index": at, "id": _call_id(turn, at), **_called(call.name, "", custom)}]}
        for piece in pieces(call.json, turn.chunk_size):
            yield {"tool_calls": [{"index": at, "function": {"arguments": piece}}]}


def _call_id(turn: Turn, at: int, index: int = 0) -> str:
    return f"call_{turn.token}{at}{f'_{index}' if index else ''}"


def _usage(reply: Reply, answers: int = 1) -> dict[str, Any]:
    read, written = reply.input_tokens or 0, (reply.output_tokens or 0) * answers
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {
            "cached_tokens": reply.cache_read_tokens,
            "cache_write_tokens": reply.cache_write_tokens,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": reply.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _tools(body: Mapping[str, Any]) -> Iterator[OfferedTool]:
    choice = body.get("tool_choice")
    allowed: set[str] | None = None
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = {each["function"]["name"] for each in choice["allowed_tools"]["tools"]}
    for tool in body.get("tools") or ():
        function = tool.get("function") or {}
        if tool.get("type") == "custom" and allowed is None:
            yield OfferedTool(name=tool["custom"]["name"], parameters=_FREE_TEXT)
        if tool.get("type") == "function" and (allowed is None or function["name"] in allowed):
            yield OfferedTool(name=function["name"], parameters=function.get("parameters") or {})


def _tool_choice(choice: Any) -> str:
    if isinstance(choice, dict):
        if choice.get("type") == "allowed_tools":
            return str(choice["allowed_tools"].get("mode", "auto"))
        return str((choice.get("function") or choice.get("custom") or {}).get("name", "auto"))
    return choice if isinstance(choice, str) else "auto"


def _schema(wanted: Any) -> Mapping[str, Any] | None:
    if not isinstance(wanted, dict) or wanted.get("type") in (None, "text"):
        return None
    return dict((wanted.get("json_schema") or {}).get("schema") or {})


def _gather(message: Mapping[str, Any], gathered: Gathered) -> None:
    content = message.get("content")
    if isinstance(content, str):
        gathered.add(content)
    for part in content if isinstance(content, list) else ():
        gathered.add(str(part.get("text") or part.get("refusal") or json.dumps(part)))
        mark = part.get("prompt_cache_breakpoint")
        if mark:
            gathered.mark(str(mark.get("ttl", "30m")))
    for call in message.get("tool_calls") or ():
        gathered.add(json.dumps(call))


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
