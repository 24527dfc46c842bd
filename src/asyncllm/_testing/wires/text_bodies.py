"""Bedrock's InvokeModel with the older text bodies, as the server: Amazon's Titan and Meta's Llama.

A prompt is one text, and so is the answer. A stream is frames named ``chunk``, each with a piece of the answer in
base64; the last one has the reason of the end and Amazon's metrics. Shapes as in public recordings.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..listing import ListedModel
from ..model import ModelRequest, Reply, pieces
from ..record import Arrival
from . import aws_auth, bedrock_errors
from .converse import Bedrock, model_operation, padded
from .framings import CHUNKS, message
from .wire import Events, Operation, Problem, Rules, Turn, dumps

_VERBS: Mapping[str, Operation] = {
    "invoke": Operation(name="generate"),
    "invoke-with-response-stream": Operation(name="generate", stream=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TextBody:
    """Says how one vendor's body is read and written.

    Attributes:
        prompt: the key of the prompt.
        settings: the object that holds the settings; None where they stand beside the prompt.
        allowed: the keys that the body may have.
        limit: the setting that bounds the answer.
        stop: the setting with the stop sequences.
        whole: a whole answer.
        piece: a piece of one; the last piece has the reason.
    """

    prompt: str
    settings: str | None
    allowed: frozenset[str]
    limit: str
    stop: str
    whole: Callable[[Reply], dict[str, Any]]
    piece: Callable[[str, Reply, bool], dict[str, Any]]


def _titan_reason(reply: Reply) -> str:
    return {"length": "LENGTH", "content_filter": "CONTENT_FILTERED"}.get(reply.finish or "stop", "FINISH")


def _titan(reply: Reply) -> dict[str, Any]:
    result = {"tokenCount": reply.output_tokens, "outputText": reply.text, "completionReason": _titan_reason(reply)}
    return {"inputTextTokenCount": reply.input_tokens, "results": [result]}


def _titan_piece(text: str, reply: Reply, last: bool) -> dict[str, Any]:
    ending = (reply.output_tokens, _titan_reason(reply), reply.input_tokens) if last else (None, None, None)
    names = ("totalOutputTextTokenCount", "completionReason", "inputTextTokenCount")
    return {"outputText": text, "index": 0, **dict(zip(names, ending, strict=True))}


def _llama(reply: Reply) -> dict[str, Any]:
    return {
        "generation": reply.text,
        "prompt_token_count": reply.input_tokens,
        "generation_token_count": reply.output_tokens,
        "stop_reason": "length" if reply.finish == "length" else "stop",
    }


def _llama_piece(text: str, reply: Reply, last: bool) -> dict[str, Any]:
    reason = ("length" if reply.finish == "length" else "stop") if last else None
    counts = {"prompt_token_count": reply.input_tokens, "generation_token_count": reply.output_tokens}
    return {"generation": text, **counts, "stop_reason": reason}


BODIES: Mapping[str, TextBody] = {
    "amazon.titan-text": TextBody(
        prompt="inputText",
        settings="textGenerationConfig",
        allowed=frozenset({"inputText", "textGenerationConfig"}),
        limit="maxTokenCount",
        stop="stopSequences",
        whole=_titan,
        piece=_titan_piece,
    ),
    "meta.llama": TextBody(
        prompt="prompt",
        settings=None,
        allowed=frozenset({"prompt", "max_gen_len", "temperature", "top_p", "images"}),
        limit="max_gen_len",
        stop="",
        whole=_llama,
        piece=_llama_piece,
    ),
}
"""The beginning of a model's id, without the geography before it -> its body."""


def _body_of(model: str) -> TextBody | None:
    return next((body for name, body in BODIES.items() if name in model), None)


class InvokeText(Bedrock):
    """Answers ``POST /model/{id}/invoke`` and ``/invoke-with-response-stream`` of a model with a text body."""

    name = "invoke"
    framing = CHUNKS

    def operation(self, arrival: Arrival) -> Operation | None:
        """Returns what the request wants; None where the model has no text body."""
        found = model_operation(arrival, _VERBS)
        return found if found is not None and _body_of(found.model) else None

    def check(self, arrival: Arrival, operation: Operation, rules: Rules) -> Problem | None:
        """Returns what the provider would refuse the request for; None if it takes it."""
        problem = aws_auth.check(arrival, rules.keys) or bedrock_errors.check_model(operation.model, rules)
        if problem is not None:
            return problem
        kind, given = _body_of(operation.model), arrival.body
        if kind is None or not isinstance(given, dict):
            return bedrock_errors.bad("Malformed input request, please reformat your input and try again.")
        wrong = [f"required key [{kind.prompt}] not found"] if not isinstance(given.get(kind.prompt), str) else []
        wrong += [f"extraneous key [{name}] is not permitted" for name in given if name not in kind.allowed]
        if not wrong:
            return None
        return bedrock_errors.bad(f"Malformed input request: #: {wrong[0]}, please reformat your input and try again.")

    def too_long(self, length: int, window: int) -> Problem:
        """Returns the refusal of a prompt that does not fit the context window."""
        return bedrock_errors.bad(
            f"Too many input tokens. Max input tokens: {window}, request input token count: {length}"
        )

    def parse(self, arrival: Arrival, operation: Operation) -> ModelRequest:
        """Reads a request that passed `check`."""
        kind = _body_of(operation.model) or BODIES["meta.llama"]
        body: Mapping[str, Any] = arrival.body
        settings = (body.get(kind.settings) or {}) if kind.settings else body
        prompt = str(body[kind.prompt])
        return ModelRequest(
            provider=arrival.provider,
            model=operation.model,
            stream=operation.stream,
            prompt=prompt,
            text=prompt,
            max_tokens=settings.get(kind.limit),
            stop=tuple(settings.get(kind.stop) or ()),
            body=body,
        )

    def unary(self, request: ModelRequest, reply: Reply, turn: Turn) -> bytes:
        """Returns the whole answer."""
        return dumps((_body_of(request.model) or BODIES["meta.llama"]).whole(reply))

    def events(self, request: ModelRequest, reply: Reply, turn: Turn) -> Events:
        """Returns the answer as a stream, a frame for each piece."""
        kind = _body_of(request.model) or BODIES["meta.llama"]
        told = [kind.piece(text, reply, False) for text in pieces(reply.text, turn.chunk_size)]
        metrics = {"inputTokenCount": reply.input_tokens, "outputTokenCount": reply.output_tokens}
        times = {"invocationLatency": 12, "firstByteLatency": 6}
        told.append({**kind.piece("", reply, True), "amazon-bedrock-invocationMetrics": {**metrics, **times}})
        data = [
            message("chunk", padded({"bytes": b64encode(dumps(value)).decode()}, turn, at))
            for at, value in enumerate(told)
        ]
        end = len(data) - 1
        return Events(data=data, content=range(end), end=end)

    def look_up(self, arrival: Arrival, operation: Operation, models: Sequence[ListedModel]) -> bytes:
        """Returns an empty object, as nothing is looked up here."""
        return b"{}"
