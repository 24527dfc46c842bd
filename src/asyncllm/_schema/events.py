"""The events of a stream, in one grammar for every provider.

::

    stream   := ResponseStart  part*  ResponseEnd
    part     := PartStart  (TextDelta | ReasoningDelta | ToolCallDelta)*  PartEnd

Parts are numbered from 0 in the order in which they start, which is their order in the message; parts may overlap
(parallel tool calls), so a delta names its part by ``index``. `PartEnd` carries the whole part. Every part that starts
ends, before `ResponseEnd`. `Restart` appears only when the caller asked for it: everything shown so far is void, and a
new `ResponseStart` follows. In a run, `ToolStart` and `ToolEnd` stand between one stream and the next.

``str(event)`` and ``event.text`` are the text to show: non-empty for `TextDelta` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, field
from typing import Any, Union

from .content import Part, ToolCall, ToolResult
from .response import FinishReason
from .usage import UNKNOWN_USAGE, Usage
from .values import dataclass


class _Event:
    """The base of all events. Only a `TextDelta` has text."""

    __slots__ = ()
    text = ""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseStart(_Event):
    """The provider has begun to answer. There is no content yet."""

    id: str | None = None
    model: str = ""


@dataclass(frozen=True, slots=True)
class PartStart(_Event):
    """A part begins; ``part`` holds what is known already (a tool call's id and name)."""

    index: int
    part: Part


@dataclass(frozen=True, slots=True)
class TextDelta(_Event):
    """More text of part ``index``."""

    text: str
    index: int = 0

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class ReasoningDelta(_Event):
    """More readable reasoning of part ``index``."""

    reasoning: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class ToolCallDelta(_Event):
    """More argument text of the tool call in part ``index``."""

    arguments: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class PartEnd(_Event):
    """Part ``index`` is complete. ``part`` is the whole of it."""

    index: int
    part: Part


@dataclass(frozen=True, slots=True)
class ResponseEnd(_Event):
    """The reply is complete.

    Attributes:
        warnings: what the provider, or the reading of its answer, has to say about the reply, a sentence each.
        raw: what the stream told besides its parts, in the shape that a whole body has (container ids, log
            probabilities, further choices); None where it told nothing more.
        continuation: as in `Response`.
    """

    finish_reason: FinishReason
    _: KW_ONLY
    raw_finish_reason: str | None = None
    stop_sequence: str | None = None
    usage: Usage = UNKNOWN_USAGE
    warnings: tuple[str, ...] = ()
    raw: Mapping[str, Any] | None = field(default=None, compare=False)
    continuation: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Restart(_Event):
    """The reply begins again: clear what was shown.

    With ``on_interrupt="restart"`` it does so on the next target, with ``validation_retries`` where it does not fit.
    """

    reason: str = ""


@dataclass(frozen=True, slots=True)
class ToolStart(_Event):
    """Only in runs: a tool begins to work on a call of the model."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class ToolEnd(_Event):
    """Only in runs: a tool has ended. ``result`` goes to the model; ``seconds`` is how long it took."""

    call: ToolCall
    result: ToolResult
    _: KW_ONLY
    seconds: float = 0.0


Event = Union[
    ResponseStart,
    PartStart,
    TextDelta,
    ReasoningDelta,
    ToolCallDelta,
    PartEnd,
    ResponseEnd,
    Restart,
    ToolStart,
    ToolEnd,
]
