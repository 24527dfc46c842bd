"""What is known of models without asking anybody: prices and capabilities, as dated data with its sources.

``prices`` answers what a call costs (`PriceBook`), ``capabilities`` what a model can do (`CapabilityBook`); ``data/``
holds the files, compiled by ``nox -s prices``. Nothing is read before it is asked for, and nothing is fetched.
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
