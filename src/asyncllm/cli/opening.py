"""The configuration of a command: the file it was given, ``./config.yaml``, or the keys in the environment.

A command asks for the keys of the providers that it uses and for no others; most use none.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from .folders import user_config

if TYPE_CHECKING:
    from .._config import Settings
    from ..client import Client

USUAL_CONFIG = Path("config.yaml")
_OURS = re.compile(r"^(active_provider|providers)[ \t]*:", re.MULTILINE)  # without them no configuration is ours
_MOST_READ = 1 << 20


def usual_config(config: Path | None) -> Path | None:
    """The file of a command: the one it was given, else ``./config.yaml`` if that is ours, else the user's own."""
    if config is not None:
        return config
    if USUAL_CONFIG.is_file():
        with USUAL_CONFIG.open("rb") as file:
            text = file.read(_MOST_READ).decode("utf-8", errors="replace")
        if _OURS.search(text):
            return USUAL_CONFIG
        print(
            "asyncllm: ./config.yaml is of another program (it has neither providers nor active_provider) and is not "
            "read; name yours with --config",
            file=sys.stderr,
        )
    return user_config() if user_config().is_file() else None


def read_settings(config: Path | None, provider: str | None = None) -> Settings:
    """The configuration that a command line means; no key has to be set for it.

    Args:
        config: the file that was given.
        provider: the provider that was named, which is then the active one.

    Raises:
        ConfigurationError: the configuration is wrong, there is none and no key either, or it has no such provider.
    """
    from .._config import from_env, load

    file = usual_config(config)
    settings = from_env() if file is None else load(file, check_active=False)
    if provider is None or provider == settings.active_provider:
        return settings
    if provider not in settings.providers:
        known = ", ".join(settings.providers)
        raise ConfigurationError(f"no provider {provider!r} is configured (configured: {known})")
    return replace(settings, active_provider=provider, active_model=None)


def open_client(config: Path | None, provider: str | None = None) -> Client:
    """A client of the configuration that a command line means; a key is asked for when its provider is used.

    Args:
        config: the file that was given.
        provider: the provider that was named, which is then the active one.

    Raises:
        ConfigurationError: as `read_settings`.
    """
    from ..client import Client

    return Client(read_settings(config, provider))
