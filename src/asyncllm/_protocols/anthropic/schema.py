"""A JSON schema in the subset that Anthropic's constrained decoding takes.

The rules are those the anthropic SDK documents and applies (2.11, ``lib/_parse/_transform``): every object gets
``additionalProperties: false``; ``required`` stays as given; ``oneOf`` becomes ``anyOf``; a ``$ref`` stands alone;
strings keep only the formats the API knows; ``minItems`` may be 0 or 1. Every other keyword (``minimum``, ``pattern``)
moves into the description, where the model still reads it. The caller's schema is never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_AS_THEY_ARE = frozenset({"type", "title", "enum", "const", "default", "required"})
_MAPS = frozenset({"properties", "$defs", "definitions"})
_ABOUT_THE_SCHEMA = frozenset({"$schema", "$id", "$comment"})


def constrain(schema: Any, render: Callable[[Any], str]) -> Any:
    """The schema in the API's subset, as a new value.

    Args:
        schema: a JSON schema; booleans are schemas too, and stay what they are.
        render: writes a value as JSON text, for the description.
    """
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        kept = {"$ref": schema["$ref"]}
        for name in ("$defs", "definitions"):  # at the root they stand beside a reference into themselves
            if name in schema:
                kept[name] = _each(schema[name], render)
        return kept
    written: dict[str, Any] = {}
    moved = {
        word: value
        for word, value in schema.items()
        if not _keep(word, value, written, render) and word not in _ABOUT_THE_SCHEMA
    }
    if _is_object(schema):
        written["additionalProperties"] = False
        if moved.get("additionalProperties") in (False, True):
            del moved["additionalProperties"]
    _describe(written, schema.get("description"), moved, render)
    return written


def _keep(word: str, value: Any, written: dict[str, Any], render: Callable[[Any], str]) -> bool:
    """Writes a keyword the API takes; False for one it does not."""
    if word in _AS_THEY_ARE:
        written[word] = value
    elif word in _MAPS:
        written[word] = _each(value, render)
    elif word in ("anyOf", "oneOf", "allOf") and isinstance(value, (list, tuple)):
        name = "allOf" if word == "allOf" else "anyOf"
        written[name] = [*written.get(name, ()), *(constrain(option, render) for option in value)]
    elif word == "items":
        written[word] = constrain(value, render)
    elif (word == "format" and str(value) in _FORMATS) or (word == "minItems" and value in (0, 1)):
        written[word] = value
    else:
        return word == "description"
    return True


def _each(schemas: Any, render: Callable[[Any], str]) -> Any:
    if not isinstance(schemas, Mapping):
        return schemas
    return {name: constrain(schema, render) for name, schema in schemas.items()}


def _is_object(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, (list, tuple)) and "object" in kind) or "properties" in schema


def _describe(
    written: dict[str, Any], description: Any, moved: Mapping[str, Any], render: Callable[[Any], str]
) -> None:
    words = [description] if isinstance(description, str) and description else []
    if moved:
        words.append("{" + ", ".join(f"{word}: {render(value)}" for word, value in moved.items()) + "}")
    if words:
        written["description"] = "\n\n".join(words)
