"""The books of prices and of facts of models."""

from __future__ import annotations

from ._models.lookup import FactBook
from ._models.model_price import ModelPrice
from ._models.prices import Cost, PriceBook
from ._models.registry import ModelInfo, RefreshResult
from ._models.tokens import TokenCount
from ._models.validation import Validation
from ._schema.facts import FactSource, ModelFacts, ReasoningRules

__all__ = [
    "Cost",
    "FactBook",
    "FactSource",
    "ModelFacts",
    "ModelInfo",
    "ModelPrice",
    "PriceBook",
    "ReasoningRules",
    "RefreshResult",
    "TokenCount",
    "Validation",
]
