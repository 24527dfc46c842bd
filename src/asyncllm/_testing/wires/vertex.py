"""Vertex AI, as the server: Gemini and chat completions under Google's paths, tokens and errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from ..listing import ListedModel
from ..model import ModelRequest, Reply
from ..record import Arrival
from . import openai_errors, vertex_hosting
from .gemini import GeminiServer
from .openai_chat import ChatServer
from .partial_arguments import in_pieces
from .wire import Events, Headers, Operation, Problem, Rules, Turn

_VERBS: Mapping[str, Operation] = {
    "generateContent": Operation(name="generate"),
    "streamGenerateContent": Operation(name="generate", stream=True),
    "countTokens": Operation(name="count_tokens"),
}
_CHAT_PUBLISHERS = ("mistralai", "ai21")


class VertexGemini(GeminiServer):
    """Answers ``.../google/models/{id}:generateContent`` and its neighbours, and the listing of every publisher."""

    def operation(self, arrival: Arrival) -> Operation | None:
        """Returns what the request wants; None when the path is not of this format."""
        found = vertex_hosting.method(arrival, "google")
        if found is None:
            return vertex_hosting.listing(arrival)
        known = _VERBS.get(found[1])
        if known is None:
            return None
        return Operation(name=known.name, model=unquote(found[0]), stream=known.stream)

    def wrong_key(self, key: str) -> Problem:
        """Returns the refusal of a missing or wrong token."""
        return vertex_hosting.wrong_token(key)

    def unknown_model(self, model: str) -> Problem:
        """Returns the refusal of a model that does not exist."""
        return vertex_hosting.unknown_model("google", model)

    def unary(self, request: ModelRequest, reply: Reply, turn: Turn) -> bytes:
        """Returns the whole answer, which says nothing of a model that is going away."""
        return super().unary(request, reply, replace(turn, listed=None))

    def events(self, request: ModelRequest, reply: Reply, turn: Turn) -> Events:
        """Returns the answer as a stream."""
        return super().events(request, reply, replace(turn, listed=None))

    def streamed(self, request: ModelRequest, reply: Reply, turn: Turn) -> Iterator[dict[str, Any]]:
        """Yields the parts of a stream; the arguments of calls in pieces where that was asked for."""
        calling = (request.body.get("toolConfig") or {}).get("functionCallingConfig") or {}
        for part in super().streamed(request, reply, turn):
            if calling.get("streamFunctionCallArguments") and "functionCall" in part:
                yield from in_pieces(part, turn.chunk_size)
            else:
                yield part

    def headers(self, status: int, turn: Turn, code: str | None = None) -> Headers:
        """Returns Google's headers, which hold neither a request id nor rate limits."""
        return vertex_hosting.HEADERS

    def look_up(self, arrival: Arrival, operation: Operation, models: Sequence[ListedModel]) -> bytes:
        """Returns the models of a publisher, one of them, or a count of tokens."""
        if operation.name == "count_tokens":
            return super().look_up(arrival, operation, models)
        return vertex_hosting.look_up(arrival, operation, models)


class VertexChat(ChatServer):
    """Answers ``.../openapi/chat/completions``, whose models are ``publisher/name``; rawPredict of some publishers."""

    def operation(self, arrival: Arrival) -> Operation | None:
        """Returns what the request wants; None when the path is not of this format."""
        if vertex_hosting.is_endpoint(arrival):
            return super().operation(arrival)
        for publisher in _CHAT_PUBLISHERS:
            model, verb = vertex_hosting.method(arrival, publisher) or ("", "")
            if verb in vertex_hosting.RAW_PREDICT:
                name = f"{publisher}/{unquote(model)}"
                return Operation(name="generate", model=name, stream=vertex_hosting.RAW_PREDICT[verb])
        return None

    def check(self, arrival: Arrival, operation: Operation, rules: Rules) -> Problem | None:
        """Returns what the provider would refuse the request for; None if it takes it."""
        publisher = operation.model.partition("/")[0]
        problem = vertex_hosting.check(arrival, operation, rules, publisher)
        return problem or openai_errors.check_body(arrival.body)

    def error(self, problem: Problem, turn: Turn) -> bytes:
        """Returns Google's error body, in a list."""
        return b"[%s]" % vertex_hosting.error(problem)

    def error_event(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error as an event of a stream."""
        return b"data: %s\n\n" % vertex_hosting.error(problem)

    def headers(self, status: int, turn: Turn, code: str | None = None) -> Headers:
        """Returns Google's headers, which hold neither a request id nor rate limits."""
        return vertex_hosting.HEADERS
