"""Compiles ``_models/data/prices.json`` from the installed ``genai-prices`` package and the table of retired models.

Run by ``nox -s prices``. Money stays text: no price becomes a float on its way. What our usage cannot count (hours of
audio, characters, pages, video tokens) is left out, and with it every row that has nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import genai_prices
from genai_prices import types
from genai_prices.data import providers

from asyncllm._models.prices import PER, Rate

TARGET = Path(__file__).parent.parent / "src" / "asyncllm" / "_models" / "data" / "prices.json"

# Our kinds -> the provider of genai-prices. Kinds that are missing here (local servers, GitHub Models) have no prices.
KINDS: Mapping[str, Mapping[str, str]] = {
    "openai": {"provider": "openai"},
    "anthropic": {"provider": "anthropic"},
    "gemini": {"provider": "google"},
    "vertex": {"provider": "google"},
    "bedrock": {"provider": "aws"},
    "azure": {"provider": "azure", "names": "deployments"},
    "groq": {"provider": "groq"},
    "mistral": {"provider": "mistral"},
    "deepseek": {"provider": "deepseek"},
    "xai": {"provider": "x-ai"},
    "openrouter": {"provider": "openrouter"},
    "together": {"provider": "together"},
    "fireworks": {"provider": "fireworks"},
    "cerebras": {"provider": "cerebras"},
    "perplexity": {"provider": "perplexity"},
    "huggingface": {"by_suffix": "huggingface_"},
    "zai": {"provider": "zai"},
}

UNITS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "input_image_mtok": "input_image",
    "output_reasoning_mtok": "reasoning",
    "output_audio_mtok": "output_audio",
    "output_image_mtok": "output_image",
    "requests_kcount": "request",
    "web_searches_kcount": "web_search",
    "storage_searches_kcount": "file_search",
}
# Google bills only the tokens of its code execution.
NO_FEE = {"google": {"code_execution": "0"}}
# Google charges these models by the grounded prompt, later ones by the search (its price list, November 2026).
BY_PROMPT = ("google", ("gemini-1", "gemini-2"))
# What no answer reports apart. A model that always uses one of them cannot be priced and is left out whole.
UNCOUNTABLE = frozenset({"output_citation_mtok"})
# The request contexts of genai-prices that are a service tier of ours; others cannot be told from a call.
TIERS = {"service_tier": None, "processing": "batch", "speed": "fast"}

FREE_SUFFIX = ":free"
FREE = {"input": "0", "output": "0"}

CLAUDE_3 = {"opus": ("15", "75"), "sonnet": ("3", "15"), "haiku": ("0.25", "1.25")}
# provider of genai-prices -> name or beginning of the name -> input and output, USD for a million tokens.
RETIRED: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "openai": {"gpt-4": ("30", "60"), "gpt-3.5-turbo": ("0.50", "1.50")},
    "anthropic": {
        "claude-3-opus-20240229": ("15", "75"),
        "claude-3-sonnet-20240229": ("3", "15"),
        "claude-3-haiku-20240307": ("0.25", "1.25"),
        "claude-opus-4-20250514": ("15", "75"),
        "claude-sonnet-4-20250514": ("3", "15"),
    },
    "google": {
        "gemini-pro": ("0.50", "1.50"),
        "gemini-pro-vision": ("0.50", "1.50"),
        "gemini-1.5-pro": ("3.50", "10.50"),
        "gemini-1.5-flash": ("0.35", "1.05"),
    },
    "aws": {
        **{f"anthropic.claude-3-{size}": prices for size, prices in CLAUDE_3.items()},
        "amazon.titan-text-express-v1": ("0.80", "1.60"),
        "amazon.titan-text-lite-v1": ("0.30", "0.40"),
        "ai21.j2-ultra-v1": ("15", "15"),
        "ai21.j2-mid-v1": ("12.5", "12.5"),
        "cohere.command-text-v14": ("1.50", "2.00"),
        "cohere.command-light-text-v14": ("0.30", "0.60"),
        "meta.llama2-13b-chat-v1": ("0.75", "1.00"),
        "meta.llama2-70b-chat-v1": ("1.95", "2.56"),
    },
}
VERSIONED = frozenset({"aws"})  # names that go on with a version: `...-v1:0:4k`


def clause(match: Any) -> Any:
    """A clause of genai-prices as the JSON of `asyncllm._models.names`."""
    if isinstance(match, types.ClauseOr):
        return ["|", *map(clause, match.or_)]
    if isinstance(match, types.ClauseAnd):
        return ["&", *map(clause, match.and_)]
    if isinstance(match, types.ClauseRegex):
        return f"~{match.regex}"
    signs = {"equals": "=", "starts_with": "^", "ends_with": "$", "contains": "*"}
    ((name, text),) = vars(match).items()
    return signs[name] + text.lower()


def price_text(price: Decimal) -> str:
    """A price as the shortest decimal text that is exactly it."""
    text = f"{price:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def prices_of(prices: types.ModelPrice) -> dict[str, Any]:
    """Our units -> the price, or the list of it and its thresholds."""
    found: dict[str, Any] = {}
    for key, price in vars(prices).items():
        unit = UNITS.get(key)
        if unit is None or price is None:
            continue
        if isinstance(price, types.TieredPrices):
            found[unit] = [price_text(price.base)]
            for tier in price.tiers:
                found[unit] += [tier.start, price_text(tier.price)]
        else:
            found[unit] = price_text(price)
        Rate.read(unit, found[unit])  # fails here rather than in somebody's program
    return found


def clock(at: time) -> str:
    """A time of day in UTC."""
    if at.utcoffset():
        raise SystemExit(f"a time of day is not in UTC: {at}")
    return f"{at:%H:%M}"


def condition(constraint: Any) -> str | None:
    """A constraint as the text of `asyncllm._models.price_data`."""
    if constraint is None:
        return None
    if isinstance(constraint, types.StartDateConstraint):
        return constraint.start_date.isoformat()
    return f"{clock(constraint.start_time)}-{clock(constraint.end_time)}"


def rows_of(prices: Any) -> Any:
    """A model's ordinary prices: a mapping, or a list of conditions and mappings."""
    if isinstance(prices, types.ModelPrice):
        return prices_of(prices)
    return [[condition(row.constraint), prices_of(row.prices)] for row in prices]


def tiers_of(variants: Iterable[types.PriceVariant]) -> dict[str, list[Any]]:
    """Service tier -> conditions and the prices that differ."""
    found: dict[str, list[Any]] = {}
    for variant in variants:
        if len(variant.when) != 1:
            continue
        ((key, word),) = variant.when.items()
        prices = prices_of(variant.prices)
        if key in TIERS and prices:
            found.setdefault(TIERS[key] or word, []).append([condition(variant.constraint), prices])
    return found


def is_free(model: types.ModelInfo) -> bool:
    """Whether a row without prices is one that costs nothing; without the name saying so it is not known."""
    return model.id.endswith(FREE_SUFFIX) and isinstance(model.prices, types.ModelPrice) and not vars(model.prices)


def is_countable(model: types.ModelInfo) -> bool:
    """Whether a call of this model can be priced from tokens."""
    if is_free(model):
        return True
    rows = [model.prices] if isinstance(model.prices, types.ModelPrice) else [row.prices for row in model.prices]
    keys = {key for row in rows for key in vars(row)}
    return not keys & UNCOUNTABLE and bool(keys & {"input_mtok", "output_mtok"})


def by_prompt(prices: Any) -> Any:
    """Prices whose fee of a search is one of a prompt with searches."""
    if isinstance(prices, dict):
        return {"grounded_prompt" if unit == "web_search" else unit: price for unit, price in prices.items()}
    return [[condition, by_prompt(row)] for condition, row in prices]


def with_units(prices: Any, units: Mapping[str, str]) -> Any:
    """Prices with units that genai-prices does not have."""
    if not units:
        return prices
    if isinstance(prices, dict):
        return {**prices, **units}
    return [[condition, with_units(row, units)] for condition, row in prices]


def model_row(model: types.ModelInfo, provider: str) -> list[Any]:
    """``[id, clause or null for the id itself, prices, tiers]``."""
    match = clause(model.match)
    prices = FREE if is_free(model) else rows_of(model.prices)
    if provider == BY_PROMPT[0] and model.id.startswith(BY_PROMPT[1]):
        prices = by_prompt(prices)
    prices = with_units(prices, NO_FEE.get(provider, {}))
    row: list[Any] = [model.id, None if match == f"={model.id.lower()}" else match, prices]
    tiers = tiers_of(model.price_variants or ())
    return [*row, tiers] if tiers else row


def retired_rows(provider: types.Provider) -> list[list[Any]]:
    """The rows of the table that genai-prices does not have."""
    sign = "^" if provider.id in VERSIONED else "="
    return [
        [name, f"{sign}{name}", {"input": price_text(Decimal(prices[0])), "output": price_text(Decimal(prices[1]))}]
        for name, prices in RETIRED.get(provider.id, {}).items()
        if provider.find_model(name, all_providers=providers) is None
    ]


def provider_content(provider: types.Provider) -> dict[str, Any]:
    """The rows of a provider by source, and the vendors whose prices count where it has none."""
    content: dict[str, Any] = {
        "sources": {"genai-prices": [model_row(model, provider.id) for model in provider.models if is_countable(model)]}
    }
    if retired := retired_rows(provider):
        content["sources"]["retired"] = retired
    if provider.fallback_model_providers:
        content["fallback"] = provider.fallback_model_providers
    return content


def compile_prices(today: date) -> dict[str, Any]:
    """The whole file."""
    prefixes = tuple(row["by_suffix"] for row in KINDS.values() if "by_suffix" in row)
    wanted = {row["provider"] for row in KINDS.values() if "provider" in row}
    direct = [provider for provider in providers if provider.id in wanted or provider.id.startswith(prefixes)]
    vendors = {vendor for provider in direct for vendor in provider.fallback_model_providers or ()}
    chosen = [provider for provider in providers if provider in direct or provider.id in vendors]
    return {
        "version": f"{today.isoformat()} genai-prices {genai_prices.__version__}",
        "date": today.isoformat(),
        "unit": "USD for a million tokens, or for a thousand requests, web searches and file searches",
        "per": dict(PER),
        "sources": {
            "genai-prices": f"genai-prices {genai_prices.__version__}, https://github.com/pydantic/genai-prices (MIT)",
            "retired": "the last published prices of models that genai-prices does not have",
        },
        "kinds": KINDS,
        "providers": {provider.id: provider_content(provider) for provider in chosen},
    }


def dump(content: Mapping[str, Any]) -> str:
    """JSON with a line a model, so that a change of a price is a change of a line."""
    head = {key: value for key, value in content.items() if key != "providers"}
    lines = [json.dumps(head, ensure_ascii=False)[:-1] + ', "providers": {']
    blocks = []
    for provider, rest in content["providers"].items():
        sources = []
        for source, rows in rest["sources"].items():
            body = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
            sources.append(f"{json.dumps(source)}: [\n{body}\n]")
        fallback = json.dumps(rest.get("fallback", []))
        blocks.append(f'{json.dumps(provider)}: {{"fallback": {fallback}, "sources": {{{", ".join(sources)}}}}}')
    return "\n".join([*lines, ",\n".join(blocks), "}}", ""])


def main() -> None:
    """Writes the file and says what is in it."""
    content = compile_prices(date.today())
    TARGET.write_text(dump(content), encoding="utf-8")
    counts: dict[str, int] = {}
    for provider in content["providers"].values():
        for source, rows in provider["sources"].items():
            counts[source] = counts.get(source, 0) + len(rows)
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes, rows by source {counts}, version {content['version']}")


if __name__ == "__main__":
    main()
