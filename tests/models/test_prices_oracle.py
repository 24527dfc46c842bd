"""Our costs against those of the genai-prices package: every model it has, at every name it knows, to the nano-dollar.

Where ours say "unknown" on purpose, `reason_for_none` says why, from genai-prices' own data.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any

import pytest

from asyncllm._models import PriceBook
from asyncllm._models.names import is_custom, spellings
from asyncllm._schema.usage import Usage

genai_prices = pytest.importorskip("genai_prices", reason="genai-prices needs Python 3.11")
from genai_prices import types  # noqa: E402
from genai_prices.data import providers as genai_providers  # noqa: E402

PROVIDERS = {provider.id: provider for provider in genai_providers}
KINDS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "vertex": "google",
    "bedrock": "aws",
    "azure": "azure",
    "groq": "groq",
    "mistral": "mistral",
    "deepseek": "deepseek",
    "xai": "x-ai",
    "openrouter": "openrouter",
    "together": "together",
    "fireworks": "fireworks",
    "cerebras": "cerebras",
    "perplexity": "perplexity",
    "zai": "zai",
}
ROUTED = {"huggingface": "huggingface_"}
TIER_CONTEXTS = {
    None: [],
    "batch": [{"processing": "batch"}],
    "priority": [{"service_tier": "priority"}],
    "flex": [{"service_tier": "flex"}],
    "fast": [{"service_tier": "fast"}, {"speed": "fast"}],
}
PAIRS = [
    ("cache_read_mtok", "cache_read_tokens"),
    ("cache_write_mtok", "cache_write_tokens"),
    ("cache_write_1h_mtok", "cache_write_1h_tokens"),
    ("input_audio_mtok", "input_audio_tokens"),
    ("input_image_mtok", "input_image_tokens"),
    ("output_audio_mtok", "output_audio_tokens"),
    ("output_image_mtok", "output_image_tokens"),
    ("output_reasoning_mtok", "output_reasoning_tokens"),
]


def clause_texts(match: Any) -> Iterator[str]:
    """Names that a clause might fit."""
    if isinstance(match, (types.ClauseOr, types.ClauseAnd)):
        for part in match.or_ if isinstance(match, types.ClauseOr) else match.and_:
            yield from clause_texts(part)
    elif not isinstance(match, types.ClauseRegex):
        yield next(iter(vars(match).values()))


def names_of(provider: Any) -> list[str]:
    """Every name that the provider's data spells out, with a dated variant of some."""
    found: dict[str, None] = {}
    for model in provider.models:
        for name in (model.id, *clause_texts(model.match), f"{model.id}-20260102", f"{model.id}-2026-01-02"):
            found[name] = None
    for vendor in provider.fallback_model_providers or ():
        found.update(dict.fromkeys(model.id for model in PROVIDERS[vendor].models))
    return list(found)


CASES = [(kind, provider, "") for kind, provider in KINDS.items()] + [
    (kind, provider, f":{provider.removeprefix(prefix)}")
    for kind, prefix in ROUTED.items()
    for provider in PROVIDERS
    if provider.startswith(prefix)
]
every_provider = pytest.mark.parametrize(("kind", "provider_id", "suffix"), CASES, ids=[f"{k}{s}" for k, _, s in CASES])


@pytest.fixture(scope="module")
def book() -> PriceBook:
    """One price book for all."""
    return PriceBook()


def some_usage(chance: random.Random) -> Usage:
    """A usage in which the parts add up: text only, cached, written, with media, with reasoning, with searches."""
    whole = chance.choice(
        [0, 1, 7, 999, 100_000, 100_001, 128_001, 200_001, 272_001, 1_048_576, chance.randrange(10**6)]
    )
    output = chance.choice([0, 1, 13, 4096, chance.randrange(10**5)])
    shape = chance.randrange(8)
    read = chance.randint(0, whole) if shape in (1, 2, 3) else None
    written = chance.randint(0, whole - (read or 0)) if shape in (2, 3) else None
    hour = chance.randint(0, written or 0) if shape == 3 else 0
    audio = chance.randint(0, whole) if shape in (4, 6) else None
    image = chance.randint(0, whole - (audio or 0)) if shape in (5, 6) else None
    return Usage(
        input_tokens=whole,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_tokens_by_ttl={"5m": (written or 0) - hour, "1h": hour} if hour else None,
        input_audio_tokens=audio,
        input_image_tokens=image,
        output_audio_tokens=chance.randint(0, output) if shape == 4 else None,
        output_image_tokens=chance.randint(0, output) if shape == 5 else None,
        reasoning_tokens=chance.randint(0, output) if shape in (0, 7) else None,
        provider_tool_requests={"web_search": chance.randint(0, 3)} if shape == 7 else None,
    )


def as_genai(usage: Usage) -> Any:
    """The same usage in their words."""
    return genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=(usage.cache_write_tokens_by_ttl or {}).get("1h"),
        input_audio_tokens=usage.input_audio_tokens,
        input_image_tokens=usage.input_image_tokens,
        output_audio_tokens=usage.output_audio_tokens,
        output_image_tokens=usage.output_image_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
        web_searches=(usage.provider_tool_requests or {}).get("web_search"),
    )


def context_of(model: Any, provider: Any, tier: str | None, when: datetime) -> dict[str, str] | None:
    """The request context of a tier; None where the model has no price for it then, or is another vendor's."""
    if tier is None:
        return {}
    if not any(model is own for own in provider.models):
        return None
    for context in TIER_CONTEXTS[tier]:
        for variant in model.price_variants or ():
            active = variant.constraint is None or variant.constraint.active(when)
            if active and variant.when == context and vars(variant.prices):
                return context
    return None


def reason_for_none(model: Any, prices: Any, usage: Usage, their: Any) -> str | None:
    """Why a cost is not known to us although genai-prices has a row."""
    has = {key for key, price in vars(prices).items() if price is not None}
    if model.id.endswith(":free"):
        has |= {"input_mtok", "output_mtok"}
    if "output_citation_mtok" in has:
        return "citation tokens are reported by nobody"
    if not has & {"input_mtok", "output_mtok"}:
        return "priced by hours, characters or pages only, or by nothing we know"
    reported = vars(their)
    if reported.get("cache_write_1h_tokens") and "cache_write_1h_mtok" not in has:
        return "the hour's price is not known"
    if reported.get("web_searches") and "web_searches_kcount" not in has:
        return "the fee of a search is not known"
    priced = {name: reported.get(name) or 0 for key, name in PAIRS if key in has}
    cached = priced.get("cache_read_tokens", 0) + priced.get("cache_write_tokens", 0)
    if cached and priced.get("input_audio_tokens", 0) + priced.get("input_image_tokens", 0):
        return "nobody says which of the cached tokens were audio or images"
    media_out = priced.get("output_audio_tokens", 0) + priced.get("output_image_tokens", 0)
    if priced.get("output_reasoning_tokens") and media_out:
        return "nobody says which of the reasoning tokens were audio or images"
    audio_image = priced.get("input_audio_tokens", 0) + priced.get("input_image_tokens", 0)
    if "input_mtok" not in has and usage.input_tokens - cached - audio_image > 0:
        return "input has no price"
    if "output_mtok" not in has and usage.output_tokens:
        return "output has no price"
    return None


def nano(dollars: Decimal) -> int:
    """Dollars as whole nano-dollars, half to even."""
    with localcontext() as context:
        context.prec = 60
        return int((dollars * 10**9).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


# What may keep a model from ever being compared.
NEVER_PRICED = frozenset(
    {
        "somebody's own model is unpriced",
        "citation tokens are reported by nobody",
        "priced by hours, characters or pages only, or by nothing we know",
        "no price for the tier",
        "the hour's price is not known",
        "the fee of a search is not known",
    }
)


def find(provider: Any, name: str) -> Any:
    """The oracle's row for a name, or for one of the spellings it stands for; None if there is none."""
    found = (provider.find_model(spelling, all_providers=genai_providers) for spelling in spellings(name))
    own = provider.find_model(name) if is_custom(name) else None
    return next((model for model in found if model is not None), own)


def with_one_search(usage: Usage) -> Usage:
    """The usage with at most one web search."""
    requests = dict(usage.provider_tool_requests or {})
    if requests.get("web_search"):
        requests["web_search"] = 1
    return replace(usage, provider_tool_requests=requests)


def expected_cost(provider: Any, model: Any, name: str, usage: Usage, when: datetime, tier: str | None) -> int | str:
    """What the oracle says: nano-dollars, or why there is nothing to compare."""
    if is_custom(name):
        return "somebody's own model is unpriced"
    context = context_of(model, provider, tier, when)
    if context is None:
        return "no price for the tier"
    prices = model.get_prices(when, context)
    if provider.id == "google" and model.id.startswith(("gemini-1", "gemini-2")):
        usage = with_one_search(usage)  # charged by the prompt, which the oracle does not know
    if re.match(r"gpt-.*-search-(preview|api)", model.id) and not (usage.provider_tool_requests or {}).get(
        "web_search"
    ):
        # It searches before every answer, which neither the answer nor the oracle says.
        usage = replace(usage, provider_tool_requests={**(usage.provider_tool_requests or {}), "web_search": 1})
    their = as_genai(usage)
    reason = reason_for_none(model, prices, usage, their)
    if reason:
        return reason
    with localcontext() as precise:
        precise.prec = 60
        total = model.calc_price(their, provider, genai_request_timestamp=when, price_context=context).total_price
    return nano(total)


NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
PLAIN = Usage(input_tokens=1234, output_tokens=56)
RETIRED_HERE = frozenset({"gemini-pro-vision"})
Case = tuple[Usage, datetime, "str | None"]


def cases(chance: random.Random, model: Any) -> Iterator[Case]:
    """A plain call today, then random ones: usages, moments, and the tiers that the model has and one it may lack."""
    yield PLAIN, NOW, None
    yield Usage(input_tokens=1234, output_tokens=0), NOW, None
    contexts = [variant.when for variant in model.price_variants or ()]
    tiers = [tier for tier, words in TIER_CONTEXTS.items() if any(word in contexts for word in words)]
    for _ in range(7):
        when = NOW - timedelta(minutes=chance.randrange(2 * 365 * 24 * 60)) if chance.randrange(2) else NOW
        yield some_usage(chance), when, chance.choice([None, None, *tiers, *tiers, "priority"])


@pytest.mark.slow
@every_provider
def test_every_model_costs_what_genai_prices_says(book: PriceBook, kind: str, provider_id: str, suffix: str) -> None:
    """At every name, over random usages, moments and tiers: the same nano-dollars, or ``None`` for a stated reason."""
    provider = PROVIDERS[provider_id]
    chance = random.Random(f"{kind}{suffix}")
    compared: dict[str, set[str]] = {}
    for name in names_of(provider):
        model = find(provider, name)
        if model is None:
            assert book.find(kind, name + suffix) is None or name in RETIRED_HERE
            continue
        for usage, when, tier in cases(chance, model):
            expected = expected_cost(provider, model, name, usage, when, tier)
            cost = book.cost(kind, name + suffix, usage, when=when, service_tier=tier, batch=tier == "batch")
            told = (name, usage, when, tier, expected)
            assert (None if isinstance(expected, str) else expected) == cost.nano_dollars, told
            if cost.nano_dollars is not None:
                assert type(cost.nano_dollars) is int
                assert cost.nano_dollars == sum(cost.breakdown.values())
            compared.setdefault(model.id, set()).add("equal" if isinstance(expected, int) else expected)
    never = {model: reasons for model, reasons in compared.items() if "equal" not in reasons}
    assert set() == set().union(*never.values()) - NEVER_PRICED, never
    assert len(never) < len(compared)
