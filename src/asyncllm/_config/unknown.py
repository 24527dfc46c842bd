"""Which keys a place of the configuration knows, read from the models."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel

from .interpolate import KeyPath
from .settings import Settings


def known_keys(path: KeyPath) -> frozenset[str]:
    """The keys of the section at a path; empty where any key may stand."""
    types: list[Any] = [Settings]
    for key in path:
        types = [inner for outer in types for inner in _below(outer, key)]
    return frozenset(name for model in types if _is_model(model) for name in model.model_fields)


def _below(annotation: Any, key: str | int) -> list[Any]:
    """The types a key may lead to."""
    if _is_model(annotation):
        field = annotation.model_fields.get(str(key))
        return [] if field is None else _alternatives(field.annotation)
    return [inner for argument in get_args(annotation) for inner in _alternatives(argument)]


def _alternatives(annotation: Any) -> list[Any]:
    """The models and containers in an annotation such as ``X | None`` or ``Annotated[X, ...]``."""
    if _is_model(annotation) or getattr(annotation, "__origin__", None) in (tuple, dict):
        return [annotation]
    return [inner for argument in get_args(annotation) for inner in _alternatives(argument)]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
