"""A structured answer that is still growing: dicts that are validated as far as they are complete.

The theory: the text so far is the beginning of a JSON value. It is parsed as such (an open string counts with what it
holds, an open list or object with what is complete in it) and validated by a *twin* of the asked type whose fields are
all optional. What does not fit yet, such as half the word of an enum, is left out until it does. So is a number at the
end, which may lack digits.

Parsing begins at the first character each time, so it is done only when the text has grown by a part of its length
(`STEP`): the time for a whole answer is linear in its length.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, TracebackType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Generic, Union, get_args, get_origin, get_type_hints

from pydantic import AliasChoices, AliasPath, BaseModel, RootModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import from_json, to_json
from typing_extensions import TypedDict, is_typeddict

from .._async_only import AsyncIterationOnly
from .._schema.content import Text
from .._schema.events import PartStart, Restart, TextDelta
from .._schema.response import Parsed, Response
from ..errors import BadRequestError

if TYPE_CHECKING:
    from .stream import Stream

STEP = 16
"""A text is parsed again when it has grown by a 16th of its length."""
_NOTHING: Any = object()
_OPENING = re.compile(r"[{\[]")
_DIGITS = "0123456789+-.eE"
_JSON = frozenset('{["-0123456789tfn')  # what JSON begins with


class PartialReader:
    """Reads the growing text of one answer.

    Args:
        asked: the type that the answer will have; None for any JSON.
        wrapped: any JSON that travels as ``{"value": ...}``.

    Attributes:
        raw: the JSON value so far, before it was checked.
    """

    def __init__(self, asked: Any = None, *, wrapped: bool = False) -> None:
        self._adapter: TypeAdapter[Any] | None = None if asked is None else TypeAdapter(twin(asked))
        self._pieces: list[str] = []
        self._length = 0
        self._parse_at = 1
        self._last: Any = _NOTHING
        self._wrapped = wrapped if asked is None else not _has_fields(asked)
        self.raw: Any = _NOTHING

    def feed(self, text: str) -> Any:
        """Adds text.

        Returns:
            The value so far, if it has changed; else `NOTHING`.
        """
        self._pieces.append(text)
        self._length += len(text)
        if self._length < self._parse_at:
            return _NOTHING
        self._parse_at = self._length + max(1, self._length // STEP)
        whole = "".join(self._pieces)
        self._pieces = [whole]
        value = self._read(_after_words(whole))
        if value is _NOTHING or value == self._last:
            return _NOTHING
        self._last = value
        return value

    def _read(self, text: str) -> Any:
        try:
            value = from_json(_without_last_number(text), allow_partial="trailing-strings")
        except ValueError:
            return _NOTHING
        if self._wrapped and isinstance(value, dict):  # a type that is no object travels as {"value": ...}
            value = value.get("value", _NOTHING)
            if value is _NOTHING:
                return _NOTHING
        self.raw = value
        if self._adapter is None:
            return value
        for _ in range(2):
            try:
                return self._adapter.dump_python(self._adapter.validate_python(value))
            except ValidationError as error:
                for found in error.errors(include_url=False, include_context=False, include_input=False):
                    value = _without(value, found["loc"])
        return _NOTHING


NOTHING = _NOTHING


def _without_last_number(text: str) -> str:
    """Returns the text without a number at its end: there is no telling whether more digits follow."""
    rest = text.rstrip(_DIGITS)
    return rest if len(rest) < len(text) and rest[-1:] in ("", *":,[ \t\r\n") else text


def _after_words(text: str) -> str:
    """Returns the text from where its JSON begins: inside a Markdown code fence, or after words that are no JSON."""
    stripped = text.lstrip().removeprefix("\ufeff")
    if stripped.startswith("```"):
        stripped = stripped.partition("\n")[2].partition("\n```")[0]
    if stripped[:1] in _JSON:
        return stripped
    begin = _OPENING.search(stripped)
    return stripped if begin is None else stripped[begin.start() :]


def _without(value: Any, place: tuple[int | str, ...]) -> Any:
    """Returns the value without the part at a place. The place may go through a branch of a union."""
    if not place:
        return value
    key, rest = place[0], place[1:]
    if isinstance(value, Mapping) and key in value:
        if not rest or not isinstance(value[key], (Mapping, list)):
            return {name: inner for name, inner in value.items() if name != key}
        return {**value, key: _without(value[key], rest)}
    if isinstance(value, list) and isinstance(key, int) and key < len(value):
        if not rest or not isinstance(value[key], (Mapping, list)):
            return [inner for number, inner in enumerate(value) if number != key]
        return [*value[:key], _without(value[key], rest), *value[key + 1 :]]
    return _without(value, rest)


def twin(asked: Any) -> Any:
    """Returns the same type with all fields optional. A type that contains itself is not checked inside."""
    return _Twins().of(asked)


class _Twins:
    def __init__(self) -> None:
        self._made: dict[Any, Any] = {}

    def of(self, asked: Any) -> Any:
        shape = _fields_of(asked)
        if shape is not None:
            if asked not in self._made:
                self._made[asked] = Any  # while its fields are read
                inner: dict[str, Any] = {name: Union[self.of(hint), None] for name, hint in shape.items()}
                make: Any = TypedDict  # its fields are known at run time only, and may have any name
                self._made[asked] = make(f"{asked.__name__}Partial", inner, total=False)
            return self._made[asked]
        origin, inside = get_origin(asked), get_args(asked)
        if _is_root(asked):
            return self.of(asked.model_fields["root"].annotation)
        if origin is Annotated:
            return self.of(inside[0])
        if origin in (Union, UnionType):
            return Union[tuple(self.of(one) for one in inside)]
        if origin in (list, set, frozenset) and inside:
            return list[self.of(inside[0])]  # type: ignore[misc]  # a type made at run time
        if origin is tuple and inside:
            return list[Any]
        if origin is dict and len(inside) == 2:
            return dict[str, self.of(inside[1])]  # type: ignore[misc]
        return NoneType if asked is None else asked


def _fields_of(asked: Any) -> dict[str, Any] | None:
    """The fields of a model, dataclass or TypedDict, under the names that JSON has."""
    if not isinstance(asked, type):
        return None
    if issubclass(asked, BaseModel):
        if _is_root(asked):
            return None
        return {_name_in_json(name, found): found.annotation for name, found in asked.model_fields.items()}
    if is_dataclass(asked):
        hints = get_type_hints(asked, include_extras=True)
        return {one.name: hints[one.name] for one in fields(asked)}
    if is_typeddict(asked):
        return get_type_hints(asked)
    return None


def _name_in_json(name: str, field: FieldInfo) -> str:
    said = field.validation_alias
    if isinstance(said, AliasChoices):
        said = said.choices[0]
    if isinstance(said, AliasPath):
        return str(said.path[0])
    return said or field.alias or name


def _is_root(asked: Any) -> bool:
    return isinstance(asked, type) and issubclass(asked, RootModel)


def _has_fields(asked: Any) -> bool:
    """Whether a type is an object in JSON, so that it need not be wrapped into one."""
    if _is_root(asked):
        return _has_fields(asked.model_fields["root"].annotation)
    if get_origin(asked) is Annotated:
        return _has_fields(get_args(asked)[0])
    return _fields_of(asked) is not None or get_origin(asked) is dict or asked is dict


def _is_wrapped(asked: Any) -> bool:
    """Whether a schema that was given as a dict is of no object, so that it travels as ``{"value": ...}``."""
    from .formats import WRAPPED

    return isinstance(asked, Mapping) and asked.get("type") in WRAPPED


def _type_of(asked: Any) -> Any:
    """Returns the type in a ``response_format``, or None for a schema or a word."""
    return None if isinstance(asked, (str, Mapping)) or type(asked).__name__ == "ResponseFormat" else asked


class PartialStream(AsyncIterationOnly, Generic[Parsed]):
    """The growing answer of a stream: iterate it; the last item is the answer itself.

    Args:
        stream: a stream that nobody else reads.
        asked: the ``response_format`` of the call.
    """

    def __init__(self, stream: Stream[Parsed], asked: Any) -> None:
        self._stream = stream
        self._type = _type_of(asked)
        self._wrapped = _is_wrapped(asked)
        self._reader = PartialReader(self._type, wrapped=self._wrapped)
        self._over = False

    def __aiter__(self) -> PartialStream[Parsed]:
        return self

    async def __anext__(self) -> Any:
        while not self._over:
            events = await self._stream.batch()
            if not events:
                self._over = True
                return self._stream.response.parsed
            value = self._take(events)
            if value is not _NOTHING:
                return value
        raise StopAsyncIteration

    def _take(self, events: list[Any]) -> Any:
        """Reads the events of one batch. Only its last value is shown."""
        pieces: list[str] = []
        for event in events:
            if isinstance(event, Restart) or (isinstance(event, PartStart) and isinstance(event.part, Text)):
                self._reader = PartialReader(
                    self._type, wrapped=self._wrapped
                )  # the answer is the last text of the reply
                pieces.clear()
            elif isinstance(event, TextDelta):
                pieces.append(event.text)
        return self._reader.feed("".join(pieces)) if pieces else _NOTHING

    @property
    def raw(self) -> Any:
        """The JSON value so far, before it was checked; `NOTHING` before there is one."""
        return self._reader.raw

    async def __aenter__(self) -> PartialStream[Parsed]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stream.aclose()

    async def aclose(self) -> None:
        """Closes the stream."""
        await self._stream.aclose()


class ItemStream(AsyncIterationOnly):
    """The items of an answer that is a list, each as soon as it is whole: the next one has begun, or the list ended.

    An item that does not fit, and all after it, wait for the end, where the whole answer is judged.

    Args:
        stream: a stream that nobody else reads.
        asked: the ``response_format`` of the call: a ``list[T]``.
        may_restart: the reply may begin again, so that no item is sure before the end.
    """

    def __init__(self, stream: Stream[Any], asked: Any, *, may_restart: bool = False) -> None:
        if get_origin(asked) is not list:
            raise BadRequestError("items() needs a response_format of list[T]")
        self._partials: PartialStream[Any] = PartialStream(stream, list[Any])
        self._adapter: TypeAdapter[Any] = TypeAdapter(get_args(asked)[0])
        self._stream = stream
        self._ready: deque[Any] = deque()
        self._given = 0
        self._waits = may_restart
        self._over = False

    def __aiter__(self) -> ItemStream:
        return self

    async def __anext__(self) -> Any:
        while not self._ready:
            if self._over:
                raise StopAsyncIteration
            try:
                await self._partials.__anext__()
            except StopAsyncIteration:
                self._over = True
                self._take(list(self._stream.response.parsed or ())[self._given :])
                continue
            raw = self._partials.raw
            if isinstance(raw, list) and not self._waits and not self._partials._over:  # noqa: SLF001  # the two are one
                self._read(raw[self._given : -1])
        return self._ready.popleft()

    def _read(self, items: list[Any]) -> None:
        for item in items:
            try:
                self._take([self._adapter.validate_json(to_json(item))])
            except ValidationError:
                self._waits = True
                return

    def _take(self, values: list[Any]) -> None:
        self._given += len(values)
        self._ready.extend(values)

    async def __aenter__(self) -> ItemStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stream.aclose()

    async def aclose(self) -> None:
        """Closes the stream."""
        await self._stream.aclose()


class TextStream(AsyncIterationOnly, Generic[Parsed]):
    """The text of a stream, as strings that are never empty."""

    def __init__(self, stream: Stream[Parsed]) -> None:
        self._stream = stream

    def __aiter__(self) -> TextStream[Parsed]:
        return self

    async def __anext__(self) -> str:
        while True:
            text = (await self._stream.__anext__()).text
            if text:
                return text

    async def __aenter__(self) -> TextStream[Parsed]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stream.aclose()

    async def aclose(self) -> None:
        """Closes the stream."""
        await self._stream.aclose()

    @property
    def response(self) -> Response[Parsed]:
        """As `Stream.response`."""
        return self._stream.response
