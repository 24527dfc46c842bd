"""What a run is made of: the `Run`, its steps and tool calls, and the decisions about calls.

The loop itself is in `asyncllm._run_loop`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, Literal, Union

from typing_extensions import TypeVar

from ._schema.content import ToolCall, ToolResult
from ._schema.messages import Message
from ._schema.response import Attempt, Response
from ._schema.stored import load_messages, stored_messages, to_text
from ._schema.usage import UNKNOWN_USAGE, Usage
from .errors import BadRequestError
from .tools import (
    RunContext,
)

if TYPE_CHECKING:
    pass

__all__ = [
    "AnswerTool",
    "PostponeTool",
    "RefuseTool",
    "Run",
    "Step",
    "ToolRun",
]

T = TypeVar("T", default=Any)
StopReason = Literal[
    "done", "max_steps", "max_total_tokens", "max_cost", "unknown_cost", "stop_when", "postponed", "error"
]
_VERSION = 1


@dataclass(frozen=True, slots=True)
class RefuseTool:
    """A decision of ``before_tool``: the call is not run, and the model is told why."""

    reason: str = "This call was refused."


@dataclass(frozen=True, slots=True)
class AnswerTool:
    """A decision of ``before_tool``: this is the result; the tool does not run."""

    value: Any
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class PostponeTool:
    """A decision of ``before_tool``: the run stops here, and can go on when the call is decided."""

    note: str = ""


Decision = Union[RefuseTool, AnswerTool, PostponeTool, None]
BeforeTool = Callable[[ToolCall, RunContext[Any]], Union[Decision, Awaitable[Decision]]]
"""(call, context) -> what to do with it; None lets it run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRun:
    """The outcome of one tool call.

    Attributes:
        call: what the model asked for.
        result: what the model is told.
        error: what the tool raised, or why it could not run; None where it gave a result.
        seconds: how long it took.
    """

    call: ToolCall
    result: ToolResult
    error: Exception | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One reply of the model and the answers to its calls.

    Attributes:
        number: from 1.
        reply: the reply, with its usage, cost and attempts.
        calls: the calls in it that were answered, in order.
        seconds: how long the reply and the calls took.
    """

    number: int
    reply: Response
    calls: tuple[ToolRun, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Generic[T]):
    """The result of a run.

    Attributes:
        text: the text of the last reply.
        parsed: the last reply as the type that ``response_format`` asked for.
        messages: the whole conversation; it can be given to another call.
        steps: each reply with its calls, in order. A run that goes on lists its own steps only.
        usage: the tokens of all steps.
        cost: US dollars of every attempt, without what has no known cost.
        unpriced: how many attempts have no known cost.
        attempts: every HTTP attempt.
        stopped: why it ended: ``"done"`` when the model answered without calls, ``"error"`` in the ``run`` of an error.
        pending: calls that nobody has answered; a run with ``messages=run`` answers them first.
    """

    text: str = ""
    parsed: T = None  # type: ignore[assignment]  # None until the last reply is there
    messages: tuple[Message, ...] = ()
    steps: tuple[Step, ...] = ()
    usage: Usage = UNKNOWN_USAGE
    cost: Decimal = Decimal(0)
    unpriced: int = 0
    attempts: tuple[Attempt, ...] = ()
    stopped: StopReason = "done"
    pending: tuple[ToolCall, ...] = ()

    def to_json(self) -> str:
        """Returns the run as JSON text to store. `from_json` reads it. Steps and attempts are not in it."""
        return to_text(
            {
                "asyncllm_run": _VERSION,
                "messages": stored_messages(self.messages),
                "pending": [call.id for call in self.pending],
                "stopped": self.stopped,
                "cost": str(self.cost),
                "unpriced": self.unpriced,
                "usage": {
                    name: value
                    for name in ("input_tokens", "output_tokens", "total_tokens")
                    if (value := getattr(self.usage, name)) is not None
                },
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Run[Any]:
        """Returns the run that `to_json` wrote.

        Raises:
            BadRequestError: the text is no stored run, or one of a later version.
        """
        try:
            found = json.loads(text)
            version = found["asyncllm_run"]
        except (ValueError, KeyError, TypeError):
            raise BadRequestError("this is no stored run: it must be the text that Run.to_json() gave") from None
        if version != _VERSION:
            raise BadRequestError(f"this run was stored by a later version (format {version}); update asyncllm")
        messages = load_messages(found["messages"])
        calls = {call.id: call for message in messages for call in message.tool_calls}
        last = next((message for message in reversed(messages) if message.role == "assistant"), None)
        usage = Usage(**found["usage"]) if found["usage"] else UNKNOWN_USAGE
        return Run(
            text="" if last is None else last.text,
            messages=messages,
            usage=usage,
            cost=Decimal(found["cost"]),
            unpriced=found["unpriced"],
            stopped=found["stopped"],
            pending=tuple([calls[name] for name in found["pending"]]),
        )
