"""What somebody may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from .document import shown

_LONGEST = 64  # a longer name is no misspelling, and comparing takes time


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
