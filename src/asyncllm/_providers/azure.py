"""Azure OpenAI: the v1 surface of a resource, where ``model`` is the name of a deployment.

The address is the resource's endpoint, ``https://{resource}.openai.azure.com``, with ``/openai/v1`` after it, which is
added where it is missing; no ``api-version`` and no deployment in the path. A key goes into ``api-key``, a token of
Entra ID into ``authorization``; the first found counts: the entry's key, its token, the environment's key, its token.
Reasoning that was encrypted here cannot be read at OpenAI, so this is an origin of its own.

Source: openai 3.52.0 (openai/lib/azure.py), learn.microsoft.com (api-version-lifecycle), November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._auth.keys import HeaderKey, Secret
from .._auth.signing import Auth
from .._protocols.openai_chat import ChatDialect, OpenAIChat
from .._protocols.openai_responses import OpenAIResponses
from ..errors import ConfigurationError
from .entry import EnvironKey, base_url_of, find_key
from .openai import api_of
from .openai_listing import OpenAIListing
from .provider import Provider, Route

ENDPOINT, KEY, TOKEN = "AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"


def build(name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> Provider:
    """The configured host.

    Args:
        name: what the configuration calls it.
        options: ``base_url`` (the endpoint), ``api_key`` or ``access_token`` (objects with ``get_secret_value``),
            ``api`` (``chat``, which it is without, or ``responses``).
        environ: the environment: ``AZURE_OPENAI_ENDPOINT``, ``AZURE_OPENAI_API_KEY``, ``AZURE_OPENAI_AD_TOKEN``.

    Raises:
        ConfigurationError: there is no endpoint or no credential, or ``api`` is something else.
    """
    routes: Mapping[str, Route] = {
        "chat": Route(protocol=OpenAIChat(ChatDialect(file_parts=False))),
        "responses": Route(protocol=OpenAIResponses()),
    }
    route = routes[api_of(name, options, tuple(routes))]
    return Provider(
        name=name,
        kind="azure",
        base_url=_v1(name, options.get("base_url") or environ.get(ENDPOINT)),
        auth=_auth(name, options, environ),
        resolve=lambda model, stream: route,
        listing=OpenAIListing(),  # of the base models; which deployments there are only Azure's own console tells
    )


def _v1(name: str, endpoint: str | None) -> str:
    """The address of the v1 surface."""
    if not endpoint:
        raise ConfigurationError(
            f"providers.{name} has no endpoint: set providers.{name}.base_url, or the environment variable {ENDPOINT}",
            provider=name,
        )
    url = base_url_of(name, endpoint)
    if url.endswith("/v1"):
        return url
    return f"{url}/v1" if url.endswith("/openai") else f"{url}/openai/v1"


def _auth(name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> Auth:
    token: Secret | None = options.get("access_token")
    where = f"providers.{name}.access_token"
    if token is None and environ.get(TOKEN) and not environ.get(KEY):
        token, where = EnvironKey(TOKEN, environ[TOKEN]), TOKEN
    if token is not None and options.get("api_key") is None:
        return HeaderKey(token, where=where)
    key, where = find_key(name, options, environ, (KEY, TOKEN), needed=True)
    return HeaderKey(key, "api-key", "", where=where)
