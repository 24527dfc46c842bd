"""What is known of models: prices and capabilities as dated data, and what providers say when they are asked.

``prices`` answers what a call costs (`PriceBook`), ``capabilities`` what a model can do (`CapabilityBook`); ``data/``
holds the files, compiled by ``nox -s prices``. ``service`` (`asyncllm._models.service.Catalog`) is what a client holds:
the ``registry`` of listed models, read by ``listings``; ``validation``; counts (``counting``, ``token_count``) and
estimates (``tokens``) of tokens. Nothing is read or fetched before it is asked for.
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
