"""What is known of models: prices and capabilities as dated data, and what providers say when they are asked.

- `prices`: what a call costs (`PriceBook`). `price_data` reads the package's prices, ``data/prices.json``.
- `capabilities`: what a model can do (`CapabilityBook`), from ``data/capabilities.json``.
- `tokens`: how many tokens a request takes, counted or estimated.
- `registry`: the models that providers list; `saved_models` is its file.
- `validation`: whether a model can be used.
- `catalog`: all of these for one client.

``nox -s prices`` compiles the data. Nothing is read or fetched before somebody asks for it.
"""

from __future__ import annotations

from .._schema.facts import NOTHING_KNOWN, FactSource, ModelFacts
from .capabilities import CapabilityBook
from .prices import Cost, ModelPrice, PriceBook

__all__ = [
    "NOTHING_KNOWN",
    "CapabilityBook",
    "Cost",
    "FactSource",
    "ModelFacts",
    "ModelPrice",
    "PriceBook",
]
