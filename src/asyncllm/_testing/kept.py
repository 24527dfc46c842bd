"""What simulated hosts keep for their clients: responses, conversations, chat completions, message threads.

A request that names something kept (``previous_response_id``, ``conversation``, Anthropic's ``thread``) is completed
with what was said before it, and is then a request like any other. An answer is kept where the host keeps it: responses
unless ``store`` is false, chat completions where it is true, messages of a thread. All of it lives as long as the
simulator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from .record import Arrival
from .wires.responses_checks import SEALED
from .wires.wire import Problem, token_of

_THREADS = "message-threads-"  # the beta that a thread needs
_OF_A_TURN = frozenset({"messages", "thread", "max_tokens", "stream"})  # what a thread does not keep
_MOST = 20  # items on a page


class Kept:
    """Remembers what one simulator keeps for its clients: responses, conversations and stored completions."""

    def __init__(self) -> None:
        self._responses: dict[str, dict[str, Any]] = {}
        self._inputs: dict[str, list[dict[str, Any]]] = {}
        self._conversations: dict[str, dict[str, Any]] = {}
        self._items: dict[str, list[dict[str, Any]]] = {}
        self._completions: dict[str, dict[str, Any]] = {}
        self._asked: dict[str, list[dict[str, Any]]] = {}
        self._threads: dict[str, dict[str, Any]] = {}

    def completed(self, arrival: Arrival) -> Arrival:
        """Returns the request with the history that it names in front; unchanged if it names none that is known."""
        body = arrival.body
        if not isinstance(body, dict) or arrival.method != "POST":
            return arrival
        before: list[dict[str, Any]] | None = None
        if arrival.path.endswith("/responses"):
            before = self._history(body.get("previous_response_id"), body.get("conversation"))
            if before is None or not isinstance(body.get("input"), (str, list)):
                return arrival
            whole = {**body, "input": [*before, *_items(body["input"])]}
            return replace(arrival, body=whole, continued=True)
        thread = body.get("thread")
        if isinstance(thread, dict) and _THREADS in arrival.headers.get("anthropic-beta", ""):
            known = self._threads.get(str(thread.get("previous_message_id")))
            if known is None:
                return replace(arrival, continued=thread.get("type") == "create")
            messages = [*known["messages"], *(body.get("messages") or ())]
            return replace(arrival, body={**known, **body, "messages": messages}, continued=True)
        return arrival

    def _history(self, previous: Any, conversation: Any) -> list[dict[str, Any]] | None:
        """Returns what was said before a request; None if it names nothing, or nothing that is known."""
        if isinstance(previous, str) and previous in self._responses:
            return [*self._inputs[previous], *_sealed(self._responses[previous]["output"])]
        name = _name_of(conversation)
        return _sealed(self._items[name]) if name in self._items else None

    def wants(self, arrival: Arrival) -> bool:
        """Whether the answer to a request is kept."""
        body = arrival.body if isinstance(arrival.body, dict) else {}
        if arrival.path.endswith("/responses"):
            return body.get("store") is not False
        if arrival.path.endswith("/chat/completions"):
            return body.get("store") is True
        return "thread" in body and arrival.continued

    def remember(self, arrival: Arrival, told: dict[str, Any]) -> None:
        """Keeps a whole answer to a completed request."""
        body: Mapping[str, Any] = arrival.body
        if arrival.path.endswith("/chat/completions"):
            told = {**told, "metadata": body.get("metadata") or {}}
            self._completions[told["id"]], self._asked[told["id"]] = told, list(body["messages"])
        elif arrival.path.endswith("/responses"):
            given = _items(body["input"])
            self._responses[told["id"]], self._inputs[told["id"]] = told, given
            name = _name_of(body.get("conversation"))
            if name in self._items:
                self._items[name] = [*given, *told["output"]]
        else:
            said = {"role": "assistant", "content": told["content"]}
            rest = {name: value for name, value in body.items() if name not in _OF_A_TURN}
            self._threads[told["id"]] = {**rest, "messages": [*body["messages"], said]}

    def answer(self, arrival: Arrival, now: float) -> dict[str, Any] | Problem | None:
        """Returns the answer to a request about something that is kept; None for any other."""
        for part, look_up in (
            ("/responses", self._response),
            ("/conversations", self._conversation),
            ("/chat/completions", self._completion),
        ):
            _, found, rest = arrival.path.partition(part)
            if found and (not rest or rest[0] == "/"):
                return look_up(arrival, [step for step in rest.split("/") if step], now)
        return None

    def _response(self, arrival: Arrival, steps: list[str], now: float) -> dict[str, Any] | Problem | None:
        if not steps:
            return None
        name, verb = steps[0], steps[1] if len(steps) > 1 else ""
        if name == "compact" and arrival.method == "POST":
            return _compacted(arrival.body, now)
        if name == "input_tokens":
            return None
        known = self._responses.get(name)
        if known is None:
            return Problem(status=404, message=f"Response with id '{name}' not found.", code="response_not_found")
        if arrival.method == "DELETE":
            del self._responses[name], self._inputs[name]
            return {"id": name, "object": "response", "deleted": True}
        if verb == "cancel" and arrival.method == "POST":
            if known.get("background") is not True:
                return Problem(status=400, message="Only responses with background=true can be cancelled.")
            self._responses[name] = known = {**known, "status": "cancelled", "output": []}
            return known
        if verb == "input_items":
            return _page(self._inputs[name], arrival.query, "msg")
        return known

    def _conversation(self, arrival: Arrival, steps: list[str], now: float) -> dict[str, Any] | Problem | None:
        body = arrival.body if isinstance(arrival.body, dict) else {}
        if not steps:
            name = f"conv_{token_of(now, len(self._conversations))}"
            made = {
                "id": name,
                "object": "conversation",
                "created_at": int(now),
                "metadata": body.get("metadata") or {},
            }
            self._conversations[name], self._items[name] = made, list(body.get("items") or ())
            return made
        name, verb = steps[0], steps[1] if len(steps) > 1 else ""
        if name not in self._conversations:
            return Problem(
                status=404, message=f"Conversation with id '{name}' not found.", code="conversation_not_found"
            )
        if verb == "items":
            if arrival.method == "POST":
                self._items[name] += body.get("items") or ()
            return _page(self._items[name], arrival.query, "msg")
        if arrival.method == "DELETE":
            del self._conversations[name], self._items[name]
            return {"id": name, "object": "conversation.deleted", "deleted": True}
        if arrival.method == "POST":
            self._conversations[name] = {**self._conversations[name], "metadata": body.get("metadata") or {}}
        return self._conversations[name]

    def _completion(self, arrival: Arrival, steps: list[str], now: float) -> dict[str, Any] | Problem | None:
        if not steps:
            return _page(list(self._completions.values()), arrival.query, "") if arrival.method == "GET" else None
        name = steps[0]
        known = self._completions.get(name)
        if known is None:
            return Problem(status=404, message=f"Chat completion with id '{name}' not found.", code="not_found")
        if len(steps) > 1:
            return _page(self._asked[name], arrival.query, name)
        if arrival.method == "DELETE":
            del self._completions[name], self._asked[name]
            return {"id": name, "object": "chat.completion.deleted", "deleted": True}
        if arrival.method == "POST" and isinstance(arrival.body, dict):
            known = self._completions[name] = {**known, "metadata": arrival.body.get("metadata") or {}}
        return known


def _name_of(conversation: Any) -> str:
    """Returns the id of a conversation, which is given as it is or in an object."""
    found = conversation.get("id") if isinstance(conversation, dict) else conversation
    return found if isinstance(found, str) else ""


def _items(given: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": given}] if isinstance(given, str) else list(given)


def _sealed(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns items as they come back from a client: reasoning with what it was sealed from."""
    return [
        {**item, "encrypted_content": SEALED.seal(str(item.get("id")))}
        if item.get("type") == "reasoning" and item.get("encrypted_content") is None
        else item
        for item in items
    ]


def _page(items: list[dict[str, Any]], query: str, prefix: str) -> dict[str, Any]:
    """Returns a page of a list, newest first unless asked otherwise, with an id for each item that has none."""
    asked = parse_qs(query)
    named = [
        {"id": f"{prefix}-{at}" if prefix else str(at), "type": "message", **item} for at, item in enumerate(items)
    ]
    named = [{**item, "content": _parts(item)} if prefix == "msg" and "role" in item else item for item in named]
    if asked.get("order", ["asc" if prefix != "msg" else "desc"])[0] == "desc":
        named.reverse()
    after, limit = asked.get("after", [""])[0], asked.get("limit", [""])[0]
    names = [item["id"] for item in named]
    start = names.index(after) + 1 if after in names else 0
    end = start + (int(limit) if limit.isdigit() else _MOST)
    page = named[start:end]
    bounds = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
    return {"object": "list", "data": page, "has_more": end < len(named), **bounds}


def _parts(item: Mapping[str, Any]) -> Any:
    content = item.get("content")
    return [{"type": "input_text", "text": content}] if isinstance(content, str) else content


def _compacted(body: Any, now: float) -> dict[str, Any] | Problem:
    """Returns what the user said, and one sealed item in place of the rest."""
    if not isinstance(body, dict) or body.get("input") is None:
        return Problem(status=400, message="Missing required parameter: 'input'.", param="input")
    items = _items(body["input"])
    name = token_of(now, len(items))
    users = [
        {"type": "message", "id": f"msg_{name}{at}", "status": "completed", "role": "user", "content": _parts(item)}
        for at, item in enumerate(items)
        if item.get("role") == "user"
    ]
    sealed = {"type": "compaction", "id": f"cmp_{name}", "encrypted_content": SEALED.seal(str(len(items)))}
    counts = {"input_tokens": len(items), "output_tokens": 1, "total_tokens": len(items) + 1}
    details = {
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    made = {"id": f"resp_{name}", "object": "response.compaction", "created_at": int(now)}
    return {**made, "output": [*users, sealed], "usage": {**counts, **details}}
