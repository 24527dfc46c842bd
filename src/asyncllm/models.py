"""What is known of models: the price book and the capability book."""

from __future__ import annotations

from ._models.capabilities import CapabilityBook
from ._models.prices import Cost, ModelPrice, PriceBook
from ._models.registry import ModelInfo, RefreshResult
from ._models.tokens import TokenCount
from ._models.validation import Validation
from ._schema.facts import FactSource, ModelFacts

__all__ = [
    "CapabilityBook",
    "Cost",
    "FactSource",
    "ModelFacts",
    "ModelInfo",
    "ModelPrice",
    "PriceBook",
    "RefreshResult",
    "TokenCount",
    "Validation",
]
