"""A message: a role and its parts, in order.

Roles are ``system`` (instructions; OpenAI's ``developer`` is the same), ``user``, ``assistant`` and ``tool`` (one or
more tool results). How a wire spells them is the codec's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, fields, is_dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, get_args

from .content import Json, Part, ResultPart, Text, ToolCall, ToolResult
from .values import dataclass

Role = Literal["system", "user", "assistant", "tool"]
_PARTS = get_args(Part)
_KINDS = frozenset(_PARTS)
_RESULT_PARTS = (*(kind for kind in get_args(ResultPart) if isinstance(kind, type)), *_PARTS)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Attributes:
        role: who speaks.
        content: the parts, in order.
        name: the speaker's name, where the wire has one.
    """

    role: Role
    content: tuple[Part, ...]
    _: KW_ONLY
    name: str | None = None

    def __post_init__(self) -> None:
        if type(self.content) is tuple:
            for part in self.content:
                if type(part) not in _KINDS:
                    break
            else:
                return  # what codecs make: nothing to read
        object.__setattr__(self, "content", _parts(self.content))

    @property
    def text(self) -> str:
        """All text parts, joined."""
        return "".join([part.text for part in self.content if type(part) is Text])

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls the caller must run."""
        return tuple([part for part in self.content if type(part) is ToolCall])

    @classmethod
    def system(cls, *content: str | Part) -> Message:
        """Makes a system message: instructions to the model."""
        return cls("system", _parts(content))

    @classmethod
    def user(cls, *content: str | Part) -> Message:
        """Makes a user message of strings and parts, in order."""
        return cls("user", _parts(content))

    @classmethod
    def assistant(cls, *content: str | Part) -> Message:
        """Makes an assistant message of strings and parts, in order."""
        return cls("assistant", _parts(content))

    @classmethod
    def tool(cls, call_id: str, result: Any, *, is_error: bool = False, name: str | None = None) -> Message:
        """Makes the message that answers a tool call.

        Args:
            call_id: the ``id`` of the call.
            result: a string, a part, a list of parts, a JSON value, or what has a plain form in JSON: a pydantic
                model, a dataclass, a date, a Decimal.
            is_error: the tool failed; ``result`` says how.
            name: the tool's name, where it cannot be found from the conversation.
        """
        return cls("tool", (ToolResult(call_id, result_parts(result), is_error=is_error, name=name),))


def result_parts(result: Any) -> tuple[ResultPart, ...]:
    """Returns a tool's return value as parts: texts and parts stay as they are, everything else becomes JSON."""
    if isinstance(result, str):
        return (Text(result),)
    if isinstance(result, _RESULT_PARTS):
        return (result,)
    if isinstance(result, (list, tuple)) and result and all(isinstance(item, _RESULT_PARTS) for item in result):
        return tuple(result)
    return (Json(plain(result)),)


def plain(value: Any) -> Any:
    """Returns a tool's return value as a JSON value.

    Pydantic models and dataclasses become dicts; dates, times, UUIDs, paths and Decimals (whose digits all count)
    become strings; enums their values; sets lists. What is JSON already is returned as it is, and what is neither is
    left for the writer of JSON to refuse.
    """
    if value is None or (isinstance(value, (str, int, float)) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Mapping):
        return {plain(key) if isinstance(key, (Enum, date)) else key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted([plain(one) for one in value], key=repr)
    if isinstance(value, Enum):
        return plain(value.value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, Decimal) or hasattr(value, "urn"):  # a UUID; its module is not imported for this
        return str(value)
    if hasattr(value, "__fspath__"):
        return value.__fspath__()
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):  # a pydantic model
        return dump(mode="json")
    return value


def _parts(content: Any) -> tuple[Part, ...]:
    """Text, a part, or an iterable of both, as a tuple of parts."""
    items = (content,) if isinstance(content, (str, *_PARTS)) or hasattr(content, "part") else content
    if isinstance(items, Mapping) or not isinstance(items, Iterable):
        raise TypeError(f"a message's content is text, a part or a list of them, not {type(content).__name__}")
    parts: tuple[Any, ...] = tuple([Text(item) if isinstance(item, str) else item for item in items])
    for part in parts:
        if not isinstance(part, _PARTS):
            if isinstance(getattr(part, "part", None), _PARTS):  # a `File`
                return _parts([getattr(one, "part", one) for one in parts])
            raise TypeError(f"a message is made of strings and parts, not {type(part).__name__}")
    return parts
