"""Reads ``response_format``, and parses answers by it.

A format is a type (pydantic model, dataclass, TypedDict, ``list[T]``, union, ``Literal``, enum), a JSON schema,
``"json"``, or a dict in the shape of OpenAI's APIs. Rules:

* Providers want an object at the root of a schema. A type or schema of something else is asked for as
  ``{"value": ...}``, and the answer is unwrapped; an answer that comes without the wrapping is read too, and a word
  without quotes (``red`` for an enum) where a string fits.
* The answer is the last text of the reply: what stands before a provider's tool, or in an earlier text, is comment. A
  text is read as it is or, if that is no JSON, by the code fence in it, or by the objects and lists among its words:
  the last one that fits is the answer. What stands inside of a value that was cut is none.
* A host may be asked for null where a field may be left out (strict schemas have no optional fields); null for a field
  that has no null is taken as left out.
* A reply that was cut, refused or blocked is no answer. A reply with calls for the caller is none yet: ``parsed`` is
  None.
"""

from __future__ import annotations

import json
import re
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Union, get_args, get_origin

from .._protocols.codec import JSONCodec
from .._schema.content import Text
from .._schema.json_schema import JSONSchema, SchemaError
from .._schema.messages import Message
from .._schema.request import ResponseFormat
from .._schema.response import Response
from ..errors import AsyncLLMError, BadRequestError, StructuredOutputError

Parse = Callable[[Response[Any]], Any]
"""Reads the answer as the type the caller asked for; raises `StructuredOutputError` where it does not fit."""

MOST_KEPT = 200  # types that are remembered: a program has few, and one that makes them as it goes must not grow
_FENCE = re.compile(r"```[^\n`]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_OPENING = re.compile(r"[{\[]")
# A whole string, so that brackets in it do not count; or a bracket.
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)
WRAPPED = ("array", "string", "number", "integer", "boolean", "null")
WITHOUT_ANSWER: Mapping[str, str] = {
    "length": "the answer was cut at the limit of tokens; allow more with max_tokens=",
    "pause": "the provider paused before the answer was whole",
    "refusal": "the model refused",
    "content_filter": "the answer was blocked by a content filter",
}


class Format(NamedTuple):
    """A ``response_format``: what the wire is asked for, and how the reply is parsed."""

    asked: ResponseFormat | None = None
    parse: Parse | None = None


NO_FORMAT = Format()
_Read = Callable[[str], Any]
"""JSON text -> the value; raises `_MisfitError`, or `ProtocolError` where it is no JSON."""


class _MisfitError(Exception):
    """The answer is JSON and does not fit."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Formats:
    """Reads formats. What is built for a type is kept, as building takes longer than a call.

    Args:
        json: the JSON reader.
    """

    def __init__(self, json: JSONCodec) -> None:
        self._json = json
        self._kept: dict[Any, Format] = {}

    def read(self, response_format: Any) -> Format:
        """Returns the format that a ``response_format`` means.

        Raises:
            BadRequestError: it is not one.
        """
        if response_format is None:
            return NO_FORMAT
        if isinstance(response_format, str):
            if response_format not in ("json", "json_object"):
                raise BadRequestError(
                    f"response_format must be 'json', a JSON schema as a dict, or a type, not {response_format[:40]!r}"
                )
            return self._format(ResponseFormat(), None)
        if isinstance(response_format, ResponseFormat):
            return self._format(response_format, _schema_of(response_format.schema))
        if isinstance(response_format, Mapping):
            return self._of_dict(response_format)
        if not _is_type(response_format):
            raise BadRequestError(
                "response_format must be 'json', a JSON schema as a dict, or a type (a pydantic model class, "
                f"dataclass, TypedDict, list[T], union, Literal or enum), not a {type(response_format).__name__}"
            )
        try:
            kept = self._kept.get(response_format)
        except TypeError:  # a Literal of something that cannot be hashed
            return self._of_type(response_format)
        if kept is None:
            kept = self._of_type(response_format)
            if len(self._kept) < MOST_KEPT:
                self._kept[response_format] = kept
        return kept

    def _of_dict(self, given: Mapping[str, Any]) -> Format:
        """A JSON schema, or one of the dicts that OpenAI's two APIs take."""
        kind = given.get("type")
        if kind == "text":
            return NO_FORMAT
        if not given or kind == "json_object":
            return self._format(ResponseFormat(), None)
        if kind == "json_schema":
            inner = given.get("json_schema", given)  # the flat form is that of the Responses API
            if not isinstance(inner, Mapping) or not isinstance(inner.get("schema"), Mapping):
                raise BadRequestError("response_format of type 'json_schema' needs a name and a schema as a dict")
            asked = ResponseFormat(
                schema=inner["schema"],
                name=_schema_name(str(inner.get("name") or "response")),
                description=inner.get("description"),
                strict=inner.get("strict"),
            )
            return self._format(asked, _schema_of(inner["schema"]))
        schema = _schema_of(given)
        name = _schema_name(str(given.get("title", "")))
        if kind not in WRAPPED:
            return self._format(ResponseFormat(schema=dict(given), name=name), schema)
        wrapped = _wrap(given)
        return self._format(ResponseFormat(schema=wrapped, name=name), _schema_of(wrapped), unwrap=schema)

    def _format(self, asked: ResponseFormat, schema: JSONSchema | None, *, unwrap: JSONSchema | None = None) -> Format:
        loads = self._json.loads

        def read(text: str) -> Any:
            value = loads(text)
            if unwrap is not None and isinstance(value, dict) and len(value) == 1 and "value" in value:
                value = value["value"]
            fits = schema if unwrap is None else unwrap
            if fits is not None:
                value = fits.without_nulls(value)
                problems = fits.problems(value)
                if problems:
                    raise _MisfitError(problems)
            return value

        return Format(asked, _parser(read, takes_words=unwrap is not None))

    def _of_type(self, kind: Any) -> Format:
        import pydantic

        try:
            adapter = pydantic.TypeAdapter(_with_new_typed_dicts(kind))
            schema = adapter.json_schema()
            wrapped = None
            if not _is_object(schema):
                wrapped = adapter
                adapter = pydantic.TypeAdapter(_wrapper(_with_new_typed_dicts(kind)))
                schema = adapter.json_schema()
        except (pydantic.errors.PydanticUserError, pydantic.errors.PydanticUndefinedAnnotation, NameError) as error:
            problem = str(error).partition("\n")[0]
            raise BadRequestError(f"response_format: no JSON schema can be made of {kind!r}: {problem}") from None
        name = getattr(kind, "__name__", "") if isinstance(kind, type) else ""
        asked = ResponseFormat(schema=schema, name=_schema_name(name if get_origin(kind) is None else ""))
        read = self._reader(adapter, JSONSchema(schema), wrapped)
        return Format(asked, _parser(read, takes_words=wrapped is not None))

    def _reader(self, adapter: Any, schema: JSONSchema, bare: Any) -> _Read:
        """Reads an answer as a type.

        Args:
            adapter: of the type, or of the object that wraps it.
            schema: of ``adapter``.
            bare: where the type is wrapped, the type without it.
        """
        json = self._json

        def read(text: str) -> Any:
            value = json.loads(text)
            whole = bare is None or (isinstance(value, dict) and len(value) == 1 and "value" in value)
            if whole:
                slim = schema.without_nulls(value)
                if slim is not value:
                    text = json.dumps(slim).decode()
            try:
                fit = (adapter if whole else bare).validate_json(text)
            except ValueError as error:  # pydantic's ValidationError is one, and so is what validators raise
                raise _MisfitError(_problems(error)) from None
            return fit["value"] if whole and bare is not None else fit

        return read


def asking_again(response: Response[Any], error: StructuredOutputError) -> tuple[Message, ...]:
    """Returns the messages for a model whose answer does not fit: its answer, and what is wrong with it."""
    said = Message.user(
        f"That does not fit the schema: {'; '.join(error.problems)}. "
        "Answer again, with the whole JSON and nothing else."
    )
    return (response.message, said) if response.message.content else (said,)


def _parser(read: _Read, *, takes_words: bool) -> Parse:
    def parse(response: Response[Any]) -> Any:
        if response.tool_calls:
            return None
        problems: tuple[str, ...] = (WITHOUT_ANSWER.get(response.finish_reason, ""),)
        if not problems[0]:
            misfit: tuple[str, ...] = ()
            for text in _texts(response):
                try:
                    return read(text)
                except _MisfitError as error:
                    misfit = misfit or error.problems
                except AsyncLLMError as error:
                    problems = (error.message,)
            for word in _texts(response) if takes_words else ():
                if word and word[0] not in '{["':  # what was to be JSON is no word
                    try:
                        return read(json.dumps(word))
                    except _MisfitError as error:
                        misfit = misfit or error.problems
            problems = misfit or problems
        raise StructuredOutputError(
            f"the answer does not fit response_format: {'; '.join(problems)}",
            text=response.text,
            problems=problems,
            finish_reason=response.finish_reason,
            provider=response.provider,
            model=response.model,
            request_id=response.request_id,
            attempts=response.attempts,
        )

    return parse


def _texts(response: Response[Any]) -> Iterator[str]:
    """Returns the texts that may be the answer, the most likely first.

    It is the last run of texts that nothing stands between. Wires cut one text into several parts (citations,
    signatures), and put comment and answer into parts of their own: so the whole run comes first, then what is left
    without its first part, and so on; what is read as JSON is the answer.
    """
    run: list[str] = []
    for part in reversed(response.message.content):
        if type(part) is Text:
            run.insert(0, part.text)
        elif run and "".join(run).strip():
            break
    for first in range(len(run)):
        text = "".join(run[first:]).strip().removeprefix("\ufeff")
        if text or len(run) == 1:
            yield text
            yield from _within(text)
    if not run:
        yield ""


def _within(text: str) -> Iterator[str]:
    """The answers that a text may hold among other words, the last one first: in code fences, then by themselves."""
    if text[:1] in ("{", "[") and _end_of(text, 0) == len(text):
        return  # the text is the value
    if text[:1] == '"' and text[-1:] == '"':  # JSON in a JSON string
        try:
            inner = json.loads(text)
        except ValueError:
            return
        if isinstance(inner, str):
            yield inner
        return
    for fenced in reversed(_FENCE.findall(text)):
        yield fenced.strip()
    found = []
    at = 0
    while (begin := _OPENING.search(text, at)) is not None:
        end = _end_of(text, begin.start())
        if end is None:
            break  # it was cut: what stands inside of it is no answer
        found.append(text[begin.start() : end])
        at = end
    yield from reversed(found)


def _end_of(text: str, start: int) -> int | None:
    """Where the object or list that begins at ``start`` ends; None where it does not end."""
    depth = 0
    for token in _STRUCTURE.finditer(text, start):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
        if depth == 0:
            return token.end()
    return None


def _problems(error: ValueError) -> tuple[str, ...]:
    details = getattr(error, "errors", None)
    if details is None:
        return (str(error),)
    return tuple(
        [
            f"{'.'.join(map(str, item['loc'])) or 'the answer'}: {item['msg']}"
            for item in details(include_url=False, include_context=False, include_input=False)
        ]
    )


def _schema_of(schema: Mapping[str, Any] | None) -> JSONSchema | None:
    try:
        return None if schema is None else JSONSchema(schema)
    except SchemaError as error:
        raise BadRequestError(f"response_format is no JSON schema: {error}") from None


def _wrap(schema: Mapping[str, Any]) -> dict[str, Any]:
    """An object with the schema's value in ``value``; definitions stay at the root, where references look for them."""
    inner = dict(schema)
    kept: dict[str, Any] = {key: inner.pop(key) for key in ("$defs", "definitions", "$schema") if key in inner}
    return {
        **kept,
        "type": "object",
        "properties": {"value": inner},
        "required": ["value"],
        "additionalProperties": False,
    }


def _wrapper(kind: Any) -> Any:
    import typing_extensions

    # The functional form: the type is known only here.
    make: Any = typing_extensions.TypedDict
    return make("Answer", {"value": kind})


def _is_object(schema: Mapping[str, Any]) -> bool:
    reference = schema.get("$ref")
    if isinstance(reference, str):
        schema = schema.get("$defs", {}).get(reference.rpartition("/")[2], schema)
    return bool(schema.get("type") == "object")


def _is_type(value: Any) -> bool:
    return isinstance(value, type) or get_origin(value) is not None or type(value).__name__ == "TypeAliasType"


def _with_new_typed_dicts(kind: Any) -> Any:
    """Returns the type with every ``typing.TypedDict`` in it replaced by one of typing_extensions, as pydantic needs
    before Python 3.12.
    """
    if sys.version_info >= (3, 12):
        return kind
    return _renewed(kind)


def _renewed(kind: Any) -> Any:
    import typing_extensions

    origin = get_origin(kind)
    if origin is typing.Literal:
        return kind
    if origin is not None:
        inner = tuple([_renewed(one) for one in get_args(kind)])
        if inner == get_args(kind):
            return kind
        if origin is Union or getattr(origin, "__name__", "") == "UnionType":
            return Union[inner]
        return origin[inner]
    if type(kind).__name__ != "_TypedDictMeta" or type(kind).__module__ != "typing":
        return kind
    hints = typing_extensions.get_type_hints(kind, include_extras=True)
    needed = kind.__required_keys__
    fields = {
        name: (typing_extensions.Required if name in needed else typing_extensions.NotRequired)[_renewed(_bare(hint))]
        for name, hint in hints.items()
    }
    make: Any = typing_extensions.TypedDict
    renewed = make(kind.__name__, fields)
    renewed.__doc__ = kind.__doc__
    return renewed


def _bare(hint: Any) -> Any:
    """A field's type without Required or NotRequired."""
    import typing_extensions

    if get_origin(hint) in (typing_extensions.Required, typing_extensions.NotRequired):
        return get_args(hint)[0]
    return hint


def _schema_name(title: str) -> str:
    name = "".join([letter if letter.isascii() and (letter.isalnum() or letter in "-_") else "_" for letter in title])
    return name[:64] or "response"
