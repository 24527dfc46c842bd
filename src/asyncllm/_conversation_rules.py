"""What becomes of a long history: how much of it is sent, and when it is summed up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

from . import _checks
from ._engine.intake import no_such_keyword
from ._options import KEYWORDS
from ._run_options import RUN_KEYWORDS, check_offers
from ._schema.messages import Message
from .errors import BadRequestError

SUM_UP = (
    "Sum up the conversation so far in at most 300 words, for your own later use. Keep names, numbers, decisions and "
    "open questions."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How much of a long history is sent. System messages are always sent, and an exchange is never cut in two.

    An exchange is a message of the user and all that follows it up to the next one, tools included.

    Attributes:
        turns: the last exchanges.
        tokens: as many of the last exchanges as fit, by an estimate; the last one always.
    """

    turns: int | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        for name in ("turns", "tokens"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise BadRequestError(f"keep {name} must be a whole number of at least 1, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compact:
    """When and how the older part of a long history is summed up.

    Attributes:
        tokens: it is summed up when it is longer than this, by an estimate.
        by: ``"model"``: the model writes a summary, which takes the place of the older part in ``messages``.
            ``"provider"``: the provider's own compaction, where it has one: the keyword ``compact_at`` of each call.
        keep_turns: how many of the last exchanges the model's summary leaves as they are.
        model: who sums up; by default the conversation's own model.
        instructions: what the model is told.
    """

    tokens: int
    by: Literal["model", "provider"] = "model"
    keep_turns: int = 2
    model: str | None = None
    instructions: str = SUM_UP

    def __post_init__(self) -> None:
        _checks.positive("compact tokens", self.tokens)
        _checks.count("compact keep_turns", self.keep_turns)
        if self.by not in ("model", "provider"):
            raise BadRequestError(f"compact by must be 'model' or 'provider', not {self.by!r}")


def leading_of(messages: Sequence[Message]) -> int:
    """Returns the number of system messages at the beginning."""
    return sum(1 for _ in takewhile(lambda message: message.role == "system", messages))


def left_out(history: tuple[Message, ...], sent: tuple[Message, ...]) -> tuple[Message, ...]:
    """Returns the part of a history that a run which goes on does not hold.

    Args:
        history: all of the conversation, before the run or up to where it stopped.
        sent: the messages of the run; they begin with the end of the history.
    """
    leading = leading_of(history)
    rest = sent[leading_of(sent) :]
    for place in range(leading, len(history)):
        tail = history[place:]
        if tail == rest[: len(tail)]:
            return history[leading:place]
    return ()


def check_rules(keep: Keep | None, compact: Compact | None, options: Mapping[str, Any]) -> None:
    """Checks what a conversation is made with, where it is made and not in its first call.

    Args:
        keep: how much is sent.
        compact: when it is summed up.
        options: the keywords of each call.

    Raises:
        BadRequestError: one of them is wrong; the sentence names it.
        TypeError: there is no such keyword.
    """
    if keep is not None and not isinstance(keep, Keep):
        raise BadRequestError(f"keep must be Keep(turns=...) or Keep(tokens=...), not {keep!r}")
    if compact is not None and not isinstance(compact, Compact):
        raise BadRequestError(f"compact must be Compact(tokens=...), not {compact!r}")
    for keyword, value in options.items():
        row = KEYWORDS.get(keyword) or RUN_KEYWORDS.get(keyword)
        if keyword == "tools" and value is not None:
            check_offers(keyword, value)
        elif row is not None and value is not None:
            row.read(keyword, value)
        elif row is None and keyword != "response_format":
            raise no_such_keyword(keyword)
