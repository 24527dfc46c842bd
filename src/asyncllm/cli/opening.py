"""The client of a command: of the file it was given, of ``./config.yaml``, or of the keys in the environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..client import Client

USUAL_CONFIG = Path("config.yaml")


def open_client(config: Path | None) -> Client:
    """A client of the configuration that a command line means.

    Raises:
        ConfigurationError: the configuration is wrong, or there is none and no key either.
    """
    from ..client import Client

    if config is None and USUAL_CONFIG.is_file():
        config = USUAL_CONFIG
    return Client.from_env() if config is None else Client(config)
