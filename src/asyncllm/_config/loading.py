"""Any source -> `Settings`, or a `ConfigurationError` that says everything that is wrong at once.

The steps: read the text (``document``), resolve references (``interpolate``), complete (``complete``), make values of
it (``reading``), and put a place before each sentence about what is wrong. A sentence may quote what was written, never
what a reference resolved to, and never the value of a key whose name sounds like a secret. The error is handed up as a
value and raised by the outermost function, after it has let go of its arguments: no traceback's frame holds the
environment or the text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._schema.redaction import redact
from ..errors import ConfigurationError
from .complete import complete
from .document import ConfigDocument, RefusedError, place, read_file, read_mapping
from .interpolate import resolve_values
from .nearest import ConfigProblem
from .not_a_file import meant_instead
from .reading import Reader
from .settings import Settings

MOST_PROBLEMS = 20
_SECRET_KEY = re.compile(r"(?i)(?:^|_)(?:key|token|secret|password|credentials?|proxy|database|url)(?:_|$)")
Source = str | os.PathLike[str] | Mapping[str, Any] | Settings


def load(
    source: Source,
    *,
    environ: Mapping[str, str] = os.environ,
    extra_kinds: frozenset[str] = frozenset(),
    check_active: bool = True,
) -> Settings:
    """The checked configuration.

    Args:
        source: a path to a YAML file, a mapping of the same shape, or settings, which are returned as they are. In a
            file relative paths are relative to the file; in a mapping they are left as they are, and the ledger is kept
            in memory (``:memory:``) unless ``cost_tracking.database`` says otherwise.
        environ: the variables for ``${NAME}``.
        extra_kinds: kinds of providers besides the built-in ones; their entries may hold any key.
        check_active: whether a variable that the active provider needs has to be set; without it that is told when
            the provider is used, as for the other ones.

    Raises:
        ConfigurationError: with one sentence a problem. A variable that only an inactive provider needs is no problem
            until that provider is used: see `ProviderSettings.options`.
    """
    outcome = source if isinstance(source, Settings) else _read(source, environ, extra_kinds, check_active)
    del source, environ
    if isinstance(outcome, Settings):
        return outcome
    raise outcome


def _read(
    source: str | os.PathLike[str] | Mapping[str, Any],
    environ: Mapping[str, str],
    extra_kinds: frozenset[str],
    check_active: bool,
) -> Settings | ConfigurationError:
    if not isinstance(source, (str, os.PathLike, Mapping)):
        return ConfigurationError(
            "a configuration is the path of a file, a mapping or Settings, as in Client('config.yaml'), "
            f"not {type(source).__name__}"
        )
    name = None if isinstance(source, Mapping) else os.fspath(source)
    try:
        document = read_mapping(source) if isinstance(source, Mapping) else read_file(source)
    except RefusedError as refused:
        if name is not None and "\0" not in name and not Path(name).exists():
            return refusal([meant_instead(name)])
        where = place(name, refused.line, refused.path)
        return refusal([f"{where}: {refused.sentence}" if where else refused.sentence])
    return settle(document, resolve_values(document.tree, environ), extra_kinds, check_active=check_active)


def settle(
    document: ConfigDocument,
    tree: dict[str, Any],
    extra_kinds: frozenset[str] = frozenset(),
    *,
    check_active: bool = True,
) -> Settings | ConfigurationError:
    """The settings of a resolved tree, which is changed; or the error, as a value."""
    problems = complete(document, tree, extra_kinds, check_active=check_active)
    settings: Settings | None = None
    if len(problems) <= MOST_PROBLEMS:  # otherwise nothing more would be shown
        around = {problem.path[:length] for problem in problems for length in range(len(problem.path) + 1)}
        reader = Reader()
        settings = reader.read(Settings, tree)
        found = [*reader.problems, *(settings.contradictions() if isinstance(settings, Settings) else ())]
        problems += [problem for problem in found if problem.path not in around]
    if not problems and isinstance(settings, Settings):
        return settings
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: document.line(problem.path) or 0)
    sentences = [_sentence(document, problem) for problem in ordered[:MOST_PROBLEMS]]
    if len(ordered) > MOST_PROBLEMS:
        sentences.append(f"and {len(ordered) - MOST_PROBLEMS} more")
    return refusal(sentences)


def refusal(sentences: Sequence[str]) -> ConfigurationError:
    """The error of a configuration with these problems."""
    return ConfigurationError("the configuration cannot be used", problems=tuple(sentences))


_USER_IN_URL = re.compile(r"//[^/\s]*@")


def _sentence(document: ConfigDocument, problem: ConfigProblem) -> str:
    path = problem.path
    written = document.written(path)
    quotable = isinstance(written, (str, int, float)) and not any(_SECRET_KEY.search(str(key)) for key in path)
    if isinstance(written, str) and (problem.text.startswith("must be a mapping") or path[-1:] == ("deployments",)):
        quotable = False  # a key, or an address with one, where its section belongs
    found = f" (found {_short(written)})" if quotable and problem.text.startswith(("must", "there")) else ""
    return f"{document.place(path)}: {redact(problem.sentence())}{redact(found)}"


def _short(value: Any) -> str:
    text = _USER_IN_URL.sub("//[redacted]@", repr(value))
    return text if len(text) <= 60 else f"{text[:59]}…"
