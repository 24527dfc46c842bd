"""What hosts refuse in the JSON schema of an answer, as they document it: each function gives a sentence, or None.

They are written from the rules alone, so that they can judge what the library sends.

* OpenAI, ``strict: true``: the root is an object; every object has ``additionalProperties: false`` and requires all
  of its properties; no ``default``, no ``oneOf``, no look-around in a pattern, nothing beside a ``$ref``; some keywords
  and formats are not known; arrays say what their items are; at most 10 levels.
* Claude: closed objects; the keywords of the SDK's transformation only; no recursion; at most 24 optional properties
  and 16 unions.
* Gemini, ``responseJsonSchema``: the keywords of ``GenerateContentConfig``; a ``$ref`` stands alone; recursion only in
  optional properties; enums of strings and numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Visit = tuple[str, Mapping[str, Any]]
_OPENAI = frozenset(
    {
        *("type", "title", "description", "enum", "const", "properties", "required", "additionalProperties", "items"),
        *("anyOf", "$ref", "$defs", "definitions", "format", "pattern", "minimum", "maximum", "exclusiveMinimum"),
        *("exclusiveMaximum", "multipleOf", "minItems", "maxItems"),
    }
)
_OPENAI_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_CLAUDE = frozenset(
    {
        *("type", "title", "description", "enum", "const", "default", "properties", "required", "additionalProperties"),
        *("items", "anyOf", "allOf", "$ref", "$defs", "definitions", "format", "minItems"),
    }
)
_CLAUDE_FORMATS = frozenset({*_OPENAI_FORMATS, "uri"})
_GEMINI = frozenset(
    {
        *("$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum", "items", "prefixItems"),
        *("minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties", "additionalProperties"),
        *("required", "propertyOrdering"),
    }
)


def openai_problem(schema: Any) -> str | None:
    """Returns what OpenAI's strict mode refuses."""
    if not isinstance(schema, dict) or schema.get("type") != "object" or "anyOf" in schema:
        return "schema must be a JSON Schema of 'type: \"object\"'"
    for at, node in _nodes(schema):
        where = f"In context=({at})"
        for word in node:
            if word not in _OPENAI:
                return f"{where}, '{word}' is not permitted."
        if "$ref" in node and set(node) - {"$ref", "$defs", "definitions"}:
            return f"{where}, $ref cannot have keywords {sorted(set(node) - {'$ref'})}."
        if node.get("format", "date") not in _OPENAI_FORMATS:
            return f"{where}, '{node['format']}' is not a valid format."
        if any(mark in str(node.get("pattern", "")) for mark in ("(?=", "(?!", "(?<")):
            return f"{where}, look-around is not supported in 'pattern'."
        if not set(node) & {"type", "anyOf", "$ref", "enum", "const"}:
            return f"{where}, schema must have a 'type' key."
        if "array" in _kinds(node) and "items" not in node:
            return f"{where}, array schema missing items."
        if "object" in _kinds(node) or "properties" in node:
            if node.get("additionalProperties") is not False:
                return f"{where}, 'additionalProperties' is required to be supplied and to be false."
            if list(node.get("required") or ()) != list(node.get("properties") or ()):
                return f"{where}, 'required' is required to be an array including every key in properties."
    if _levels(schema, schema, frozenset()) > 10:
        return "the schema exceeds the maximum nesting depth of 10."
    return None


def claude_problem(schema: Any) -> str | None:
    """Returns what Anthropic's constrained decoding refuses."""
    if not isinstance(schema, dict):
        return "output_config.format.schema: Input should be an object"
    for at, node in _nodes(schema):
        for word in node:
            if word not in _CLAUDE:
                return f"output_config.format.schema: {at}: property '{word}' is not supported"
        if "$ref" in node and set(node) - {"$ref", "$defs", "definitions"}:
            return f"output_config.format.schema: {at}: '$ref' must stand alone"
        if node.get("format", "date") not in _CLAUDE_FORMATS:
            return f"output_config.format.schema: {at}: string format '{node['format']}' is not supported"
        if node.get("minItems", 0) not in (0, 1):
            return f"output_config.format.schema: {at}: values other than 0 or 1 for 'minItems' are not supported"
        if ("object" in _kinds(node) or "properties" in node) and node.get("additionalProperties") is not False:
            return f"output_config.format.schema: {at}: 'additionalProperties' must be set to false"
    if _recurs(schema, schema, frozenset({"#"}), required_only=False):
        return "output_config.format.schema: Recursive definitions are not supported"
    optional = unions = 0
    for at, node in _nodes(schema):
        if "$defs" in at or "definitions" in at:
            continue
        optional += len(set(node.get("properties") or ()) - set(node.get("required") or ()))
        unions += "anyOf" in node or isinstance(node.get("type"), list)
    if optional > 24 or unions > 16:
        return "output_config.format.schema: schema is too complex"
    return None


def gemini_problem(schema: Any) -> str | None:
    """Returns what Google refuses in ``responseJsonSchema``."""
    if not isinstance(schema, dict):
        return "Invalid value at 'generation_config.response_json_schema'"
    for at, node in _nodes(schema):
        for word in node:
            if word not in _GEMINI:
                return f"Unknown name \"{word}\" at 'generation_config.response_json_schema' ({at}): Cannot find field."
        if "$ref" in node and set(node) - {"$ref", "$defs"}:
            return f"response_json_schema ({at}): a $ref must not have other fields"
        for value in node.get("enum") or ():
            if isinstance(value, bool) or not isinstance(value, (str, int, float)):
                return f"response_json_schema ({at}): enum values must be strings or numbers"
    if _recurs(schema, schema, frozenset({"#"}), required_only=True):
        return "response_json_schema: recursive references are allowed in optional properties only"
    return None


def _kinds(node: Mapping[str, Any]) -> Sequence[str]:
    kind = node.get("type", ())
    return (kind,) if isinstance(kind, str) else kind


def _nodes(schema: Any, at: str = "") -> Iterator[Visit]:
    """Yields every schema inside a schema, with its place."""
    if not isinstance(schema, dict):
        return
    yield at, schema
    for word in ("properties", "$defs", "definitions"):
        for name, item in (schema.get(word) or {}).items():
            yield from _nodes(item, f"{at}/{word}/{name}")
    for word in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for number, item in enumerate(schema.get(word) or ()):
            yield from _nodes(item, f"{at}/{word}/{number}")
    for word in ("items", "additionalProperties"):
        yield from _nodes(schema.get(word), f"{at}/{word}")


def _meant(reference: str, root: Any) -> Any:
    found = root
    for step in reference.lstrip("#").strip("/").split("/"):
        if step:
            found = found.get(step) if isinstance(found, dict) else None
    return found


def _inside(node: Mapping[str, Any], keep: Callable[[str], bool]) -> list[Any]:
    found = [item for name, item in (node.get("properties") or {}).items() if keep(name)]
    found += [item for word in ("anyOf", "oneOf", "allOf", "prefixItems") for item in node.get(word) or ()]
    return found + [node[word] for word in ("items", "additionalProperties") if isinstance(node.get(word), dict)]


def _recurs(node: Any, root: Any, path: frozenset[str], *, required_only: bool) -> bool:
    if not isinstance(node, dict):
        return False
    if "$ref" in node:
        name = str(node["$ref"])
        return name in path or _recurs(_meant(name, root), root, path | {name}, required_only=required_only)
    needed = node.get("required") or ()
    below = _inside(node, lambda name: not required_only or name in needed)
    return any(_recurs(item, root, path, required_only=required_only) for item in below)


def _levels(node: Any, root: Any, seen: frozenset[str]) -> int:
    if not isinstance(node, dict):
        return 0
    if "$ref" in node:
        name = str(node["$ref"])
        return 0 if name in seen else _levels(_meant(name, root), root, seen | {name})
    beside = max([_levels(item, root, seen) for item in node.get("anyOf") or ()], default=0)
    below = [*(node.get("properties") or {}).values(), *([node["items"]] if "items" in node else [])]
    return max(beside, 1 + max([_levels(item, root, seen) for item in below], default=0) if below else 0)
