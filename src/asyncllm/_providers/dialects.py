"""The ``dialect`` of an entry: single fields of the wire formats that its host speaks, set in the configuration.

The fields are those of `asyncllm.wires.ChatDialect` and its like. A host of several formats applies a field to every
format that has it. A field that is a function can be set in Python only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from importlib import import_module
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from .._protocols.codec import WireProtocol
from .._schema.request import Operation, Request
from ..errors import ConfigurationError
from .provider import Provider, Route
from .spec import find_host

_DIALECTS: Mapping[str, str] = MappingProxyType(
    {
        "openai_chat": "ChatDialect",
        "openai_responses": "ResponsesDialect",
        "anthropic": "AnthropicDialect",
        "gemini": "GeminiDialect",
        "converse": "ConverseDialect",
    }
)
"""Wire format -> the class of its dialect, in the folder of that name."""
_MOST_REMEMBERED = 64


def with_dialect(provider: Provider, given: Mapping[str, Any]) -> Provider:
    """Returns the provider with these fields of its dialects changed.

    Args:
        provider: the host.
        given: field -> value, as the configuration has it.

    Raises:
        ConfigurationError: no format of the host has such a field, or the value is none for it.
    """
    spec = find_host(provider.kind)
    formats = spec.wires if spec is not None else tuple(_DIALECTS)
    known = {name: hint for wire in formats for name, hint in _hints(wire).items()}
    read = {name: _read(provider.name, name, value, known) for name, value in given.items()}
    changed: dict[int, tuple[WireProtocol, WireProtocol]] = {}

    def resolve(operation: Operation, model: str, request: Request | None) -> Route:
        route = provider.resolve(operation, model, request)
        found = changed.get(id(route.protocol))
        if found is None or found[0] is not route.protocol:
            if len(changed) >= _MOST_REMEMBERED:
                changed.clear()
            found = changed[id(route.protocol)] = (route.protocol, _applied(route.protocol, read))
        return replace(route, protocol=found[1])

    return replace(provider, resolve=resolve)


def _applied(protocol: WireProtocol, values: Mapping[str, Any]) -> WireProtocol:
    codec: Any = protocol
    dialect = getattr(codec, "dialect", None)
    if dialect is None:
        return protocol
    names = {one.name for one in fields(dialect)}
    own = {name: value for name, value in values.items() if name in names}
    changed: WireProtocol = replace(codec, dialect=replace(dialect, **own))
    return changed


def _hints(wire: str) -> dict[str, Any]:
    dialect = getattr(import_module(f"asyncllm._protocols.{wire}"), _DIALECTS[wire])
    hints = get_type_hints(dialect)
    return {one.name: hints[one.name] for one in fields(dialect)}


def _read(provider: str, name: str, value: Any, known: Mapping[str, Any]) -> Any:
    where = f"providers.{provider}.dialect.{name}"
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(known))}"
        raise ConfigurationError(f"{where}: this host has no such field of its dialect{hint}", provider=provider)
    read, wanted = _fit(value, known[name])
    if wanted:
        raise ConfigurationError(f"{where} must be {wanted}", provider=provider)
    return read


def _fit(value: Any, hint: Any) -> tuple[Any, str]:
    """Returns the value as the field needs it and ``""``, or a sentence that says what the value must be."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return value, "" if value in inner else f"one of {', '.join(map(str, inner))}"
    if type(None) in inner:
        rest = [one for one in inner if one is not type(None)]
        if value is None:
            return None, ""
        fitting = [_fit(value, one) for one in rest]
        return next((found for found in fitting if not found[1]), fitting[0])
    if origin in (tuple, frozenset):
        if isinstance(value, (list, tuple, frozenset)):
            return origin(value), ""
        return value, "a list"
    if isinstance(hint, type) and hint in (bool, str, int):
        return value, "" if type(value) is hint else {bool: "true or false", str: "a string", int: "a whole number"}[
            hint
        ]
    return value, "" if callable(value) or isinstance(value, Mapping) else "set in Python: it is a function or a table"
