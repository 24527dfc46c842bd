"""What is wrong at a place of the configuration, and what may have been meant there.

A hint costs a comparison with every known name, so it is worked out only for the problems that are shown.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple

from .document import shown
from .interpolate import KeyPath

_LONGEST = 64  # a longer name is no misspelling, and comparing takes time


class ConfigProblem(NamedTuple):
    """Something wrong.

    Attributes:
        path: where.
        text: what.
        name: the unknown name, if that is what is wrong; never quoted.
        known: the names it could have been.
    """

    path: KeyPath
    text: str
    name: str | None = None
    known: frozenset[str] = frozenset()

    def sentence(self) -> str:
        """What is wrong, with what may have been meant."""
        return self.text if self.name is None else self.text + hint(self.name, self.known)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like this one; None when nothing is alike."""
    if len(name) > _LONGEST:
        return None
    by_folded = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def hint(name: str, known: Iterable[str]) -> str:
    """What could be meant instead; the name itself, which may be anything, is not quoted.

    Returns:
        ``; did you mean 'openai'?``, or the known names, or nothing when there are none.
    """
    known = sorted(known)
    meant = nearest(name, known)
    if meant is not None:
        return f"; did you mean {shown(meant)!r}?"
    return f"; known: {', '.join(map(shown, known[:40]))}" if known else ""
