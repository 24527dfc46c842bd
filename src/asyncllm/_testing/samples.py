"""A value that fits a JSON schema: the smallest one that says something, the same for the same schema and hint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 12  # a recursive schema ends here: optional properties and array items are left out earlier

FORMATS: Mapping[str, str] = {
    "date-time": "2026-11-20T12:00:00Z",
    "date": "2026-11-20",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def sample(schema: Mapping[str, Any], hint: str = "", root: Mapping[str, Any] | None = None, depth: int = 0) -> Any:
    """Returns a value that fits the schema.

    Args:
        schema: a JSON schema, or the OpenAPI subset with upper-case type names.
        hint: what free strings hold; the property's name where it is empty.
        root: where ``$ref`` looks; the schema itself by default.
        depth: how deep this value lies.
    """
    root = schema if root is None else root
    if "$ref" in schema:
        return sample(_resolve(str(schema["$ref"]), root), hint, root, depth + 1) if depth <= MAX_DEPTH else None
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    if schema.get("enum"):
        return schema["enum"][0]
    for keyword in ("anyOf", "oneOf"):
        if schema.get(keyword):
            return sample(_choice(schema[keyword], depth), hint, root, depth + 1)
    if schema.get("allOf"):
        return sample(_merged(schema["allOf"], root), hint, root, depth + 1)
    return _of_type(schema, hint, root, depth)


def _of_type(schema: Mapping[str, Any], hint: str, root: Mapping[str, Any], depth: int) -> Any:
    kinds = schema.get("type", "object" if "properties" in schema else "string")
    kind = str(kinds[0] if isinstance(kinds, list) else kinds).lower()
    if kind == "object":
        return _object(schema, hint, root, depth)
    if kind == "array":
        return _array(schema, hint, root, depth)
    if kind in ("integer", "number"):
        return _number(schema, whole=kind == "integer")
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    return _string(schema, hint)


def _object(schema: Mapping[str, Any], hint: str, root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    required = schema.get("required") or ()
    wanted = (
        properties if depth < MAX_DEPTH // 3 else {name: properties[name] for name in required if name in properties}
    )
    return {name: sample(each, hint or name, root, depth + 1) for name, each in wanted.items()}


def _array(schema: Mapping[str, Any], hint: str, root: Mapping[str, Any], depth: int) -> list[Any]:
    fixed = [sample(each, hint, root, depth + 1) for each in schema.get("prefixItems") or ()]
    least = int(schema.get("minItems", 0 if depth >= MAX_DEPTH // 3 else 1))
    missing = min(max(least, 0 if fixed else least), int(schema.get("maxItems", 1000))) - len(fixed)
    return fixed + [sample(schema.get("items") or {}, hint, root, depth + 1) for _ in range(missing)]


def _number(schema: Mapping[str, Any], *, whole: bool) -> float:
    step = schema.get("multipleOf", 1)
    value = schema.get("minimum", 1)
    if "exclusiveMinimum" in schema:
        value = schema["exclusiveMinimum"] + step
    value = min(value, schema.get("maximum", value))
    if "multipleOf" in schema:
        value = -(-value // step) * step
    return int(value) if whole else float(value)


def _string(schema: Mapping[str, Any], hint: str) -> str:
    text = FORMATS.get(str(schema.get("format")), hint or "text")
    least = int(schema.get("minLength", 0))
    text = text.ljust(least, "x")
    return text[: int(schema["maxLength"])] if "maxLength" in schema else text


def _choice(branches: list[Mapping[str, Any]], depth: int) -> Mapping[str, Any]:
    """Returns the first branch; deep inside a recursive schema the one that ends it."""
    if depth >= MAX_DEPTH // 3:
        for branch in branches:
            if branch.get("type") == "null":
                return branch
    return branches[0]


def _merged(branches: list[Mapping[str, Any]], root: Mapping[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for branch in branches:
        resolved = _resolve(str(branch["$ref"]), root) if "$ref" in branch else branch
        properties = {**whole.get("properties", {}), **resolved.get("properties", {})}
        required = [*whole.get("required", ()), *resolved.get("required", ())]
        whole = {**whole, **resolved}
        if properties:
            whole.update(properties=properties, required=required)
    return whole


def _resolve(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the schema that a local reference (``#/$defs/Name``) points to; an empty one if it points nowhere."""
    found: Any = root
    for step in reference.lstrip("#").strip("/").split("/"):
        if step:
            found = found.get(step.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}
