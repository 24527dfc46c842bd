"""The package's prices, as they stand in ``data/prices.json``; compiled by ``nox -s prices``, never edited by hand.

A row is ``[name, clause or null for the name itself, prices, tiers]``. The prices are a mapping of units, or a list of
``[condition, prices]``; the tiers map the name of a service tier to such a list, with the units that differ there. Rows
are read further when somebody asks for them. Reading the file is blocking and takes some ten milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time
from typing import Any

from .files import read_data
from .model_price import ModelPrice
from .names import matches, spellings
from .prices import Rate, Rates
from .schedule import Condition, Schedule


@dataclass(frozen=True, slots=True)
class PriceData:
    """Holds the content of the price file.

    Attributes:
        version: date and source of the data.
        date: the day on which it was compiled.
        kinds: kind of provider -> whose rows price its models, and how.
        providers: provider of the data -> its rows by source, and the vendors whose rows count where it has none.
    """

    version: str
    date: str
    kinds: Mapping[str, Mapping[str, str]]
    providers: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls) -> PriceData:
        """Reads the file. Blocking."""
        raw = read_data("prices.json")
        return cls(raw["version"], raw["date"], raw["kinds"], raw["providers"])

    def names_are_free(self, kind: str) -> bool:
        """Returns whether users choose the names of a provider's models (deployments), so that a name says nothing."""
        return "names" in self.kinds.get(kind, {})

    def rows(self) -> Iterator[ModelPrice]:
        """Yields every row of the data."""
        for provider, content in self.providers.items():
            kinds = tuple(kind for kind, row in self.kinds.items() if _serves(row, provider))
            for source, models in content["sources"].items():
                for row in models if kinds else ():
                    yield _price(row, source, kinds, self.version)

    def find(self, kind: str, model: str) -> ModelPrice | None:
        """Returns the first row that fits: the provider's own, then those of the vendors whose models it serves."""
        provider, name = self._provider_of(kind, model)
        content = self.providers.get(provider)
        if content is None:
            return None
        for spelling in spellings(name):
            for source, models in content["sources"].items():
                for row in models:
                    if _fits(row, spelling):
                        return _price(row, source, (kind,), self.version)
            for vendor in content.get("fallback", ()):
                for source, models in self.providers[vendor]["sources"].items():
                    for row in models:
                        if _fits(row, spelling):
                            # What a tier costs at the vendor says nothing of what it costs here.
                            return _price(row[:3], source, (kind,), self.version)
        return None

    def _provider_of(self, kind: str, model: str) -> tuple[str, str]:
        """Returns the provider whose rows price a kind's model, and the model's name there; two empty texts if none
        does.
        """
        row = self.kinds.get(kind, {})
        if "by_suffix" in row:  # a router: the name says who answers
            model, _, host = model.rpartition(":")
            return (row["by_suffix"] + host.lower(), model) if model else ("", "")
        return row.get("provider", ""), model


def _serves(row: Mapping[str, str], provider: str) -> bool:
    suffixed = row.get("by_suffix")
    return provider == row.get("provider") or (suffixed is not None and provider.startswith(suffixed))


def _fits(row: list[Any], spelling: str) -> bool:
    return matches(row[1], spelling) if row[1] else bool(row[0].lower() == spelling)


def _price(row: list[Any], source: str, kinds: tuple[str, ...], version: str) -> ModelPrice:
    tiers = row[3] if len(row) > 3 else {}
    schedule = Schedule(_conditions(row[2]), {tier: _conditions(rows) for tier, rows in tiers.items()})
    return ModelPrice(kinds=kinds, model=row[0], source=source, version=version, schedule=schedule)


def _conditions(rows: Any) -> tuple[tuple[Condition, Rates], ...]:
    if isinstance(rows, dict):
        rows = [[None, rows]]
    return tuple(
        (_condition(condition), {unit: Rate.read(unit, price) for unit, price in prices.items()})
        for condition, prices in rows
    )


def _condition(text: str | None) -> Condition:
    """Reads a condition from ``None``, ``"2026-10-14"`` or ``"00:30-16:30"``."""
    if text is None:
        return Condition()
    if text[2] != ":":
        return Condition(start=date.fromisoformat(text))
    begin, _, end = text.partition("-")
    return Condition(span=(time.fromisoformat(begin), time.fromisoformat(end)))
