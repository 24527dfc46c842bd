"""Money: integer nano-dollars inside, `Decimal` dollars outside; never a float."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal

NANO_PER_DOLLAR = 1_000_000_000
_PLACES = Decimal(1).scaleb(-9)
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)


def to_dollars(nano: int) -> Decimal:
    """US dollars of an amount in nano-dollars, exact."""
    return Decimal(nano).scaleb(-9, _EXACT)


def to_nano(dollars: Decimal) -> int:
    """Nano-dollars of an amount in US dollars, half to even below a nano-dollar.

    Raises:
        ValueError: it is no finite number.
    """
    if not dollars.is_finite():
        raise ValueError(f"{dollars} is no amount of money")
    return int(dollars.quantize(_PLACES, context=_EXACT).scaleb(9, _EXACT))
