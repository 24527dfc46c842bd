"""What is known of models: prices and capabilities as dated data, and what providers say when they are asked.

``prices`` answers what a call costs (`PriceBook`), ``capabilities`` what a model can do (`CapabilityBook`); ``data/``
holds the files, compiled by ``nox -s prices``. ``service`` (`asyncllm._models.service.Catalog`) is what a client holds:
the ``registry`` of listed models, read by ``listings``; ``validation``; counts (``counting``, ``token_count``) and
estimates (``tokens``) of tokens. Nothing is read or fetched before it is asked for.
"""

from __future__ import annotations

from .capabilities import UNKNOWN_CAPABILITIES, Capabilities, CapabilityBook, FactSource
from .prices import Cost, ModelPrice, PriceBook

__all__ = [
    "UNKNOWN_CAPABILITIES",
    "Capabilities",
    "CapabilityBook",
    "Cost",
    "FactSource",
    "ModelPrice",
    "PriceBook",
]
