"""asyncllm prices: what models cost, and which configured models have no price.

``asyncllm prices`` lists the built-in prices, ``asyncllm prices PATTERN`` those whose ``provider/model`` holds the
pattern (or fits it, with ``*`` and ``?``), ``asyncllm prices check`` the configured models. Nothing is fetched.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._config.sections import stated
from .._models import ModelPrice, PriceBook
from ..errors import ConfigurationError
from .opening import read_settings

if TYPE_CHECKING:
    from .._config import Settings

CHECK = "check"
UNPRICED = 1
_SHOWN = ("input", "output", "cache_read", "cache_write")
_HEAD = ("provider", "model", "input", "output", "cache read", "cache write", "source", "date")

EXAMPLES = (
    "asyncllm prices claude",
    "asyncllm prices check --config work.yaml",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``asyncllm prices``."""
    parser.add_argument(
        "pattern", nargs="?", default="", help=f"a part of provider/model, or a pattern with * and ?; or {CHECK!r}"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration (default: ./config.yaml)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Lists prices, or checks the configured models; 1 if one of those has no price."""
    now = datetime.now(timezone.utc)
    if arguments.pattern == CHECK:
        return _check(read_settings(arguments.config), now, as_json=arguments.json)
    book = PriceBook() if arguments.config is None else price_book(read_settings(arguments.config))
    _list(book, arguments.pattern.lower(), now, as_json=arguments.json)
    return 0


def price_book(settings: Settings) -> PriceBook:
    """The prices under a configuration."""
    return PriceBook({name: stated(prices) for name, prices in settings.catalog.prices.items()})


def _list(book: PriceBook, pattern: str, now: datetime, *, as_json: bool) -> None:
    found = [price for price in book.rows() if _fits(price, pattern)]
    if as_json:
        print(json.dumps({"version": book.version, "models": [_as_object(book, price, now) for price in found]}))
        return
    if not found:
        raise ConfigurationError(f"no model that is priced holds {pattern!r}; asyncllm prices lists them all")
    _table([_HEAD, *(_row(book, price, now) for price in found)])
    print(f"\n{len(found)} models; US dollars for a million tokens, today; + is more for a long input")


def _fits(price: ModelPrice, pattern: str) -> bool:
    names = [f"{kind}/{price.model}".lower() for kind in price.kinds] or [price.model.lower()]
    if any(sign in pattern for sign in "*?"):
        return any(fnmatchcase(name, pattern) for name in (*names, price.model.lower()))
    return any(pattern in name for name in names)


def _row(book: PriceBook, price: ModelPrice, now: datetime) -> tuple[str, ...]:
    rates = price.rates(now) or {}
    cells = (f"{rates[unit].dollars}{'+' * bool(rates[unit].tiers)}" if unit in rates else "-" for unit in _SHOWN)
    return (", ".join(price.kinds) or "-", price.model, *cells, price.source, _date(book, price))


def _date(book: PriceBook, price: ModelPrice) -> str:
    return "-" if price.overrides else book.date


def _as_object(book: PriceBook, price: ModelPrice, now: datetime) -> dict[str, Any]:
    """A row for programs: prices as decimal strings, US dollars for a million tokens or a thousand requests."""
    rates = price.rates(now) or {}
    return {
        "providers": list(price.kinds),
        "model": price.model,
        "prices": {unit: rate.dollars for unit, rate in rates.items()},
        "long_input": {unit: [start for start, _ in rate.tiers] for unit, rate in rates.items() if rate.tiers},
        "tiers": sorted(price.schedule.tiers),
        "source": price.source,
        "date": _date(book, price),
    }


def _table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows)]  # noqa: B905  (the rows are of one length)
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())  # noqa: B905  (as above)


def _check(settings: Settings, now: datetime, *, as_json: bool) -> int:
    book = price_book(settings)
    models = list(dict.fromkeys(_configured(settings)))
    unpriced = [name for name in models if not _is_priced(book, settings, *name, now)]
    if as_json:
        told = [{"provider": provider, "model": model} for provider, model in unpriced]
        print(json.dumps({"version": book.version, "checked": len(models), "unpriced": told}))
    else:
        for provider, model in unpriced:
            print(f"{provider}/{model} has no price: set catalog.prices {provider}/{model}, or its cost is unknown")
        print(f"{len(models) - len(unpriced)} of {len(models)} configured models are priced")
    return UNPRICED if unpriced else 0


def _configured(settings: Settings) -> Iterator[tuple[str, str]]:
    """Every provider and model that the configuration names."""
    for name, entry in settings.providers.items():
        yield from ((name, model) for model in entry.fallback_models)
    if settings.active_model is not None:
        yield settings.active_provider, settings.active_model
    for target in settings.routing.all_targets():
        yield target.provider or settings.active_provider, target.model


def _is_priced(book: PriceBook, settings: Settings, provider: str, model: str, now: datetime) -> bool:
    """Whether a plain call can be priced."""
    kind = settings.providers[provider].kind
    return book.worst_case(kind, model, 1, 1, when=now, provider=provider) is not None
