"""Azure OpenAI, as the server: chat completions with the verdicts of its content filter.

A stream begins with a chunk without choices that judges the prompt. A prompt that was blocked is a 400 with the code
``content_filter`` and a verdict. Shapes as in public recordings and pydantic-ai 2.68 (``models/openai/_errors.py``).
"""

from __future__ import annotations

import json
from typing import Any

from ..model import ModelRequest, Reply
from .openai_chat import ChatServer, openai_headers
from .openai_errors import body
from .wire import Events, Headers, Problem, Turn, dumps

BLOCKED = "content_filter"

_MESSAGE = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
_TOO_MANY = "too_many_requests"


class AzureChat(ChatServer):
    """Answers ``POST /openai/v1/chat/completions``."""

    def unary(self, request: ModelRequest, reply: Reply, turn: Turn) -> bytes:
        """Returns the whole answer, with the verdict on the prompt."""
        return dumps({**json.loads(super().unary(request, reply, turn)), "prompt_filter_results": [_verdict()]})

    def events(self, request: ModelRequest, reply: Reply, turn: Turn) -> Events:
        """Returns the answer as a stream, after the verdict on the prompt."""
        told = super().events(request, reply, turn)
        head = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
        first = b"data: %s\n\n" % dumps({**head, "prompt_filter_results": [_verdict()]})
        return Events(data=[first, *told.data], content=[at + 1 for at in told.content], end=told.end + 1)

    def error(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error body."""
        return dumps(_body(problem))

    def error_event(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error as an event of a stream."""
        return b"data: %s\n\n" % self.error(problem, turn)

    def headers(self, status: int, turn: Turn, code: str | None = None) -> Headers:
        """Returns OpenAI's headers and Azure's own."""
        return (*openai_headers(status, turn), ("apim-request-id", turn.token), ("x-ms-region", "Sweden Central"))


def _verdict(*, blocked: bool = False) -> dict[str, Any]:
    safe = {"filtered": False, "severity": "safe"}
    judged = dict.fromkeys(("hate", "self_harm", "sexual", "violence"), safe)
    return {
        "prompt_index": 0,
        "content_filter_results": {**judged, "jailbreak": {"filtered": blocked, "detected": blocked}},
    }


def _body(problem: Problem) -> dict[str, Any]:
    found = body(problem)
    if problem.code == BLOCKED:
        detail = _verdict(blocked=True)["content_filter_results"]
        inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": detail}
        found["error"].update(param="prompt", type=None, status=400, innererror=inner)
        found["error"]["message"] = problem.message or _MESSAGE
    elif problem.status == 429 and problem.code is None:
        found["error"].update(type=_TOO_MANY, code=_TOO_MANY)
    return found
