"""The JSON Schema of a configuration file, for editors that complete and check while one types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .kinds import KINDS
from .settings import Settings

_REFERENCE: Mapping[str, str] = {"type": "string", "pattern": r"\$\{"}


def json_schema() -> dict[str, Any]:
    """The schema, draft 2020-12. Numbers, booleans and words also take a ``${NAME}``."""
    schema = Settings.model_json_schema()
    entry = schema["$defs"]["ProviderSettings"]
    for internal in ("custom", "pending"):
        del entry["properties"][internal]
    entry.pop("required")
    entry["properties"]["kind"]["examples"] = sorted(KINDS)
    target = schema["$defs"]["RouteTarget"]
    pair = {"type": "array", "prefixItems": [{"type": "string"}, {"type": "string"}], "minItems": 2, "maxItems": 2}
    schema["$defs"]["RouteTarget"] = {"anyOf": [{"type": "string"}, pair, target], "description": "A target."}
    tasks = schema["$defs"]["RoutingSettings"]["properties"]["tasks"]
    tasks["additionalProperties"] = {"anyOf": [{"type": "string"}, tasks["additionalProperties"]]}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "asyncllm configuration"}
    document: dict[str, Any] = head | {key: value for key, value in schema.items() if key != "title"}
    return {key: _with_references(value) for key, value in document.items()}


def _with_references(schema: Any) -> Any:
    """The schema with a reference allowed wherever something else than free text stands."""
    if isinstance(schema, list):
        return [_with_references(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: _with_references(value) for key, value in schema.items() if key not in ("title", "format", "default")}
    if "default" in schema:
        inner["default"] = schema["default"]
    if inner.get("type") in ("integer", "number", "boolean") or "enum" in inner:
        about = {key: inner.pop(key) for key in ("description", "default") if key in inner}
        return {**about, "anyOf": [inner, dict(_REFERENCE)]}
    return inner
