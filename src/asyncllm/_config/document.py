"""A configuration as it was written: plain values, and the line of each key.

YAML is read from the parser's events, not through a constructor: nothing is ever made but dicts, lists and scalars, and
nesting is counted instead of recursed into. Refused, each at the first sight of it: anchors and aliases (the "billion
laughs"), tags and directives, merge keys, duplicate keys, keys that are not strings, a second document, more than 32
levels, more than 10,000 keys and values, more than 1 MiB, anything that is not UTF-8. Plain scalars follow YAML 1.2:
``yes`` and ``2026-10-21`` are strings (a version that looks like a date stays what it is), and ``1:30`` is no number of
seconds.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .interpolate import KeyPath

MOST_BYTES = 1 << 20
MOST_LEVELS = 32
MOST_NODES = 10_000

_INTEGER = re.compile(r"[-+]?[0-9]+")
_MOST_DIGITS = 40  # what is longer is no number that anybody configures
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: Mapping[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class RefusedError(Exception):
    """The text is not a configuration; raised and caught in this package only."""

    def __init__(self, sentence: str, line: int | None = None, path: KeyPath = ()) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.line = line
        self.path = path


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigDocument:
    """What was written.

    Attributes:
        tree: dicts, lists and scalars.
        lines: key path -> line, counted from 1.
        name: the file's name as the caller gave it; None when there is no file.
        base: the absolute folder that relative paths start from; None leaves them as they are.
        variables: key path -> the environment variable the value came from.
    """

    tree: dict[str, Any]
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    name: str | None = None
    base: Path | None = None
    variables: Mapping[KeyPath, str] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        """Where a key stands: ``config.yaml:7: providers.openai.api_key``, as much of it as is known."""
        if path in self.variables:
            return self.variables[path]
        return place(self.name, self.line(path), path)

    def line(self, path: KeyPath) -> int | None:
        """The line of a key, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def written(self, path: KeyPath) -> Any:
        """Returns the value as it was written, with its references. None if nothing is at this path."""
        value: Any = self.tree
        for key in path:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                return None
        return value


def place(name: str | None, line: int | None, path: KeyPath) -> str:
    """``config.yaml:7: providers.openai.api_key``, as much of it as is known."""
    where = [] if name is None else [name if line is None else f"{name}:{line}"]
    return ": ".join([*where, *([dotted(path)] if path else [])])


def dotted(path: KeyPath) -> str:
    """A key path as people write it: ``providers.openai.fallback_models[0]``."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{shown(key)}" if text else shown(key)
    return text


def shown(key: str) -> str:
    """Returns a key, shortened for an error message."""
    key = key if len(key) <= 60 else f"{key[:59]}…"
    return key if key.isprintable() and key and " " not in key else repr(key)


def read_file(path: str | os.PathLike[str]) -> ConfigDocument:
    """The configuration file at ``path``.

    Raises:
        RefusedError: there is no such file, or it is not a configuration.
    """
    file = Path(path)
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise RefusedError("this is not a file")
        with file.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise RefusedError(f"the file cannot be read: {error.strerror or type(error).__name__}") from None
    except ValueError:
        raise RefusedError("this is not the name of a file") from None
    if len(data) > MOST_BYTES:
        raise RefusedError(f"the file is larger than {MOST_BYTES // 1024} KiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedError("the file is not UTF-8", data.count(b"\n", 0, error.start) + 1) from None
    tree, lines = parse(text)
    return ConfigDocument(tree=tree, lines=lines, name=os.fspath(path), base=(Path.cwd() / file).parent)


def read_mapping(mapping: Mapping[Any, Any]) -> ConfigDocument:
    """A configuration made in Python; values other than mappings, lists and tuples are kept as they are.

    Raises:
        RefusedError: a key is not a string, or the mapping is nested without end.
    """
    return ConfigDocument(tree=_plain(mapping, ()))


def _plain(value: Any, path: KeyPath) -> Any:
    if len(path) > MOST_LEVELS:
        raise RefusedError(f"nested deeper than {MOST_LEVELS} levels", path=path[:3])
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise RefusedError(f"every key must be a string, not {type(key).__name__}", path=path)
        return {str(key): _plain(inner, (*path, str(key))) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner, (*path, index)) for index, inner in enumerate(value)]
    return value


def parse(text: str) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """The values of a YAML text, and the line of every key and list item.

    Raises:
        RefusedError: see the head of this file.
    """
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_PARSER):
            builder.feed(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        sentence = f"this is not YAML: {error.problem or error.context}"
        raise RefusedError(sentence, mark.line + 1 if mark else None) from None
    except yaml.YAMLError:
        raise RefusedError("this is not YAML: the file holds characters that YAML does not allow") from None
    if not isinstance(builder.root, dict):
        what = "empty" if builder.root is None else "not a mapping"
        raise RefusedError(f"the configuration is {what}; it starts with `active_provider:` and `providers:`", 1)
    return builder.root, builder.lines


class _Builder:
    """Builds values from parser events, with a stack of its own."""

    def __init__(self) -> None:
        self.root: Any = None
        self.lines: dict[KeyPath, int] = {}
        self._documents = 0
        self._nodes = 0
        self._open: list[dict[str, Any] | list[Any]] = []
        self._path: list[str | int] = []  # one step for each open container but the first, and a pending key
        self._key: str | None = None

    def feed(self, event: yaml.Event) -> None:
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise RefusedError("a second document starts here; a configuration is one", line)
            if event.tags or event.version:
                raise RefusedError("directives are not allowed", line)
        elif isinstance(event, yaml.AliasEvent):
            raise RefusedError("aliases are not allowed", line, tuple(self._path))
        elif isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)):
            self._node(event, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
            if self._open:
                self._path.pop()

    def _node(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, line: int) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise RefusedError(f"more than {MOST_NODES} keys and values", line)
        if event.anchor is not None:
            raise RefusedError("anchors are not allowed", line, tuple(self._path))
        if event.tag is not None:
            raise RefusedError("tags are not allowed", line, tuple(self._path))
        is_key = bool(self._open) and isinstance(self._open[-1], dict) and self._key is None
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event.value) if event.implicit[0] else event.value
            if is_key:
                self._start_key(event, value, line)
            else:
                self._put(value, line)
                if self._open:
                    self._path.pop()
            return
        if is_key:
            raise RefusedError("every key must be a string", line, tuple(self._path))
        container: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._put(container, line)
        self._open.append(container)
        if len(self._open) > MOST_LEVELS:
            raise RefusedError(f"nested deeper than {MOST_LEVELS} levels", line, tuple(self._path[:3]))

    def _start_key(self, event: yaml.ScalarEvent, key: Any, line: int) -> None:
        if not isinstance(key, str):
            raise RefusedError(
                f"every key must be a string; write {shown(event.value)!r} in quotes", line, (*self._path,)
            )
        if key == "<<" and event.implicit[0]:
            raise RefusedError("merge keys are not allowed", line, tuple(self._path))
        path = (*self._path, key)
        if path in self.lines:
            raise RefusedError(f"this key was already set in line {self.lines[path]}", line, path)
        self.lines[path] = line
        self._key = key
        self._path.append(key)

    def _put(self, value: Any, line: int) -> None:
        """Puts a value into its parent. Its step stays on the path until the value has ended."""
        if not self._open:
            self.root = value
            return
        parent = self._open[-1]
        if isinstance(parent, list):
            self._path.append(len(parent))
            self.lines[tuple(self._path)] = line
            parent.append(value)
        elif self._key is not None:
            parent[self._key] = value
            self._key = None


def _scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _MOST_DIGITS:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
