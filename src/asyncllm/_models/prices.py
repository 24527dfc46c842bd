"""What a call costs: `PriceBook`, from the dated price data in the package and the prices of the configuration.

Rules: nano-dollars, integers, rounded once a record and half to even; ``None`` where the price or the usage is not
known, never 0; nothing is fetched. The configuration's prices stand above the data, unit by unit, and hold in every
service tier. The data and where each price comes from: ``data/prices.json``, compiled by ``nox -s prices``.

The first question reads the file (blocking, some ten milliseconds: `PriceBook.load` does it where it does not matter);
the first question about a model goes through its provider's rows; every later one is a lookup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from .._schema.usage import Usage
from .billing import bill, dearest
from .files import read_data
from .names import is_custom, matches, spellings
from .rates import Rate, Rates, Schedule, nano_half_even, nano_up

CONFIG = "config"
_MOST_REMEMBERED = 4096  # names come from callers: the memory of answers has an end

# The ordinary tier in the providers' words; a tier that is in neither table is looked up under its own name.
_ORDINARY_TIERS = frozenset(
    {"", "auto", "default", "standard", "standard_only", "on_demand", "unspecified", "service_tier_unspecified"}
)
_SAME_TIER: Mapping[str, str] = MappingProxyType({"on_demand_priority": "priority", "on_demand_flex": "flex"})
_BATCH = "batch"

# The keys of `catalog.prices` in the configuration are these units' names.
_OVERRIDABLE = frozenset(
    {"input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning", "input_audio", "output_audio"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a call cost.

    Attributes:
        nano_dollars: the whole, rounded once, half to even.
        breakdown: unit (``"input"``, ``"cache_read"``, ``"output"``, ``"web_search"`` ...) -> nano-dollars. The parts
            add up to the whole; each is within one nano-dollar of its exact amount.
        version: of the price data, with ``+config`` where the configuration's prices counted.
        source: where the model's prices come from: ``"genai-prices"``, ``"retired"`` or ``"config"``.
    """

    nano_dollars: int
    breakdown: Mapping[str, int]
    version: str
    source: str

    @property
    def dollars(self) -> Decimal:
        """US dollars, exact to the nano-dollar."""
        return Decimal(self.nano_dollars).scaleb(-9)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """The prices of a model.

    Attributes:
        kinds: the kinds of provider they are for.
        model: the row's own name in the data; the name as asked for where only the configuration knows it.
        source: ``"genai-prices"``, ``"retired"`` or ``"config"``.
        version: what `Cost.version` will say.
        schedule: the prices of the data, by date, time of day and service tier.
        overrides: the configuration's.
    """

    kinds: tuple[str, ...]
    model: str
    source: str
    version: str
    schedule: Schedule
    overrides: Rates = field(default_factory=dict)

    def rates(self, when: datetime, tier: str | None = None) -> Rates | None:
        """Unit -> rate at a moment; ``None`` where nothing is known of the tier."""
        known = self.schedule.rates(when, tier)
        if not self.overrides:
            return known
        return {**(known or {}), **self.overrides}


@dataclass(frozen=True, slots=True)
class _Data:
    """The price file, as it is read; rows are read further when they are asked for."""

    version: str
    date: str
    kinds: Mapping[str, Mapping[str, str]]
    providers: Mapping[str, Mapping[str, Any]]

    def provider_of(self, kind: str, model: str) -> tuple[str, str]:
        """The provider whose rows price a kind's model, and the model's name there; two empty texts if none does."""
        row = self.kinds.get(kind, {})
        if "by_suffix" in row:  # a router: the name says who answers
            model, _, host = model.rpartition(":")
            return (row["by_suffix"] + host.lower(), model) if model else ("", "")
        return row.get("provider", ""), model


class PriceBook:
    """Prices of models, for one configuration. Safe to share between threads and event loops."""

    __slots__ = ("_data", "_found", "_overrides")

    def __init__(self, overrides: Mapping[str, Mapping[str, Decimal]] | None = None) -> None:
        """Reads nothing yet.

        Args:
            overrides: ``model`` or ``provider/model`` -> unit -> US dollars for a million tokens: ``catalog.prices`` of
                the configuration, without what is not set.

        Raises:
            ValueError: a unit that has no price, or a price that is no finite number or negative.
        """
        self._overrides = {name.lower(): _read_overrides(name, prices) for name, prices in (overrides or {}).items()}
        self._found: dict[tuple[str, str, str | None], ModelPrice | None] = {}
        self._data: _Data | None = None

    def load(self) -> None:
        """Reads the price file now, if it is not read yet. Blocking."""
        self._loaded()

    @property
    def version(self) -> str:
        """Date and source of the price data."""
        return self._loaded().version

    @property
    def date(self) -> str:
        """The day on which the data was compiled, as ``YYYY-MM-DD``."""
        return self._loaded().date

    def find(self, kind: str, model: str, *, provider: str | None = None) -> ModelPrice | None:
        """The prices of a model; ``None`` where nobody knows them.

        Args:
            kind: the provider's kind (``"openai"``, ``"bedrock"``, ``"groq"`` ...).
            model: its name as it is sent.
            provider: the name of the provider's entry in the configuration, for overrides under ``provider/model``.
        """
        key = (kind, model, provider)
        try:
            return self._found[key]
        except KeyError:
            pass
        found = self._find(kind, model, provider)
        if len(self._found) >= _MOST_REMEMBERED:
            self._found.clear()
        self._found[key] = found
        return found

    def cost(
        self,
        kind: str,
        model: str,
        usage: Usage,
        *,
        when: datetime,
        service_tier: str | None = None,
        batch: bool = False,
        provider: str | None = None,
    ) -> Cost | None:
        """What a call cost.

        Args:
            kind: the provider's kind.
            model: the model's name as it was sent.
            usage: what the provider (or an estimate) counted.
            when: the moment of the call; without a time zone it is UTC.
            service_tier: the tier that served it, in the provider's word; without it the usage's own.
            batch: it was part of a batch.
            provider: the name of the provider's entry in the configuration.

        Returns:
            ``None`` where the model, a price that is needed, the tier's price or the usage is not known.
        """
        found = None if usage.source == "unknown" else self.find(kind, model, provider=provider)
        if found is None:
            return None
        rates = found.rates(when, _tier(service_tier or usage.service_tier, batch))
        amounts = None if rates is None else bill(rates, usage)
        if amounts is None:
            return None
        parts: dict[str, int] = {}
        amount = rounded = 0
        for unit, part in amounts.items():  # differences of rounded sums: the parts add up to the rounded whole
            amount += part
            before, rounded = rounded, nano_half_even(amount)
            parts[unit] = rounded - before
        return Cost(nano_dollars=rounded, breakdown=parts, version=found.version, source=found.source)

    def worst_case(
        self,
        kind: str,
        model: str,
        input_tokens: int,
        max_tokens: int,
        *,
        when: datetime,
        service_tier: str | None = None,
        batch: bool = False,
        provider: str | None = None,
    ) -> int | None:
        """The most a call can cost, in nano-dollars, rounded up: what a budget reserves before it.

        Every input token is taken at the dearest input price of the model (cache writes and audio included), every
        output token at the dearest output price, at the dearest moment of the day from ``when`` on. Fees of tools that
        the provider runs are not in it: nobody knows their number before.

        Returns:
            ``None`` where a price that is needed is not known.
        """
        found = self.find(kind, model, provider=provider)
        if found is None:
            return None
        tier = _tier(service_tier, batch)
        most = 0
        for moment in found.schedule.moments(when):
            rates = found.rates(moment, tier)
            amount = None if rates is None else dearest(rates, input_tokens, max_tokens)
            if amount is None:
                return None
            most = max(most, amount)
        return nano_up(most)

    def rows(self) -> Iterator[ModelPrice]:
        """Every row of the data, as it is there whatever overrides it; then the configuration's."""
        data = self._loaded()
        for provider, content in data.providers.items():
            kinds = tuple(kind for kind, row in data.kinds.items() if _serves(row, provider))
            for source, models in content["sources"].items():
                for row in models if kinds else ():
                    yield _price(row, source, kinds, data.version)
        for name, rates in self._overrides.items():
            yield _only_config(name, rates, data.version)

    def _loaded(self) -> _Data:
        if self._data is None:
            raw = read_data("prices.json")
            self._data = _Data(raw["version"], raw["date"], raw["kinds"], raw["providers"])
        return self._data

    def _find(self, kind: str, model: str, provider: str | None) -> ModelPrice | None:
        data = self._loaded()
        row = None if is_custom(model) else _row(data, kind, model)
        names = (f"{provider or kind}/{model}", f"{kind}/{model}", model)
        rates = next((found for name in names if (found := self._overrides.get(name.lower()))), {})
        if row is None:
            return _only_config(model, rates, data.version, kind) if rates else None
        if not rates:
            return row
        return ModelPrice(
            kinds=row.kinds,
            model=row.model,
            source=CONFIG,
            version=f"{data.version}+{CONFIG}",
            schedule=row.schedule,
            overrides=rates,
        )


def _read_overrides(name: str, prices: Mapping[str, Decimal]) -> Rates:
    unknown = prices.keys() - _OVERRIDABLE
    if unknown:
        raise ValueError(f"catalog.prices.{name}: {', '.join(sorted(unknown))} has no price of its own")
    return {unit: Rate.read(unit, f"{price:f}") for unit, price in prices.items()}


def _only_config(model: str, rates: Rates, version: str, *kinds: str) -> ModelPrice:
    return ModelPrice(
        kinds=kinds,
        model=model,
        source=CONFIG,
        version=f"{version}+{CONFIG}",
        schedule=Schedule(),
        overrides=rates,
    )


def _serves(row: Mapping[str, str], provider: str) -> bool:
    suffixed = row.get("by_suffix")
    return provider == row.get("provider") or (suffixed is not None and provider.startswith(suffixed))


def _row(data: _Data, kind: str, model: str) -> ModelPrice | None:
    """The first row that fits: the provider's own, then those of the vendors whose models it serves."""
    provider, name = data.provider_of(kind, model)
    content = data.providers.get(provider)
    if content is None:
        return None
    for spelling in spellings(name):
        for source, models in content["sources"].items():
            for row in models:
                if _fits(row, spelling):
                    return _price(row, source, (kind,), data.version)
        for vendor in content.get("fallback", ()):
            for source, models in data.providers[vendor]["sources"].items():
                for row in models:
                    if _fits(row, spelling):
                        # What a tier costs at the vendor says nothing of what it costs here.
                        return _price(row[:3], source, (kind,), data.version)
    return None


def _fits(row: list[Any], spelling: str) -> bool:
    return matches(row[1], spelling) if row[1] else bool(row[0].lower() == spelling)


def _price(row: list[Any], source: str, kinds: tuple[str, ...], version: str) -> ModelPrice:
    return ModelPrice(
        kinds=kinds, model=row[0], source=source, version=version, schedule=Schedule.read(row[2], *row[3:4])
    )


def _tier(word: str | None, batch: bool) -> str | None:
    """The name of a tier in the data; ``None`` for the ordinary one."""
    if batch:
        return _BATCH
    tier = (word or "").lower()
    return None if tier in _ORDINARY_TIERS else _SAME_TIER.get(tier, tier)
