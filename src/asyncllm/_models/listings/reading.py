"""Reading values that may be there or not, without trusting their type."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ...errors import ProtocolError

_ISO = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:?\d\d)?)?")
_NEVER = 4_000_000_000  # seconds, in 2096: how Azure writes "no end is planned"


def moment(value: Any) -> datetime | None:
    """A date, a time or seconds since the epoch, in UTC; None for anything else, for 0 and for "never"."""
    if isinstance(value, str):
        found = _ISO.fullmatch(value.strip())
        if found is None:
            return None
        day, clock, zone = found.groups()
        zone = "+00:00" if zone in (None, "Z") else f"{zone[:3]}:{zone[-2:]}"
        try:
            return datetime.fromisoformat(f"{day}T{clock or '00:00:00'}{zone}").astimezone(timezone.utc)
        except (ValueError, OverflowError):
            return None
    if type(value) in (int, float) and 0 < value < _NEVER:
        return datetime.fromtimestamp(value, timezone.utc)
    return None


def dig(value: Any, path: Sequence[str]) -> Any:
    """What lies at a path of keys; None where it breaks off."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def first(value: Any, paths: Sequence[Sequence[str]], kind: type) -> Any:
    """The first value of a type at one of these paths; a number must be above 0, a text not empty."""
    for path in paths:
        found = dig(value, path)
        fits = type(found) is kind
        if fits and (kind is bool or (found > 0 if kind is int else found)):
            return found
    return None


def items(value: Any, *names: str) -> Iterator[Mapping[str, Any]]:
    """The objects of the first of these lists that is there; what is no object is passed over.

    Raises:
        ProtocolError: none is there.
    """
    found = next((found for name in names if isinstance(found := dig(value, (name,)), list)), None)
    if found is None:
        raise ProtocolError(f"the list of models has no {' or '.join(names)}: is base_url that of the API?")
    for item in found:
        if isinstance(item, Mapping):
            yield item


def text(value: Any, key: str) -> str:
    """The text under a key; an empty one for anything else."""
    found = dig(value, (key,))
    return found if isinstance(found, str) else ""


def listed(value: Any) -> list[Any]:
    """A list; an empty one for anything else."""
    return value if isinstance(value, list) else []


def words(value: Any) -> frozenset[str]:
    """The words of a list, in lower case; none for what is no list."""
    return frozenset(word.lower() for word in listed(value) if isinstance(word, str))


def known(**facts: Any) -> dict[str, Any]:
    """The facts that are not None."""
    return {name: value for name, value in facts.items() if value is not None}
