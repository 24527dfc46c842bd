"""Money: integer nano-dollars inside, `Decimal` dollars outside; never a float."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal

NANO_PER_DOLLAR = 1_000_000_000
_PLACES = 9
_LEAST_PLACES = 2
_NANO = Decimal(1).scaleb(-_PLACES)
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)


def to_dollars(nano: int) -> Decimal:
    """US dollars of an amount in nano-dollars, exact, with as many places as it needs and at least two."""
    whole, part = divmod(abs(nano), NANO_PER_DOLLAR)
    places = f"{part:09d}".rstrip("0").ljust(_LEAST_PLACES, "0")
    return Decimal(f"{'-' if nano < 0 else ''}{whole}.{places}")


def to_nano(dollars: Decimal) -> int:
    """Nano-dollars of an amount in US dollars, half to even below a nano-dollar.

    Raises:
        ValueError: it is no finite number.
    """
    if not dollars.is_finite():
        raise ValueError(f"{dollars} is no amount of money")
    return int(dollars.quantize(_NANO, context=_EXACT).scaleb(_PLACES, _EXACT))
