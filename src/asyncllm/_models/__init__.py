"""What is known of models: prices and capabilities as dated data, and the lists of the providers.

- `prices`: what a call costs (`PriceBook`). `price_data` reads the package's prices, ``data/prices.json``.
- `lookup`: what a model can do and how it reasons (`FactBook`), from ``data/facts/`` and ``data/families.json``.
- `tokens`: how many tokens a request takes, counted or estimated.
- `registry`: the models that providers list; `saved_models` is its file.
- `validation`: whether a model can be used.
- `catalog`: all of these for one client.

``nox -s prices`` compiles the data. Nothing is read or fetched before somebody asks for it.
"""

from __future__ import annotations

from .._schema.facts import NOTHING_KNOWN, FactSource, ModelFacts
from .lookup import FactBook
from .model_price import ModelPrice
from .prices import Cost, PriceBook

__all__ = [
    "NOTHING_KNOWN",
    "Cost",
    "FactBook",
    "FactSource",
    "ModelFacts",
    "ModelPrice",
    "PriceBook",
]
