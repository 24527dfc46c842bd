"""JSON schemas rewritten so that hosts take them; the caller's own schema is never changed.

OpenAI's strict mode holds a model to a schema only in a subset: the root is an object, every object is closed and
requires all of its properties, no property has a default, a reference stands alone. `strict_schema` rewrites what can
be rewritten: an optional property becomes required. A field with keys of its own (``dict[str, int]``) cannot be said in
the subset, nor can conditions (``not``, ``if``). Source: OpenAI's page on structured outputs, November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LISTS = ("anyOf", "oneOf", "allOf")
_MAPS = ("properties", "$defs", "definitions")
_NOT_STRICT = frozenset(
    {
        *("not", "if", "then", "else", "patternProperties", "propertyNames", "dependentRequired", "dependentSchemas"),
        *("minProperties", "maxProperties", "unevaluatedProperties", "prefixItems", "contains", "uniqueItems"),
    }
)
_SILENT = frozenset({"default", "$schema", "$id", "$comment", "examples"})


def with_object_root(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema with what its root refers to in place of the reference, as recursive classes need it."""
    reference, seen = schema.get("$ref"), 0
    while isinstance(reference, str) and reference.startswith("#/") and seen < 10:
        found: Any = schema
        for step in reference[2:].split("/"):
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        if not isinstance(found, Mapping):
            return schema
        schema = {**{name: value for name, value in schema.items() if name != "$ref"}, **found}
        reference, seen = schema.get("$ref"), seen + 1
    return schema


def has_open_objects(schema: Any) -> bool:
    """Whether a schema holds an object with keys of its own, which a closed object cannot carry."""
    if isinstance(schema, (list, tuple)):
        return any(has_open_objects(item) for item in schema)
    if not isinstance(schema, Mapping):
        return False
    if _is_object(schema):
        rest = schema.get("additionalProperties")
        if isinstance(rest, Mapping) or "patternProperties" in schema:
            return True
        if "properties" not in schema and rest is not False and not any(word in schema for word in (*_LISTS, "$ref")):
            return True
    inner = [value for word, value in schema.items() if word in (*_LISTS, "items", "additionalProperties", "not")]
    inner += [item for word in _MAPS if isinstance(schema.get(word), Mapping) for item in schema[word].values()]
    return any(has_open_objects(item) for item in inner)


def _is_object(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, (list, tuple)) and "object" in kind) or "properties" in schema


def strict_schema(schema: Mapping[str, Any], *, nullable: bool) -> Mapping[str, Any] | None:
    """The schema in OpenAI's strict subset; None where the subset cannot say it.

    Args:
        schema: a JSON schema.
        nullable: an optional property may be null, which the caller's own schema may not allow; else the model must
            give it a value.
    """
    root = with_object_root(schema)
    if root.get("type") != "object" or any(word in root for word in ("anyOf", "oneOf")):
        return None
    if has_open_objects(root) or _has_conditions(root):
        return None
    written: Mapping[str, Any] = _strict(root, nullable=nullable)
    return written


def _has_conditions(schema: Any) -> bool:
    if isinstance(schema, (list, tuple)):
        return any(_has_conditions(item) for item in schema)
    if not isinstance(schema, Mapping):
        return False
    if not _NOT_STRICT.isdisjoint(schema) or (len(schema.get("allOf") or ()) > 1):
        return True
    inner = [value for word, value in schema.items() if word in (*_LISTS, "items")]
    inner += [item for word in _MAPS if isinstance(schema.get(word), Mapping) for item in schema[word].values()]
    return any(_has_conditions(item) for item in inner)


def _strict(schema: Any, *, nullable: bool) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        kept = {"$ref": schema["$ref"]}
        told = schema.get("description")
        written: dict[str, Any] = {"anyOf": [kept], "description": told} if told else kept
        for word in ("$defs", "definitions"):
            if word in schema:
                written[word] = {name: _strict(item, nullable=nullable) for name, item in schema[word].items()}
        return written
    if schema.get("allOf"):  # one schema, which pydantic puts beside a description
        (only,) = schema["allOf"]
        rest = {word: value for word, value in schema.items() if word != "allOf"}
        return _strict({**rest, "anyOf": [only]} if "$ref" in only else {**only, **rest}, nullable=nullable)
    written = {}
    for word, value in schema.items():
        if word in _SILENT:
            continue
        if word in _MAPS and isinstance(value, Mapping):
            written[word] = {name: _strict(item, nullable=nullable) for name, item in value.items()}
        elif word in ("anyOf", "oneOf"):
            written["anyOf"] = [_strict(item, nullable=nullable) for item in value]
        elif word == "items":
            written[word] = _strict(value, nullable=nullable)
        else:
            written[word] = value
    if _is_object(schema):
        names = list(written.setdefault("properties", {}))
        if nullable:
            required = set(schema.get("required") or ())
            written["properties"] = {
                name: item if name in required else _or_null(item) for name, item in written["properties"].items()
            }
        written["required"] = names
        written["additionalProperties"] = False
    return written


def _or_null(schema: Any) -> Any:
    """The schema, or null."""
    if not isinstance(schema, Mapping):
        return schema
    kind = schema.get("type")
    if "enum" in schema or "const" in schema or kind is None or "anyOf" in schema or "$ref" in schema:
        options = (
            schema["anyOf"] if set(schema) <= {"anyOf", "description", "title"} and "anyOf" in schema else [schema]
        )
        if any(isinstance(option, Mapping) and option.get("type") == "null" for option in options):
            return schema
        told = {"description": schema["description"]} if "description" in schema else {}
        return {"anyOf": [*options, {"type": "null"}], **told}
    kinds = [kind] if isinstance(kind, str) else list(kind)
    return schema if "null" in kinds else {**schema, "type": [*kinds, "null"]}
