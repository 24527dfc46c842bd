"""The Gemini API: generativelanguage.googleapis.com.

The key goes in a header of its own, never in the address: addresses end up in logs. The API version is part of the
path and follows from the model (``v1``, or ``v1beta`` for previews and aliases) unless the configuration names one.

Source: google-genai 3.4.0 (_api_client.py, _base_url.py), November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .._auth.keys import HeaderKey
from .._models.counting import GeminiCounting
from .._models.listings.gemini import GeminiListing
from .._protocols.gemini import Gemini, GeminiDialect
from ..errors import ConfigurationError
from .base import Provider, Route
from .keys import find_key

BASE_URL = "https://generativelanguage.googleapis.com"
KEY_VARIABLES = ("GOOGLE_API_KEY", "GEMINI_API_KEY")  # the first one that is set wins, as in Google's SDK

_VERSION = re.compile(r"v\d+(?:alpha|beta)?\d*")
_SHORT_VERSIONS: Mapping[str, str] = {"beta": "v1beta", "alpha": "v1alpha"}


def build(name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> Provider:
    """The host, from the entry's options and what the environment adds.

    Args:
        name: what the configuration calls it.
        options: ``api_key`` (a secret), ``base_url`` (without a version), ``api_version``, ``safety_settings`` (a list
            of ``{"category": ..., "threshold": ...}``, or one object of category and threshold).
        environ: ``GOOGLE_API_KEY`` or ``GEMINI_API_KEY``, ``GOOGLE_GEMINI_BASE_URL``, ``GOOGLE_GENAI_API_VERSION``.

    Raises:
        ConfigurationError: there is no key, or an option is not what it must be.
    """
    key, where = find_key(name, options, environ, KEY_VARIABLES, needed=True)
    dialect = GeminiDialect(
        version=_version(name, options.get("api_version") or environ.get("GOOGLE_GENAI_API_VERSION")),
        safety_settings=_safety(name, options.get("safety_settings")),
    )
    route = Route(protocol=Gemini(dialect))
    counting = GeminiCounting(whole=True)
    return Provider(
        name=name,
        kind="gemini",
        base_url=_base_url(name, options.get("base_url") or environ.get("GOOGLE_GEMINI_BASE_URL") or BASE_URL),
        auth=HeaderKey(key, header="x-goog-api-key", prefix="", where=where),
        resolve=lambda model, stream: route,
        listing=GeminiListing(version=dialect.version or "v1beta"),
        counting=lambda model: counting,
    )


def _version(name: str, value: str | None) -> str | None:
    if not value:
        return None
    version = _SHORT_VERSIONS.get(value, value)
    if not _VERSION.fullmatch(version):
        raise ConfigurationError(f"providers.{name}.api_version must be like v1 or v1beta, not {value!r}")
    return version


def _base_url(name: str, value: str) -> str:
    base = value.rstrip("/")
    version = base.rpartition("/")[2]
    if _VERSION.fullmatch(version):
        raise ConfigurationError(
            f"providers.{name}.base_url must not end in an API version: leave out /{version}, set api_version instead"
        )
    return base


def _safety(name: str, value: Any) -> tuple[Mapping[str, Any], ...]:
    if isinstance(value, Mapping):
        value = [{"category": category, "threshold": threshold} for category, threshold in value.items()]
    settings = tuple(value or ())
    for setting in settings:
        if not isinstance(setting, Mapping) or not {"category", "threshold"} <= setting.keys():
            raise ConfigurationError(f"providers.{name}.safety_settings: each needs a category and a threshold")
    return settings
