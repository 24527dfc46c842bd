"""Configuration: a YAML file, a mapping or the environment -> `Settings`.

``load`` and ``from_env`` are the ways in. ``kinds`` is the table of provider kinds, ``sections`` and ``settings`` are
the models, ``document`` and ``interpolate`` read what was written, ``complete`` fills in what it leaves open.
"""

from __future__ import annotations

from .editor import json_schema
from .environment import from_env
from .kinds import KINDS, Kind
from .load import load
from .sections import (
    MEMORY,
    BudgetScope,
    BudgetSettings,
    CapabilitySettings,
    CatalogSettings,
    CostTrackingSettings,
    HedgingSettings,
    HTTPSettings,
    LimitSettings,
    PriceSettings,
    RetrySettings,
    RouteTarget,
    RoutingSettings,
    TimeoutSettings,
)
from .settings import ProviderSettings, Settings

__all__ = [
    "KINDS",
    "MEMORY",
    "BudgetScope",
    "BudgetSettings",
    "CapabilitySettings",
    "CatalogSettings",
    "CostTrackingSettings",
    "HTTPSettings",
    "HedgingSettings",
    "Kind",
    "LimitSettings",
    "PriceSettings",
    "ProviderSettings",
    "RetrySettings",
    "RouteTarget",
    "RoutingSettings",
    "Settings",
    "TimeoutSettings",
    "from_env",
    "json_schema",
    "load",
]
