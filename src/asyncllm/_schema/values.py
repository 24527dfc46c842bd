"""Frozen, slotted dataclasses that are made quickly.

The standard library compiles six functions for each frozen dataclass, before Python 3.13 each by an ``exec`` of its
own: for the hundred values of this package that was nearly half of the time that ``import asyncllm`` took. The
`dataclass` of this file compiles one, ``__init__``, which is what calls spend their time in. ``__repr__``, ``__eq__``,
``__hash__`` and what keeps a value frozen are the same functions for all classes.

``__init__`` sets each field by the ``__set__`` of its slot, which takes half the time of ``object.__setattr__``: a call
makes some fifteen values of up to twenty fields, a chunk of a stream one.

Everything else is the standard library's, which does the work: `dataclasses.fields`, `dataclasses.replace`, fields with
factories, ``kw_only``, ``__post_init__``, ``match``. Type checkers see the standard decorator. A class that is not
frozen and slotted, or that inherits from a dataclass, is made by the standard library alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError
from operator import attrgetter
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

_QUICK = frozenset({"frozen", "slots", "kw_only", "init", "repr", "eq"})
_NOTHING = ("__class__",)  # what values without fields are compared by
_FACTORY = object()  # stands for a default that is made anew for each value


def _made(cls: Any, *, kw_only: bool = False, init: bool = True, repr: bool = True, eq: bool = True, **_: bool) -> Any:
    written = dict(cls.__dict__)
    made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True, kw_only=kw_only)(cls)
    made.__dataclass_params__.frozen = True
    shared: dict[str, Any] = {"__setattr__": _refuse, "__delattr__": _refuse}
    shared |= {"__getstate__": _getstate, "__setstate__": _setstate}
    if repr:
        shared["__repr__"] = _repr
    if eq:
        made.__compared__ = attrgetter(*[field.name for field in dataclasses.fields(made) if field.compare] or _NOTHING)
        shared |= {"__eq__": _eq} | ({"__hash__": _hash} if written.get("__hash__") is None else {})
    if init:
        shared["__init__"] = _init_of(made)
    for name, function in shared.items():
        if name not in written or (name == "__hash__" and written[name] is None):
            setattr(made, name, function)
    return made


def _init_of(cls: Any) -> Callable[..., None]:
    """``__init__`` with a parameter for each field, as the standard library writes it."""
    scope: dict[str, Any] = {"FACTORY": _FACTORY}
    positional: list[str] = []
    keyword: list[str] = []
    lines: list[str] = []
    for field in dataclasses.fields(cls):
        name, value = field.name, field.name
        parameter = name
        if field.default_factory is not MISSING:
            scope[f"make_{name}"] = field.default_factory
            parameter = f"{name}=FACTORY"
            value = f"make_{name}() if {name} is FACTORY else {name}" if field.init else f"make_{name}()"
        elif field.default is not MISSING:
            scope[f"default_{name}"] = field.default
            parameter = f"{name}=default_{name}"
            value = name if field.init else f"default_{name}"
        elif not field.init:
            continue
        if field.init:
            (keyword if field.kw_only else positional).append(parameter)
        scope[f"set_{name}"] = cls.__dict__[name].__set__
        lines.append(f"  set_{name}(self, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append("  self.__post_init__()")
    parameters = ", ".join(["self", *positional, *(["*", *keyword] if keyword else [])])
    exec(f"def __init__({parameters}):\n" + ("\n".join(lines) or "  pass"), scope)  # noqa: S102  # names of fields only
    function: Any = scope["__init__"]
    function.__qualname__ = f"{cls.__qualname__}.__init__"
    function.__module__ = cls.__module__
    function.__annotations__ = {field.name: field.type for field in dataclasses.fields(cls) if field.init}
    function.__annotations__["return"] = None
    return function  # type: ignore[no-any-return]


def _refuse(self: Any, name: str, *_: object) -> None:
    raise FrozenInstanceError(f"cannot change field {name!r}")


def _repr(self: Any) -> str:
    shown = [f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr]
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _eq(self: Any, other: object) -> Any:
    if self is other:
        return True
    compared = self.__compared__
    return compared(self) == compared(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    hashed = (one for one in dataclasses.fields(self) if (one.compare if one.hash is None else one.hash))
    return hash(tuple([getattr(self, one.name) for one in hashed]))


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _setstate(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)


def _dataclass(cls: Any = None, /, **options: bool) -> Any:
    def make(cls: Any) -> Any:
        inherits = any(dataclasses.is_dataclass(base) for base in cls.__mro__[1:])
        if not (options.get("frozen") and options.get("slots")) or inherits or not options.keys() <= _QUICK:
            return dataclasses.dataclass(**options)(cls)
        return _made(cls, **options)

    return make if cls is None else make(cls)


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _dataclass
