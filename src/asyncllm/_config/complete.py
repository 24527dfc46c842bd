"""Completes what was read before it is validated: kinds, inherited values, paths.

An entry's kind decides which keys it may hold. A variable that an entry refers to and that is not set is the entry's
own trouble until somebody uses it; for the active entry, that is at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .._providers.spec import HostSpec
from .document import ConfigDocument, shown
from .interpolate import KeyPath, Unresolved, unresolved_in
from .kinds import COMMON_KEYS, DEPLOYMENT_KEYS, KindsOfOneFile, read_own
from .nearest import ConfigProblem
from .rules import SecretStr
from .sections import MEMORY

_SECRET_WORDS = ("key", "token", "secret", "password", "credential")
_FILE_DATABASE = "sqlite:///asyncllm.db"

# The keys that hold a path, which is taken from where the file lies, and the words that are none.
_PATHS = (
    *(("http", key) for key in ("ca_bundle", "client_certificate", "client_key")),
    ("cost_tracking", "log_path"),
    ("cost_tracking", "journal_path"),
    ("catalog", "cache_path"),
)
_NO_PATHS = frozenset({("ca_bundle", "system")})


def complete(
    document: ConfigDocument, tree: dict[str, Any], extra_kinds: frozenset[str], *, check_active: bool = True
) -> list[ConfigProblem]:
    """Completes a resolved tree, in place; returns what is wrong with it."""
    problems = list(_take_unresolved(tree))
    providers = tree.get("providers")
    entries: dict[str, Any] = providers if isinstance(providers, dict) else {}
    entries.update({name: {} for name, entry in entries.items() if entry is None})  # `ollama:` with nothing after it
    kinds = KindsOfOneFile()
    for name, entry in entries.items():
        if isinstance(entry, dict):
            wrong, pending = _complete_entry(document, ("providers", name), entry, kinds, extra_kinds)
            _inherit(tree, entry)
            problems += wrong
            if check_active and tree.get("active_provider") == name:
                problems += pending
            else:
                entry["pending"] = tuple(f"{document.place(found.path)}: {found.text}" for found in pending)
    _complete_tracking(document.base, tree)
    cache = tree.get("response_cache")
    if isinstance(cache, dict):
        cache.update({"url": _from_base(document.base, cache["url"])} if "url" in cache else {})
    for section, key in _PATHS:
        _absolute(document.base, tree.get(section), key)
    return problems


def _take_unresolved(tree: dict[str, Any]) -> Iterator[ConfigProblem]:
    """Removes unresolved values, except variables in the keys of an entry: these are reported when the entry is
    used.
    """
    for path, unresolved in list(unresolved_in(tree)):
        if path[0] != "providers" or len(path) < 3 or unresolved.malformed:
            _remove(tree, path)
            yield from (ConfigProblem(path, sentence) for sentence in _sentences(unresolved))


def _remove(tree: Any, path: KeyPath) -> None:
    """Removes a value. If it is in a list, the whole list is removed, so that no index changes."""
    end = next((position for position, key in enumerate(path) if isinstance(key, int)), len(path))
    for key in path[: end - 1]:
        tree = tree.get(key, {})
    tree.pop(path[end - 1], None)


def _sentences(unresolved: Unresolved) -> Iterator[str]:
    for name in unresolved.missing:
        yield f"the environment variable {shown(name)} is not set"
    if unresolved.without_braces is not None:
        yield f"a variable is written with braces: ${{{shown(unresolved.without_braces)}}}"
    elif unresolved.malformed:
        yield "a reference is ${NAME} or ${NAME:-default}, without another one inside; write $${ for a literal ${"


def _complete_entry(
    document: ConfigDocument, path: KeyPath, entry: dict[str, Any], kinds: KindsOfOneFile, extra_kinds: frozenset[str]
) -> tuple[list[ConfigProblem], list[ConfigProblem]]:
    """Completes one entry in place. Returns its problems, and the problems that matter only if the entry is used."""
    base = document.base
    missing = list(unresolved_in(entry))
    pending = [ConfigProblem((*path, *where), text) for where, unresolved in missing for text in _sentences(unresolved)]
    for where, _ in missing:
        entry.pop(str(where[0]), None)
    if any(where == ("kind",) for where, _ in missing):
        entry.clear()  # nothing can be said of the other keys
    name = entry.setdefault("kind", path[-1])
    if not isinstance(name, str):
        _keep_common(entry)
        return [], pending
    if name in extra_kinds:
        entry["own"] = {key: _hide(key, entry.pop(key)) for key in list(entry) if key not in COMMON_KEYS}
        for _, deployment in _deployments(path, entry):
            own = [key for key in deployment if key not in DEPLOYMENT_KEYS]
            deployment["own"] = {key: _hide(key, deployment.pop(key)) for key in own}
        return [], pending
    spec = kinds.get(name)
    if spec is None:
        meant = kinds.meant_by(name)
        unknown = ConfigProblem((*path, "kind"), "there is no such kind", name, extra_kinds.union(kinds))
        if meant is not None:
            unknown = ConfigProblem((*path, "kind"), f"there is no such kind; use kind: {meant}")
        _keep_common(entry)
        return [] if pending else [unknown], pending
    entry["own"], troubles = read_own(spec, entry, base)
    _trace(document, path, entry["own"])
    wrong = [ConfigProblem((*path, key) if key else path, text) for key, text in troubles if key or not pending]
    wrong += _unknown_keys(path, entry, spec, kinds, COMMON_KEYS)
    for where, deployment in _deployments(path, entry):
        deployment["own"], troubles = read_own(spec, deployment, base)
        _trace(document, where, deployment["own"])
        wrong += [ConfigProblem((*where, key) if key else where, text) for key, text in troubles if key]
        wrong += _unknown_keys(where, deployment, spec, kinds, DEPLOYMENT_KEYS)
    if spec.needs_base_url and not pending:
        wrong += [
            ConfigProblem(where, f"an entry of kind {name} needs base_url")
            for where, one in _deployments(path, entry) or [(path, entry)]
            if entry.get("base_url") is None and one.get("base_url") is None
        ]
    return wrong, pending


def _trace(document: ConfigDocument, path: KeyPath, own: dict[str, Any]) -> None:
    """Notes on each secret where it was written, and in which variable, for an error about it."""
    for name, value in own.items():
        if isinstance(value, SecretStr) and not value.origin:
            written = document.written((*path, name))
            variables = re.findall(r"\$\{(\w+)", written) if isinstance(written, str) else []
            variable = f" (the environment variable {', '.join(variables)})" if variables else ""
            own[name] = SecretStr(value.get_secret_value(), document.place((*path, name)) + variable)


def _deployments(path: KeyPath, entry: dict[str, Any]) -> list[tuple[KeyPath, dict[str, Any]]]:
    """The deployments of an entry that are mappings, each with a name and its place."""
    written = entry.get("deployments")
    if not isinstance(written, list):
        return []
    found = [(number, one) for number, one in enumerate(written) if isinstance(one, dict)]
    for number, one in found:
        if one.get("name") is None:
            one["name"] = str(number + 1)
        elif isinstance(one["name"], int) and not isinstance(one["name"], bool):
            one["name"] = str(one["name"])
    return [((*path, "deployments", number), one) for number, one in found]


def _keep_common(entry: dict[str, Any]) -> None:
    """Removes the keys that cannot be checked because the kind is unknown."""
    for key in entry.keys() - COMMON_KEYS:
        del entry[key]


def _unknown_keys(
    path: KeyPath, entry: dict[str, Any], spec: HostSpec, kinds: KindsOfOneFile, common: frozenset[str]
) -> Iterator[ConfigProblem]:
    """Removes the keys that the kind does not have."""
    unknown = [key for key in entry if key not in common and key != "own"]
    everywhere = kinds.every_key() if unknown else frozenset()
    for key in unknown:
        del entry[key]
        what = "not a key of this kind of provider" if key in everywhere else "unknown key"
        yield ConfigProblem((*path, key), what, key, common.union(spec.keys))


def _hide(key: str, value: Any) -> Any:
    """Returns a value of a custom kind. It is hidden if the name of its key sounds like a secret."""
    return SecretStr(value) if isinstance(value, str) and any(word in key.lower() for word in _SECRET_WORDS) else value


def _inherit(tree: dict[str, Any], entry: dict[str, Any]) -> None:
    for section in ("timeouts", "retry"):
        own, general = entry.get(section), tree.get(section)
        if isinstance(own, dict) and isinstance(general, dict):
            entry[section] = {**general, **own}


def _complete_tracking(base: Path | None, tree: dict[str, Any]) -> None:
    if tree.get("cost_tracking") is None:
        tree["cost_tracking"] = {}
    tracking = tree["cost_tracking"]
    if not isinstance(tracking, dict):
        return
    database = tracking.get("database")
    if database is None:
        database = MEMORY if base is None else _FILE_DATABASE
    tracking["database"] = _from_base(base, database)


def _from_base(base: Path | None, url: Any) -> Any:
    """The URL of an SQLite file, with the path from the configuration's folder."""
    if base is not None and isinstance(url, str) and url.startswith("sqlite:///"):
        path = url.removeprefix("sqlite:///")
        if path not in ("", MEMORY):
            return f"sqlite:///{(base / _from_home(path)).as_posix()}"
    return url


def _absolute(base: Path | None, section: Any, key: str) -> None:
    if not isinstance(section, dict) or (key, str(section.get(key))) in _NO_PATHS:
        return
    if base is not None and isinstance(section.get(key), str) and section[key]:
        section[key] = base / _from_home(section[key])


def _from_home(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # nobody's home: the path is taken literally
        return Path(path)
