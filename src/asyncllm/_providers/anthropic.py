"""The Claude API: api.anthropic.com, or whatever serves the same format at another base URL.

The key goes in ``x-api-key``, which the API prefers where both headers are present. ``base_url`` is without ``/v1``, as
in Anthropic's own SDK. Source: anthropic SDK 2.11 (``_client.py``, ``_constants.py``), November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._auth.keys import HeaderKey
from .._models.counting import AnthropicCounting
from .._models.listings.anthropic import AnthropicListing
from .._protocols.anthropic import AnthropicDialect, AnthropicMessages
from ..errors import ConfigurationError
from .base import Provider, Route
from .keys import find_key

BASE_URL = "https://api.anthropic.com"
KEY_VARIABLE = "ANTHROPIC_API_KEY"
MAX_REQUEST_BYTES = 32 * 1024 * 1024
"""The API answers 413 beyond this."""


def build(name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> Provider:
    """The host, from the entry's options and what the environment adds.

    Args:
        name: what the configuration calls it.
        options: ``api_key`` (a secret), ``base_url`` (without ``/v1``), ``api_version`` (sent with every request,
            whatever it holds), ``beta`` (names of beta features), ``max_tokens`` (asked for where a call does not say).
        environ: ``ANTHROPIC_API_KEY``, ``ANTHROPIC_BASE_URL``.

    Raises:
        ConfigurationError: there is no key, or an option is not what it must be.
    """
    key, where = find_key(name, options, environ, (KEY_VARIABLE,), needed=True)
    protocol = AnthropicMessages(_dialect(name, options))
    route = Route(protocol=protocol)
    counting = AnthropicCounting(path=f"{protocol.dialect.path}/count_tokens")
    return Provider(
        name=name,
        kind="anthropic",
        base_url=_base_url(name, options.get("base_url") or environ.get("ANTHROPIC_BASE_URL") or BASE_URL),
        auth=HeaderKey(key, header="x-api-key", prefix="", where=where),
        resolve=lambda model, stream: route,
        headers={"anthropic-version": protocol.dialect.version},
        max_request_bytes=MAX_REQUEST_BYTES,
        listing=AnthropicListing(),
        counting=lambda model: counting,
    )


def _dialect(name: str, options: Mapping[str, Any]) -> AnthropicDialect:
    facts: dict[str, Any] = {}
    version = options.get("api_version")
    if version:
        facts = {"version": str(version), "sampling_version": None}
    beta = options.get("beta") or ()
    names = [word.strip() for word in beta.split(",")] if isinstance(beta, str) else list(beta)
    if not all(isinstance(word, str) and word for word in names):
        raise ConfigurationError(f"providers.{name}.beta must be a list of names of beta features")
    most = options.get("max_tokens")
    if most is not None:
        if type(most) is not int or most < 1:
            raise ConfigurationError(f"providers.{name}.max_tokens must be a whole number of tokens, at least 1")
        facts["max_tokens"] = most
    return AnthropicDialect(betas=tuple(names), **facts)


def _base_url(name: str, value: str) -> str:
    base = value.rstrip("/")
    if base.endswith("/v1"):
        raise ConfigurationError(f"providers.{name}.base_url must not end in /v1: the paths below it begin with that")
    return base
