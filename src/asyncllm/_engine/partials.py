"""A structured answer while it is being written: dicts that grow, checked as far as they go.

The theory: the text so far is the beginning of a JSON value. It is parsed as such (an open string counts with what it
holds, an open list or object with what is complete in it) and validated by a *twin* of the asked type whose fields are
all optional. What does not fit yet, such as half the word of an enum, is left out until it does.

Parsing begins at the first character each time, so it is done only when the text has grown by a part of its length
(`STEP`): the time for a whole answer is linear in its length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints, is_typeddict

from pydantic import BaseModel, TypeAdapter, ValidationError, create_model
from pydantic_core import from_json

STEP = 16
"""A text is parsed again when it has grown by a 16th of its length."""
_NOTHING: Any = object()


class PartialReader:
    """Reads the growing text of one answer.

    Args:
        asked: the type that the answer will have; None for any JSON.
    """

    def __init__(self, asked: Any = None) -> None:
        self._adapter: TypeAdapter[Any] | None = None if asked is None else TypeAdapter(twin(asked))
        self._pieces: list[str] = []
        self._length = 0
        self._parse_at = 1
        self._last: Any = _NOTHING

    def feed(self, text: str) -> Any:
        """Takes more text.

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
        value = self._read(_after_fence(whole))
        if value is _NOTHING or value == self._last:
            return _NOTHING
        self._last = value
        return value

    def _read(self, text: str) -> Any:
        try:
            value = from_json(text, allow_partial="trailing-strings")
        except ValueError:
            return _NOTHING
        if self._adapter is None:
            return value
        for _ in range(2):
            try:
                return self._adapter.dump_python(self._adapter.validate_python(value), exclude_unset=True)
            except ValidationError as error:
                for found in error.errors(include_url=False, include_context=False, include_input=False):
                    value = _without(value, found["loc"])
        return _NOTHING


NOTHING = _NOTHING


def _after_fence(text: str) -> str:
    """The text behind the opening line of a Markdown code fence."""
    stripped = text.lstrip()
    if not stripped.startswith("```"):
        return text
    return stripped.partition("\n")[2]


def _without(value: Any, place: tuple[int | str, ...]) -> Any:
    """The value without what stands at a place; a place that names a branch of a union is followed where it leads."""
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
    """The same type with every field optional; a type inside itself is not checked."""
    return _Twins().of(asked)


class _Twins:
    def __init__(self) -> None:
        self._made: dict[Any, Any] = {}

    def of(self, asked: Any) -> Any:
        shape = _fields_of(asked)
        if shape is not None:
            if asked not in self._made:
                self._made[asked] = Any  # while its fields are read
                inner: dict[str, Any] = {name: (Union[self.of(hint), None], None) for name, hint in shape.items()}
                self._made[asked] = create_model(f"{asked.__name__}Partial", **inner)
            return self._made[asked]
        origin, inside = get_origin(asked), get_args(asked)
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
        return {found.alias or name: found.annotation for name, found in asked.model_fields.items()}
    if is_dataclass(asked):
        hints = get_type_hints(asked, include_extras=True)
        return {one.name: hints[one.name] for one in fields(asked)}
    if is_typeddict(asked):
        return get_type_hints(asked)
    return None
