"""Configuration: a YAML file, a mapping or the environment -> `Settings`.

``load`` and ``from_env`` are the ways in. ``sections`` and ``settings`` are the values; the annotation of each key says
what it may be (``rules``). ``document`` and ``interpolate`` read what was written, ``complete`` fills in what it leaves
open, ``reading`` makes the values of it. ``kinds`` is the table of provider kinds.

The names below are imported when they are first used: the engine needs ``sections`` without a parser of YAML.
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .editor import json_schema
    from .environment import from_env
    from .kinds import KINDS
    from .loading import load
    from .rules import SecretStr
    from .sections import MEMORY
    from .settings import ProviderSettings, Settings

__all__ = ["KINDS", "MEMORY", "ProviderSettings", "SecretStr", "Settings", "from_env", "json_schema", "load"]

_HOME = MappingProxyType(
    {
        "KINDS": ".kinds",
        "MEMORY": ".sections",
        "ProviderSettings": ".settings",
        "SecretStr": ".rules",
        "Settings": ".settings",
        "from_env": ".environment",
        "json_schema": ".editor",
        "load": ".loading",
    }
)


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home, __name__), name)
