"""OpenAI itself: https://api.openai.com/v1, a bearer key, and the two headers that name an organization and a project.

It speaks two wire formats. ``api: auto`` means chat completions, and the Responses API for the models that are known to
exist only there, on OpenAI's own hosts; ``chat`` and ``responses`` settle it for every model.

Source: openai 3.52.0 (openai/lib/_client_auth.py, openai/_client.py, openai/_data_residency.py), November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .._auth.keys import HeaderKey
from .._protocols.codec import JSONCodec
from .._protocols.openai_chat import OpenAIChat
from .._protocols.openai_responses import OpenAIResponses
from ..errors import ConfigurationError
from .counting import Counting
from .entry import base_url_of, find_key
from .openai_listing import OpenAIListing
from .provider import Provider, Route

BASE_URL = "https://api.openai.com/v1"

# Beginnings of the names of models that chat completions does not serve: what openai/types/shared/responses_model.py
# lists beyond chat_model.py, and the codex and pro models that neither lists. To be read from the catalog in time.
RESPONSES_ONLY = (
    *("o1-pro", "o3-pro", "gpt-5-pro", "gpt-5.4-pro", "gpt-5.5-pro"),
    *("o3-deep-research", "o4-mini-deep-research", "computer-use-preview"),
    *("gpt-5-codex", "gpt-5.1-codex-max", "gpt-5.2-codex", "gpt-5.3-codex"),
    *("gpt-daybreak-", "gpt-5.6-cyber", "gpt-6-cyber", "gpt-rosalind-", "gpt-6-rosalind"),
)


def build(name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> Provider:
    """The configured host.

    Args:
        name: what the configuration calls it.
        options: ``api_key`` (an object with ``get_secret_value``), ``base_url``, ``organization``, ``project``, ``api``
            (``auto``, ``chat`` or ``responses``).
        environ: the environment: ``OPENAI_API_KEY``, ``OPENAI_BASE_URL``, ``OPENAI_ORG_ID``, ``OPENAI_PROJECT_ID``.

    Raises:
        ConfigurationError: there is no key, the base URL is none, or ``api`` is something else.
    """
    base_url = base_url_of(name, options.get("base_url") or environ.get("OPENAI_BASE_URL") or BASE_URL)
    key, where = find_key(name, options, environ, ("OPENAI_API_KEY",), needed=base_url == BASE_URL)
    organization = options.get("organization") or environ.get("OPENAI_ORG_ID")
    project = options.get("project") or environ.get("OPENAI_PROJECT_ID")
    named = {"openai-organization": organization, "openai-project": project}
    chat, responses = Route(protocol=OpenAIChat()), Route(protocol=OpenAIResponses())
    counting = ResponsesCounting(path="/responses/input_tokens", protocol=responses.protocol)
    by_api: Mapping[str, tuple[Route, Route]] = {  # for any model, and for those of the Responses API alone
        "auto": (chat, responses if _is_openai(base_url) else chat),
        "chat": (chat, chat),
        "responses": (responses, responses),
    }
    usual, special = by_api[api_of(name, options, tuple(by_api))]
    return Provider(
        name=name,
        kind="openai",
        base_url=base_url,
        auth=HeaderKey(key, where=where),
        resolve=lambda model, stream: special if model.startswith(RESPONSES_ONLY) else usual,
        headers={header: str(value) for header, value in named.items() if value},
        listing=OpenAIListing(single=True),
        counting=lambda model: counting,
    )


def api_of(name: str, options: Mapping[str, Any], known: tuple[str, ...]) -> str:
    """The ``api`` of an entry; the first known one where it names none.

    Raises:
        ConfigurationError: it names another.
    """
    api = options.get("api") or known[0]
    if api not in known:
        raise ConfigurationError(f"providers.{name}.api must be one of {', '.join(known)}, not {api!r}", provider=name)
    return str(api)


def _is_openai(base_url: str) -> bool:
    """Whether it is OpenAI's own, a regional one (https://eu.api.openai.com/v1) included."""
    host = urlsplit(base_url).hostname or ""
    return host == "api.openai.com" or host.endswith(".api.openai.com")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesCounting(Counting):
    """OpenAI, by the Responses API also for the models that are spoken to by chat completions."""

    def body(self, body: dict[str, Any], model: str, json: JSONCodec) -> dict[str, Any]:
        """The request without what makes an answer."""
        return {name: value for name, value in body.items() if name not in ("store", "include", "stream")}
