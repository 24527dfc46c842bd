"""What the place of inference adds to the price of tokens: `factor_of`, one table of rows.

Price lists are for the whole world; a place that was asked for costs more. Bedrock's names of models have the place in
them (``global.``, ``us.``), and the price data has a row for each; for all others a factor is added here. Fees of
tools are the same everywhere. The first row that fits counts.

Sources (November 2026): Anthropic, data residency (``inference_geo``); OpenAI, data residency (models released on or
after 5 March 2026); Google Cloud, prices of regional endpoints; Together, geo-specific inference; AWS, prices of
Bedrock, where other regions than the large American ones have prices of their own for most makers.
"""

from __future__ import annotations

import re
from fractions import Fraction

from .._schema.values import dataclass

MOST = Fraction(3, 2)
"""What a reservation reckons with where the factor of a place is not known."""
_ONE = Fraction(1)
_TENTH_MORE = Fraction(11, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacePrice:
    """Holds one row: what a place costs.

    Attributes:
        kind: the kind of provider.
        places: the places, in lower case; a regular expression for the whole word.
        models: the models; a regular expression that is looked for in the name.
        factor: what the price of a token is multiplied with; None where nobody knows.
    """

    kind: str
    places: str
    models: str = ""
    factor: Fraction | None


_OLD_OPENAI = (
    r"^(ft:)?(gpt-3|gpt-4|gpt-5(?!\.[4-9])|gpt-audio|gpt-realtime(-mini)?$|o1|o3|o4|chatgpt|codex|computer-use)"
)
_OLD_CLAUDE = r"claude-(3|opus-4(@|-0|-1|-2025|$)|sonnet-4(@|-0|-2025|$)|4-(opus|sonnet))"
# The makers whose rows the price data has for each geography, or whose price is the same in all regions.
_BEDROCK_BY_NAME = r"(^|[./])(anthropic|openai|moonshotai)\."
_ROWS: tuple[PlacePrice, ...] = (
    PlacePrice(kind="anthropic", places="us", factor=_TENTH_MORE),
    PlacePrice(kind="anthropic", places=".+", factor=None),
    PlacePrice(kind="openai", places=".+", models=_OLD_OPENAI, factor=_ONE),
    PlacePrice(kind="openai", places=".+", factor=_TENTH_MORE),
    PlacePrice(kind="vertex", places=".+", models=_OLD_CLAUDE, factor=_ONE),
    PlacePrice(kind="vertex", places=".+", models=r"gemini-[12]\b", factor=_ONE),
    PlacePrice(kind="vertex", places=".+", models=r"claude-|gemini-", factor=_TENTH_MORE),
    PlacePrice(kind="vertex", places=".+", factor=_ONE),  # models of others are served in one place
    PlacePrice(kind="bedrock", places=".+", models=_BEDROCK_BY_NAME, factor=_ONE),
    PlacePrice(kind="bedrock", places=r"us-(east-1|east-2|west-2)", factor=_ONE),
    PlacePrice(kind="bedrock", places=".+", factor=None),
    PlacePrice(kind="together", places="us|ca", factor=Fraction(5, 4)),
)
_ORDINARY = frozenset({"", "global", "not_available"})


def factor_of(kind: str, place: str | None, model: str) -> Fraction | None:
    """Returns what the price of a token is multiplied with; None where nobody knows.

    Args:
        kind: the kind of provider.
        place: where it is served, in the provider's word; None or "" where that is not said.
        model: the model, as the provider calls it.
    """
    word = (place or "").lower()
    if word in _ORDINARY:
        return _ONE
    for row in _ROWS:
        if row.kind == kind and re.fullmatch(row.places, word) and re.search(row.models, model.lower()):
            return row.factor
    return _ONE
