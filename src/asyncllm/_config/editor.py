"""Makes the JSON Schema of a configuration file, with which editors complete and check it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, is_dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from .kinds import KINDS, key_schemas
from .reading import keys_of, taken_apart
from .rules import SecretStr
from .settings import Settings

_REFERENCE: Mapping[str, str] = {"type": "string", "pattern": r"\$\{"}
_SCALARS: Mapping[Any, Mapping[str, str]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    Decimal: {"type": "number"},
    str: {"type": "string"},
    SecretStr: {"type": "string"},
    Path: {"type": "string"},
    Any: {},
}


def json_schema() -> dict[str, Any]:
    """The schema, draft 2020-12. Numbers, booleans and words also take a ``${NAME}``."""
    definitions: dict[str, Any] = {}
    whole = _section(Settings, definitions)
    entry = definitions["ProviderSettings"]
    for section in (entry, definitions["DeploymentSettings"]):
        for internal in ("own", "pending"):
            section["properties"].pop(internal, None)
        del section["required"]
        section["properties"].update(key_schemas())
    entry["properties"]["kind"]["examples"] = sorted(KINDS)
    target = definitions["RouteTarget"]
    pair = {"type": "array", "prefixItems": [{"type": "string"}, {"type": "string"}], "minItems": 2, "maxItems": 2}
    definitions["RouteTarget"] = {"description": "A target.", "anyOf": [{"type": "string"}, pair, target]}
    tasks = definitions["RoutingRules"]["properties"]["tasks"]
    tasks["additionalProperties"] = {"anyOf": [{"type": "string"}, tasks["additionalProperties"]]}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "asyncllm configuration"}
    return {**head, **whole, "$defs": dict(sorted(definitions.items()))}


def _section(section: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    keys = keys_of(section)
    required = [name for name, key in keys.items() if key.required]
    schema = {
        "description": (section.__doc__ or "").split("\n\n")[0].replace("\n    ", " "),
        "type": "object",
        "properties": {
            name: {**_schema(key.annotation, definitions), **_default(key.default)} for name, key in keys.items()
        },
        "additionalProperties": False,
    }
    return schema | ({"required": required} if required else {})


def _default(value: Any) -> dict[str, Any]:
    """Returns the default that an editor shows. A section has none of its own."""
    if value is MISSING or is_dataclass(value):
        return {}
    return {"default": list(value) if isinstance(value, tuple) else value}


def _schema(annotation: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    meant = taken_apart(annotation)
    bare = _bare(meant.written, definitions)
    about: dict[str, Any] = {"description": meant.description} if meant.description else {}
    for rule in meant.rules:
        bare |= {key: value for key, value in rule.schema.items() if key != "default"}
        about |= {key: value for key, value in rule.schema.items() if key == "default"}
    choices = [bare] if "$ref" in bare or not _takes_reference(bare) else [bare, dict(_REFERENCE)]
    choices += [{"type": "null"}] if meant.optional else []
    return about | (choices[0] if len(choices) == 1 else {"anyOf": choices})


def _takes_reference(schema: Mapping[str, Any]) -> bool:
    """Returns whether a schema must allow ``${NAME}`` too. Free text allows it anyway."""
    return schema.get("type") in ("integer", "number", "boolean") or "enum" in schema


def _bare(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin = get_origin(kind)
    if is_dataclass(kind):
        name = kind.__name__  # type: ignore[union-attr]  # a class, as every annotation is
        if name not in definitions:
            definitions[name] = {}
            definitions[name] |= _section(kind, definitions)
        return {"$ref": f"#/$defs/{name}"}
    if origin is tuple:
        return {"type": "array", "items": _schema(get_args(kind)[0], definitions)}
    if origin is Literal:
        return {"enum": list(get_args(kind))}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema(get_args(kind)[1], definitions)}
    return dict(_SCALARS[kind])
