"""The description of a host: `Provider`, its routes, and its list of models."""

from __future__ import annotations

from ._providers.counting import Counting
from ._providers.listings import Listing
from ._providers.openai_listing import OpenAIListing
from ._providers.provider import Provider, Route, path_escape

__all__ = [
    "Counting",
    "Listing",
    "OpenAIListing",
    "Provider",
    "Route",
    "path_escape",
]
