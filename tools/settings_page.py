"""Writes the reference of the configuration: every key with its type, default, variable and meaning.

All of it is read from the code: the sections of ``asyncllm._config``, the hosts of ``asyncllm._providers``, and the
variables of ``from_env``. `generated_pages` says how the page is kept up to date.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from asyncllm._config.environment import BUDGET_VARIABLES, VARIABLES
from asyncllm._config.reading import Key, Meant, keys_of, taken_apart
from asyncllm._config.rules import SecretStr
from asyncllm._config.settings import DeploymentSettings, ProviderSettings, Settings
from asyncllm._providers.spec import HostSpec, every_host

INTRODUCTION = """\
# Configuration reference

Every key of the configuration file, with its type, its default and the environment variable that sets it. This page is
made from the code, so it is complete. [Configuration](../configuration.md) explains the same with examples.

Variables are what `Client.from_env()` reads. A key without one can be written as `${NAME}` or `${NAME:-default}` in a
file: any value is then read from the environment. Times are in seconds, money is in US dollars. `asyncllm.Client` also
takes a mapping of this shape.
"""
_WORDS: Mapping[Any, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    Decimal: "number",
    str: "text",
    SecretStr: "secret text",
    Path: "path",
    Any: "anything",
}
_FORMS = {
    "text": "text",
    "secret": "secret text",
    "path": "path",
    "texts": "list of texts",
    "objects": "list of objects",
}
_NOT_WRITTEN = ("own", "pending")
_FROM_THE_ENTRY = ((ProviderSettings, "kind"), (DeploymentSettings, "name"))  # the meaning says what it is without them


def page() -> str:
    """The page."""
    names: dict[str, str] = {}
    parts = [INTRODUCTION, "## Top level\n", "\n".join(_table(Settings, names))]
    done: set[str] = set()
    todo = list(names)
    while todo:
        for title in todo:
            done.add(title)
            section = _SECTIONS[title]
            about = (section.__doc__ or "").split("\n\n")[0].replace("\n    ", " ")
            parts.append(f"\n## {title}\n\n{about}\n")
            parts.append("\n".join(_table(section, names)))
            if section is ProviderSettings:
                parts.append("\nAnd the keys of its kind, see [below](#keys-of-each-kind-of-provider).")
        todo = [title for title in names if title not in done]
    parts.append(_kinds())
    return "\n".join(parts) + "\n"


_SECTIONS: dict[str, Any] = {}
_TITLES: Mapping[str, str] = {
    "ProviderSettings": "providers",
    "DeploymentSettings": "deployments of a provider",
    "HTTPSettings": "http",
    "RetryPolicy": "retry",
    "Timeouts": "timeouts",
    "RoutingRules": "routing",
    "RouteTarget": "targets of routing",
    "LimitBounds": "limits",
    "ProviderLimits": "limits of a provider",
    "Hedging": "hedging",
    "Budget": "budgets",
    "Scope": "scope of a budget",
    "CatalogSettings": "catalog",
    "PriceSettings": "prices of a model",
    "CapabilitySettings": "capabilities of a model",
    "SharedSettings": "shared",
    "ResponseCacheSettings": "response_cache",
    "CostTrackingSettings": "cost_tracking",
    "AlertWebhookSettings": "alert_webhook of cost_tracking",
}


def _table(section: Any, names: dict[str, str]) -> Iterator[str]:
    top = section is Settings
    yield f"| key | type | default |{' variable |' if top else ''} meaning |"
    yield f"|---|---|---|{'---|' if top else ''}---|"
    made = {one.name: one.default_factory for one in fields(section)} if is_dataclass(section) else {}
    for name, key in keys_of(section).items():
        if name in _NOT_WRITTEN:
            continue
        meant = taken_apart(key.annotation)
        about = meant.description or _about(meant)
        default = "" if (section, name) in _FROM_THE_ENTRY else _default(meant, key, made.get(name))
        variable = f" {_variables(name)} |" if top else ""
        yield f"| `{name}` | {_type(meant, names)} | {default} |{variable} {_cell(about)} |"


def _variables(key: str) -> str:
    names = [one for per in BUDGET_VARIABLES.values() for one in per] if key == "budgets" else VARIABLES.get(key, ())
    return ", ".join([f"`{name}`" for name in names])


def _about(meant: Meant) -> str:
    section = _section_in(meant)
    return "" if section is None else (section.__doc__ or "").split("\n\n")[0].replace("\n    ", " ")


def _section_in(meant: Meant) -> Any:
    if is_dataclass(meant.written):
        return meant.written
    return next((found for inner in meant.inner if (found := _section_in(inner)) is not None), None)


def _type(meant: Meant, names: dict[str, str]) -> str:
    """The type in words, with its bounds."""
    words = _bare(meant, names)
    bounds = [
        _BOUNDS[word].format(rule.schema[word]) for rule in meant.rules for word in _BOUNDS if word in rule.schema
    ]
    return ", ".join([words, *bounds]) + (", or null" if meant.optional else "")


_BOUNDS = {"minimum": "{} or more", "exclusiveMinimum": "above {}", "exclusiveMaximum": "below {}"}


def _bare(meant: Meant, names: dict[str, str]) -> str:
    kind, origin = meant.written, get_origin(meant.written)
    if is_dataclass(kind):
        title = _TITLES[kind.__name__]  # type: ignore[union-attr]
        names.setdefault(title, title)
        _SECTIONS[title] = kind
        return f"[{title}](#{title.replace(' ', '-')})"
    if origin is Literal:
        return ", ".join([f"`{word}`" for word in get_args(kind)])
    if origin is tuple:
        return f"list of {_plural(_type(meant.inner[0], names))}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"{_bare(meant.inner[0], names)} → {_type(meant.inner[1], names)}"
    return _WORDS[kind]


def _plural(words: str) -> str:
    return {"text": "texts"}.get(words, words)


def _default(meant: Meant, key: Key, make: Any) -> str:
    for rule in meant.rules:
        if "default" in rule.schema:
            return f"`{rule.schema['default']}`"
    if key.required:
        return "required"
    value = key.default
    if value is MISSING:
        if is_dataclass(meant.written):
            return "as there"
        if meant.written is SecretStr:
            return f"`{make().get_secret_value()}`"
        return "`{}`" if get_origin(meant.written) is not tuple else "`[]`"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if value in ((), ""):
        return "`[]`" if value == () else ""
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _kinds() -> str:
    lines = [
        "\n## Keys of each kind of provider\n",
        "An entry of `providers` has a kind: its `kind`, else its name. `Client.from_env()` looks in this order.",
        "The first variable that is set is taken, where the entry does not have the key.",
    ]
    for spec in every_host().values():
        lines += ["", f"### {spec.kind}", "", _facts(spec), ""]
        lines += ["| key | type | variable | meaning |", "|---|---|---|---|"]
        for name, key in spec.keys.items():
            kind = ", ".join([f"`{word}`" for word in key.choices]) or _FORMS[key.form]
            variables = ", ".join([f"`{variable}`" for variable in key.variables])
            lines.append(f"| `{name}` | {kind} | {variables} | {_cell(key.about)} |")
    return "\n".join(lines)


def _facts(spec: HostSpec) -> str:
    facts = []
    if spec.base_url:
        facts.append(f"`base_url` is `{spec.base_url}`.")
    elif spec.needs_base_url:
        facts.append("It needs a `base_url`.")
    if spec.models:
        facts.append(f"`from_env` takes the models {', '.join([f'`{model}`' for model in spec.models])}.")
    if spec.synonyms:
        facts.append(f"An error about {', '.join([f'`{word}`' for word in spec.synonyms])} suggests it.")
    return " ".join(facts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
