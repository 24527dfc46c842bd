"""OpenAI's Responses API, as the server.

Shapes as in OpenAI's own SDK types (``response.py``, ``response_stream_event.py``, ``response_usage.py``); error
messages as the API gave them in public recordings.

What is kept of responses and conversations is in `asyncllm._testing.kept`; a request arrives here with its history. A
reasoning item that a client sends must have the encrypted content that it was given for
``include: ["reasoning.encrypted_content"]``. What is read back was sealed here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..listing import ListedModel
from ..model import ModelRequest, OfferedTool, Reply, pieces, tokens
from ..record import Arrival
from . import openai_errors, provider_runs, responses_checks
from .framings import SSE
from .openai_chat import openai_headers
from .responses_checks import SEALED
from .wire import Events, Gathered, Headers, Operation, Problem, Rules, Turn, dumps

ENCRYPTED = "reasoning.encrypted_content"
# The API's words for a failure in mid-answer (response_error.py); other failures are `error` events.
_FAILED: Mapping[int, str] = {429: "rate_limit_exceeded", 500: "server_error"}


class ResponsesServer:
    """Answers ``POST /responses``, ``POST /responses/input_tokens``."""

    name = "openai_responses"
    framing = SSE
    heartbeat = b": keep-alive\n\n"
    waits_in_body = False

    def operation(self, arrival: Arrival) -> Operation | None:
        """Returns what the request wants; None when the path is not of this format."""
        if arrival.method != "POST":
            return None
        body = arrival.body if isinstance(arrival.body, dict) else {}
        model = str(body.get("model") or "")
        if arrival.path.endswith("/responses"):
            return Operation(name="generate", model=model, stream=body.get("stream") is True)
        if arrival.path.endswith("/responses/input_tokens"):
            return Operation(name="count_tokens", model=model)
        return None

    def check(self, arrival: Arrival, operation: Operation, rules: Rules) -> Problem | None:
        """Returns what the provider would refuse the request for; None if it takes it."""
        problem = openai_errors.check_key(arrival.headers, rules)
        if problem is None:
            problem = responses_checks.check_body(
                arrival.body, signatures=rules.signatures, continued=arrival.continued
            )
        return problem or openai_errors.check_model(operation.model, rules)

    def too_long(self, length: int, window: int) -> Problem:
        """Returns the refusal of a prompt that does not fit the context window."""
        message = "Your input exceeds the context window of this model. Please adjust your input and try again."
        return Problem(status=400, code="context_length_exceeded", message=message, param="input")

    def parse(self, arrival: Arrival, operation: Operation) -> ModelRequest:
        """Reads a request that passed `check`."""
        body: Mapping[str, Any] = arrival.body
        items = _items(body)
        gathered = _gathered(body, provider_runs.since_compaction(items))
        users = [text for item in items if item.get("role") == "user" and (text := _text_of(item.get("content")))]
        reasoning = body.get("reasoning") or {}
        wanted = ((body.get("text") or {}).get("format")) or {}
        asked = reasoning.get("effort") not in (None, "none") or bool(reasoning.get("summary"))
        return ModelRequest(
            provider=arrival.provider,
            model=operation.model,
            stream=operation.stream,
            prompt=users[-1] if users else "",
            text=gathered.text,
            cache_marks=tuple(gathered.marks),
            tools=tuple(_tools(body)),
            tool_choice=_tool_choice(body.get("tool_choice")),
            parallel=body.get("parallel_tool_calls") is not False,
            tool_results=tuple(_results(items)),
            schema=None if wanted.get("type", "text") == "text" else wanted.get("schema") or {},
            max_tokens=body.get("max_output_tokens"),
            reasoning=asked if reasoning.get("summary") else asked and "omitted",
            hosted_tools=provider_runs.offered([tool.get("type") for tool in body.get("tools") or ()]),
            body=body,
        )

    def unary(self, request: ModelRequest, reply: Reply, turn: Turn) -> bytes:
        """Returns the whole answer."""
        if request.body.get("background") is True and not request.body.get("done"):
            return dumps(_response(request, turn, status="queued", output=[], usage=None, completed_at=None))
        return dumps(_response(request, turn, **_ending(request, reply, turn)))

    def events(self, request: ModelRequest, reply: Reply, turn: Turn) -> Events:
        """Returns the answer as a stream."""
        hidden = (request.body.get("stream_options") or {}).get("include_obfuscation") is False
        blur = {} if hidden else {"obfuscation": turn.token[:9]}
        started: dict[str, Any] = {"status": "in_progress", "output": [], "usage": None, "completed_at": None}
        opening = _response(request, turn, **started)
        told: list[dict[str, Any]] = [{"type": f"response.{word}", "response": opening} for word in _BEGINNING]
        content: list[int] = []
        for index, item in enumerate(_output(request, reply, turn)):
            for event in _item_events(item, turn):
                if event["type"].endswith(".delta"):
                    event.update(blur)
                if event["type"] in _CONTENT or _begins_call(event):
                    content.append(len(told))
                told.append({**event, "output_index": index})
        end = len(told)
        ending = _ending(request, reply, turn)
        told.append({"type": f"response.{ending['status']}", "response": _response(request, turn, **ending)})
        return Events(data=[_event(event, number) for number, event in enumerate(told)], content=content, end=end)

    def error(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error body."""
        return dumps(openai_errors.body(problem))

    def error_event(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error as an event: ``response.failed`` where the model failed, else ``error``."""
        if problem.status in _FAILED:
            return _event({"type": "response.failed", "response": _failure(problem, turn)}, 99)
        error = openai_errors.body(problem)["error"]
        del error["type"]
        return _event({"type": "error", **error}, 99)

    def failed(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error as the body of a 200 that is no stream: a response that failed."""
        return dumps(_failure(problem, turn))

    def headers(self, status: int, turn: Turn, code: str | None = None) -> Headers:
        """Returns the request id and the rate limits."""
        return openai_headers(status, turn)

    def look_up(self, arrival: Arrival, operation: Operation, models: Sequence[ListedModel]) -> bytes:
        """Returns a count of tokens."""
        total = tokens(self.parse(arrival, operation).text)
        return dumps({"object": "response.input_tokens", "input_tokens": total})


_BEGINNING = ("created", "in_progress")
# The events that are content for the caller.
_CONTENT = frozenset(
    f"response.{word}.delta" for word in ("output_text", "refusal", "reasoning_summary_text", "function_call_arguments")
)
# What an item lacks when a stream begins it.
_EMPTY: Mapping[str, Mapping[str, Any]] = {
    "message": {"content": [], "status": "in_progress"},
    "reasoning": {"summary": []},
    "function_call": {"arguments": "", "status": "in_progress"},
    **provider_runs.RESPONSES_EMPTY,
}


def _event(event: Mapping[str, Any], number: int) -> bytes:
    kind = str(event["type"])
    rest = {name: value for name, value in event.items() if name != "type"}
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), dumps({"type": kind, "sequence_number": number, **rest}))


def _begins_call(event: Mapping[str, Any]) -> bool:
    return (event["type"], event.get("item", {}).get("type")) == ("response.output_item.added", "function_call")


def _response(request: ModelRequest, turn: Turn, **found: Any) -> dict[str, Any]:
    """Returns a response object; ``found`` is what the model's answer says."""
    body = request.body
    asked = {
        name: body.get(name) for name in ("instructions", "max_output_tokens", "reasoning", "temperature", "top_p")
    }
    return {
        "id": f"resp_{turn.token}",
        "object": "response",
        "created_at": int(turn.now),
        "error": None,
        "incomplete_details": None,
        "model": request.model,
        **found,
        **asked,
        "parallel_tool_calls": request.parallel,
        "previous_response_id": body.get("previous_response_id"),
        "background": body.get("background") is True,
        "conversation": _conversation(body.get("conversation")),
        "service_tier": "default",
        "store": body.get("store") is not False,
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "truncation": "disabled",
        "metadata": body.get("metadata") or {},
    }


def _conversation(given: Any) -> dict[str, Any] | None:
    return None if given is None else {"id": given["id"] if isinstance(given, dict) else given}


def _ending(request: ModelRequest, reply: Reply, turn: Turn) -> dict[str, Any]:
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(reply.finish or "stop")
    return {
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "completed_at": None if reason else int(turn.now),
        "output": _output(request, reply, turn),
        "usage": _usage(reply),
        **provider_runs.response_tool_usage(reply),
    }


def _failure(problem: Problem, turn: Turn) -> dict[str, Any]:
    error = openai_errors.body(problem)["error"]
    told = {"code": problem.code or _FAILED.get(problem.status) or error["code"] or "server_error"}
    nobody = ModelRequest(provider="", model="")
    return _response(nobody, turn, status="failed", output=[], usage=None, error={**told, "message": error["message"]})


def _output(request: ModelRequest, reply: Reply, turn: Turn) -> list[dict[str, Any]]:
    """Returns the items of the answer, whole."""
    status = "incomplete" if reply.finish == "length" else "completed"
    items: list[dict[str, Any]] = []
    if reply.reasoning:
        shown = request.reasoning is True
        item: dict[str, Any] = {"type": "reasoning", "id": f"rs_{turn.token}", "summary": []}
        if shown:
            item["summary"] = [{"type": "summary_text", "text": reply.reasoning}]
        if ENCRYPTED in (request.body.get("include") or ()):
            item["encrypted_content"] = SEALED.seal(reply.reasoning)
        items.append(item)
    items += provider_runs.response_items(reply, request.body, turn.token, tokens(request.text), SEALED.seal)
    if reply.text or reply.refusal is not None or not reply.tool_calls:
        cited = provider_runs.response_annotations(reply) if reply.text else []
        part: dict[str, Any] = {"type": "output_text", "text": reply.text, "annotations": cited, "logprobs": []}
        if reply.refusal is not None:
            part = {"type": "refusal", "refusal": reply.refusal}
        head = {"type": "message", "id": f"msg_{turn.token}", "status": status, "role": "assistant"}
        items.append({**head, "phase": "final_answer", "content": [part]})
    # the id tells the server, when the call comes back, whether reasoning must come with it
    mark = "r" if reply.reasoning else "c"
    for at, call in enumerate(reply.tool_calls):
        ids = {"id": f"fc_{turn.token}{mark}{at}", "call_id": f"call_{turn.token}{at}"}
        items.append({"type": "function_call", **ids, "status": status, "name": call.name, "arguments": call.json})
    return items


def _item_events(item: Mapping[str, Any], turn: Turn) -> Iterator[dict[str, Any]]:
    """Yields what a stream tells of one item."""
    kind = item["type"]
    begun: dict[str, Any] = {**item, **_EMPTY[kind]}
    if kind == "web_search_call":
        del begun["action"]
    if "encrypted_content" in item:
        begun["encrypted_content"] = ""
    yield {"type": "response.output_item.added", "item": begun}
    where = {"item_id": item["id"]}
    if kind == "function_call":
        word = "response.function_call_arguments"
        for piece in pieces(item["arguments"], turn.chunk_size):
            yield {"type": f"{word}.delta", **where, "delta": piece}
        yield {"type": f"{word}.done", **where, "name": item["name"], "arguments": item["arguments"]}
    yield from provider_runs.response_progress(item, pieces(provider_runs.streamed_text(item), turn.chunk_size))
    for at, part in enumerate(item.get("summary", ())):
        yield from _part_events("response.reasoning_summary", part, {**where, "summary_index": at}, turn)
    for at, part in enumerate(item.get("content", ())):
        yield from _part_events("response.content", part, {**where, "content_index": at}, turn)
    yield {"type": "response.output_item.done", "item": item}


def _part_events(word: str, part: Mapping[str, Any], where: Mapping[str, Any], turn: Turn) -> Iterator[dict[str, Any]]:
    name = "refusal" if part["type"] == "refusal" else "text"
    texts = {
        "summary_text": "response.reasoning_summary_text",
        "output_text": "response.output_text",
        "refusal": "response.refusal",
    }[part["type"]]
    more: dict[str, Any] = {"logprobs": []} if part["type"] == "output_text" else {}
    cited = part.get("annotations", ())
    begun = {**part, name: "", **({"annotations": []} if cited else {})}
    yield {"type": f"{word}_part.added", **where, "part": begun}
    for piece in pieces(part[name], turn.chunk_size):
        yield {"type": f"{texts}.delta", **where, "delta": piece, **more}
    for at, annotation in enumerate(cited):
        yield {"type": f"{texts}.annotation.added", **where, "annotation_index": at, "annotation": annotation}
    yield {"type": f"{texts}.done", **where, name: part[name], **more}
    yield {"type": f"{word}_part.done", **where, "part": part}


def _usage(reply: Reply) -> dict[str, Any]:
    read, written = reply.input_tokens or 0, reply.output_tokens or 0
    cached = {"cached_tokens": reply.cache_read_tokens, "cache_write_tokens": reply.cache_write_tokens}
    return {
        "input_tokens": read,
        "input_tokens_details": cached,
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
        "total_tokens": read + written,
    }


def _items(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    given = body["input"]
    return [{"role": "user", "content": given}] if isinstance(given, str) else list(given)


def _tools(body: Mapping[str, Any]) -> Iterator[OfferedTool]:
    choice = body.get("tool_choice")
    allowed: set[str] | None = None
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = {each["name"] for each in choice["tools"]}
    for tool in body.get("tools") or ():
        if tool["type"] == "function" and (allowed is None or tool["name"] in allowed):
            yield OfferedTool(name=tool["name"], parameters=tool.get("parameters") or {})


def _tool_choice(choice: Any) -> str:
    if isinstance(choice, dict):
        return str(choice.get("mode") or choice.get("name") or "auto")
    return choice if isinstance(choice, str) else "auto"


def _results(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the tool results since the model's last turn, as text."""
    found: list[str] = []
    for item in reversed(items):
        if item.get("type") == "function_call_output":
            found.insert(0, _text_of(item.get("output")))
        elif item.get("role") != "user":
            break
    return found


def _gathered(body: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> Gathered:
    """Returns the prompt in the order it is cached: tools, instructions, input."""
    gathered = Gathered()
    for tool in body.get("tools") or ():
        gathered.add(json.dumps(tool))
    gathered.add(str(body.get("instructions") or ""))
    for item in items:
        content = item.get("content")
        if item.get("role") is None:
            gathered.add(json.dumps(item))
        elif isinstance(content, str):
            gathered.add(content)
        for part in content if item.get("role") is not None and isinstance(content, list) else ():
            gathered.add(str(part.get("text") or part.get("refusal") or json.dumps(part)))
            if part.get("prompt_cache_breakpoint"):
                gathered.mark(str(part["prompt_cache_breakpoint"].get("ttl", "30m")))
    return gathered


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
