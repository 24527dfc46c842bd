"""What hosts refuse in a JSON schema, and the schema without it. The caller's own schema is never changed.

A host that is sent a keyword it does not know answers 400. So each host gets its subset, and what the subset cannot say
stands in the description, where the model still reads it. No meaning is lost: every answer is checked against the
whole schema afterwards. Where even the shape cannot be said (a map, a recursion), the function gives None, and the
answer is asked for in another way.

Sources: the rules that vendors document, in November 2026: Google's ``GenerateContentConfig.response_json_schema``
(google-genai 3.4), Anthropic's structured outputs (SDK 2.11 and pydantic-ai 2.68, ``_anthropic_schema_limits``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
MAPS = ("properties", "$defs", "definitions")
ABOUT = frozenset(
    {
        *("$schema", "$id", "$comment", "$anchor", "$vocabulary", "examples", "deprecated", "readOnly", "writeOnly"),
        "discriminator",
    }
)
"""Keywords that say nothing about values."""
_GEMINI = frozenset(
    {
        *("type", "format", "title", "description", "minItems", "maxItems", "minimum", "maximum", "required"),
        "propertyOrdering",
    }
)
_MOST_OPTIONAL = 24
_MOST_UNIONS = 16
Render = Callable[[Any], str]


def described(description: Any, moved: Mapping[str, Any], render: Render) -> str | None:
    """Returns a description, with the keywords added that the host does not know."""
    words = [description] if isinstance(description, str) and description else []
    if moved:
        words.append("{" + ", ".join(f"{word}: {render(value)}" for word, value in moved.items()) + "}")
    return "\n\n".join(words) or None


def target(reference: Any, root: Mapping[str, Any]) -> tuple[str, Any]:
    """Returns the schema that a ``$ref`` points to, and a name for it; None if there is none."""
    found: Any = root
    name = str(reference)
    if not name.startswith("#"):
        return name, None
    for step in name[1:].split("/")[1:]:
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return name, found


def is_recursive(schema: Mapping[str, Any], *, only_required: bool = False) -> bool:
    """Returns whether a schema refers to itself.

    Args:
        schema: the whole schema.
        only_required: recursion through a property that may be left out does not count.
    """

    def leads_back(node: Any, path: frozenset[str]) -> bool:
        if not isinstance(node, Mapping):
            return False
        if "$ref" in node:
            name, found = target(node["$ref"], schema)
            if name in path:
                return True
            if leads_back(found, path | {name}):
                return True
        required = node.get("required") or ()
        for name, item in (node.get("properties") or {}).items():
            if (name in required or not only_required) and leads_back(item, path):
                return True
        rest = [item for word in LISTS if isinstance(node.get(word), (list, tuple)) for item in node[word]]
        rest += [node[word] for word in ("items", "additionalProperties") if isinstance(node.get(word), Mapping)]
        return any(leads_back(item, path) for item in rest)

    return leads_back(schema, frozenset({"#"}))


def too_much_for_claude(schema: Mapping[str, Any]) -> bool:
    """Returns whether a schema is too complex for Anthropic, which counts optional fields and unions."""
    optional = unions = 0

    def count(node: Any) -> None:
        nonlocal optional, unions
        if not isinstance(node, Mapping) or "$ref" in node:
            return
        named = node.get("properties") or {}
        optional += len([name for name in named if name not in (node.get("required") or ())])
        unions += "anyOf" in node or "oneOf" in node or isinstance(node.get("type"), (list, tuple))
        for word, value in node.items():
            if word in ("$defs", "definitions"):
                continue
            for item in value.values() if word == "properties" else value if word in LISTS else (value,):
                count(item)

    count(schema)
    return optional > _MOST_OPTIONAL or unions > _MOST_UNIONS


def for_gemini(schema: Mapping[str, Any], render: Render) -> Mapping[str, Any] | None:
    """Returns the schema as ``responseJsonSchema`` takes it; None if it cannot express the shape.

    Args:
        schema: one with an object at its root.
        render: writes a value as JSON text.
    """
    if is_recursive(schema, only_required=True):
        return None
    try:
        written: Mapping[str, Any] = _gemini(schema, render)
    except _CannotBeSaidError:
        return None
    return written


class _CannotBeSaidError(Exception):
    """Tells that the subset cannot express a shape."""


def _gemini(schema: Any, render: Render) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        kept: dict[str, Any] = {"$ref": str(schema["$ref"]).replace("#/definitions/", "#/$defs/")}
        if "$defs" in schema or "definitions" in schema:
            kept["$defs"] = _each({**schema.get("definitions", {}), **schema.get("$defs", {})}, render)
        return kept
    whole = schema.get("allOf")
    if whole:
        if len(whole) > 1:
            raise _CannotBeSaidError
        return _gemini({**whole[0], **{word: value for word, value in schema.items() if word != "allOf"}}, render)
    written: dict[str, Any] = {}
    moved: dict[str, Any] = {}
    for word, value in schema.items():
        if word in _GEMINI:
            written[word] = value
        elif word in ("anyOf", "oneOf"):
            written["anyOf"] = [*written.get("anyOf", ()), *(_gemini(item, render) for item in value)]
        elif word == "prefixItems":
            written[word] = [_gemini(item, render) for item in value]
        elif word in ("items", "additionalProperties"):
            written[word] = _gemini(value, render)
        elif word in MAPS:
            written["$defs" if word == "definitions" else word] = _each(value, render)
        elif word in ("enum", "const"):
            _choices(list(value) if word == "enum" else [value], written, moved)
        elif word not in ABOUT and word != "default":
            moved[word] = value
    told = described(written.pop("description", None), moved, render)
    return written if told is None else {**written, "description": told}


def _choices(values: list[Any], written: dict[str, Any], moved: dict[str, Any]) -> None:
    """Writes an enum of strings or numbers. A null becomes a type, other values go into the description."""
    named = [value for value in values if value is not None]
    plain = all(isinstance(value, (str, int, float)) and not isinstance(value, bool) for value in named)
    if not named or not plain:
        moved["enum"] = values
        return
    written["enum"] = named
    if "type" not in written:
        kinds = {"string" if isinstance(value, str) else "number" for value in named}
        if len(kinds) == 1:
            written["type"] = kinds.pop()
    if len(named) < len(values):
        only = {word: written.pop(word) for word in ("enum", "type") if word in written}
        written["anyOf"] = [only, {"type": "null"}]


def _each(schemas: Any, render: Render) -> Any:
    if not isinstance(schemas, Mapping):
        return schemas
    return {name: _gemini(item, render) for name, item in schemas.items()}
