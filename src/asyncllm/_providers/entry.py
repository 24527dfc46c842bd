"""Where the API key of an entry comes from: the entry itself, else the first environment variable that is set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from .._auth.keys import KeyFunction, Secret
from ..errors import ConfigurationError


class EnvironKey:
    """A key read from the environment; its repr hides it."""

    __slots__ = ("_value", "_variable")

    def __init__(self, variable: str, value: str) -> None:
        self._variable = variable
        self._value = value

    @property
    def origin(self) -> str:
        """Where the key was found, for an error about it."""
        return f"the environment variable {self._variable}"

    def get_secret_value(self) -> str:
        """Returns the key itself."""
        return self._value

    def __repr__(self) -> str:
        return f"EnvironKey({self._variable})"


def find_key(
    name: str, options: Mapping[str, Any], environ: Mapping[str, str], variables: tuple[str, ...], *, needed: bool
) -> tuple[Secret | KeyFunction | None, str]:
    """Returns the key of an entry and where it was found (an error about a bad key says so).

    Args:
        name: what the configuration calls the entry.
        options: the entry's keys; ``api_key`` holds a secret.
        environ: the environment.
        variables: the environment variables that may hold the key, in the order in which they are asked.
        needed: whether the host answers nobody without a key.

    Raises:
        ConfigurationError: a needed key is nowhere.
    """
    key: Secret | KeyFunction | None = options.get("api_key")
    if key is not None:
        return key, f"providers.{name}.api_key"
    for variable in variables:
        value = environ.get(variable)
        if value:
            return EnvironKey(variable, value), variable
    if not needed:
        return None, ""
    places = f", or the environment variable {' or '.join(variables)}" if variables else ""
    raise ConfigurationError(f"providers.{name} has no key: set providers.{name}.api_key{places}", provider=name)


def base_url_of(name: str, url: str) -> str:
    """Returns the base URL without its last slash.

    Raises:
        ConfigurationError: it is no http address, has a query, or names the whole endpoint.
    """
    url = url.strip().rstrip("/")
    if "?" in url:  # of an environment variable; a query of the configuration is not part of it any more
        raise ConfigurationError(
            f"providers.{name}: the address in the environment has a query; write it into providers.{name}.base_url",
            provider=name,
        )
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"providers.{name}.base_url must begin with http:// or https://", provider=name)
    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", url)
    except ValueError:
        whole = False
    if not whole:
        raise ConfigurationError(
            f"providers.{name}: base_url, or the variable it comes from, must be an address such as "
            "https://example.com/v1",
            provider=name,
        )
    if url.endswith("/chat/completions"):
        raise ConfigurationError(
            f"providers.{name}.base_url ends where the paths begin: leave out /chat/completions", provider=name
        )
    return url


def place_of(base_url: str, ending: str) -> str:
    """Where a host serves, by its name: ``"eu"`` for ``https://eu.api.openai.com``; ``""`` where the name does not say.

    Args:
        base_url: of the entry.
        ending: what follows the place in the names of its hosts; ``""`` for a host that has one place.
    """
    host = urlsplit(base_url).hostname or ""
    return host[: -len(ending)] if ending and host.endswith(ending) else ""


def max_tokens_of(name: str, options: Mapping[str, Any]) -> int | None:
    """Returns the ``max_tokens`` of the entry, which is used when a call does not set it.

    Raises:
        ConfigurationError: it is no number of tokens.
    """
    most = options.get("max_tokens")
    if most is not None and (type(most) is not int or most < 1):
        raise ConfigurationError(
            f"providers.{name}.max_tokens must be a whole number of tokens, at least 1", provider=name
        )
    return most


def api_of(name: str, options: Mapping[str, Any], known: tuple[str, ...]) -> str:
    """Returns the ``api`` of the entry, or the first known one if the entry does not set it.

    Raises:
        ConfigurationError: it names another.
    """
    api = options.get("api") or known[0]
    if api not in known:
        raise ConfigurationError(f"providers.{name}.api must be one of {', '.join(known)}, not {api!r}", provider=name)
    return str(api)
