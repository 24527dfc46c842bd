"""Reads and checks the arguments of a call, messages and keywords, before any byte is sent.

Everything is read once, never changed, and never read again after this. Messages may be a string, `Message` values, or
the dicts OpenAI's API uses. What is wrong raises `BadRequestError` naming the keyword, or the index of the message and
the key in it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Union

from .._options import KEYWORDS, Arguments
from .._schema.content import (
    Audio,
    CacheMark,
    Citation,
    Document,
    Image,
    Part,
    Reasoning,
    Refusal,
    ResultPart,
    Text,
    ToolCall,
    ToolResult,
)
from .._schema.hosted import HostedTool
from .._schema.messages import Message, Role, result_parts
from .._schema.request import ProviderTool, Request, Tool, ToolChoice
from .._schema.sniffing import sniffed
from ..errors import BadRequestError
from .formats import Formats

MessageLike = Union[str, Message, Mapping[str, Any]]
Messages = Union[str, Message, Sequence[MessageLike]]

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_KEYS: Mapping[Role, frozenset[str]] = {
    "system": frozenset({"role", "content", "name"}),
    "user": frozenset({"role", "content", "name"}),
    "assistant": frozenset(
        {"role", "content", "name", "tool_calls", "refusal", "annotations", "audio", "reasoning_content", "reasoning"}
    ),
    "tool": frozenset({"role", "content", "name", "tool_call_id", "is_error"}),
}
_NOTHING: tuple[Any, ...] = (None, [], {})
"""Values that say nothing: an SDK's ``model_dump()`` has every field of its class."""
_MARKS = ("cache_control", "prompt_cache_breakpoint")
_new = object.__new__
_set_role, _set_content, _set_name = (
    Message.__dict__["role"].__set__,
    Message.__dict__["content"].__set__,
    Message.__dict__["name"].__set__,
)


def read_call(
    messages: Messages,
    response_format: Any,
    options: Mapping[str, Any],
    formats: Formats,
    *,
    stream: bool = False,
    model: str = "",
) -> Arguments:
    """Reads and checks all arguments of a call.

    Args:
        messages: the conversation.
        response_format: the type or format of the answer.
        options: the other keywords, as `asyncllm.CallOptions` lists them.
        formats: reads ``response_format``.
        stream: whether the answer is streamed.
        model: which model the request is most likely for; routing says which one it is.

    Raises:
        BadRequestError: a message or a keyword is wrong.
        TypeError: there is no such keyword.
    """
    sent: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    for keyword, value in options.items():
        row = KEYWORDS.get(keyword)
        if row is None:
            raise no_such_keyword(keyword)
        if value is not None:
            (sent if row.sent else kept)[keyword] = row.read(keyword, value)
    if response_format is not None:
        sent["response_format"], kept["parse"] = formats.read(response_format)
    if "tool_choice" in sent:
        _check_choice(sent["tool_choice"], sent.get("tools", ()))
    if kept.get("validation_retries") and kept.get("parse") is None:
        raise BadRequestError("validation_retries needs a response_format for the answer to fit")
    return Arguments(request=Request(model=model, messages=read_messages(messages), stream=stream, **sent), **kept)


_OTHERWISE: Mapping[str, str] = {
    "stream": "for a stream write client.stream(...)",
    "system": "the instructions are a message: [Message.system(...), Message.user(...)]",
    "instructions": "the instructions are a message: [Message.system(...), Message.user(...)]",
    "n": "for several answers send several calls; a provider's own field goes into extra_body={...}",
    "functions": "give tools=[...]",
    "function_call": "give tool_choice=...",
    "input": "the conversation is the first argument",
    "prompt": "the conversation is the first argument",
    "contents": "the conversation is the first argument",
}
"""What other libraries have as a keyword, and how it is said here."""


def no_such_keyword(keyword: str) -> TypeError:
    """The error for a keyword that nobody knows; it names the nearest one."""
    import difflib

    near = difflib.get_close_matches(keyword, [*KEYWORDS, "response_format"], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    if keyword in _OTHERWISE:
        hint = f"; {_OTHERWISE[keyword]}"
    return TypeError(f"got an unexpected keyword argument {keyword!r}{hint}")


def _check_choice(choice: ToolChoice, tools: tuple[Tool | ProviderTool | HostedTool, ...]) -> None:
    """Checks that a tool choice names only tools of the call. A provider's tool may have any name."""
    if choice.mode == "required" and not tools:
        raise BadRequestError("tool_choice='required' demands a call, and there are no tools; give tools=[...]")
    offered = {tool.name for tool in tools if isinstance(tool, Tool)}
    missing = [name for name in choice.names if name not in offered]
    if missing and not any(isinstance(tool, (ProviderTool, HostedTool)) for tool in tools):
        raise BadRequestError(f"tool_choice names {missing[0]!r}, which is not among the tools of this call")


def read_messages(messages: Messages) -> tuple[Message, ...]:
    """The conversation in canonical form.

    Raises:
        BadRequestError: it is empty, or a message is not one; the sentence names the index and the key.
    """
    if isinstance(messages, str):
        return (_plain("user", messages),)
    if isinstance(messages, Message):
        return (messages,)
    if isinstance(messages, Coroutine):
        messages.close()  # this error tells what Python would warn of
        raise BadRequestError("messages is a coroutine: a call before this one was not awaited; write await before it")
    if isinstance(messages, (bytes, bytearray, Mapping)) or not isinstance(messages, Sequence):
        raise BadRequestError(
            f"messages must be a string or a list of messages, not {type(messages).__name__}; "
            + ("decode the bytes" if isinstance(messages, (bytes, bytearray)) else "put a single message into a list")
        )
    if not messages:
        raise BadRequestError("the list of messages is empty; give at least one message")
    return tuple([_read(index, message) for index, message in enumerate(messages)])


def _read(index: int, message: MessageLike) -> Message:
    if type(message) is dict and len(message) == 2:  # the usual case, without a detour
        content = message.get("content")
        role = message.get("role")
        if type(content) is str and type(role) is str and role in _ROLES and role != "tool":
            return _plain(_ROLES[role], content)
    if isinstance(message, Message):
        return message
    if isinstance(message, str):
        return _plain("user", message)
    if not isinstance(message, Mapping):
        raise BadRequestError(
            f"messages[{index}] is a {type(message).__name__}; a message is a Message or a dict with role and content"
        )
    return _Reader(index).message(message)


def _plain(role: Role, content: str) -> Message:
    """Returns a message of one plain text, without the checks that it does not need."""
    message = _new(Message)
    _set_role(message, role)
    _set_content(message, (Text(content),))
    _set_name(message, None)
    return message


class _Reader:
    """Reads one dict of a message. It knows its place, for error messages."""

    def __init__(self, index: int) -> None:
        self.at = f"messages[{index}]"

    def bad(self, key: str, problem: str) -> BadRequestError:
        return BadRequestError(f"{self.at}{key}: {problem}")

    def message(self, message: Mapping[str, Any]) -> Message:
        word = message.get("role")
        role = _ROLES.get(word) if isinstance(word, str) else None
        if role is None:
            raise self.bad(".role", f"{word!r} is not a role; use system, user, assistant or tool")
        for key, value in message.items():
            if key not in _KEYS[role] and value not in _NOTHING:
                allowed = ", ".join(sorted(_KEYS[role]))
                raise self.bad(f".{key}", f"a message with role {role!r} has no such key; it has {allowed}")
        name = message.get("name")
        if name is not None and not isinstance(name, str):
            raise self.bad(".name", "must be a string")
        if role == "tool":
            return Message("tool", (self.tool_result(message),))
        parts = self.parts(message.get("content"), empty=role == "assistant")
        if role == "assistant":
            parts = (*self.reasoning(message), *self.cited(parts, message.get("annotations")))
            if message.get("refusal") is not None:
                parts = (*parts, Refusal(self.string(message["refusal"], ".refusal")))
            if message.get("audio") is not None:
                parts = (*parts, self.spoken(message["audio"]))
            parts = (*parts, *self.tool_calls(message.get("tool_calls")))
            if not parts:
                raise self.bad(".content", "an assistant message needs content or tool_calls")
        return Message(role, parts, name=name)

    def only(self, given: Mapping[str, Any], known: tuple[str, ...], key: str) -> None:
        """Refuses a key with a value that would not be sent."""
        for name, value in given.items():
            if name not in known and value not in _NOTHING:
                raise self.bad(f"{key}.{name}", f"there is no such key here; known: {', '.join(known)}")

    def reasoning(self, message: Mapping[str, Any]) -> tuple[Part, ...]:
        """The readable thinking that servers of OpenAI's format put beside the content."""
        for key in ("reasoning_content", "reasoning"):
            if message.get(key):
                return (Reasoning(self.string(message[key], f".{key}")),)
        return ()

    def cited(self, parts: tuple[Part, ...], annotations: Any) -> tuple[Part, ...]:
        """Returns the parts, with the citations that stood beside them added to the first text."""
        if annotations in _NOTHING:
            return parts
        if not isinstance(annotations, (list, tuple)) or not all(isinstance(one, Mapping) for one in annotations):
            raise self.bad(".annotations", "must be a list of dicts")
        citations = tuple([_citation(one) for one in annotations])
        for number, part in enumerate(parts):
            if isinstance(part, Text):
                return (*parts[:number], replace(part, citations=citations), *parts[number + 1 :])
        raise self.bad(".annotations", "stand beside no text that they could belong to")

    def spoken(self, audio: Any) -> Audio:
        """Reads the audio that a model spoke: its id, which is sent back, and its transcript."""
        if not isinstance(audio, Mapping):
            raise self.bad(".audio", "must be a dict with id, or with data and transcript")
        self.only(audio, ("id", "data", "transcript", "expires_at"), ".audio")
        text = audio.get("transcript")
        data = audio.get("data")
        return Audio(
            file_id=None if audio.get("id") is None else self.string(audio["id"], ".audio.id"),
            data=None if not data else self.base64(self.string(data, ".audio.data"), ".audio.data"),
            transcript=None if text is None else self.string(text, ".audio.transcript"),
        )

    def string(self, value: Any, key: str) -> str:
        if not isinstance(value, str):
            raise self.bad(key, f"must be a string, not {type(value).__name__}")
        return value

    def parts(self, content: Any, *, empty: bool = False) -> tuple[Part, ...]:
        if isinstance(content, str):
            return (Text(content),)
        if content is None and empty:
            return ()
        if not isinstance(content, (list, tuple)):
            raise self.bad(".content", f"must be a string or a list of parts, not {type(content).__name__}")
        return tuple([self.part(part, f".content[{number}]") for number, part in enumerate(content)])

    def part(self, part: Any, key: str) -> Part:
        if isinstance(part, str):
            return Text(part)
        if isinstance(part, Part.__args__):  # type: ignore[attr-defined]  # a Union knows its members
            return part  # type: ignore[no-any-return]
        if isinstance(getattr(part, "part", None), Part.__args__):  # type: ignore[attr-defined]  # a `File`
            return part.part  # type: ignore[no-any-return]
        if not isinstance(part, Mapping):
            raise self.bad(key, f"must be a dict with a type, not {type(part).__name__}")
        kind = part.get("type")
        read = _PARTS.get(kind) if isinstance(kind, str) else None
        if read is None:
            raise self.bad(f"{key}.type", f"{kind!r} is not a part; use one of {', '.join(sorted(_PARTS))}")
        return read(self, part, key)

    def text(self, part: Mapping[str, Any], key: str) -> Text:
        self.only(part, ("type", "text", "annotations", *_MARKS), key)
        text = Text(self.string(part.get("text"), f"{key}.text"), cache=self.cache(part, key))
        (cited,) = self.cited((text,), part.get("annotations"))
        return cited  # type: ignore[return-value]  # the text itself

    def refusal(self, part: Mapping[str, Any], key: str) -> Refusal:
        self.only(part, ("type", "refusal"), key)
        return Refusal(self.string(part.get("refusal"), f"{key}.refusal"))

    def image(self, part: Mapping[str, Any], key: str) -> Image:
        self.only(part, ("type", "image_url", "detail", *_MARKS), key)
        found = part.get("image_url")
        inner: Mapping[str, Any] = found if isinstance(found, Mapping) else {"url": found, "detail": part.get("detail")}
        self.only(inner, ("url", "detail"), f"{key}.image_url")
        url = self.string(inner.get("url"), f"{key}.image_url.url")
        detail = inner.get("detail")
        if detail is not None:
            detail = self.string(detail, f"{key}.image_url.detail")
        cache = self.cache(part, key)
        if url.startswith("data:"):
            media_type, data = self.data_url(url, f"{key}.image_url.url")
            return Image(data=data, media_type=media_type, detail=detail, cache=cache)
        if not url.startswith(("http://", "https://", "gs://", "s3://")):
            raise self.bad(
                f"{key}.image_url.url", "must be a http(s) URL or a data: URL; give files as Image(data=...)"
            )
        return Image(url=url, detail=detail, cache=cache)

    def audio(self, part: Mapping[str, Any], key: str) -> Audio:
        inner = part.get("input_audio")
        if not isinstance(inner, Mapping):
            raise self.bad(f"{key}.input_audio", "must be a dict with data and format")
        self.only(part, ("type", "input_audio", *_MARKS), key)
        self.only(inner, ("data", "format"), f"{key}.input_audio")
        kind = self.string(inner.get("format"), f"{key}.input_audio.format")
        data = self.base64(self.string(inner.get("data"), f"{key}.input_audio.data"), f"{key}.input_audio.data")
        return Audio(
            data=data, media_type="audio/mpeg" if kind == "mp3" else f"audio/{kind}", cache=self.cache(part, key)
        )

    def file(self, part: Mapping[str, Any], key: str) -> Document:
        inner = part.get("file")
        if not isinstance(inner, Mapping):
            raise self.bad(f"{key}.file", "must be a dict with file_data or file_id")
        self.only(part, ("type", "file", *_MARKS), key)
        self.only(inner, ("file_data", "file_id", "filename"), f"{key}.file")
        name = inner.get("filename")
        if name is not None:
            name = self.string(name, f"{key}.file.filename")
        cache = self.cache(part, key)
        if inner.get("file_id") is not None:
            return Document(file_id=self.string(inner["file_id"], f"{key}.file.file_id"), name=name, cache=cache)
        text = self.string(inner.get("file_data"), f"{key}.file.file_data")
        if text.startswith(("http://", "https://")):
            return Document(url=text, name=name, cache=cache)
        if text.startswith("data:"):
            media_type, data = self.data_url(text, f"{key}.file.file_data")
        else:
            data = self.base64(text, f"{key}.file.file_data")
            media_type = sniffed(data) or "application/pdf"
        return Document(data=data, media_type=media_type, name=name, cache=cache)

    def cache(self, part: Mapping[str, Any], key: str) -> CacheMark | None:
        """A mark in either vendor's spelling: ``cache_control`` or ``prompt_cache_breakpoint``."""
        mark = part.get("cache_control") or part.get("prompt_cache_breakpoint")
        if mark is None:
            return None
        if not isinstance(mark, Mapping):
            raise self.bad(f"{key}.cache_control", "must be a dict such as {'type': 'ephemeral'}")
        self.only(mark, ("type", "ttl"), f"{key}.cache_control")
        ttl = mark.get("ttl")
        return CacheMark(None if ttl is None else self.string(ttl, f"{key}.cache_control.ttl"))

    def data_url(self, url: str, key: str) -> tuple[str, bytes]:
        head, comma, payload = url[5:].partition(",")
        media_type, _, encoding = head.rpartition(";")
        if not comma or encoding != "base64" or not media_type:
            raise self.bad(key, "a data: URL must look like data:image/png;base64,....")
        return media_type, self.base64(payload, key)

    def base64(self, text: str, key: str) -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            pass
        raise self.bad(key, "is not valid base64")

    def tool_calls(self, calls: Any) -> list[Part]:
        if calls is None:
            return []
        if not isinstance(calls, (list, tuple)):
            raise self.bad(".tool_calls", "must be a list")
        return [self.tool_call(call, f".tool_calls[{number}]") for number, call in enumerate(calls)]

    def tool_call(self, call: Any, key: str) -> ToolCall:
        if isinstance(call, ToolCall):
            return call
        if not isinstance(call, Mapping):
            raise self.bad(key, f"must be a dict, not {type(call).__name__}")
        kind = call.get("type") or "function"
        inner = call.get(kind) if isinstance(kind, str) else None
        if not isinstance(inner, Mapping):
            raise self.bad(key, "must look like {'id', 'type': 'function', 'function': {'name', 'arguments'}}")
        call_id = self.string(call.get("id"), f"{key}.id")
        if not call_id:
            raise self.bad(f"{key}.id", "must not be empty")
        name = self.string(inner.get("name"), f"{key}.{kind}.name")
        self.only(inner, ("name", "input" if kind == "custom" else "arguments"), f"{key}.{kind}")
        # What stands beside them is the provider's own (a signature, say) and goes back with the call.
        beside = {name: one for name, one in call.items() if name not in ("id", "type", "index", kind)}
        extra = {name: one for name, one in beside.items() if one not in _NOTHING} or None
        if kind == "custom":
            text = self.string(inner.get("input"), f"{key}.custom.input")
            return ToolCall(call_id, name, raw_arguments=text, kind=kind, extra=extra)
        arguments = inner.get("arguments", "")
        if isinstance(arguments, Mapping):
            return ToolCall(call_id, name, arguments, extra=extra)
        return ToolCall(call_id, name, raw_arguments=self.string(arguments, f"{key}.function.arguments"), extra=extra)

    def tool_result(self, message: Mapping[str, Any]) -> ToolResult:
        call_id = self.string(message.get("tool_call_id"), ".tool_call_id")
        if not call_id:
            raise self.bad(".tool_call_id", "must not be empty; it is the id of the call this answers")
        return ToolResult(
            call_id,
            self.tool_content(message.get("content")),
            is_error=bool(message.get("is_error", False)),
            name=message.get("name"),
        )

    def tool_content(self, content: Any) -> tuple[ResultPart, ...]:
        is_part_list = isinstance(content, (list, tuple)) and all(
            isinstance(part, Mapping) and part.get("type") in _PARTS for part in content
        )
        if not is_part_list:
            return result_parts(content)
        parts = self.parts(content)
        for number, part in enumerate(parts):
            if isinstance(part, Refusal):
                raise self.bad(f".content[{number}].type", "a tool result cannot hold a refusal")
        return parts  # type: ignore[return-value]  # what `_PARTS` reads, refusals aside, are result parts


_PARTS: Mapping[str, Callable[[_Reader, Mapping[str, Any], str], Part]] = {
    "text": _Reader.text,
    "input_text": _Reader.text,  # the names of OpenAI's Responses API
    "output_text": _Reader.text,
    "input_image": _Reader.image,
    "image_url": _Reader.image,
    "input_audio": _Reader.audio,
    "file": _Reader.file,
    "refusal": _Reader.refusal,
}


def _citation(annotation: Mapping[str, Any]) -> Citation:
    """One of the ``annotations``: nested (chat completions) or flat (Responses)."""
    inner = annotation.get("url_citation")
    source = inner if isinstance(inner, Mapping) else annotation
    text = {key: source[key] for key in ("url", "title") if isinstance(source.get(key), str)}
    place = {
        ours: source[theirs]
        for ours, theirs in (("start", "start_index"), ("end", "end_index"))
        if isinstance(source.get(theirs), int)
    }
    return Citation(**text, **place, raw=annotation)
