"""What the Gemini API refuses, and its words: ``{"error": {"code", "message", "status", "details"}}``."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .schema_rules import gemini_problem
from .wire import Problem

STATUSES: Mapping[int, tuple[str, str]] = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
    403: ("PERMISSION_DENIED", "The caller does not have permission"),
    404: ("NOT_FOUND", "models/unknown is not found for this API version, or is not supported."),
    409: ("ABORTED", "The operation was aborted."),
    429: ("RESOURCE_EXHAUSTED", "Resource exhausted. Please try again later."),
    499: ("CANCELLED", "The operation was cancelled."),
    500: ("INTERNAL", "An internal error has occurred. Please retry."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}
"""Status -> (google.rpc's word, message)."""

_INVALID_KEY = "API key not valid. Please pass a valid API key."
_NO_KEY = (
    "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other "
    "form of API consumer identity to call this API."
)
_STANDARD_ALPHABET = str.maketrans("-_", "+/")
# What Google documents for histories that another model wrote; as the text or as its base64.
_DUMMY = "skip_thought_signature_validator"
_DUMMIES = (_DUMMY, b64encode(_DUMMY.encode()).decode())


def body(problem: Problem) -> dict[str, Any]:
    """Returns the error body; a code with ``Per`` in it (``RequestsPerDay``) names a quota, others an
    ``ErrorInfo.reason``.
    """
    word, message = STATUSES.get(problem.status, STATUSES[500 if problem.status >= 500 else 400])
    details: list[dict[str, Any]] = []
    code = problem.code
    if code in {each for each, _ in STATUSES.values()} | {"FAILED_PRECONDITION"}:
        word = str(code)
    elif code and "Per" in code:
        details.append({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": code}]})
    elif code:
        info = {"reason": code, "domain": "googleapis.com"}
        details.append({"@type": "type.googleapis.com/google.rpc.ErrorInfo", **info})
    if problem.wait is not None:
        delay = {"retryDelay": f"{problem.wait:g}s"}
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", **delay})
    error: dict[str, Any] = {"code": problem.status, "message": problem.message or message, "status": word}
    return {"error": {**error, "details": details} if details else error}


def wrong_key(key: str) -> Problem:
    """Returns the refusal of a missing or wrong key: Google answers a wrong one with 400."""
    if not key:
        return Problem(status=403, message=_NO_KEY)
    return Problem(status=400, code="API_KEY_INVALID", message=_INVALID_KEY)


def check_body(given: Any, signature: Callable[[Mapping[str, Any]], str] | None) -> Problem | None:
    """Returns what is wrong with a request; None if nothing.

    Args:
        given: the body.
        signature: gives the signature of a function call; None not to check any.
    """
    if not isinstance(given, dict):
        return _bad("Invalid JSON payload received.")
    contents = given.get("contents")
    if not isinstance(contents, list) or not contents:
        return _bad("* GenerateContentRequest.contents: contents is not specified\n")
    for at, content in enumerate(contents):
        if content.get("role", "user") not in ("user", "model"):
            return _bad("Please use a valid role: user, model.")
        parts = content.get("parts")
        if not isinstance(parts, list) or not parts or not all(parts):
            return _bad(f"* GenerateContentRequest.contents[{at}].parts: contents.parts must not be empty.\n")
    settings = given.get("generationConfig") or {}
    for pair in (("responseSchema", "responseJsonSchema"),):
        if all(name in settings for name in pair):
            return _bad(f"{pair[0]} and {pair[1]} cannot both be set.")
    problem = gemini_problem(settings["responseJsonSchema"]) if "responseJsonSchema" in settings else None
    if problem is not None:
        return _bad(problem)
    return _check_calls(contents, signature)


def _check_calls(
    contents: Sequence[Mapping[str, Any]], signature: Callable[[Mapping[str, Any]], str] | None
) -> Problem | None:
    """Calls are followed by as many results; since the last user text, each step's first call carries its signature."""
    since = max((at for at, it in enumerate(contents) if it.get("role") != "model" and _speaks(it)), default=-1)
    for at, content in enumerate(contents):
        calls = [part for part in content["parts"] if "functionCall" in part]
        if not calls or content.get("role") != "model":
            continue
        # Turns of one role that follow each other are one turn.
        following: Sequence[Any] = next((it["parts"] for it in contents[at + 1 :] if it.get("role") != "model"), ())
        if len(calls) != sum("functionResponse" in part for part in following):
            return _bad(
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn."
            )
        if signature is None:
            continue
        given = calls[0].get("thoughtSignature")
        name = calls[0]["functionCall"].get("name")
        if given is None and at > since:
            return _bad(f"Function call is missing a thought_signature in functionCall parts: {name}.")
        known = (*_DUMMIES, signature(calls[0]["functionCall"]))
        if given is not None and _plain(given) not in map(_plain, known):
            return _bad("Thought signature is not valid")
    return None


def _plain(signature: object) -> str:
    """Returns the same bytes as one text: Google takes both alphabets of base64, and its SDK sends the URL-safe one."""
    return str(signature).translate(_STANDARD_ALPHABET).rstrip("=")


def _speaks(content: Mapping[str, Any]) -> bool:
    return any("functionResponse" not in part for part in content["parts"])


def _bad(message: str) -> Problem:
    return Problem(status=400, message=message)
