"""What Bedrock says when it fails: a code in the header ``x-amzn-errortype``, ``{"message"}`` in the body.

In a stream the code is the name of an exception frame, in lower camel case, and the status stays 200. Source:
botocore's model of bedrock-runtime, and public recordings for the header's suffix.
"""

from __future__ import annotations

from collections.abc import Mapping

from .framings import message
from .wire import Headers, Problem, Rules, Turn, dumps

STATUSES: Mapping[int, tuple[str, str]] = {
    400: ("ValidationException", "The request is not valid."),
    401: ("UnrecognizedClientException", "The security token included in the request is invalid."),
    403: ("AccessDeniedException", "You don't have access to the model with the specified model ID."),
    404: ("ResourceNotFoundException", "This model version has reached the end of its life."),
    408: ("ModelTimeoutException", "The model took too long to respond."),
    413: ("ValidationException", "The request is too large."),
    424: ("ModelErrorException", "The model failed to process the request."),
    429: ("ThrottlingException", "Too many requests, please wait before trying again."),
    500: (
        "InternalServerException",
        "The system encountered an unexpected error during processing. Try your request again.",
    ),
    503: ("ServiceUnavailableException", "Bedrock is unable to process your request."),
    504: ("ModelTimeoutException", "The model took too long to respond."),
}
"""Status -> (code, message)."""

# What can come as a frame; other codes have none.
_FRAMES = frozenset(
    {
        "internalServerException",
        "modelStreamErrorException",
        "modelTimeoutException",
        "serviceUnavailableException",
        "throttlingException",
        "validationException",
    }
)
_SUFFIX = ":http://internal.amazon.com/coral/com.amazon.bedrock/"


def body(problem: Problem) -> bytes:
    """Returns the error body."""
    return dumps({"message": problem.message or _usual(problem.status)[1]})


def frame(problem: Problem) -> bytes:
    """Returns the error as an exception frame."""
    code = problem.code or _usual(problem.status)[0]
    name = code[:1].lower() + code[1:]
    name = {"modelErrorException": "modelStreamErrorException"}.get(name, name)
    if name not in _FRAMES:
        name = "validationException" if problem.status < 500 else "internalServerException"
    return message(name, body(problem), "exception")


def headers(status: int, turn: Turn, code: str | None) -> Headers:
    """Returns the request id, and the code of an error."""
    token = turn.token.ljust(32, "0")
    request_id = "-".join((token[:8], token[8:12], token[12:16], token[16:20], token[20:32]))
    told = (("x-amzn-requestid", request_id),)
    if status < 400:
        return told
    return (*told, ("x-amzn-errortype", (code or _usual(status)[0]) + _SUFFIX))


def unknown_model() -> Problem:
    """Returns the refusal of a model that does not exist."""
    return Problem(status=400, code="ValidationException", message="The provided model identifier is invalid.")


def check_model(model: str, rules: Rules) -> Problem | None:
    """Returns the refusal of a model that does not exist, or no longer."""
    if model in rules.retired:
        return Problem(status=404)
    if not model or rules.models is None or model in rules.models:
        return None
    return unknown_model()


def bad(text: str) -> Problem:
    """Returns a refusal with 400."""
    return Problem(status=400, code="ValidationException", message=text)


def _usual(status: int) -> tuple[str, str]:
    return STATUSES.get(status, STATUSES[500 if status >= 500 else 400])
