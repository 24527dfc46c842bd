"""OpenAI itself: https://api.openai.com/v1, a bearer key, and the two headers that name an organization and a project.

Source: openai 3.52.0 (openai/lib/_client_auth.py, openai/_client.py), November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..auth.keys import HeaderKey
from ..protocols.openai_chat import OpenAIChat
from .base import Provider, Route
from .keys import base_url_of, find_key

BASE_URL = "https://api.openai.com/v1"


def build(name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> Provider:
    """The configured host.

    Args:
        name: what the configuration calls it.
        options: ``api_key`` (an object with ``get_secret_value``), ``base_url``, ``organization``, ``project``.
        environ: the environment: ``OPENAI_API_KEY``, ``OPENAI_BASE_URL``, ``OPENAI_ORG_ID``, ``OPENAI_PROJECT_ID``.

    Raises:
        ConfigurationError: there is no key, or the base URL is none.
    """
    base_url = base_url_of(name, options.get("base_url") or environ.get("OPENAI_BASE_URL") or BASE_URL)
    key, where = find_key(name, options, environ, ("OPENAI_API_KEY",), needed=base_url == BASE_URL)
    organization = options.get("organization") or environ.get("OPENAI_ORG_ID")
    project = options.get("project") or environ.get("OPENAI_PROJECT_ID")
    named = {"openai-organization": organization, "openai-project": project}
    route = Route(protocol=OpenAIChat())
    return Provider(
        name=name,
        kind="openai",
        base_url=base_url,
        auth=HeaderKey(key, where=where),
        resolve=lambda model, stream: route,
        headers={header: str(value) for header, value in named.items() if value},
    )
