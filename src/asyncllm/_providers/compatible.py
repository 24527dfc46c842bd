"""The hosts that speak OpenAI's chat format with quirks of their own, as one table.

Adding a host is adding a row. A row says where the host is, which variables hold its key, and its `ChatDialect`; what
is not said there is as OpenAI does it. Sources: the vendors' own SDKs and recorded traffic, November 2026.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from .._auth.keys import HeaderKey
from .._protocols.openai_chat import ChatDialect, OpenAIChat
from ..errors import BillingError, ConfigurationError, QuotaExhaustedError
from .entry import base_url_of, find_key
from .openai_listing import OpenAIListing
from .provider import Provider, Route

_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def nine_alphanumerics(ident: str) -> str:
    """A tool call id as Mistral wants it: exactly nine letters and digits; the same for the same id."""
    if len(ident) == 9 and ident.isascii() and ident.isalnum():
        return ident
    number = int.from_bytes(hashlib.sha256(ident.encode()).digest()[:8], "big")
    letters = []
    for _ in range(9):
        number, letter = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[letter])
    return "".join(letters)


def one_leading_system(body: dict[str, Any]) -> dict[str, Any]:
    """Joins the system messages at the start: chat templates of open models often allow only one."""
    messages: list[dict[str, Any]] = body["messages"]
    leading = 0
    while leading < len(messages) and messages[leading]["role"] == "system":
        leading += 1
    if leading < 2 or not all(isinstance(message["content"], str) for message in messages[:leading]):
        return body
    text = "\n\n".join([message["content"] for message in messages[:leading]])
    return {**body, "messages": [{"role": "system", "content": text}, *messages[leading:]]}


@dataclass(frozen=True, slots=True, kw_only=True)
class CompatibleHost:
    """A host of the chat format.

    Attributes:
        base_url: where it is when the configuration does not say; None where only the configuration can.
        key_variables: environment variables for its key, first found wins.
        needs_key: nobody is answered without one, at ``base_url``.
        dialect: what it does otherwise than OpenAI.
        header_variables: header -> the environment variable it is sent from, where that is set.
        listing: how it lists its models.
    """

    base_url: str | None
    key_variables: tuple[str, ...] = ()
    needs_key: bool = True
    dialect: ChatDialect = field(default_factory=ChatDialect)
    header_variables: Mapping[str, str] = field(default_factory=dict)
    listing: OpenAIListing = field(default_factory=OpenAIListing)


def _dialect(**quirks: Any) -> ChatDialect:
    """What almost every compatible host has in common, and then its own."""
    common: dict[str, Any] = {
        "max_tokens_field": "max_tokens",
        "allowed_tools": False,
        "custom_tools": False,
        "tool_call_id": None,
        "cache_marks": "none",
        "audio_parts": False,
        "file_parts": False,
    }
    return ChatDialect(**{**common, **quirks})


# Reasoning text comes as `reasoning` and is taken back under that name: vLLM, Ollama and their like.
_LOCAL: Mapping[str, Any] = MappingProxyType(
    {
        "reasoning_fields": ("reasoning", "reasoning_content"),
        "reasoning_back": "field",
        "reasoning_back_field": "reasoning",
        "strict_tools": False,
        "adapt": one_leading_system,
    }
)
# Z.ai answers 429 for these as well, but waiting a moment does not help: no balance, plan expired, plan used up.
_ZAI_CODES = (
    ("1113", BillingError),
    ("1309", BillingError),
    *((str(code), QuotaExhaustedError) for code in (1308, *range(1310, 1322))),
)

# Those whose own SDKs read a model by its name as well.
_ONE_BY_ONE = OpenAIListing(single=True)

_ROWS: Mapping[str, CompatibleHost] = {
    "groq": CompatibleHost(
        base_url="https://api.groq.com/openai/v1",
        key_variables=("GROQ_API_KEY",),
        dialect=_dialect(
            max_tokens_field="max_completion_tokens",
            reasoning_fields=("reasoning", "reasoning_content"),
            retryable_codes=frozenset({"tool_use_failed"}),
        ),
        listing=_ONE_BY_ONE,
    ),
    "mistral": CompatibleHost(
        base_url="https://api.mistral.ai/v1",
        key_variables=("MISTRAL_API_KEY",),
        dialect=_dialect(
            seed_field="random_seed",
            thinking_chunks=True,
            empty_parameters=True,
            tool_call_id=nine_alphanumerics,
            tool_name=True,
            stream_usage="always",
            audio_parts=True,
            file_urls="document_url",
        ),
        listing=_ONE_BY_ONE,
    ),
    "deepseek": CompatibleHost(
        base_url="https://api.deepseek.com",
        key_variables=("DEEPSEEK_API_KEY",),
        dialect=_dialect(
            reasoning_param="switch_and_effort",
            reasoning_back="required_on_tools",
            json_schema="json_object",
            forced_tool_choice="not_while_thinking",
        ),
    ),
    "xai": CompatibleHost(
        base_url="https://api.x.ai/v1",
        key_variables=("XAI_API_KEY",),
        dialect=_dialect(
            max_tokens_field="max_completion_tokens",
            supports_stop=False,
            reasoning_back="field",
            output_excludes_reasoning=True,
        ),
        listing=_ONE_BY_ONE,
    ),
    "openrouter": CompatibleHost(
        base_url="https://openrouter.ai/api/v1",
        key_variables=("OPENROUTER_API_KEY",),
        dialect=_dialect(
            reasoning_param="object",
            reasoning_fields=("reasoning", "reasoning_content"),
            reasoning_back="field",
            reasoning_back_field="reasoning",
            reasoning_details=True,
            cache_marks="cache_control",
            audio_parts=True,
            file_parts=True,
            file_urls="file",
            video_urls=True,
        ),
        header_variables={
            "http-referer": "OPENROUTER_HTTP_REFERER",
            "x-openrouter-title": "OPENROUTER_X_OPEN_ROUTER_TITLE",
        },
    ),
    "together": CompatibleHost(
        base_url="https://api.together.xyz/v1",
        key_variables=("TOGETHER_API_KEY",),
        dialect=_dialect(reasoning_fields=("reasoning", "reasoning_content"), video_urls=True),
    ),
    "fireworks": CompatibleHost(
        base_url="https://api.fireworks.ai/inference/v1",
        key_variables=("FIREWORKS_API_KEY",),
        dialect=_dialect(reasoning_back="field"),
    ),
    "cerebras": CompatibleHost(
        base_url="https://api.cerebras.ai/v1",
        key_variables=("CEREBRAS_API_KEY",),
        dialect=_dialect(max_tokens_field="max_completion_tokens", reasoning_fields=("reasoning", "reasoning_content")),
        listing=_ONE_BY_ONE,
    ),
    "perplexity": CompatibleHost(
        base_url="https://api.perplexity.ai",
        key_variables=("PERPLEXITY_API_KEY",),
        dialect=_dialect(),
        listing=OpenAIListing(path="/v1/models"),
    ),
    "huggingface": CompatibleHost(
        base_url="https://router.huggingface.co/v1",
        key_variables=("HF_TOKEN",),
        dialect=_dialect(),
    ),
    "zai": CompatibleHost(
        base_url="https://api.z.ai/api/paas/v4",
        key_variables=("ZAI_API_KEY",),
        dialect=_dialect(reasoning_param="switch_and_effort", reasoning_back="field", error_codes=_ZAI_CODES),
    ),
    "ollama": CompatibleHost(
        base_url="http://127.0.0.1:11434/v1",
        key_variables=("OLLAMA_API_KEY",),
        needs_key=False,
        dialect=_dialect(**{**_LOCAL, "forced_tool_choice": "no", "null_finish": True}),
        listing=_ONE_BY_ONE,
    ),
    "vllm": CompatibleHost(
        base_url="http://127.0.0.1:8000/v1",
        key_variables=("VLLM_API_KEY",),
        needs_key=False,
        dialect=_dialect(**_LOCAL, reasoning_budget_field="thinking_token_budget", audio_parts=True, video_urls=True),
    ),
    "llamacpp": CompatibleHost(
        base_url="http://127.0.0.1:8080/v1",
        key_variables=("LLAMA_API_KEY",),
        needs_key=False,
        dialect=_dialect(**{**_LOCAL, "reasoning_back_field": "reasoning_content"}, audio_parts=True, video_urls=True),
    ),
    "lmstudio": CompatibleHost(
        base_url="http://127.0.0.1:1234/v1",
        key_variables=("LM_API_TOKEN",),
        needs_key=False,
        dialect=_dialect(**_LOCAL),
    ),
    "github": CompatibleHost(
        base_url="https://models.github.ai/inference",
        key_variables=("GITHUB_TOKEN",),
        dialect=_dialect(audio_parts=True),
        listing=OpenAIListing(base_url="https://models.github.ai/catalog"),
    ),
    # Any other server: what it takes is not known, so parts are sent and its own answer decides.
    "openai_compatible": CompatibleHost(
        base_url=None,
        needs_key=False,
        dialect=_dialect(audio_parts=True, file_parts=True, video_urls=True),
    ),
}

COMPATIBLE: Mapping[str, CompatibleHost] = MappingProxyType(_ROWS)
"""The rows, by kind."""


def build(kind: str, name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> Provider:
    """The configured host.

    Args:
        kind: a key of `COMPATIBLE`.
        name: what the configuration calls it.
        options: ``api_key`` (an object with ``get_secret_value``) and ``base_url``.
        environ: the environment, for the key and the headers of the row.

    Raises:
        ConfigurationError: there is no such row, no base URL, or no key where one is needed.
    """
    host = COMPATIBLE.get(kind)
    if host is None:
        raise ConfigurationError(f"providers.{name}: no such kind {kind!r}; use one of {', '.join(sorted(COMPATIBLE))}")
    url = options.get("base_url") or host.base_url
    if url is None:
        raise ConfigurationError(f"providers.{name} needs a base_url, such as http://127.0.0.1:8000/v1", provider=name)
    base_url = base_url_of(name, url)
    needed = host.needs_key and base_url == host.base_url
    key, where = find_key(name, options, environ, host.key_variables, needed=needed)
    route = Route(protocol=OpenAIChat(host.dialect))
    headers = {header: environ[variable] for header, variable in host.header_variables.items() if environ.get(variable)}
    return Provider(
        name=name,
        kind=kind,
        base_url=base_url,
        auth=HeaderKey(key, where=where),
        resolve=lambda model, stream: route,
        headers=headers,
        listing=host.listing if base_url == host.base_url else replace(host.listing, base_url=None),
        origin="" if host.base_url else f"{kind}:{base_url}",  # of such servers no two need be the same
    )
