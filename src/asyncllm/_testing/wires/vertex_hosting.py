"""What the publishers on Vertex AI have in common: paths, tokens, Google's errors, the listing of the Model Garden."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote

from ..listing import ListedModel, listed
from ..record import Arrival
from . import gemini_errors
from .wire import Headers, Operation, Problem, Rules, accepted, dumps

_VERSION = r"/v1(?:beta1)?"
_PLACE = r"(?:/projects/[a-zA-Z0-9_-][a-zA-Z0-9_.:-]*/locations/[a-z0-9-]+)"
_METHOD = re.compile(rf"{_VERSION}{_PLACE}?/publishers/(?P<publisher>[\w-]+)/models/(?P<model>[^/:]+):(?P<verb>\w+)")
_LIST = re.compile(rf"{_VERSION}{_PLACE}?/publishers/(?P<publisher>[\w-]+)/models(?:/(?P<model>[^/:]+))?")
_ENDPOINT = re.compile(rf"{_VERSION}{_PLACE}/endpoints/[\w-]+/chat/completions")

RAW_PREDICT: Mapping[str, bool] = {"rawPredict": False, "streamRawPredict": True}
HOST_STATUSES = (401, 403, 404, 429)
HEADERS: Headers = (("server", "scaffolding on HTTPServer2"),)

_UNKNOWN_CALLER = (
    "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other "
    "valid authentication credential."
)
_WRONG_CALLER = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential."
)


def method(arrival: Arrival, publisher: str) -> tuple[str, str] | None:
    """Returns (model, verb) of a call to a publisher's model; None when the path is no such."""
    found = _METHOD.fullmatch(arrival.path)
    if arrival.method != "POST" or found is None or found["publisher"] != publisher:
        return None
    return found["model"], found["verb"]


def is_endpoint(arrival: Arrival) -> bool:
    """Whether the path is the one of chat completions."""
    return arrival.method == "POST" and _ENDPOINT.fullmatch(arrival.path) is not None


def listing(arrival: Arrival) -> Operation | None:
    """Returns what a request to the Model Garden wants; None when the path is not of it."""
    found = _LIST.fullmatch(arrival.path)
    if arrival.method != "GET" or found is None:
        return None
    if not found["model"]:
        return Operation(name="models")
    name = unquote(found["model"])
    own = _publisher(name) == found["publisher"]
    return Operation(name="model", model=name if own else f"{found['publisher']}/{name}")


def look_up(arrival: Arrival, operation: Operation, models: Sequence[ListedModel]) -> bytes:
    """Returns the models of a publisher by pages, or one of them; it tells nothing of what is deprecated."""
    if operation.name == "model":
        return dumps(_entry(listed(operation.model, models)))
    found = _LIST.fullmatch(arrival.path)
    own = [_entry(model) for model in models if found and _publisher(model.name) == found["publisher"]]
    asked = parse_qs(arrival.query)
    start, size = (asked.get(name, [""])[0] for name in ("pageToken", "pageSize"))
    at = int(start) if start.isdigit() else 0
    end = at + (int(size) if size.isdigit() else 100)
    more = {"nextPageToken": str(end)} if end < len(own) else {}
    return dumps({"publisherModels": own[at:end], **more})


def check(arrival: Arrival, operation: Operation, rules: Rules, publisher: str) -> Problem | None:
    """Returns what the host refuses before it asks the model: the token, and a model that is not there."""
    key = arrival.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if rules.keys is not None and not accepted(key or arrival.headers.get("x-goog-api-key", ""), rules.keys):
        return wrong_token(key)
    if operation.model and rules.models is not None and operation.model not in rules.models:
        return unknown_model(publisher, operation.model)
    return None


def wrong_token(token: str) -> Problem:
    """Returns the refusal of a missing or wrong token."""
    return Problem(status=401, message=_WRONG_CALLER if token else _UNKNOWN_CALLER)


def unknown_model(publisher: str, model: str) -> Problem:
    """Returns the refusal of a model that does not exist."""
    place = f"projects/sim-project/locations/us-central1/publishers/{publisher}/models/{model}"
    message = f"Publisher Model `{place}` was not found or your project does not have access to it."
    return Problem(status=404, message=message)


def error(problem: Problem) -> bytes:
    """Returns Google's error body."""
    return dumps(gemini_errors.body(problem))


def _publisher(name: str) -> str:
    """Returns whose model this is, from its name."""
    before, sign, _ = name.partition("/")
    return before if sign else "anthropic" if name.startswith("claude") else "google"


def _entry(model: ListedModel) -> dict[str, Any]:
    return {
        "name": f"publishers/{_publisher(model.name)}/models/{model.name.rpartition('/')[2]}",
        "versionId": "001",
        "openSourceCategory": "PROPRIETARY",
        "launchStage": "GA",
        "versionState": "STABLE",
    }
