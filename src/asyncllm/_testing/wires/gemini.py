"""Google's Gemini API, as the server.

Shapes as in google-genai's own types (``GenerateContentResponse``, ``Candidate``, ``UsageMetadata``) and public
recordings: a stream is a row of partial responses, its last one with the finish reason; calls arrive whole and end with
``STOP``; the first call of an answer carries a ``thoughtSignature`` that must come back. Streams need ``alt=sse``.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from ..listing import ListedModel, listed, moment
from ..model import ModelRequest, OfferedTool, Reply, pieces, tokens
from ..record import Arrival
from . import gemini_errors, provider_runs
from .framings import SSE
from .wire import Events, Gathered, Headers, Operation, Problem, Rules, Turn, accepted, dumps

_FINISH: Mapping[str, str] = {"length": "MAX_TOKENS", "content_filter": "SAFETY", "refusal": "SAFETY"}
_CHOICE: Mapping[str, str] = {"ANY": "required", "NONE": "none"}
_VERBS: Mapping[str, str] = {
    "generateContent": "generate",
    "streamGenerateContent": "generate",
    "countTokens": "count_tokens",
}
_VERSIONS = ("v1", "v1beta", "v1alpha")


class GeminiServer:
    """Answers ``POST /{version}/models/{model}:generateContent`` and its neighbours."""

    name = "gemini"
    framing = SSE
    heartbeat = b": keep-alive\n\n"
    waits_in_body = True

    def operation(self, arrival: Arrival) -> Operation | None:
        """Returns what the request wants; None when the path is not of this format."""
        version, _, rest = arrival.path.lstrip("/").partition("/")
        if version not in _VERSIONS or not rest.startswith(("models", "tunedModels/")):
            return None
        name, _, verb = rest.removeprefix("models/").partition(":")
        if arrival.method == "POST" and verb in _VERBS:
            return Operation(name=_VERBS[verb], model=name, stream=verb == "streamGenerateContent")
        if arrival.method == "GET" and not verb:
            return Operation(name="models") if rest == "models" else Operation(name="model", model=name)
        return None

    def check(self, arrival: Arrival, operation: Operation, rules: Rules) -> Problem | None:
        """Returns what the provider would refuse the request for; None if it takes it."""
        key = arrival.headers.get("x-goog-api-key") or arrival.headers.get("authorization", "").removeprefix("Bearer ")
        if rules.keys is not None and not accepted(key, rules.keys):
            return self.wrong_key(key)
        if operation.model and rules.models is not None and operation.model not in rules.models:
            return self.unknown_model(operation.model)
        if operation.stream and "alt=sse" not in arrival.query.split("&"):
            return Problem(status=400, message="The simulator streams with alt=sse only.")
        if operation.name not in ("generate", "count_tokens"):
            return None
        return gemini_errors.check_body(_body(arrival), signature if rules.signatures else None)

    def wrong_key(self, key: str) -> Problem:
        """Returns the refusal of a missing or wrong key."""
        return gemini_errors.wrong_key(key)

    def unknown_model(self, model: str) -> Problem:
        """Returns the refusal of a model that does not exist."""
        message = f"models/{model} is not found for this API version, or is not supported."
        return Problem(status=404, message=message)

    def too_long(self, length: int, window: int) -> Problem:
        """Returns the refusal of a prompt that does not fit the context window."""
        message = f"The input token count ({length}) exceeds the maximum number of tokens allowed ({window})."
        return Problem(status=400, message=message)

    def parse(self, arrival: Arrival, operation: Operation) -> ModelRequest:
        """Reads a request that passed `check`."""
        body: Mapping[str, Any] = _body(arrival)
        contents: Sequence[Mapping[str, Any]] = body["contents"]
        settings = body.get("generationConfig") or {}
        calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
        allowed = calling.get("allowedFunctionNames")
        tools = [tool for tool in _tools(body) if allowed is None or tool.name in allowed]
        users = [text for content in contents if content.get("role") != "model" and (text := _text_of(content))]
        thinking = settings.get("thinkingConfig") or {}
        wanted = settings.get("responseJsonSchema") or settings.get("responseSchema")
        if wanted is None and settings.get("responseMimeType") == "application/json":
            wanted = {}
        return ModelRequest(
            provider=arrival.provider,
            model=operation.model,
            stream=operation.stream,
            prompt=users[-1] if users else "",
            text=_gathered(body).text,
            tools=tuple(tools),
            tool_choice=_CHOICE.get(str(calling.get("mode")), "auto"),
            tool_results=tuple(_results(contents[-1])),
            schema=wanted,
            max_tokens=settings.get("maxOutputTokens"),
            stop=tuple(settings.get("stopSequences") or ()),
            reasoning=bool(thinking) and (True if thinking.get("includeThoughts") else "omitted"),
            hosted_tools=provider_runs.offered([name for tool in body.get("tools") or () for name in tool]),
            body=body,
        )

    def unary(self, request: ModelRequest, reply: Reply, turn: Turn) -> bytes:
        """Returns the whole answer."""
        parts = list(_parts(request, reply, turn, whole=True))
        return dumps(_chunk(request, reply, turn, parts, final=True))

    def events(self, request: ModelRequest, reply: Reply, turn: Turn) -> Events:
        """Returns the answer as a stream."""
        data = [
            b"data: %s\r\n\r\n" % dumps(_chunk(request, reply, turn, [part], final=False))
            for part in self.streamed(request, reply, turn)
        ]
        end = len(data)
        last = [] if reply.refusal is not None else [{"text": ""}]
        data.append(b"data: %s\r\n\r\n" % dumps(_chunk(request, reply, turn, last, final=True)))
        return Events(data=data, content=range(end), end=end)

    def streamed(self, request: ModelRequest, reply: Reply, turn: Turn) -> Iterator[dict[str, Any]]:
        """Yields the parts of a stream, a chunk each."""
        return _parts(request, reply, turn, whole=False)

    def error(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error body."""
        return dumps(gemini_errors.body(problem))

    def error_event(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error as an event of a stream."""
        return b"data: %s\r\n\r\n" % self.error(problem, turn)

    def failed(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error as the body of a 200 that is no stream."""
        return self.error(problem, turn)

    def headers(self, status: int, turn: Turn, code: str | None = None) -> Headers:
        """Returns Google's headers, which hold neither a request id nor rate limits."""
        return (("server", "scaffolding on HTTPServer2"), ("server-timing", "gfet4t7; dur=12"))

    def look_up(self, arrival: Arrival, operation: Operation, models: Sequence[ListedModel]) -> bytes:
        """Returns the list of models by pages, one of them, or a count of tokens."""
        if operation.name == "count_tokens":
            total = tokens(self.parse(arrival, operation).text)
            return dumps({"totalTokens": total, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": total}]})
        if operation.name == "model":
            return dumps(_entry(listed(operation.model, models)))
        asked = dict(pair.split("=", 1) for pair in arrival.query.split("&") if "=" in pair)
        start = int(asked["pageToken"]) if asked.get("pageToken", "").isdigit() else 0
        size = int(asked["pageSize"]) if asked.get("pageSize", "").isdigit() else 50
        more = {"nextPageToken": str(start + size)} if start + size < len(models) else {}
        return dumps({"models": [_entry(model) for model in models[start : start + size]], **more})


# What is the caller's own, and no field of the API's: schemas, arguments, results.
_OPAQUE = frozenset(
    {"parametersJsonSchema", "responseJsonSchema", "args", "response", "labels", "properties", "partMetadata"}
)


def _camel(value: Any) -> Any:
    """Returns the names of fields as the API's JSON has them: it takes those of the protocol buffers (``snake_case``)
    too.
    """
    if isinstance(value, list):
        return [_camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, inner in value.items():
        head, *rest = name.split("_")
        plain = head + "".join([word.capitalize() for word in rest]) if head and all(rest) else name
        found[plain] = inner if plain in _OPAQUE else _camel(inner)
    return found


def _body(arrival: Arrival) -> Any:
    """Returns the request; a count of tokens may hold a whole one, which names its model."""
    body = _camel(arrival.body)
    whole = body.get("generateContentRequest") if isinstance(body, dict) else None
    return {name: value for name, value in whole.items() if name != "model"} if isinstance(whole, dict) else body


def signature(call: Mapping[str, Any]) -> str:
    """Returns the signature this server gives to a function call, and demands back."""
    said = json.dumps([call.get("name"), call.get("args") or {}], sort_keys=True)
    return "Esim" + b64encode(blake2b(said.encode(), digest_size=45).digest()).decode()


def _entry(model: ListedModel) -> dict[str, Any]:
    name = model.name
    return {
        "name": name if name.startswith("tunedModels/") else f"models/{name}",
        **({"baseModelId": model.base} if model.base else {}),
        "version": "001",
        "displayName": name.replace("-", " ").title(),
        "description": "A simulated model.",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
        "thinking": True,
    }


def _chunk(
    request: ModelRequest, reply: Reply, turn: Turn, parts: Sequence[Mapping[str, Any]], *, final: bool
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": 0}
    if parts:
        candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if final:
        candidate["finishReason"] = _FINISH.get(reply.finish or "stop", "STOP")
        if reply.refusal:
            candidate["finishMessage"] = reply.refusal
        candidate.update(_besides(request, reply))
    settings = request.body.get("generationConfig") or {}
    candidates = [{**candidate, "index": at} for at in range(int(settings.get("candidateCount") or 1))]
    head = {"candidates": candidates, "usageMetadata": _usage(reply, len(candidates), final=final)}
    return {**head, **_status(turn), "modelVersion": request.model, "responseId": turn.token}


def _offers(request: ModelRequest, tool: str, *words: str) -> bool:
    """Whether a tool of Google's is offered, and the prompt speaks of it."""
    offered = any(tool in one for one in request.body.get("tools") or ())
    return offered and any(word in request.prompt.lower() for word in words)


def _besides(request: ModelRequest, reply: Reply) -> dict[str, Any]:
    """Returns what a candidate says besides its content: sources, pages, probabilities."""
    found: dict[str, Any] = {}
    found.update(provider_runs.gemini_grounding(reply))
    if _offers(request, "urlContext", "http"):
        page = next(
            word for word in request.prompt.split() if word.lower().startswith("http") or "http" in word.lower()
        )
        read = {"retrievedUrl": page, "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_SUCCESS"}
        found["urlContextMetadata"] = {"urlMetadata": [read]}
    settings = request.body.get("generationConfig") or {}
    if settings.get("responseLogprobs") is True and reply.text:
        rows = [
            {"token": piece, "tokenId": at, "logProbability": -0.01} for at, piece in enumerate(pieces(reply.text, 4))
        ]
        top = [{"candidates": [row] * int(settings.get("logprobs") or 1)} for row in rows]
        total = {"logProbabilitySum": -0.01 * len(rows)}
        found["logprobsResult"] = {"chosenCandidates": rows, "topCandidates": top, **total}
        found["avgLogprobs"] = -0.01
    return found


def _status(turn: Turn) -> dict[str, Any]:
    """Returns what a response says of a model that is going away; the listing says nothing of it."""
    model = turn.listed
    if model is None or not (model.deprecated or model.retires):
        return {}
    stage = "DEPRECATED" if model.deprecated else "LEGACY"
    told = {"modelStage": stage, "message": f"{model.name} will be shut down."}
    return {"modelStatus": {**told, **({"retirementTime": moment(model.retires)} if model.retires else {})}}


def _parts(request: ModelRequest, reply: Reply, turn: Turn, *, whole: bool) -> Iterator[dict[str, Any]]:
    """Yields the parts of the answer: text whole, or in pieces as a stream has it; calls are always whole."""
    if reply.reasoning and request.reasoning is True:
        for piece in [reply.reasoning] if whole else pieces(reply.reasoning, turn.chunk_size):
            yield {"text": piece, "thought": True}
    yield from provider_runs.gemini_parts(reply, turn.token)
    if reply.text:
        for piece in [reply.text] if whole else pieces(reply.text, turn.chunk_size):
            yield {"text": piece}
    for at, call in enumerate(reply.tool_calls):
        told = {"id": f"{turn.token[:8]}{at}", "name": call.name, "args": _object(call.json)}
        yield {"functionCall": told, **({} if at else {"thoughtSignature": signature(told)})}


def _object(text: str) -> dict[str, Any]:
    """Returns arguments as the object that travels; what is none cannot travel on this wire."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _usage(reply: Reply, answers: int = 1, *, final: bool) -> dict[str, Any]:
    read, thought = reply.input_tokens or 0, reply.reasoning_tokens or 0
    said = max(0, (reply.output_tokens or 0) - thought) * answers if final else 0
    usage: dict[str, Any] = {"promptTokenCount": read, "totalTokenCount": read + said + thought}
    if said:
        usage["candidatesTokenCount"] = said
    if thought:
        usage["thoughtsTokenCount"] = thought
    if reply.cache_read_tokens:
        usage["cachedContentTokenCount"] = reply.cache_read_tokens
    return {**usage, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": read}], "serviceTier": "standard"}


def _tools(body: Mapping[str, Any]) -> Iterator[OfferedTool]:
    for tool in body.get("tools") or ():
        for declared in tool.get("functionDeclarations") or ():
            schema = declared.get("parametersJsonSchema") or declared.get("parameters") or {}
            yield OfferedTool(name=declared["name"], parameters=schema)


def _gathered(body: Mapping[str, Any]) -> Gathered:
    gathered = Gathered()
    for tool in body.get("tools") or ():
        gathered.add(json.dumps(tool))
    for content in [body.get("systemInstruction") or {}, *body["contents"]]:
        for part in content.get("parts") or ():
            gathered.add(part["text"] if set(part) == {"text"} else json.dumps(part))
    return gathered


def _text_of(content: Mapping[str, Any]) -> str:
    return "".join(str(part.get("text", "")) for part in content.get("parts") or ())


def _results(content: Mapping[str, Any]) -> Iterator[str]:
    """Yields the function results in the last content, as text."""
    for part in content.get("parts") or ():
        if "functionResponse" in part:
            response = part["functionResponse"].get("response") or {}
            value = response.get("output", response.get("error", response))
            yield value if isinstance(value, str) else json.dumps(value)
