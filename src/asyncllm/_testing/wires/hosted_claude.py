"""Anthropic's Messages API at other hosts: Bedrock's InvokeModel, and Vertex AI's rawPredict.

The body is that of the Messages API without ``model``, and with ``anthropic_version`` in place of the header. Bedrock's
body has no ``stream`` either, and its stream wraps each event, in base64, into a frame named ``chunk``. On Vertex the
failures of the host are Google's and those of the model Anthropic's. Source: anthropic 2.11.0 (``lib/bedrock``,
``lib/vertex``).
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from ..model import ModelRequest, Reply
from ..record import Arrival
from . import anthropic_errors, aws_auth, bedrock_errors, vertex_hosting
from .anthropic import Anthropic, signature
from .converse import Bedrock, model_operation, padded
from .framings import CHUNKS, message
from .wire import Events, Headers, Operation, Problem, Rules, Turn

_VERBS: Mapping[str, Operation] = {
    "invoke": Operation(name="generate"),
    "invoke-with-response-stream": Operation(name="generate", stream=True),
}
_BEDROCK_VERSION = re.compile(r"bedrock-2023-05-31")
_VERTEX_VERSION = re.compile(r"vertex-2023-10-16|2023-06-01|2026-10-21")


class InvokeClaude(Bedrock, Anthropic):
    """Answers ``POST /model/{id}/invoke`` and ``/invoke-with-response-stream`` of a Claude model."""

    framing = CHUNKS

    def operation(self, arrival: Arrival) -> Operation | None:
        """Returns what the request wants; None when the path is not of this format."""
        return model_operation(arrival, _VERBS)

    def check(self, arrival: Arrival, operation: Operation, rules: Rules) -> Problem | None:
        """Returns what the provider would refuse the request for; None if it takes it."""
        problem = aws_auth.check(arrival, rules.keys) or bedrock_errors.check_model(operation.model, rules)
        if problem is not None:
            return problem
        extra = ("model", "stream")
        return _check_hosted(arrival.body, operation, rules, _BEDROCK_VERSION, extra)

    def too_long(self, length: int, window: int) -> Problem:
        """Returns the refusal of a prompt that does not fit the context window."""
        return bedrock_errors.bad("Input is too long for requested model.")

    def events(self, request: ModelRequest, reply: Reply, turn: Turn) -> Events:
        """Returns the answer as a stream: every event is a frame of its own, and pings are left out."""
        told = super().events(request, reply, turn)
        kept = [at for at, event in enumerate(told.data) if event != self.heartbeat]
        frames = []
        for at in kept:
            value = json.loads(told.data[at].partition(b"\ndata: ")[2])
            if value["type"] == "message_stop":
                value["amazon-bedrock-invocationMetrics"] = _metrics(reply)
            text = json.dumps(value, separators=(",", ":"))
            frames.append(message("chunk", padded({"bytes": b64encode(text.encode()).decode()}, turn, at)))
        content = [kept.index(at) for at in told.content]
        return Events(data=frames, content=content, end=kept.index(told.end))


class VertexClaude(Anthropic):
    """Answers ``.../models/{id}:rawPredict``, ``:streamRawPredict``, ``count-tokens:rawPredict`` of Claude models."""

    def operation(self, arrival: Arrival) -> Operation | None:
        """Returns what the request wants; None when the path is not of this format."""
        found = vertex_hosting.method(arrival, "anthropic")
        if found is None or found[1] not in vertex_hosting.RAW_PREDICT:
            return None
        model, verb = unquote(found[0]), found[1]
        if model == "count-tokens":
            body = arrival.body if isinstance(arrival.body, dict) else {}
            return Operation(name="count_tokens", model=str(body.get("model") or ""))
        return Operation(name="generate", model=model, stream=vertex_hosting.RAW_PREDICT[verb])

    def check(self, arrival: Arrival, operation: Operation, rules: Rules) -> Problem | None:
        """Returns what the provider would refuse the request for; None if it takes it."""
        problem = vertex_hosting.check(arrival, operation, rules, "anthropic")
        if problem is not None:
            return problem
        extra = () if operation.name == "count_tokens" else ("model",)
        return _check_hosted(arrival.body, operation, rules, _VERTEX_VERSION, extra)

    def error(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error body: Google's where the host refused, Anthropic's where the model did."""
        if problem.status in vertex_hosting.HOST_STATUSES:
            return vertex_hosting.error(problem)
        return json.dumps(anthropic_errors.body(problem, f"req_vrtx_{turn.token}")).encode()

    def error_event(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error as an event of a stream, which is Anthropic's."""
        return b"event: error\ndata: " + super().error(problem, turn) + b"\n\n"

    def headers(self, status: int, turn: Turn, code: str | None = None) -> Headers:
        """Returns Google's headers, and the model's request id where it was asked."""
        told = () if status in vertex_hosting.HOST_STATUSES else (("request-id", f"req_vrtx_{turn.token}"),)
        return (*vertex_hosting.HEADERS, *told)


def _check_hosted(
    given: Any, operation: Operation, rules: Rules, versions: re.Pattern[str], extra: tuple[str, ...]
) -> Problem | None:
    """Returns what is wrong with a body without a model; ``extra`` are the fields it must not have."""
    if not isinstance(given, dict):
        return Problem(status=400, message="The request body is not valid JSON")
    for name in extra:
        if name in given:
            return Problem(status=400, message=f"{name}: Extra inputs are not permitted")
    version = given.get("anthropic_version")
    if version is None:
        return Problem(status=400, message="anthropic_version: Field required")
    if not versions.fullmatch(str(version)):
        return Problem(status=400, message=f"anthropic_version: Invalid API version: {version}")
    return anthropic_errors.check_body(
        {**given, "model": operation.model},
        version=re.sub(r"^[a-z]+-", "", str(version)),
        counting=operation.name == "count_tokens",
        signature=signature if rules.signatures else None,
    )


def _metrics(reply: Reply) -> dict[str, Any]:
    counts = {"inputTokenCount": reply.input_tokens, "outputTokenCount": reply.output_tokens}
    return {**counts, "invocationLatency": 12, "firstByteLatency": 6}
