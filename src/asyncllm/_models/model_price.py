"""The prices of one model, as the data and the configuration have them."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from .._schema.values import dataclass
from .data.token_rules import ALWAYS_SEARCHES
from .schedule import Moment, Schedule

if TYPE_CHECKING:
    from .prices import Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """Holds the prices of a model.

    Attributes:
        kinds: the kinds of provider they are for.
        model: the row's own name in the data; the name as asked for where only the configuration knows it.
        source: ``"genai-prices"``, ``"retired"`` or ``"config"``.
        version: what `Cost.version` will say.
        schedule: the prices of the data, by date, time of day and service tier.
        overrides: the configuration's.
        plain: the prices, where a count of tokens of input, output and cache reads is all that can decide; None where
            the moment, a fee of each request or the configuration have a part in it.
    """

    kinds: tuple[str, ...]
    model: str
    source: str
    version: str
    schedule: Schedule
    overrides: Rates = field(default_factory=dict)
    plain: Rates | None = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        rows, plain = self.schedule.standard, None
        if len(rows) == 1 and not self.overrides and not ALWAYS_SEARCHES.search(self.model):
            rates = rows[0][1]
            if rates.keys() >= {"input", "output"} and "request" not in rates:
                plain = rates
        object.__setattr__(self, "plain", plain)

    def rates(self, when: Moment, tier: str | None = None) -> Rates | None:
        """Returns unit -> rate at a moment; ``None`` if nothing is known of the tier."""
        known = self.schedule.rates(when, tier)
        if not self.overrides:
            return known
        below = known or {}
        return {**below, **{unit: rate.raised_like(below.get(unit)) for unit, rate in self.overrides.items()}}
