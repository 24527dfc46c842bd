"""What describes a host: `Provider`, its routes, and how it lists its models."""

from __future__ import annotations

from ._models.counting import Counting
from ._models.listings.base import Listing
from ._models.listings.openai import OpenAIListing
from ._providers.base import Provider, Route, path_escape

__all__ = [
    "Counting",
    "Listing",
    "OpenAIListing",
    "Provider",
    "Route",
    "path_escape",
]
