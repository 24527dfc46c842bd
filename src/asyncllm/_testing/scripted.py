"""Answers that a test gives beforehand, one for each request, and the check of what was sent."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from .faults import Fault
from .model import ModelRequest, Replies, Reply, ToolUse
from .record import Received

Answer = Replies | ToolUse | Fault
"""A text, a `Reply`, one tool call, a function of the request, or a `Fault`."""

_MOST_SHOWN = 10


class ScriptUsedUpError(AssertionError):
    """Tells that a request came after the last scripted answer."""


class AnswerQueues:
    """Keeps the scripted answers, by model; those of ``"*"`` are for models without a script of their own."""

    __slots__ = ("_left", "_sizes")

    def __init__(self) -> None:
        self._left: dict[str, deque[Answer]] = {}
        self._sizes: dict[str, int] = {}

    def add(self, model: str, answers: Iterable[Answer]) -> None:
        """Adds answers after those that are there."""
        given = list(answers)
        self._left.setdefault(model, deque()).extend(given)
        self._sizes[model] = self._sizes.get(model, 0) + len(given)

    def clear(self) -> None:
        """Forgets all scripts."""
        self._left.clear()
        self._sizes.clear()

    @property
    def left(self) -> int:
        """Returns how many answers have not been asked for."""
        return sum(len(queue) for queue in self._left.values())

    def next(self, model: str) -> Answer | None:
        """Takes the next answer for a model; None if it has no script.

        Raises:
            ScriptUsedUpError: all its answers were given.
        """
        key = model if model in self._left else "*"
        queue = self._left.get(key)
        if queue is None:
            return None
        if not queue:
            raise ScriptUsedUpError(
                f"the script of the simulator has {self._sizes[key]} answers, and one more request came, for {model}"
            )
        return queue.popleft()


def spoken(answer: Answer) -> Replies:
    """Returns a scripted answer that is no fault, as what a model says."""
    return Reply(tool_calls=(answer,)) if isinstance(answer, ToolUse) else answer  # type: ignore[return-value]


def check_sent(requests: Iterable[Received], wanted: Mapping[str, Any], times: int | None) -> list[Received]:
    """Returns the requests that fit, and fails if too many or too few do.

    Args:
        requests: what was received.
        wanted: what they must have, by name; None is not looked at.
        times: how many must fit; None for one or more.

    Raises:
        AssertionError: too many or too few fit; the text lists what was sent.
    """
    sent = [one for one in requests if one.asked is not None]
    facts = {name: value for name, value in wanted.items() if value is not None}
    fitting = [one for one in sent if all(_fits(name, value, one) for name, value in facts.items())]
    if (len(fitting) == times) if times is not None else fitting:
        return fitting
    asked = ", ".join(f"{name}={value!r}" for name, value in facts.items()) or "any"
    count = "at least one request" if times is None else f"{times} requests" if times != 1 else "1 request"
    lines = [_line(one) for one in sent[-_MOST_SHOWN:]] or ["  (none)"]
    raise AssertionError(f"expected {count} with {asked}, but {len(fitting)} fit. Sent were:\n" + "\n".join(lines))


def _fits(name: str, value: Any, request: Received) -> bool:
    asked = request.asked
    if asked is None:
        return False
    if name == "body":
        return _within(value, request.body)
    if name == "tools":
        return sorted(value) == sorted(tool.name for tool in asked.tools)
    if name == "prompt" and isinstance(value, re.Pattern):
        return value.search(asked.prompt) is not None
    have = getattr(request, name) if hasattr(request, name) else getattr(asked, name)
    return bool(have == value)


def _within(part: Any, whole: Any) -> bool:
    """Whether every key of ``part`` is in ``whole`` with that value; lists must be equal in length."""
    if isinstance(part, Mapping):
        return isinstance(whole, Mapping) and all(
            name in whole and _within(value, whole[name]) for name, value in part.items()
        )
    if isinstance(part, list):
        return (
            isinstance(whole, list)
            and len(part) == len(whole)
            and all(_within(one, other) for one, other in zip(part, whole, strict=True))
        )
    return bool(part == whole)


def _line(request: Received) -> str:
    asked: ModelRequest | None = request.asked
    prompt = json.dumps(asked.prompt[:80] if asked else "", ensure_ascii=False)
    tools = f", tools={[tool.name for tool in asked.tools]}" if asked and asked.tools else ""
    stream = ", stream" if request.stream else ""
    return f"  {request.number}. {request.provider}/{request.model}: prompt={prompt}{tools}{stream} -> {request.status}"
