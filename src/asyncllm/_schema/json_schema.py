"""A light check of values against a JSON schema (draft 2020-12): enough for what models answer with.

Known: type, enum, const, properties, required, additionalProperties, patternProperties, propertyNames,
dependentRequired, minProperties, maxProperties, items, prefixItems, contains, minItems, maxItems, uniqueItems,
minLength, maxLength, pattern, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, allOf, anyOf, oneOf,
not, if/then/else, and ``$ref`` inside the schema. Everything else (``format``, ``title``, ``default``, ...) is a
remark and checks nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

MOST_PROBLEMS = 10
_DEEPEST = 100
_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, Mapping),
    "array": lambda value: isinstance(value, (list, tuple)),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
    ),
}
_SUBSCHEMAS = ("additionalProperties", "propertyNames", "items", "contains", "not", "if", "then", "else")
_LISTS_OF_SCHEMAS = ("allOf", "anyOf", "oneOf", "prefixItems")
_NUMBERS = (
    *("minProperties", "maxProperties", "minItems", "maxItems", "minLength", "maxLength"),
    *("minimum", "maximum", "multipleOf"),
)
_MAPS_OF_SCHEMAS = ("properties", "patternProperties", "$defs", "definitions")


class SchemaError(ValueError):
    """The given value is no JSON schema."""


class JSONSchema:
    """A schema, looked over once.

    Args:
        schema: the schema as a dict; it is not changed.

    Raises:
        SchemaError: a keyword has a value it cannot have, or a ``$ref`` leads nowhere.
    """

    __slots__ = ("_root",)

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema
        self._look_over(schema, "", 0)

    def problems(self, value: Any) -> tuple[str, ...]:
        """Returns the first problems of a value, a sentence each; empty if it fits."""
        found = []
        for problem in self._check(value, self._root, "", 0):
            found.append(problem)
            if len(found) == MOST_PROBLEMS:
                break
        return tuple(found)

    def without_nulls(self, value: Any) -> Any:
        """Returns the value without the nulls of optional fields that cannot be null."""
        return self._slim(value, self._root, 0)

    def _resolve(self, schema: Any, depth: int) -> Any:
        while isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str) and depth < _DEEPEST:
            schema = self._target(schema["$ref"])
            depth += 1
        return schema

    def _target(self, reference: str) -> Any:
        if not reference.startswith("#"):
            raise SchemaError(f"$ref {reference!r} leads out of the schema; put what it names under $defs")
        found: Any = self._root
        for step in reference[1:].split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping) and step in found:
                found = found[step]
            elif isinstance(found, (list, tuple)) and step.isdigit() and int(step) < len(found):
                found = found[int(step)]
            else:
                raise SchemaError(f"$ref {reference!r} names nothing in the schema")
        return found

    def _look_over(self, schema: Any, at: str, depth: int) -> None:
        if isinstance(schema, bool):
            return
        if not isinstance(schema, Mapping):
            raise SchemaError(f"{at or 'it'} must be a dict, not {type(schema).__name__}")
        if depth > _DEEPEST:
            raise SchemaError("it is nested too deeply")
        kinds = schema.get("type", ())
        for kind in (kinds,) if isinstance(kinds, str) else kinds if isinstance(kinds, (list, tuple)) else (None,):
            if kind not in _TYPES:
                raise SchemaError(f"{at or 'its'} type must be one of {', '.join(_TYPES)}, not {kind!r}")
        if "$ref" in schema:
            self._target(str(schema["$ref"]))
        if "pattern" in schema:
            _compiled(schema["pattern"])
        for key in _SUBSCHEMAS:
            if key in schema and not (key == "items" and isinstance(schema[key], (list, tuple))):
                self._look_over(schema[key], f"{at}/{key}", depth + 1)
        for key in _LISTS_OF_SCHEMAS:
            if not isinstance(schema.get(key, ()), (list, tuple)):
                raise SchemaError(f"{at}/{key} must be a list of schemas")
            for number, inner in enumerate(schema.get(key, ())):
                self._look_over(inner, f"{at}/{key}/{number}", depth + 1)
        for key in (*_MAPS_OF_SCHEMAS, "dependentRequired"):
            if not isinstance(schema.get(key, {}), Mapping):
                raise SchemaError(f"{at}/{key} must be a dict of schemas")
        for key in _MAPS_OF_SCHEMAS:
            for name, inner in schema.get(key, {}).items():
                self._look_over(inner, f"{at}/{key}/{name}", depth + 1)
        for pattern in schema.get("patternProperties", {}):
            _compiled(pattern)
        for key in ("required", "enum"):
            if not isinstance(schema.get(key, ()), (list, tuple)):
                raise SchemaError(f"{at}/{key} must be a list")
        for key in _NUMBERS:
            number = schema.get(key, 1)
            is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
            if not is_number or (key == "multipleOf" and number <= 0):
                raise SchemaError(f"{at}/{key} must be a number")

    def _check(self, value: Any, schema: Any, at: str, depth: int) -> Iterator[str]:
        if isinstance(schema, bool):
            if not schema:
                yield f"{at or 'the answer'}: must not be there"
            return
        if depth > _DEEPEST:
            yield f"{at or 'the answer'}: is nested too deeply"
            return
        if "$ref" in schema:
            yield from self._check(value, self._target(str(schema["$ref"])), at, depth + 1)
        problem = _type_problem(value, schema)
        if problem:
            yield f"{at or 'the answer'}: {problem}"
            return
        for problem in _plain_problems(value, schema):
            yield f"{at or 'the answer'}: {problem}"
        yield from self._combined(value, schema, at, depth)
        if isinstance(value, Mapping):
            yield from self._object(value, schema, at, depth)
        elif isinstance(value, (list, tuple)):
            yield from self._array(value, schema, at, depth)

    def _fits(self, value: Any, schema: Any, depth: int) -> bool:
        return next(self._check(value, schema, "", depth + 1), None) is None

    def _combined(self, value: Any, schema: Mapping[str, Any], at: str, depth: int) -> Iterator[str]:
        place = at or "the answer"
        for inner in schema.get("allOf", ()):
            yield from self._check(value, inner, at, depth + 1)
        branches = schema.get("anyOf", ())
        if branches and not any(self._fits(value, inner, depth) for inner in branches):
            first = [next(self._check(value, inner, at, depth + 1), "") for inner in branches]
            yield f"{place}: fits none of the allowed forms ({'; '.join(first)})"
        branches = schema.get("oneOf", ())
        if branches:
            fitting = sum(self._fits(value, inner, depth) for inner in branches)
            if fitting != 1:
                yield f"{place}: fits {fitting} of the allowed forms and must fit exactly one"
        if "not" in schema and self._fits(value, schema["not"], depth):
            yield f"{place}: has a form that is not allowed"
        if "if" in schema:
            branch = "then" if self._fits(value, schema["if"], depth) else "else"
            if branch in schema:
                yield from self._check(value, schema[branch], at, depth + 1)

    def _object(self, value: Mapping[str, Any], schema: Mapping[str, Any], at: str, depth: int) -> Iterator[str]:
        properties = schema.get("properties", {})
        patterns = schema.get("patternProperties", {})
        rest = schema.get("additionalProperties", True)
        for name in schema.get("required", ()):
            if name not in value:
                yield f"{_below(at, name)}: is missing"
        for name, needed in schema.get("dependentRequired", {}).items():
            if name in value:
                yield from (f"{_below(at, other)}: is missing beside {name}" for other in needed if other not in value)
        for name, inner in value.items():
            place = _below(at, name)
            known = False
            if name in properties:
                known = True
                yield from self._check(inner, properties[name], place, depth + 1)
            for pattern, form in patterns.items():
                if _matches(pattern, name):
                    known = True
                    yield from self._check(inner, form, place, depth + 1)
            if not known and rest is False:
                yield f"{place}: is not a field of the schema"
            elif not known and rest is not True:
                yield from self._check(inner, rest, place, depth + 1)
            if "propertyNames" in schema and not self._fits(name, schema["propertyNames"], depth):
                yield f"{place}: is not an allowed name"

    def _array(self, value: Sequence[Any], schema: Mapping[str, Any], at: str, depth: int) -> Iterator[str]:
        heads = schema.get("prefixItems", ())
        rest = schema.get("items", True)
        if isinstance(rest, (list, tuple)):  # the form of older drafts
            heads, rest = rest, schema.get("additionalItems", True)
        for number, inner in enumerate(value):
            form = heads[number] if number < len(heads) else rest
            yield from self._check(inner, form, _below(at, number), depth + 1)
        if "contains" in schema and not any(self._fits(inner, schema["contains"], depth) for inner in value):
            yield f"{at or 'the answer'}: has no item of the form that must be there"

    def _slim(self, value: Any, schema: Any, depth: int) -> Any:
        schema = self._resolve(schema, depth)
        if not isinstance(schema, Mapping) or depth > _DEEPEST:
            return value
        if isinstance(value, Mapping):
            return self._slim_object(value, schema, depth)
        if isinstance(value, list):
            forms = schema.get("items", True)
            slim = [self._slim(inner, forms, depth + 1) for inner in value]
            if any(new is not old for new, old in zip(slim, value, strict=True)):
                return slim
            return self._slim_branches(value, schema, depth)
        return value

    def _slim_object(self, value: Mapping[str, Any], schema: Mapping[str, Any], depth: int) -> Any:
        properties = schema.get("properties", {})
        rest = schema.get("additionalProperties", True)
        required = schema.get("required", ())
        slim = {}
        changed = False
        for name, inner in value.items():
            form = properties.get(name, rest)
            if inner is None and name in properties and name not in required and not self._fits(None, form, depth):
                changed = True
                continue
            slim[name] = self._slim(inner, form, depth + 1)
            changed = changed or slim[name] is not inner
        return slim if changed else self._slim_branches(value, schema, depth)

    def _slim_branches(self, value: Any, schema: Mapping[str, Any], depth: int) -> Any:
        """Removes such nulls by the first of several schemas that the value fits, as it is or without nulls."""
        branches = [inner for key in ("anyOf", "oneOf", "allOf") for inner in schema.get(key, ())]
        if not branches or self._fits(value, schema, depth):
            return value
        for inner in branches:
            slim = self._slim(value, inner, depth + 1)
            if slim is not value and self._fits(slim, inner, depth):
                return slim
        return value


def _type_problem(value: Any, schema: Mapping[str, Any]) -> str | None:
    kinds = schema.get("type")
    if kinds is None:
        return None
    names = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    if any(_TYPES[name](value) for name in names) or (value is None and schema.get("nullable") is True):
        return None
    return f"{_shown(value)} is not of type {' or '.join(names)}"


def _plain_problems(value: Any, schema: Mapping[str, Any]) -> Iterator[str]:
    if "enum" in schema and not any(_same(value, allowed) for allowed in schema["enum"]):
        yield f"{_shown(value)} is not one of {', '.join(map(_shown, schema['enum'][:20]))}"
    if "const" in schema and not _same(value, schema["const"]):
        yield f"{_shown(value)} is not {_shown(schema['const'])}"
    if isinstance(value, str):
        yield from _size_problems(len(value), "letters", schema, "minLength", "maxLength")
        if "pattern" in schema and not _matches(schema["pattern"], value):
            yield f"{_shown(value)} does not match {schema['pattern']!r}"
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _number_problems(value, schema)
    elif isinstance(value, Mapping):
        yield from _size_problems(len(value), "fields", schema, "minProperties", "maxProperties")
    elif isinstance(value, (list, tuple)):
        yield from _size_problems(len(value), "items", schema, "minItems", "maxItems")
        if schema.get("uniqueItems") is True and any(
            _same(one, other) for number, one in enumerate(value) for other in value[:number]
        ):
            yield "has an item twice"


def _size_problems(size: int, what: str, schema: Mapping[str, Any], least: str, most: str) -> Iterator[str]:
    if size < schema.get(least, 0):
        yield f"has {size} {what}, at least {schema[least]} are needed"
    if most in schema and size > schema[most]:
        yield f"has {size} {what}, at most {schema[most]} are allowed"


def _number_problems(value: float, schema: Mapping[str, Any]) -> Iterator[str]:
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{value} is less than {schema['minimum']}"
    if "maximum" in schema and value > schema["maximum"]:
        yield f"{value} is more than {schema['maximum']}"
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        yield f"{value} is not more than {schema['exclusiveMinimum']}"
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        yield f"{value} is not less than {schema['exclusiveMaximum']}"
    if "multipleOf" in schema:
        times = value / schema["multipleOf"]
        if abs(times - round(times)) > 1e-9 * max(1.0, abs(times)):
            yield f"{value} is not a multiple of {schema['multipleOf']}"


def _same(one: Any, other: Any) -> bool:
    """Equality in JSON's sense: True is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return bool(one == other)


def _matches(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text) is not None


def _compiled(pattern: Any) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, TypeError):
        raise SchemaError(f"the pattern {pattern!r} cannot be used in Python") from None


def _below(at: str, name: object) -> str:
    return f"{at}.{name}" if at else str(name)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
