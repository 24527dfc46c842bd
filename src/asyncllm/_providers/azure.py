"""Azure OpenAI: the v1 API of a resource, where ``model`` is the name of a deployment.

The address is the resource's endpoint, ``https://{resource}.openai.azure.com``, with ``/openai/v1`` after it, which is
added where it is missing. The older surface, a deployment's address with its ``api-version``, is taken as it is. A key
goes into ``api-key``, a token of Entra ID into ``authorization``; the first found counts: the entry's key, its token,
the environment's key, its token.
Reasoning that was encrypted here cannot be read at OpenAI, so this is an origin of its own.

Source: openai 3.57.0 (openai/lib/azure.py), learn.microsoft.com (api-version-lifecycle), November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import ConfigurationError
from .entry import EnvironKey, api_of, base_url_of, find_key
from .openai import API, OpenAIRoutes, batching_of
from .provider import Provider
from .spec import ConfigKey, HostSpec, api_key

if TYPE_CHECKING:
    from .._auth.keys import Secret
    from .._auth.signing import Auth

ENDPOINT, KEY, TOKEN = "AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"
_DEPLOYMENT = "/openai/deployments/"
_DATED = re.compile(r"(?:^|&)api-version=\d{4}-")
_OWN_DOMAINS = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com", ".openai.azure.us")


def build(name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> Provider:
    """Builds the host from the options of the entry and the environment.

    Args:
        name: what the configuration calls it.
        options: the keys of `HOST`, ``base_url`` (the endpoint), and ``facts_of`` (model -> what is known of it).
        environ: the environment: the variables of `HOST`.

    Raises:
        ConfigurationError: there is no endpoint or no credential, or ``api`` is something else.
    """
    from .._protocols.openai_chat import ChatDialect, OpenAIChat
    from .._protocols.openai_responses import OpenAIResponses, ResponsesDialect
    from .._protocols.openai_responses.dialect import OPENAI_TOOLS
    from .openai_listing import OpenAIListing

    base_url = _v1(name, options.get("base_url") or environ.get(ENDPOINT), options.get("query", ""))
    routes = OpenAIRoutes(
        kind="azure",
        api=api_of(name, options, API.choices),
        own_url=(urlsplit(base_url).hostname or "").endswith(_OWN_DOMAINS) and _DEPLOYMENT not in base_url,
        chat=OpenAIChat(ChatDialect(file_parts=False)),
        responses=OpenAIResponses(ResponsesDialect(hosted_tools={**OPENAI_TOOLS, "web_search": "web_search_preview"})),
        facts_of=options.get("facts_of"),
    )
    return Provider(
        name=name,
        kind="azure",
        base_url=base_url,
        auth=_auth(name, options, environ),
        resolve=routes.resolve,
        batching=lambda model: batching_of(routes, ""),
        listing=OpenAIListing(),  # of the base models; which deployments there are only Azure's own console tells
    )


HOST = HostSpec(
    kind="azure",
    build=build,
    keys={
        "api_key": api_key(KEY),
        "access_token": ConfigKey(about="A token of Entra ID, instead of a key.", form="secret", variables=(TOKEN,)),
        "base_url": ConfigKey(about="The resource's endpoint.", variables=(ENDPOINT,)),
        "api": API,
    },
    found_by=(frozenset({KEY, ENDPOINT}), frozenset({TOKEN, ENDPOINT})),
    synonyms=("azure_openai", "azureopenai", "azure_ai"),
    rank=5,
    wires=("openai_chat", "openai_responses"),
)


def _v1(name: str, endpoint: str | None, query: str) -> str:
    """Returns the base URL of the v1 API."""
    if not endpoint:
        raise ConfigurationError(
            f"providers.{name} has no endpoint: set providers.{name}.base_url, or the environment variable {ENDPOINT}",
            provider=name,
        )
    url = base_url_of(name, endpoint)
    if url.endswith("/v1") or _DEPLOYMENT in url:
        return url
    if _DATED.search(query):
        raise ConfigurationError(
            f"providers.{name}.base_url has a dated api-version, which belongs to the older address of a deployment: "
            "leave it out, or give the whole of that address (https://.../openai/deployments/NAME?api-version=...)",
            provider=name,
        )
    return f"{url}/v1" if url.endswith("/openai") else f"{url}/openai/v1"


def _auth(name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> Auth:
    from .._auth.keys import HeaderKey, is_function

    token: Secret | None = options.get("access_token")
    where = f"providers.{name}.access_token"
    if token is None and environ.get(TOKEN) and not environ.get(KEY):
        token, where = EnvironKey(TOKEN, environ[TOKEN]), TOKEN
    if token is not None and options.get("api_key") is None:
        return HeaderKey(token, where=where)
    key, where = find_key(name, options, environ, (KEY, TOKEN), needed=True)
    if is_function(key):  # what a function gives is a token of Entra ID; Azure takes keys in this header as well
        return HeaderKey(key, where=where)
    return HeaderKey(key, "api-key", "", where=where)
