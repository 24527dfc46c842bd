"""The units of the ledger: nano-dollars, microseconds, and ULIDs for ids.

Amounts are integer nano-dollars inside and `Decimal` dollars outside, never a float. Moments are integer microseconds
since 1970, so they are the same on every machine. A ULID is an id that sorts by time: 48 bits of Unix milliseconds and
80 random bits, as 26 letters of Crockford's base 32. Two ids of one millisecond are in no particular order.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Context, Decimal

_PLACES = 9
_LEAST_PLACES = 2
_NANO = Decimal(1).scaleb(-_PLACES)
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)

MICROSECONDS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(high + low for high in _LETTERS for low in _LETTERS)
_LETTERS_OF_TIME = 10
_RANDOM_BYTES = 16
_DRAWN_AT_ONCE = 64
_RANDOM = (_LETTERS * 8).encode()  # of each byte the letter of its last five bits
_DIGITS = str.maketrans(_LETTERS, "0123456789abcdefghijklmnopqrstuv")  # base 32 as `int` reads it
_LAST_MILLISECOND = (1 << 48) - 1


def to_dollars(nano: int) -> Decimal:
    """Returns an amount in nano-dollars as US dollars: exact, with at least two decimals."""
    places = _PLACES
    while places > _LEAST_PLACES and not nano % 10:
        nano //= 10
        places -= 1
    return Decimal(nano).scaleb(-places, _EXACT)


def to_nano(dollars: Decimal) -> int:
    """Returns an amount in US dollars as nano-dollars, rounded half to even.

    Raises:
        ValueError: it is no finite number.
    """
    if not dollars.is_finite():
        raise ValueError(f"{dollars} is no amount of money")
    return int(dollars.quantize(_NANO, context=_EXACT).scaleb(_PLACES, _EXACT))


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970; a moment without a time zone is local time, as for `datetime` itself."""
    if moment.tzinfo is None:
        moment = moment.astimezone()
    return (moment - _EPOCH) // _MICROSECOND


def to_moment(microseconds: int) -> datetime:
    """The moment, in UTC."""
    return _EPOCH + timedelta(0, microseconds // MICROSECONDS, microseconds % MICROSECONDS)


def new_ulid(milliseconds: int, randomness: bytes) -> str:
    """An id.

    Args:
        milliseconds: since 1970, UTC; a clock that is out of the format's range is taken to its nearest end.
        randomness: sixteen bytes; five bits of each are used.
    """
    time = milliseconds if 0 <= milliseconds <= _LAST_MILLISECOND else min(max(milliseconds, 0), _LAST_MILLISECOND)
    pairs = _PAIRS
    return (
        f"{pairs[time >> 40]}{pairs[time >> 30 & 1023]}{pairs[time >> 20 & 1023]}{pairs[time >> 10 & 1023]}"
        f"{pairs[time & 1023]}{randomness.translate(_RANDOM).decode('ascii')}"
    )


class Ulids:
    """Makes ids. Random bytes are drawn for many at once, as each draw is a system call that gives up the GIL.

    Threads and finalisers may share it.
    """

    __slots__ = ("_drawn", "_generation", "_second")

    def __init__(self) -> None:
        self._generation = 0
        self._drawn: list[str] = []
        self._second = (-(1 << 60), "")

    def make(self, milliseconds: int, generation: int) -> str:
        """Returns a new id, as `new_ulid` does.

        Args:
            milliseconds: since 1970, UTC.
            generation: counts the forks of this process; what a parent has drawn is not used in its child.
        """
        if generation != self._generation:
            self._generation, self._drawn = generation, []
        try:
            random = self._drawn.pop()
        except IndexError:  # none is left, or another thread has taken the last one
            many = os.urandom(_RANDOM_BYTES * _DRAWN_AT_ONCE).translate(_RANDOM).decode("ascii")
            self._drawn = [many[at : at + _RANDOM_BYTES] for at in range(_RANDOM_BYTES, len(many), _RANDOM_BYTES)]
            random = many[:_RANDOM_BYTES]
        second, letters = self._second
        if milliseconds >> 10 != second:
            whole = new_ulid(milliseconds, bytes(_RANDOM_BYTES))
            if not 0 <= milliseconds <= _LAST_MILLISECOND:
                return whole[:_LETTERS_OF_TIME] + random
            letters = whole[: _LETTERS_OF_TIME - 2]  # those of the next 1,024 ms
            self._second = (milliseconds >> 10, letters)
        return f"{letters}{_PAIRS[milliseconds & 1023]}{random}"


def first_ulid(milliseconds: int) -> str:
    """The smallest id that a millisecond can have: the bound of a search by time."""
    return new_ulid(milliseconds, bytes(_RANDOM_BYTES))


def moment_of(ulid: str) -> int:
    """The microseconds since 1970 of an id, to the millisecond."""
    return int(ulid[:_LETTERS_OF_TIME].translate(_DIGITS), 32) * 1000


def is_ulid(text: str) -> bool:
    """Whether a text has the form of an id."""
    return len(text) == 26 and set(text) <= set(_LETTERS)
