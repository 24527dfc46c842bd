"""From the ``kind`` of a configured entry to its host: a line a host; every OpenAI-compatible one is a row of its
table.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from ..errors import ConfigurationError
from .provider import Provider

_MODULES: Mapping[str, str] = MappingProxyType(
    {
        "openai": "openai",
        "azure": "azure",
        "anthropic": "anthropic",
        "gemini": "gemini",
        "bedrock": "bedrock",
        "vertex": "vertex",
    }
)
"""kind -> the module beside this one whose ``build`` makes the host; imported when such an entry is used."""


def build(kind: str, name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> Provider:
    """The host of a configured entry.

    Args:
        kind: what sort of host it is.
        name: what the configuration calls it.
        options: the entry's own keys.
        environ: where keys are looked up that the entry does not hold.

    Raises:
        ConfigurationError: a key is missing, or this version has no code for the kind.
    """
    if kind in _MODULES:
        provider: Provider = import_module(f".{_MODULES[kind]}", __package__).build(name, options, environ)
        return provider
    from . import compatible

    if kind in compatible.COMPATIBLE:
        return compatible.build(kind, name, options, environ)
    known = ", ".join(sorted({*_MODULES, *compatible.COMPATIBLE}))
    raise ConfigurationError(f"providers.{name}: this version cannot talk to {kind!r} yet; it can to {known}")
