"""The JSON Schema for editors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from asyncllm._config import KINDS, json_schema
from asyncllm._config.kinds import COMMON_KEYS

ROOT = Path(__file__).parents[2]
MAKE_IT = "import json, asyncllm._config as c; print(json.dumps(c.json_schema(), indent=2))"


def test_the_published_schema_is_current() -> None:
    """docs/config.schema.json is what the models say now."""
    published = json.loads((ROOT / "docs" / "config.schema.json").read_text(encoding="utf-8"))
    assert json_schema() == published, f"make it again: python -c '{MAKE_IT}' > docs/config.schema.json"


def fits(value: Any, schema: dict[str, Any], definitions: dict[str, Any]) -> bool:
    """The part of JSON Schema that the published one uses."""
    if "$ref" in schema:
        return fits(value, definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    if "anyOf" in schema:
        return any(fits(value, inner, definitions) for inner in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    types = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "integer": int,
        "number": (int, float),
        "null": type(None),
    }
    if "type" in schema and not isinstance(value, types[schema["type"]]):
        return False
    if isinstance(value, dict):
        known, rest = schema.get("properties", {}), schema.get("additionalProperties", {})
        if not all(key in value for key in schema.get("required", ())):
            return False
        return all(
            fits(inner, known[key], definitions)
            if key in known
            else rest is not False and fits(inner, rest, definitions)
            for key, inner in value.items()
        )
    if isinstance(value, list):
        return all(fits(inner, schema.get("items", {}), definitions) for inner in value)
    return not isinstance(value, str) or re.search(schema.get("pattern", ""), value) is not None


def test_the_schema_accepts_the_example_and_no_typing_error() -> None:
    """The repository's config.yaml fits; misspelt keys and wrong values do not; references fit anywhere."""
    schema = json_schema()
    example = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    assert fits(example, schema, schema["$defs"])
    assert fits({**example, "retry": {"max_attempts": "${N}"}}, schema, schema["$defs"])
    assert fits({**example, "unsupported_parameters": "${N:-drop}"}, schema, schema["$defs"])
    routing = {"strategy": "capability", "tiers": {"s": ["a", ["b", "c"]]}, "tasks": {"t": "s"}}
    assert fits({**example, "routing": routing}, schema, schema["$defs"])
    assert not fits({**example, "retry": {"max_attempts": "many"}}, schema, schema["$defs"])
    assert not fits({**example, "htp": {}}, schema, schema["$defs"])
    assert not fits({**example, "unsupported_parameters": "x"}, schema, schema["$defs"])


def test_the_schema_knows_every_key_of_every_kind_and_nothing_internal() -> None:
    """An entry's keys are those of the table of kinds."""
    entry = json_schema()["$defs"]["ProviderSettings"]
    assert COMMON_KEYS.union(*(kind.keys for kind in KINDS.values())) == entry["properties"].keys()
    assert "required" not in entry


def undocumented(schema: dict[str, Any]) -> Iterator[str]:
    for name, definition in schema["$defs"].items():
        if "properties" in definition and not definition.get("description"):
            yield name


def test_every_section_is_described() -> None:
    """An editor has a sentence to show for each section."""
    assert [] == list(undocumented(json_schema()))
