"""ULIDs: ids that sort by time. 48 bits of Unix milliseconds, 80 random bits, 26 letters of Crockford's base 32.

Two ids of the same millisecond are in no particular order; what must be in order has a time of its own.
"""

from __future__ import annotations

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(high + low for high in _LETTERS for low in _LETTERS)
_RANDOM_BYTES = 10
_LAST_MILLISECOND = (1 << 48) - 1

LENGTH = 26


def new_ulid(milliseconds: int, randomness: bytes) -> str:
    """An id.

    Args:
        milliseconds: since 1970, UTC; a clock that is out of the format's range is taken to its nearest end.
        randomness: ten bytes.
    """
    value = (_clamp(milliseconds) << 80) | int.from_bytes(randomness, "big")
    pairs = _PAIRS
    return "".join([pairs[value >> shift & 1023] for shift in range(120, -1, -10)])


def first_ulid(milliseconds: int) -> str:
    """The smallest id that a millisecond can have: the bound of a search by time."""
    return new_ulid(milliseconds, bytes(_RANDOM_BYTES))


def milliseconds_of(ulid: str) -> int:
    """When an id was made, in milliseconds since 1970.

    Raises:
        ValueError: it is no ULID.
    """
    if len(ulid) != LENGTH or any(letter not in _LETTERS for letter in ulid) or ulid[0] > "7":
        raise ValueError(f"{ulid!r} is no ULID")
    value = 0
    for letter in ulid[:10]:
        value = value << 5 | _LETTERS.index(letter)
    return value


def _clamp(milliseconds: int) -> int:
    return min(max(milliseconds, 0), _LAST_MILLISECOND)
