"""JSON schemas rewritten so that hosts take them; the caller's own schema is never changed.

OpenAI's strict mode holds a model to a schema only in a subset: the root is an object, every object is closed and
requires all of its properties, no property has a default, a reference stands alone, an array says what its items are.
`strict_schema` rewrites what can be rewritten: an optional property becomes required, and a keyword that the subset has
not (``minLength``, ``not``) moves into the description; the answer is checked against the whole schema afterwards. A
field with keys of its own (``dict[str, int]``) and a value of any type cannot be said at all. Sources: OpenAI's page on
structured outputs, November 2026; pydantic-ai 2.68 (``profiles/openai``), which tried the keywords against the API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .schema_subsets import ABOUT, described, target

_LISTS = ("anyOf", "oneOf", "allOf")
_MAPS = ("properties", "$defs", "definitions")
_AS_THEY_ARE = frozenset(
    {
        *("type", "enum", "const", "title", "description", "minimum", "maximum", "exclusiveMinimum"),
        *("exclusiveMaximum", "multipleOf", "minItems", "maxItems"),
    }
)
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_LOOKING_AROUND = ("(?=", "(?!", "(?<=", "(?<!")
_DEEPEST = 10
_MOST_PROPERTIES = 5000


def with_object_root(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the schema with what its root refers to in place of the reference, as recursive classes need it."""
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


def strict_schema(
    schema: Mapping[str, Any], render: Callable[[Any], str], *, nullable: bool
) -> Mapping[str, Any] | None:
    """Returns the schema in OpenAI's strict subset; None if the subset cannot express it.

    Args:
        schema: a JSON schema.
        render: writes a value as JSON text, for the description.
        nullable: an optional property may be null, which the caller's own schema may not allow; else the model must
            give it a value.
    """
    root = with_object_root(schema)
    if root.get("type") != "object" or any(word in root for word in ("anyOf", "oneOf")):
        return None
    if has_open_objects(root) or not _is_typed(root):
        return None
    if _depth(root, root, frozenset()) > _DEEPEST or _properties(root) > _MOST_PROPERTIES:
        return None
    written: Mapping[str, Any] = _strict(root, render, nullable=nullable)
    return written


def _is_typed(schema: Any) -> bool:
    """Whether every value has a type, every array has items, and nothing must fit two schemas at once."""
    if not isinstance(schema, Mapping) or len(schema.get("allOf") or ()) > 1 or "prefixItems" in schema:
        return False
    if not any(word in schema for word in ("type", "enum", "const", "properties", "$ref", *_LISTS)):
        return False
    kind = schema.get("type")
    if (kind == "array" or (isinstance(kind, (list, tuple)) and "array" in kind)) and "items" not in schema:
        return False
    inner = [item for word in _LISTS if isinstance(schema.get(word), (list, tuple)) for item in schema[word]]
    inner += [item for word in _MAPS if isinstance(schema.get(word), Mapping) for item in schema[word].values()]
    inner += [schema["items"]] if "items" in schema else []
    return all(_is_typed(item) for item in inner)


def _depth(schema: Any, root: Mapping[str, Any], seen: frozenset[str]) -> int:
    """Returns how deep objects and arrays are nested; a recursion counts once."""
    if not isinstance(schema, Mapping):
        return 0
    if "$ref" in schema:
        name, found = target(schema["$ref"], root)
        return 0 if name in seen else _depth(found, root, seen | {name})
    inner = [item for word in _LISTS if isinstance(schema.get(word), (list, tuple)) for item in schema[word]]
    deepest = max([_depth(item, root, seen) for item in inner], default=0)
    below = [*(schema.get("properties") or {}).values(), *([schema["items"]] if "items" in schema else [])]
    return max(deepest, 1 + max([_depth(item, root, seen) for item in below], default=0) if below else 0)


def _properties(schema: Any) -> int:
    if isinstance(schema, (list, tuple)):
        return sum(map(_properties, schema))
    if not isinstance(schema, Mapping):
        return 0
    return len(schema.get("properties") or ()) + sum(map(_properties, schema.values()))


def _strict(schema: Any, render: Callable[[Any], str], *, nullable: bool) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        kept = {"$ref": schema["$ref"]}
        told = schema.get("description")
        written: dict[str, Any] = {"anyOf": [kept], "description": told} if told else kept
        for word in ("$defs", "definitions"):
            if word in schema:
                written[word] = {name: _strict(item, render, nullable=nullable) for name, item in schema[word].items()}
        return written
    if schema.get("allOf"):  # one schema, which pydantic puts beside a description
        (only,) = schema["allOf"]
        rest = {word: value for word, value in schema.items() if word != "allOf"}
        return _strict({**rest, "anyOf": [only]} if "$ref" in only else {**only, **rest}, render, nullable=nullable)
    written = {}
    moved: dict[str, Any] = {}
    for word, value in schema.items():
        if word in _MAPS and isinstance(value, Mapping):
            written[word] = {name: _strict(item, render, nullable=nullable) for name, item in value.items()}
        elif word in ("anyOf", "oneOf"):
            written["anyOf"] = [
                *written.get("anyOf", ()),
                *(_strict(item, render, nullable=nullable) for item in value),
            ]
        elif word == "items":
            written[word] = _strict(value, render, nullable=nullable)
        elif word in _AS_THEY_ARE or _is_known(word, value):
            written[word] = value
        elif word not in ABOUT and word not in ("default", "required", "additionalProperties"):
            moved[word] = value
    told = described(schema.get("description"), moved, render)
    if told is not None:
        written["description"] = told
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


def _is_known(word: str, value: Any) -> bool:
    if word == "format":
        return value in _FORMATS
    return word == "pattern" and not any(mark in str(value) for mark in _LOOKING_AROUND)


def _or_null(schema: Any) -> Any:
    """Returns a schema that allows null too."""
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
