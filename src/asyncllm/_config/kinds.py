"""The kinds of provider entries, as the hosts declare them (`asyncllm._providers.spec`).

An entry that leaves out its credential is no error here: the provider's own file looks it up when the entry is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .._providers.spec import ConfigKey, HostSpec, every_host, find_host
from .rules import KEY, SecretStr

COMMON_KEYS = frozenset(
    {
        "kind",
        "base_url",
        "fallback_models",
        "max_tokens",
        "timeouts",
        "retry",
        "limits",
        "priced_as",
        "headers",
        "dialect",
        "deployments",
        "balance",
    }
)
"""What an entry of any kind may hold."""
DEPLOYMENT_KEYS = frozenset({"name", "base_url", "weight", "limits", "headers"})
"""What a deployment of an entry of any kind may hold."""


class Kinds(Mapping[str, HostSpec]):
    """Kind -> what its host declares, in the order in which ``from_env`` looks.

    To look one kind up loads the file of that host alone; to iterate loads those of all.
    """

    __slots__ = ()

    def __getitem__(self, kind: str) -> HostSpec:
        spec = find_host(kind)
        if spec is None:
            raise KeyError(kind)
        return spec

    def __iter__(self) -> Iterator[str]:
        return iter(every_host())

    def __len__(self) -> int:
        return len(every_host())


KINDS: Mapping[str, HostSpec] = Kinds()


class KindsOfOneFile(Kinds):
    """The kinds, for one reading of a configuration. Each is looked up only once."""

    __slots__ = ("_every", "_found", "_meant")

    def __init__(self) -> None:
        self._found: dict[str, HostSpec] = {}
        self._every: Mapping[str, HostSpec] | None = None
        self._meant: dict[str, str] = {}

    def __getitem__(self, kind: str) -> HostSpec:
        spec = self._found.get(kind)
        if spec is None and self._every is None:
            spec = find_host(kind)
            if spec is None:
                self._load()
            else:
                self._found[kind] = spec
        if spec is None:
            raise KeyError(kind)
        return spec

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def _load(self) -> Mapping[str, HostSpec]:
        if self._every is None:
            self._every = every_host()
            self._found.update(self._every)
            for kind, spec in self._every.items():
                self._meant.update(dict.fromkeys((kind, *spec.synonyms), kind))
        return self._every

    def meant_by(self, name: str) -> str | None:
        """Returns the kind that is meant by another usual name, such as "google", "claude" or "azure_openai"."""
        self._load()
        return self._meant.get(name.lower().replace("-", "_").replace(" ", "_"))

    def every_key(self) -> frozenset[str]:
        """The keys of all kinds."""
        return COMMON_KEYS.union(*(spec.keys for spec in self._load().values()))


def read_own(spec: HostSpec, entry: dict[str, Any], base: Path | None) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Reads the keys of an entry that belong to its host.

    Args:
        spec: what the host declares.
        entry: the entry, which is changed.
        base: the folder that relative paths are relative to; None leaves them as they are.

    Returns:
        The values of the keys that are set, and the problems: a key (``""`` for the entry as a whole) and a sentence.
    """
    own: dict[str, Any] = {}
    problems: list[tuple[str, str]] = []
    for name, key in spec.keys.items():
        value = entry.pop(name, None) if name not in COMMON_KEYS else None
        if value is None or (isinstance(value, str) and not value.strip()):
            continue  # `${KEY:-}` that is not there
        try:
            own[name] = _READERS[key.form](value, base)
            _check(own[name], key)
        except ValueError as error:
            problems.append((name, str(error)))
    wrong = {name for name, _ in problems}
    problems += [
        ("", f"{one} and {other} go together")
        for one, other in spec.pairs
        if (one in own) != (other in own) and not wrong & {one, other}
    ]
    return own, problems


def _check(value: Any, key: ConfigKey) -> None:
    if key.choices and value not in key.choices:
        raise ValueError(f"must be {' or '.join(key.choices)}")
    if key.pattern and not re.search(key.pattern, value):
        raise ValueError(f"must match pattern {key.pattern!r}")


def _text(value: Any, base: Path | None = None) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string; put it in quotes")  # noqa: TRY004  (a sentence for the user)
    return value


def _secret(value: Any, base: Path | None = None) -> Any:
    if callable(value) and not hasattr(value, "get_secret_value"):
        return value  # a function that gives the key
    hidden: str = value.get_secret_value() if hasattr(value, "get_secret_value") else _text(value)
    found: SecretStr = KEY.read(SecretStr(hidden, getattr(value, "origin", "")))
    return found


def _path(value: Any, base: Path | None) -> Path:
    if "{" in str(value) or "\n" in str(value):
        raise ValueError("must be the path of a file, not its content")
    path = Path(value if isinstance(value, Path) else _text(value))
    with suppress(RuntimeError):  # nobody's home: the path is taken literally
        path = path.expanduser()
    return path if base is None else base / path


def _list(value: Any, kind: type, what: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError("must be a list")  # noqa: TRY004
    if not all(isinstance(item, kind) and item for item in value):
        raise ValueError(f"must be a list of {what}")
    return tuple(value)


_READERS: Mapping[str, Callable[[Any, Path | None], Any]] = {
    "text": _text,
    "secret": _secret,
    "path": _path,
    "texts": lambda value, base: _list(value, str, "strings"),
    "objects": lambda value, base: _list(value, Mapping, "objects"),
}
_SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "text": {"type": "string", "minLength": 1},
    "secret": {"type": "string", "writeOnly": True},
    "path": {"type": "string", "format": "path"},
    "texts": {"type": "array", "items": {"type": "string", "minLength": 1}},
    "objects": {"type": "array", "items": {"type": "object"}},
}


def key_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of every key that a host has of its own; the description says whose it is."""
    found: dict[str, dict[str, Any]] = {}
    for spec in every_host().values():
        for name, key in spec.keys.items():
            if name in COMMON_KEYS:
                continue
            schema = found.setdefault(name, {**_SCHEMAS[key.form], "description": ""})
            if key.pattern:
                schema["pattern"] = key.pattern
            if name == "api_key":
                schema["description"] = key.about
            elif key.about not in schema["description"]:
                schema["description"] += f"{' ' if schema['description'] else ''}{spec.kind}: {key.about}"
    return found
