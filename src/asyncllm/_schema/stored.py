"""Writes messages as JSON text and reads them back. Every field returns byte for byte.

The format is stable: an object ``{"asyncllm_messages": 1, "messages": [...]}``. A message is ``{"role", "content",
"name"}``. A part is ``{"type": ..., <its fields>}`` with the fields that differ from their defaults. Bytes are
``{"$bytes": "<base64>"}``. A key of a provider's own data that begins with ``$`` is written with one more ``$``.
A reader refuses a later format and reads every earlier one.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from decimal import Decimal
from typing import Any

from .content import (
    Audio,
    CacheMark,
    Citation,
    Document,
    Image,
    Json,
    Origin,
    ProviderToolCall,
    ProviderToolResult,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
    Video,
)
from .messages import Message
from .response import Response
from .usage import Usage

FORMAT = 1
_KEY = "asyncllm_messages"
_TYPES: Mapping[str, type] = {
    "text": Text,
    "image": Image,
    "document": Document,
    "audio": Audio,
    "video": Video,
    "reasoning": Reasoning,
    "tool_call": ToolCall,
    "tool_result": ToolResult,
    "provider_tool_call": ProviderToolCall,
    "provider_tool_result": ProviderToolResult,
    "refusal": Refusal,
    "unknown": Unknown,
    "json": Json,
    "citation": Citation,
    "origin": Origin,
    "cache_mark": CacheMark,
}
_WORDS: Mapping[type, str] = {kind: word for word, kind in _TYPES.items()}


class StoredFormatError(ValueError):
    """The text is not a stored conversation, or it is of a later version."""


def dump_messages(messages: Sequence[Message]) -> str:
    """A conversation as JSON text, for `load_messages`.

    Args:
        messages: any messages, those of replies included.

    Raises:
        TypeError: a part holds a value that JSON cannot say.
    """
    return to_text(stored_conversation(messages))


def stored_conversation(messages: Sequence[Message]) -> dict[str, Any]:
    """Returns the conversation as JSON values. Other keys may be added."""
    return {_KEY: FORMAT, "messages": stored_messages(messages)}


def to_text(value: Any) -> str:
    """A JSON value as text that any file can hold."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair: only an escape can say it
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text


def stored_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages as JSON values."""
    stored = []
    for message in messages:
        found: dict[str, Any] = {"role": message.role, "content": [_write(part) for part in message.content]}
        if message.name is not None:
            found["name"] = message.name
        stored.append(found)
    return stored


def load_messages(stored: str | bytes | Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """The messages that `dump_messages` wrote.

    Args:
        stored: the text, or the list of messages in it.

    Raises:
        StoredFormatError: it is no stored conversation, or one of a later version.
    """
    if isinstance(stored, (str, bytes)):
        try:
            whole = json.loads(stored)
            version = whole[_KEY]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise StoredFormatError(
                "this is no stored conversation: it must be the text that dump_messages() or to_json() gave"
            ) from None
        if version != FORMAT:
            raise StoredFormatError(f"this conversation was stored by a later version (format {version})")
        stored = whole.get("messages", ())
        if not isinstance(stored, list):
            raise StoredFormatError("a stored conversation has a list of messages")
    try:
        return tuple(
            [
                Message(one["role"], tuple([_read(part) for part in one["content"]]), name=one.get("name"))
                for one in stored
            ]
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoredFormatError(f"a stored message cannot be read: {type(error).__name__}: {error}") from None


def _write(value: Any) -> Any:
    word = _WORDS.get(type(value))
    if word is None:
        return _plain(value)
    found: dict[str, Any] = {"type": word}
    for one in fields(value):
        held = getattr(value, one.name)
        if held is None and type(value) is ToolCall:
            continue  # its fields have no defaults of their own, and None is what its constructor takes
        if one.default is MISSING or held != one.default or type(held) is not type(one.default):
            found["$type" if one.name == "type" else one.name] = _write(held)
    return found


def _plain(value: Any) -> Any:
    """A provider's own data: JSON values, and bytes where a binary wire has them."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$bytes": b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {f"${key}" if key.startswith("$") else key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_write(inner) for inner in value]
    return value


def _read(value: Any) -> Any:
    """A part, with its nested values and parts."""
    kind = _TYPES[value["type"]]
    found: dict[str, Any] = {}
    for one in fields(kind):
        key = "$type" if one.name == "type" else one.name
        if key in value:
            found[one.name] = _read_field(kind, one.name, value[key])
    return kind(**found)


_PARTS = frozenset({"origin", "cache"})
_LISTS = frozenset({"citations", "content"})


def _read_field(kind: type, name: str, value: Any) -> Any:
    if name in _PARTS:
        return None if value is None else _read(value)
    if name in _LISTS and isinstance(value, list):
        return tuple([_read(part) for part in value])
    return _raw(value)


def _raw(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"$bytes"}:
            return b64decode(value["$bytes"])
        return {key.removeprefix("$"): _raw(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_raw(inner) for inner in value]
    return value


_COUNTS = tuple(one.name for one in fields(Usage))


def stored_response(response: Response) -> dict[str, Any]:
    """A reply as JSON values, for `load_response`. Its attempts, raw body and parsed value are not in it."""
    usage = {name: value for name in _COUNTS if (value := getattr(response.usage, name)) is not None}
    found: dict[str, Any] = {
        "message": stored_messages([response.message])[0],
        "finish_reason": response.finish_reason,
        "usage": {name: _usage_value(value) for name, value in usage.items()},
        "warnings": list(response.warnings),
    }
    if response.cost is not None:
        found["cost"] = str(response.cost)
    for name in _PLAIN:
        value = getattr(response, name)
        if value:
            found[name] = value
    return found


_APART = frozenset(
    {"message", "finish_reason", "usage", "cost", "parsed", "warnings", "attempts", "rate_limits", "raw"}
)
_PLAIN = tuple(one.name for one in fields(Response) if one.name not in _APART)


def _usage_value(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else dict(value) if isinstance(value, Mapping) else value


def _read_usage(stored: Mapping[str, Any]) -> Usage:
    charged = stored.get("stated_cost")
    return Usage(**{**stored, "stated_cost": None if charged is None else Decimal(charged)})


def load_response(stored: Mapping[str, Any]) -> Response:
    """The reply that `stored_response` wrote.

    Raises:
        StoredFormatError: it is no stored reply.
    """
    try:
        return Response(
            message=load_messages([stored["message"]])[0],
            finish_reason=stored["finish_reason"],
            usage=_read_usage(stored["usage"]),
            cost=Decimal(stored["cost"]) if "cost" in stored else None,
            warnings=tuple(stored["warnings"]),
            **{name: stored[name] for name in _PLAIN if name in stored},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoredFormatError(f"a stored reply cannot be read: {type(error).__name__}: {error}") from None
