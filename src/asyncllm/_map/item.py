"""The answer to one input of a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

from .._schema.response import Parsed, Response

if TYPE_CHECKING:
    from ..runs import Run

__all__ = ["Item"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item(Generic[Parsed]):
    """The answer to one input.

    Attributes:
        index: the place of the input, from 0.
        input: the input itself.
        reply: the reply, or the `Run` where tools were given; None after a failure.
        error: what went wrong; None for an answer.
        recorded: the answer comes from the checkpoint: nothing was asked.
    """

    index: int
    input: Any
    reply: Response[Parsed] | Run[Parsed] | None = None
    error: Exception | None = None
    recorded: bool = False

    @property
    def text(self) -> str:
        """The text of the answer; ``""`` after a failure."""
        return "" if self.reply is None else self.reply.text

    @property
    def parsed(self) -> Parsed | None:
        """The answer as the type that ``response_format`` asked for; None after a failure."""
        return None if self.reply is None else self.reply.parsed
