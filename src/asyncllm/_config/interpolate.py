"""``${NAME}`` and ``${NAME:-default}`` in the values of a configuration.

The rules, all of them: a reference may stand anywhere in a string value; keys are never touched. A default is used when
the variable is unset or empty, as in a shell; it is plain text up to the next ``}`` and may hold no ``${`` itself. What
a variable holds is put in as it is: neither read as YAML nor searched for references again. ``$${`` is a literal
``${``; every other ``$`` stands for itself, but a value that is nothing but ``$NAME``, as a shell has it, is refused:
it is never meant as it stands. A reference that is none of this is refused rather than left in place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

KeyPath = tuple[str | int, ...]

_REFERENCE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-((?:(?!\$\{)[^}])*))?\})?")

_WITHOUT_BRACES = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_MOST_MISSING = 20  # enough to tell


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Marks a value with references that could not be resolved.

    Attributes:
        missing: variables that are not set.
        malformed: something that starts like a reference and is none.
        without_braces: the name in a value that is ``$NAME``.
    """

    missing: tuple[str, ...]
    malformed: bool
    without_braces: str | None = None


def interpolate(text: str, environ: Mapping[str, str]) -> str | Unresolved:
    """The text with its references replaced, once."""
    if "${" not in text:
        bare = _WITHOUT_BRACES.fullmatch(text) if text[:1] == "$" else None
        return text if bare is None else Unresolved((), malformed=True, without_braces=bare[1])
    parts: list[str] = []
    missing: list[str] = []
    end = 0
    for found in _REFERENCE.finditer(text):
        name, default = found[1], found[2]
        if found[0] == "${":
            return Unresolved((), malformed=True)
        value = "${" if name is None else environ.get(name) or default
        if value is None and name not in environ:
            missing.append(name)
            if len(missing) == _MOST_MISSING:
                break
        parts += (text[end : found.start()], value or "")
        end = found.end()
    if missing:
        return Unresolved(tuple(dict.fromkeys(missing)), malformed=False)
    return "".join([*parts, text[end:]])


def resolve_values(tree: Any, environ: Mapping[str, str]) -> Any:
    """The tree with every string value interpolated; the tree that was given is left as it is."""
    if isinstance(tree, str):
        return interpolate(tree, environ)
    if isinstance(tree, dict):
        return {key: resolve_values(value, environ) for key, value in tree.items()}
    if isinstance(tree, list):
        return [resolve_values(value, environ) for value in tree]
    return tree


def unresolved_in(tree: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Unresolved]]:
    """Returns the places of all unresolved values."""
    if isinstance(tree, Unresolved):
        yield path, tree
    elif isinstance(tree, (dict, list)):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from unresolved_in(value, (*path, key))
