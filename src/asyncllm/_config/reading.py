"""Reads plain values as the types of a section's annotations, and says what is wrong in sentences.

`Reader.read` takes what was written and a type, and returns a value of the type; what is wrong it adds to a list, so
that one error tells everything. Texts are read as numbers and booleans too, because a resolved ``${NAME}`` is a text.
What cannot be read is a ValueError throughout. No sentence quotes a value: ``loading`` decides whether it may be shown.
"""

from __future__ import annotations

import math
import os
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from .interpolate import KeyPath
from .nearest import ConfigProblem
from .rules import Rule, SecretStr

_TRUE = frozenset({"true", "yes", "on", "1", "y", "t"})
_FALSE = frozenset({"false", "no", "off", "0", "n", "f"})
FAULTY = object()  # stands for a value that could not be read, beside its problem in the list


class Meant(NamedTuple):
    """The parts of an annotation.

    Attributes:
        type: without ``Annotated`` and ``None``.
        written: the type that a configuration has.
        optional: whether None is a value of it.
        rules: what must hold.
        description: what an editor shows; empty where there is none.
        inner: of the elements of a tuple; of the keys and the values of a mapping.
    """

    type: Any
    written: Any
    optional: bool
    rules: tuple[Rule, ...]
    description: str
    inner: tuple[Meant, ...]


def taken_apart(annotation: Any) -> Meant:
    """The parts of an annotation, also where ``Annotated`` and ``| None`` stand in each other."""
    rules: list[Rule] = []
    description, optional = "", False
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *about = get_args(annotation)
            rules = [*(part for part in about if isinstance(part, Rule)), *rules]
            description = description or next((part for part in about if isinstance(part, str)), "")
        elif get_origin(annotation) in (Union, types.UnionType):
            optional = True
            annotation = next(inner for inner in get_args(annotation) if inner is not type(None))
        else:
            written = next((rule.written for rule in rules if rule.written is not None), annotation)
            parts = () if get_origin(annotation) is Literal else get_args(annotation)
            inner = tuple(taken_apart(part) for part in parts if part is not Ellipsis)
            return Meant(annotation, written, optional, tuple(rules), description, inner)


class Key(NamedTuple):
    """A key of a section; its default is MISSING where it must be written, or is made anew for each section."""

    annotation: Any
    default: Any
    required: bool


def keys_of(section: Any) -> Mapping[str, Key]:
    """The keys of a section: its fields, or what its ``written_keys`` says where the fields are of another form."""
    if hasattr(section, "written_keys"):
        return {name: Key(annotation, None, required=False) for name, annotation in section.written_keys().items()}
    hints = get_type_hints(section, include_extras=True)
    return {
        one.name: Key(hints[one.name], one.default, one.default is MISSING and one.default_factory is MISSING)
        for one in fields(section)
    }


class Reader:
    """Reads one configuration.

    Attributes:
        problems: what is wrong, in the order in which it was found.
    """

    def __init__(self) -> None:
        self.problems: list[ConfigProblem] = []
        self._sections: dict[type, tuple[Mapping[str, Meant], frozenset[str]]] = {}

    def read(self, annotation: Any, written: Any, path: KeyPath = ()) -> Any:
        """Returns the value, or `FAULTY` after adding a problem.

        Args:
            annotation: the type it must have, with its rules.
            written: what the configuration has there.
            path: where that is.
        """
        return self._read(taken_apart(annotation), written, path)

    def _read(self, meant: Meant, written: Any, path: KeyPath) -> Any:
        if written is None and meant.optional:
            return None
        try:
            scalar = _SCALARS.get(meant.written)
            value = self._composed(meant, written, path) if scalar is None else scalar(written)
            if value is not FAULTY:
                for rule in meant.rules:
                    value = rule.read(value)
        except ValueError as error:
            self.problems.append(ConfigProblem(path, str(error)))
            return FAULTY
        return value

    def _composed(self, meant: Meant, written: Any, path: KeyPath) -> Any:
        if not meant.inner:
            if is_dataclass(meant.type):
                return self._section(meant.type, written, path)
            return _word(get_args(meant.type), written)
        if len(meant.inner) == 1:
            if not isinstance(written, (list, tuple)):
                raise ValueError("must be a list")
            found = [self._read(meant.inner[0], one, (*path, index)) for index, one in enumerate(written)]
            return FAULTY if FAULTY in found else tuple(found)
        _need_mapping(written)
        name, element = meant.inner
        places = [(key, (*path, key)) for key in written]
        pairs = {self._read(name, key, place): self._read(element, written[key], place) for key, place in places}
        return FAULTY if FAULTY in pairs or FAULTY in pairs.values() else pairs

    def _section(self, section: Any, written: Any, path: KeyPath) -> Any:
        if isinstance(written, section):
            return written
        spell_out = getattr(section, "spelled_out", None)
        if spell_out is not None:
            written = spell_out(written)
        _need_mapping(written)
        known, required = self._sections.get(section) or self._sections.setdefault(section, _keys(section))
        before = len(self.problems)
        found = {}
        for key, value in written.items():
            meant = known.get(key)
            if meant is None:
                self.problems.append(ConfigProblem((*path, key), "unknown key", key, frozenset(known)))
            else:
                found[key] = self._read(meant, value, (*path, key))
        if not required <= found.keys():
            self.problems += [ConfigProblem((*path, key), "is required") for key in sorted(required - found.keys())]
        return FAULTY if len(self.problems) > before else section(**found)


def _keys(section: Any) -> tuple[Mapping[str, Meant], frozenset[str]]:
    """The keys of a section, and those that must be written."""
    keys = keys_of(section)
    known = {name: taken_apart(key.annotation) for name, key in keys.items()}
    return known, frozenset(name for name, key in keys.items() if key.required)


def _need_mapping(written: Any) -> None:
    if not isinstance(written, Mapping):
        raise ValueError("must be a mapping: keys with values")


def _word(words: tuple[str, ...], written: Any) -> Any:
    if written not in words:
        *most, last = [repr(word) for word in words]
        raise ValueError(f"must be {', '.join(most)} or {last}")
    return written


def _boolean(written: Any) -> bool:
    word = str(written).strip().lower() if isinstance(written, (bool, int, str)) else ""
    if word not in _TRUE | _FALSE:
        raise ValueError("must be true or false")
    return word in _TRUE


def _no_boolean(written: Any, kinds: tuple[type, ...], sentence: str) -> None:
    if isinstance(written, bool):
        raise ValueError("must be a number, not true or false")
    if not isinstance(written, kinds):
        raise ValueError(sentence)


def _integer(written: Any) -> int:
    sentence = "must be a valid integer"
    _no_boolean(written, (int, float, str), sentence)
    try:
        number = float(written) if isinstance(written, float) else int(written)
    except ValueError:
        raise ValueError(sentence) from None
    if number != number or number in (math.inf, -math.inf) or number != int(number):
        raise ValueError(sentence)
    return int(number)


def _number(written: Any) -> float:
    sentence = "must be a valid number"
    _no_boolean(written, (int, float, str, Decimal), sentence)
    try:
        number = float(written)
    except (ValueError, OverflowError):
        raise ValueError(sentence) from None
    if not math.isfinite(number):
        raise ValueError("must be a finite number")
    return number


def _decimal(written: Any) -> Decimal:
    sentence = "must be a valid number"
    _no_boolean(written, (int, float, str, Decimal), sentence)
    try:
        number = Decimal(str(written).strip())  # 0.1 is a tenth, not the nearest binary fraction
    except InvalidOperation:
        raise ValueError(sentence) from None
    if not number.is_finite():
        raise ValueError("must be a finite number")
    return number


def _text(written: Any) -> str:
    if not isinstance(written, str):
        raise ValueError("must be a string; put it in quotes")
    return written


def _secret(written: Any) -> SecretStr:
    if hasattr(written, "get_secret_value"):  # ours, or pydantic's
        written = written.get_secret_value()
    return SecretStr(_text(written))


def _path(written: Any) -> Path:
    if not isinstance(written, (str, os.PathLike)):
        raise ValueError("must be a path; put it in quotes")
    return Path(written)


def _anything(written: Any) -> Any:
    return written


_SCALARS: Mapping[Any, Callable[[Any], Any]] = {
    Any: _anything,
    bool: _boolean,
    int: _integer,
    float: _number,
    Decimal: _decimal,
    str: _text,
    SecretStr: _secret,
    Path: _path,
}
