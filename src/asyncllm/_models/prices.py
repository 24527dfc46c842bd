"""What a call costs: `PriceBook`, from the dated price data in the package and the prices of the configuration.

Money is exact. A price is a decimal string of US dollars for a million tokens (for a thousand requests or searches); in
memory it is an integer of yocto-dollars (10^-24 USD) for one, which holds every price of up to 18 decimals exactly. A
sum is a sum of integers, and only its end is rounded: to nano-dollars, once a record, half to even.

A cost is a number only if every part of the bill is known; otherwise `Cost.nano_dollars` is None and `Cost.reason` says
why. What a provider says it charged is the cost. These are the rules for the rest:

- Cached, audio and image tokens are parts of the input; reasoning, audio and image tokens are parts of the output. A
  part with a price of its own is taken out of the whole and billed at it. A part without one is billed as the whole.
- A price may depend on the length of the input: above a threshold of input tokens the higher price is for *all* tokens
  of the call. The configuration's price of a unit keeps that step, in the same proportion, unless it has its own.
- Prices change by date and, with some models, by the time of day: the last condition that holds counts.
- A service tier (batch and fast mode included) has a price only where the data says so.
- Tools that the provider runs have fees. Free allowances are left out: each request counts. Where a prompt is charged
  whatever the number of its searches, the unit is ``grounded_prompt``.
- The place that serves a call multiplies the price of its tokens (`regions`), but not a price of the configuration.
- Unknown are: counts that nobody made or that contradict each other; cached *and* audio (or image) tokens, as nobody
  says how many were both; cache writes of a lifetime without a price; a place whose factor nobody knows; a fee that
  is not in the data.

The prices of the configuration stand above the data, unit by unit, and hold in every service tier. `price_data` reads
the data when somebody first asks (blocking; `PriceBook.load` does it where it does not matter). The first question
about a model goes through its provider's rows; every later one is a lookup.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .._schema.usage import Usage
from .._schema.values import dataclass
from .data.token_rules import ALWAYS_SEARCHES
from .model_price import ModelPrice
from .names import is_custom
from .regions import MOST, factor_of
from .schedule import Moment, Schedule

if TYPE_CHECKING:
    from .price_data import PriceData

CONFIG = "config"
INPUT_UNITS = ("input", "cache_read", "cache_write", "cache_write_1h", "input_audio", "input_image")
OUTPUT_UNITS = ("output", "reasoning", "output_audio", "output_image")
FEE_UNITS = (
    *("request", "web_search", "grounded_prompt", "file_search"),
    *("code_interpreter", "code_execution", "image_generation", "google_maps"),
)
PER: Mapping[str, int] = MappingProxyType(
    {**dict.fromkeys(INPUT_UNITS + OUTPUT_UNITS, 1_000_000), **dict.fromkeys(FEE_UNITS, 1000)}
)
"""For how many of a unit its price is given."""

_YOCTO = 24
_HALF = 5 * 10**14  # half a nano-dollar in yocto-dollars
_MOST_REMEMBERED = 4096  # names come from callers: the memory of answers has an end
# The ordinary tier in the providers' words; a tier that is in neither table is looked up under its own name.
_ORDINARY_TIERS = frozenset(
    {"", "auto", "default", "standard", "standard_only", "on_demand", "unspecified", "service_tier_unspecified"}
)
_SAME_TIER: Mapping[str, str] = MappingProxyType({"on_demand_priority": "priority", "on_demand_flex": "flex"})
_BATCH = "batch"
# What the plain price of cache writes is for: Anthropic's and Bedrock's usual lifetime, and OpenAI's.
_ORDINARY_LIFETIMES = frozenset({"5m", "30m"})
_LONG_LIFETIME = "1h"
# Only their tokens are billed (Anthropic's, Google's and OpenAI's price lists, November 2026).
_FREE_TOOLS = frozenset(["web_fetch", "tool_search", "url_context", "mcp", "computer", "local_shell", "apply_patch"])
ASSUMED_FEE = 35 * 10**21
"""Yocto-dollars that a request of a tool is taken to cost where its fee is not known: the dearest fee of the data."""


class UnknownCostError(ValueError):
    """Tells that a part of the bill is not known; the text says which one."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Holds the price of one token, request or search.

    Attributes:
        base: yocto-dollars.
        tiers: ``(start, yocto-dollars)``, rising: the price where the input has more than ``start`` tokens.
        dollars: the base as it is published.
    """

    base: int
    tiers: tuple[tuple[int, int], ...]
    dollars: str

    @classmethod
    def read(cls, unit: str, price: str | Sequence[Any]) -> Rate:
        """Reads ``"2.5"``, or ``["2.5", 272000, "5"]`` with thresholds.

        Raises:
            ValueError: no decimal number, negative, or too fine to be held exactly.
        """
        texts = [price] if isinstance(price, str) else list(price)
        per = PER[unit]
        tiers = zip(texts[1::2], texts[2::2])  # noqa: B905  (a start and its price, from our own data)
        return cls(yocto(texts[0], per), tuple((int(start), yocto(text, per)) for start, text in tiers), texts[0])

    def raised_like(self, other: Rate | None) -> Rate:
        """Returns this rate with the steps of another one, in the same proportion to the base.

        Args:
            other: the rate that this one replaces; None where it replaces none.
        """
        if other is None or self.tiers or not other.tiers or not other.base:
            return self
        return replace(self, tiers=tuple([(start, self.base * above // other.base) for start, above in other.tiers]))

    def at(self, input_tokens: int) -> int:
        """Returns the yocto-dollars for one, in a call with so many input tokens."""
        price = self.base
        for start, above in self.tiers:
            if input_tokens > start:
                price = above
        return price


def yocto(dollars: str, per: int) -> int:
    """Returns a published price as whole yocto-dollars for one.

    Raises:
        ValueError: no finite number that is not negative, or too fine to be held exactly.
    """
    sign, digits, exponent = Decimal(dollars).as_tuple()
    if sign or not isinstance(exponent, int) or exponent < -_YOCTO:
        raise ValueError(f"{dollars!r} is no price: a decimal number of US dollars is needed, not negative")
    whole: int = int("".join(map(str, digits))) * 10 ** (exponent + _YOCTO)
    one, rest = divmod(whole, per)
    if rest:
        raise ValueError(f"{dollars!r} is too fine: a price has at most 18 decimals")
    return one


def nano_half_even(amount: int) -> int:
    """Rounds yocto-dollars to nano-dollars, a half to the even side."""
    whole, rest = divmod(amount, 10**15)
    return whole + (rest > _HALF or (rest == _HALF and whole % 2 == 1))


def nano_up(amount: int) -> int:
    """Rounds yocto-dollars up to nano-dollars: for what must not be too little."""
    return -(-amount // 10**15)


Rates = Mapping[str, Rate]


def bill(rates: Rates, usage: Usage) -> dict[str, int]:
    """Returns the amounts of a call: unit -> yocto-dollars, without the units that it did not use.

    Raises:
        UnknownCostError: a part of the bill is not known.
    """
    length = usage.input_tokens
    if length is None:
        raise UnknownCostError("the input was not counted")
    if usage.output_tokens is None and "output" in rates:
        raise UnknownCostError("the output was not counted")
    counts: dict[str, int] = {}
    if usage.cache_write_tokens or usage.cache_write_tokens_by_ttl:
        ordinary, long = _writes(usage)
        if long and "cache_write_1h" not in rates:
            raise UnknownCostError("cache writes for an hour have no known price")
    else:
        ordinary = long = 0
    cached = (("cache_read", usage.cache_read_tokens), ("cache_write", ordinary), ("cache_write_1h", long))
    media = (("input_audio", usage.input_audio_tokens), ("input_image", usage.input_image_tokens))
    _split("input", length, _priced(cached, rates), _priced(media, rates), rates, counts)
    thought = (("reasoning", usage.reasoning_tokens),)
    media = (("output_audio", usage.output_audio_tokens), ("output_image", usage.output_image_tokens))
    _split("output", usage.output_tokens or 0, _priced(thought, rates), _priced(media, rates), rates, counts)
    if "request" in rates:
        counts["request"] = 1
    for tool, count in (usage.provider_tool_requests or {}).items():
        if count and tool not in _FREE_TOOLS:
            unit, times = _fee_of(tool, count, rates)
            counts[unit] = counts.get(unit, 0) + times
    return {unit: count * rates[unit].at(length) for unit, count in counts.items() if count}


def _plain_amounts(rates: Rates, usage: Usage) -> dict[str, int] | None:
    """Computes the same as `bill`, by the prices of `ModelPrice.plain`, for what most calls use; None if they used
    more.
    """
    given, written, cached = usage.input_tokens, usage.output_tokens, usage.cache_read_tokens or 0
    if (
        given is None
        or written is None
        or cached > given
        or usage.source == "unknown"
        or usage.cache_write_tokens
        or usage.cache_write_tokens_by_ttl
        or usage.input_audio_tokens
        or usage.output_audio_tokens
        or usage.input_image_tokens
        or usage.output_image_tokens
        or usage.provider_tool_requests
        or (usage.reasoning_tokens and "reasoning" in rates)
    ):
        return None
    amounts: dict[str, int] = {}
    if cached and "cache_read" in rates:
        if given > cached:
            amounts["input"] = (given - cached) * rates["input"].at(given)
        amounts["cache_read"] = cached * rates["cache_read"].at(given)
    elif given:
        rate = rates["input"]
        amounts["input"] = given * (rate.at(given) if rate.tiers else rate.base)
    if written:
        rate = rates["output"]
        amounts["output"] = written * (rate.at(given) if rate.tiers else rate.base)
    return amounts


def _writes(usage: Usage) -> tuple[int, int]:
    """Returns the tokens written to a cache for the ordinary time and for an hour."""
    by_lifetime = usage.cache_write_tokens_by_ttl or {}
    split = sum(by_lifetime.values())
    whole = split if usage.cache_write_tokens is None else usage.cache_write_tokens
    if split > whole:
        raise UnknownCostError("the counts of cache writes contradict each other")
    for lifetime, count in by_lifetime.items():
        if count and lifetime not in _ORDINARY_LIFETIMES and lifetime != _LONG_LIFETIME:
            raise UnknownCostError(f"cache writes for {lifetime} have no known price")
    long = by_lifetime.get(_LONG_LIFETIME, 0)
    return whole - long, long


def _priced(parts: Iterable[tuple[str, int | None]], rates: Rates) -> dict[str, int]:
    """Returns the parts of a whole that were used and have a price of their own."""
    return {unit: count for unit, count in parts if count and unit in rates}


def _split(
    whole_unit: str,
    whole: int,
    first: Mapping[str, int],
    second: Mapping[str, int],
    rates: Rates,
    counts: dict[str, int],
) -> None:
    """Takes the priced parts out of the whole. The two groups may overlap."""
    rest = whole
    if first or second:
        rest -= sum(first.values()) + sum(second.values())
    if first and second:
        both = " and ".join([", ".join(group).replace("_", " ") for group in (first, second)])
        raise UnknownCostError(f"nobody says how many tokens of the {whole_unit} were both {both}")
    if rest < 0:
        raise UnknownCostError(f"the counts of the {whole_unit} contradict each other")
    if rest and whole_unit not in rates:
        raise UnknownCostError(f"the {whole_unit} has no known price")
    counts[whole_unit] = rest
    counts.update(first or second)


def _fee_of(tool: str, count: int, rates: Rates) -> tuple[str, int]:
    """Returns the unit that a tool's requests are billed in, and how many of it."""
    if tool in rates:
        return tool, count
    if tool == "web_search" and "grounded_prompt" in rates:
        return "grounded_prompt", 1
    raise UnknownCostError(f"the fee of the provider's tool {tool} is not known")


def dearest(
    rates: Rates, input_tokens: int, output_tokens: int, tools: Mapping[str, int], without: Collection[str] = ()
) -> int:
    """Returns the most such a call can cost, in yocto-dollars, whatever kinds its tokens turn out to be.

    Args:
        rates: the prices of the model.
        input_tokens: all of the input.
        output_tokens: all of the output.
        tools: as for `PriceBook.worst_case`. A fee that is not known is taken at `ASSUMED_FEE`.
        without: units that it cannot use.

    Raises:
        UnknownCostError: tokens have no price.
    """
    for unit, count in (("input", input_tokens), ("output", output_tokens)):
        if count and unit not in rates:
            raise UnknownCostError(f"the {unit} has no known price")
    total = rates["request"].base if "request" in rates else 0
    for units, count in ((INPUT_UNITS, input_tokens), (OUTPUT_UNITS, output_tokens)):
        usable = [rates[unit].at(input_tokens) for unit in units if unit in rates and unit not in without]
        total += count * max(usable, default=0)
    if any(rate.base for rate in rates.values()):  # a model that is free has no fees either
        for tool, count in tools.items():
            if count and tool not in _FREE_TOOLS:
                try:
                    unit, times = _fee_of(tool, count, rates)
                    total += rates[unit].base * times
                except UnknownCostError:
                    total += ASSUMED_FEE * count
    return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Holds what a call cost.

    Attributes:
        nano_dollars: the whole, rounded once, half to even; None where a part of it is not known.
        reason: why it is not known, a clause without a full stop; None where it is.
        breakdown: unit (``"input"``, ``"output"``, ``"web_search"`` ...) -> nano-dollars; they add up to the whole.
        version: of the price data, with ``+config`` where the configuration's prices counted.
        source: where the cost comes from: ``"provider"`` where the provider said what it charged; else where the
            model's prices come from: ``"genai-prices"``, ``"retired"``, ``"config"``, or ``""`` where there are none.
    """

    nano_dollars: int | None
    reason: str | None = None
    breakdown: Mapping[str, int] = field(default_factory=dict)
    version: str = ""
    source: str = ""

    @property
    def dollars(self) -> Decimal | None:
        """Returns US dollars, exact to the nano-dollar; None if the cost is not known."""
        return None if self.nano_dollars is None else Decimal(self.nano_dollars).scaleb(-9)


class PriceBook:
    """Looks up prices of models, for one configuration. It can be shared between threads and event loops."""

    __slots__ = ("_data", "_found", "_overrides", "_priced_as")

    def __init__(
        self,
        overrides: Mapping[str, Mapping[str, Decimal]] | None = None,
        priced_as: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Reads nothing yet.

        Args:
            overrides: ``model`` or ``provider/model`` -> unit -> US dollars for a million tokens, or for a thousand
                requests: ``catalog.prices`` of the configuration, without what is not set.
            priced_as: the name of a provider's entry -> name of a deployment -> the model by which it is priced.

        Raises:
            ValueError: a unit that has no price, or a price that is no finite number or negative.
        """
        self._overrides = {name.lower(): _read_overrides(name, prices) for name, prices in (overrides or {}).items()}
        self._priced_as = {entry: dict(names) for entry, names in (priced_as or {}).items() if names}
        self._found: dict[tuple[str, str, str | None], ModelPrice | None] = {}
        self._data: PriceData | None = None

    def load(self) -> None:
        """Reads the price file now, if it is not read yet. Blocking."""
        self._loaded()

    @property
    def version(self) -> str:
        """Returns date and source of the price data."""
        return self._loaded().version

    @property
    def date(self) -> str:
        """Returns the day on which the data was compiled, as ``YYYY-MM-DD``."""
        return self._loaded().date

    def find(self, kind: str, model: str, *, provider: str | None = None) -> ModelPrice | None:
        """Returns the prices of a model; ``None`` if nobody knows them. The arguments are as for `cost`."""
        key = (kind, model, provider)
        found = self._found.get(key)
        if found is None and key not in self._found:
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
        when: Moment,
        service_tier: str | None = None,
        batch: bool = False,
        provider: str | None = None,
        answered: str | None = None,
        place: str | None = None,
    ) -> Cost:
        """Returns what a call cost, or why that is not known.

        Args:
            kind: the provider's kind.
            model: the model's name as it was sent.
            usage: what the provider (or an estimate) counted.
            when: the moment of the call; without a time zone it is UTC, a number is microseconds since 1970.
            service_tier: the tier that served it, in the provider's word; without it the usage's own.
            batch: it was part of a batch.
            provider: the name of the provider's entry in the configuration.
            answered: the model that answered, in the provider's words.
            place: where it was served, as far as the address says; the usage's own word counts more.
        """
        if usage.stated_cost is not None:
            nano = round(usage.stated_cost.scaleb(9))
            return Cost(nano_dollars=nano, breakdown={"stated": nano}, source="provider")
        found = None
        if answered is None or answered == model:
            found = self._found.get((kind, model, provider))
        if found is None:
            found = self._answering(kind, model, provider, answered)
        if found is None:
            return Cost(nano_dollars=None, reason=f"{answered or model} of {provider or kind} has no known price")
        where = usage.region or place
        word = service_tier or usage.service_tier
        tier = None
        if batch or usage.speed is not None or (word is not None and word not in _ORDINARY_TIERS):
            tier = _tier(word, batch, usage.speed)
        try:
            amounts: Mapping[str, int] | None = None
            if found.plain is not None and tier is None:
                amounts = _plain_amounts(found.plain, usage)
            if amounts is None:
                amounts = self._amounts(found, usage, when, tier)
            if where:
                amounts = _at_place(amounts, kind, where, answered or model, found.overrides)
        except UnknownCostError as error:
            return Cost(nano_dollars=None, reason=str(error), version=found.version, source=found.source)
        parts: dict[str, int] = {}
        amount = rounded = 0
        for unit, part in amounts.items():  # differences of rounded sums: the parts add up to the rounded whole
            amount += part
            before = rounded
            rounded, rest = divmod(amount, 10**15)  # as `nano_half_even`, without the call: each attempt comes by here
            if rest >= _HALF and (rest > _HALF or rounded % 2):
                rounded += 1
            parts[unit] = rounded - before
        return Cost(nano_dollars=rounded, breakdown=parts, version=found.version, source=found.source)

    def _amounts(self, found: ModelPrice, usage: Usage, when: Moment, tier: str | None) -> Mapping[str, int]:
        if usage.source == "unknown":
            raise UnknownCostError("the provider counted no tokens")
        if ALWAYS_SEARCHES.search(found.model) and not (usage.provider_tool_requests or {}).get("web_search"):
            usage = replace(usage, provider_tool_requests={**(usage.provider_tool_requests or {}), "web_search": 1})
        rates = found.rates(when, tier)
        if rates is None:
            raise UnknownCostError(f"{found.model} has no known price in the tier {tier!r}")
        return bill(rates, usage)

    def _answering(self, kind: str, model: str, provider: str | None, answered: str | None) -> ModelPrice | None:
        """Returns the prices of the model that answered, if the name that was asked for does not name it."""
        found = self.find(kind, model, provider=provider)
        if answered is None or answered == model:
            return found
        if found is None:
            return None if is_custom(model) else self.find(kind, answered, provider=provider)
        if (
            found.overrides
            or not self._loaded().names_are_free(kind)
            or model in self._priced_as.get(provider or "", {})
        ):
            return found
        return self.find(kind, answered, provider=provider)

    def worst_case(
        self,
        kind: str,
        model: str,
        input_tokens: int,
        max_tokens: int,
        *,
        when: Moment,
        service_tier: str | None = None,
        batch: bool = False,
        provider: str | None = None,
        tools: Mapping[str, int] | None = None,
        without: Collection[str] = (),
        place: str | None = None,
    ) -> int | None:
        """Returns the most a call can cost, in nano-dollars, rounded up: what a budget reserves before it.

        Every token is taken at the dearest price that it can have, at the dearest moment of the day from ``when`` on.

        Args:
            kind: the provider's kind.
            model: the model's name as it is sent.
            input_tokens: an upper bound of the input.
            max_tokens: an upper bound of the output, of all choices together.
            when: the moment of the call.
            service_tier: the tier that is asked for.
            batch: it is part of a batch.
            provider: the name of the provider's entry in the configuration.
            tools: tool of the provider -> the most requests to it.
            without: units of the price list that it cannot use.
            place: where it is served.

        Returns:
            None where a price that is needed is not known.
        """
        found = self.find(kind, model, provider=provider)
        if found is None:
            return None
        if ALWAYS_SEARCHES.search(found.model):
            tools = {"web_search": 1, **(tools or {})}
        tier = _tier(service_tier, batch, None)
        rows = [found.rates(moment, tier) or {} for moment in found.schedule.moments(when)]
        factor = factor_of(kind, place, model)
        try:
            most = max([dearest(rates, input_tokens, max_tokens, tools or {}, without) for rates in rows])
            return nano_up(_times(most, MOST if factor is None else factor))
        except UnknownCostError:
            return None

    def rows(self) -> Iterator[ModelPrice]:
        """Yields every row of the data, as it is there whatever overrides it; then the configuration's."""
        data = self._loaded()
        yield from data.rows()
        for name, rates in self._overrides.items():
            yield _only_config(name, rates, data.version)

    def _loaded(self) -> PriceData:
        if self._data is None:
            from .price_data import PriceData

            self._data = PriceData.read()
        return self._data

    def _find(self, kind: str, model: str, provider: str | None) -> ModelPrice | None:
        data = self._loaded()
        meant = self._priced_as.get(provider or "", {}).get(model, model)
        row = None if is_custom(meant) else data.find(kind, meant)
        names = [f"{entry}/{name}" for name in (model, meant) for entry in (provider or kind, kind)]
        rates = next((found for name in (*names, model, meant) if (found := self._overrides.get(name.lower()))), {})
        if row is None:
            return _only_config(model, rates, data.version, kind) if rates else None
        if not rates:
            return row
        return replace(row, source=CONFIG, version=f"{data.version}+{CONFIG}", overrides=rates)


def _read_overrides(name: str, prices: Mapping[str, Decimal]) -> Rates:
    unknown = prices.keys() - PER.keys()
    if unknown:
        raise ValueError(f"catalog.prices.{name}: {', '.join(sorted(unknown))} has no price of its own")
    return {unit: Rate.read(unit, f"{price:f}") for unit, price in prices.items()}


def _only_config(model: str, rates: Rates, version: str, *kinds: str) -> ModelPrice:
    version = f"{version}+{CONFIG}"
    return ModelPrice(kinds=kinds, model=model, source=CONFIG, version=version, schedule=Schedule(), overrides=rates)


def _at_place(amounts: Mapping[str, int], kind: str, place: str, model: str, own: Rates) -> Mapping[str, int]:
    """Adds to the amounts what the place adds to tokens whose price is not the configuration's own."""
    factor = factor_of(kind, place, model)
    if factor == 1:
        return amounts
    raised = [unit for unit in amounts if unit not in FEE_UNITS and unit not in own and amounts[unit]]
    if factor is None:
        if raised:
            raise UnknownCostError(f"what {place!r} adds to the price of {model} is not known")
        return amounts
    return {**amounts, **{unit: _times(amounts[unit], factor) for unit in raised}}


def _times(amount: int, factor: Fraction) -> int:
    return -(-amount * factor.numerator // factor.denominator)


def _tier(word: str | None, batch: bool, speed: str | None) -> str | None:
    """Returns the name of a tier in the data; ``None`` for the ordinary one. A speed that is not the ordinary one is a
    tier.
    """
    if batch:
        return _BATCH
    tier = (word or "").lower()
    fast = (speed or "").lower()
    if fast not in _ORDINARY_TIERS:
        return fast if tier in _ORDINARY_TIERS else f"{tier}, {fast}"
    return None if tier in _ORDINARY_TIERS else _SAME_TIER.get(tier, tier)
