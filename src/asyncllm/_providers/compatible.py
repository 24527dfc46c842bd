"""The hosts that speak OpenAI's chat format, as one table. Each row says what is different on this host.

Adding a host is adding a row, and nothing else. A row says where the host is, which variables hold its key, and what
its dialect is; what is not said there is as OpenAI does it. The configuration, ``from_env``, the simulator and the
tests of the docs read these rows. Sources: the vendors' own SDKs and recorded traffic, November 2026.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from ..errors import BillingError, ConfigurationError, QuotaExhaustedError
from .entry import base_url_of, find_key, place_of
from .provider import Provider, Route
from .spec import HostSpec, api_key, found_by_each

if TYPE_CHECKING:
    from .._protocols.batching import Batching
    from .._protocols.openai_chat import ChatDialect

_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def nine_alphanumerics(ident: str) -> str:
    """Returns a tool call id as Mistral wants it: nine letters and digits, always the same for the same id."""
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
    """One row: a host that speaks the chat format.

    Attributes:
        base_url: where it is when the configuration does not say; None where only the configuration can.
        key_variables: environment variables for its key, the first one that is set wins.
        default_models: what ``from_env`` puts into ``fallback_models``: current models, the cheap one first.
        needs_key: nobody is answered without one, at ``base_url``.
        found_by_key: ``from_env`` finds it when one of ``key_variables`` is set.
        host_variable: the environment variable that says where it listens (``127.0.0.1:11434``, ``:11434``), as its own
            programs read it.
        dialect: what it does otherwise than OpenAI: fields of `ChatDialect`.
        header_variables: header -> the environment variable it is sent from, where that is set.
        models_path: where it lists its models, below the base URL.
        models_url: where it lists them, if not below the base URL.
        batches: how it makes jobs of many requests: as OpenAI does, as Mistral does, or not at all.
        model_page: one model can be read by its name as well (``GET /models/{name}``).
        synonyms: other names that people use for it; errors about an unknown kind suggest this one.
        placed: what the name of its host ends with after the place where it serves (``us-api.together.ai``); ``""``
            where it has one place.
    """

    base_url: str | None
    key_variables: tuple[str, ...] = ()
    default_models: tuple[str, ...] = ()
    needs_key: bool = True
    found_by_key: bool = True
    host_variable: str = ""
    dialect: Mapping[str, Any] = field(default_factory=dict)
    header_variables: Mapping[str, str] = field(default_factory=dict)
    models_path: str = "/models"
    models_url: str | None = None
    model_page: bool = False
    batches: Literal["", "openai", "mistral"] = ""
    placed: str = ""
    synonyms: tuple[str, ...] = ()


_NO_EMBEDDINGS: Mapping[str, Any] = MappingProxyType({"embed_inputs": 0})


def _quirks(**own: Any) -> Mapping[str, Any]:
    """Returns what almost every compatible host has in common, changed by what this host sets."""
    common: dict[str, Any] = {
        "max_tokens_field": "max_tokens",
        "allowed_tools": False,
        "custom_tools": False,
        "tool_call_id": None,
        "cache_marks": "none",
        "reasoning_back": "on_calls",
        "strict_schemas": False,
        "audio_parts": False,
        "file_parts": False,
        "embed_inputs": 256,
        "embed_tokens": None,
        "embed_base64": False,
    }
    return MappingProxyType({**common, **own})


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

ROWS: Mapping[str, CompatibleHost] = MappingProxyType(
    {
        "groq": CompatibleHost(
            base_url="https://api.groq.com/openai/v1",
            key_variables=("GROQ_API_KEY",),
            default_models=("openai/gpt-oss-20b", "openai/gpt-oss-120b"),
            placed="-api.together.ai",
            dialect=_quirks(
                max_tokens_field="max_completion_tokens",
                reasoning_fields=("reasoning", "reasoning_content"),
                reasoning_back="drop",  # it refuses properties that it does not know
                retryable_codes=frozenset({"tool_use_failed"}),
                **_NO_EMBEDDINGS,
                hosted_tools={"web_search": "browser_search"},
            ),
            model_page=True,
            batches="openai",
        ),
        "mistral": CompatibleHost(
            base_url="https://api.mistral.ai/v1",
            key_variables=("MISTRAL_API_KEY",),
            default_models=("mistral-small-latest", "mistral-large-latest"),
            dialect=_quirks(
                seed_field="random_seed",
                thinking_chunks=True,
                empty_parameters=True,
                tool_call_id=nine_alphanumerics,
                tool_name=True,
                stream_usage="always",
                audio_parts=True,
                file_urls="document_url",
                embed_dimensions_field="output_dimension",
                embed_tokens=16_000,
            ),
            model_page=True,
            batches="mistral",
        ),
        "deepseek": CompatibleHost(
            base_url="https://api.deepseek.com",
            key_variables=("DEEPSEEK_API_KEY",),
            default_models=("deepseek-v4-flash", "deepseek-v4-pro"),
            dialect=_quirks(
                reasoning_param="switch_and_effort",
                reasoning_back="required_on_tools",
                json_schema="json_object",
                forced_tool_choice="not_while_thinking",
                **_NO_EMBEDDINGS,
            ),
        ),
        "xai": CompatibleHost(
            base_url="https://api.x.ai/v1",
            key_variables=("XAI_API_KEY",),
            default_models=("grok-4.3",),
            dialect=_quirks(
                max_tokens_field="max_completion_tokens",
                supports_stop=False,
                reasoning_back="field",
                **_NO_EMBEDDINGS,
            ),
            model_page=True,
            synonyms=("grok", "x_ai"),
        ),
        "openrouter": CompatibleHost(
            base_url="https://openrouter.ai/api/v1",
            key_variables=("OPENROUTER_API_KEY",),
            default_models=("openai/gpt-5.4-nano", "openai/gpt-oss-20b"),
            dialect=_quirks(
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
                hosted_tools={"web_search": "openrouter:web_search"},
            ),
            header_variables={
                "http-referer": "OPENROUTER_HTTP_REFERER",
                "x-openrouter-title": "OPENROUTER_X_OPEN_ROUTER_TITLE",
            },
        ),
        "together": CompatibleHost(
            base_url="https://api.together.xyz/v1",
            key_variables=("TOGETHER_API_KEY",),
            default_models=("openai/gpt-oss-20b", "openai/gpt-oss-120b"),
            placed="-api.together.ai",
            dialect=_quirks(reasoning_fields=("reasoning", "reasoning_content"), video_urls=True, rerank=True),
        ),
        "fireworks": CompatibleHost(
            base_url="https://api.fireworks.ai/inference/v1",
            key_variables=("FIREWORKS_API_KEY",),
            default_models=("accounts/fireworks/models/deepseek-v4-pro",),
            dialect=_quirks(reasoning_back="field"),
        ),
        "cerebras": CompatibleHost(
            base_url="https://api.cerebras.ai/v1",
            key_variables=("CEREBRAS_API_KEY",),
            default_models=("gpt-oss-120b",),
            dialect=_quirks(
                max_tokens_field="max_completion_tokens",
                reasoning_fields=("reasoning", "reasoning_content"),
                **_NO_EMBEDDINGS,
            ),
            model_page=True,
        ),
        "perplexity": CompatibleHost(
            base_url="https://api.perplexity.ai",
            key_variables=("PERPLEXITY_API_KEY",),
            default_models=("sonar", "sonar-pro"),
            dialect=_quirks(**_NO_EMBEDDINGS),  # it has some, as integers of 8 bits, which are no floats
            models_path="/v1/models",
        ),
        "huggingface": CompatibleHost(
            base_url="https://router.huggingface.co/v1",
            key_variables=("HF_TOKEN",),
            default_models=("moonshotai/kimi-k2-instruct-0905",),
            dialect=_quirks(),
        ),
        "zai": CompatibleHost(
            base_url="https://api.z.ai/api/paas/v4",
            key_variables=("ZAI_API_KEY",),
            default_models=("glm-4.7-flash", "glm-4.7"),
            dialect=_quirks(reasoning_param="switch_and_effort", reasoning_back="field", error_codes=_ZAI_CODES),
        ),
        "ollama": CompatibleHost(
            base_url="http://127.0.0.1:11434/v1",
            key_variables=("OLLAMA_API_KEY",),
            host_variable="OLLAMA_HOST",
            needs_key=False,
            dialect=_quirks(**{**_LOCAL, "forced_tool_choice": "no", "null_finish": True}),
            model_page=True,
        ),
        "vllm": CompatibleHost(
            base_url="http://127.0.0.1:8000/v1",
            key_variables=("VLLM_API_KEY",),
            needs_key=False,
            dialect=_quirks(
                **_LOCAL, reasoning_budget_field="thinking_token_budget", audio_parts=True, video_urls=True, rerank=True
            ),
        ),
        "llamacpp": CompatibleHost(
            base_url="http://127.0.0.1:8080/v1",
            key_variables=("LLAMA_API_KEY",),
            needs_key=False,
            dialect=_quirks(
                **{**_LOCAL, "reasoning_back_field": "reasoning_content"},
                audio_parts=True,
                video_urls=True,
                rerank=True,
            ),
        ),
        "lmstudio": CompatibleHost(
            base_url="http://127.0.0.1:1234/v1",
            key_variables=("LM_API_TOKEN",),
            needs_key=False,
            dialect=_quirks(**_LOCAL),
        ),
        "github": CompatibleHost(
            base_url="https://models.github.ai/inference",
            key_variables=("GITHUB_TOKEN",),
            found_by_key=False,  # this variable is set on many machines for other purposes
            dialect=_quirks(audio_parts=True),
            models_url="https://models.github.ai/catalog",
        ),
        # Any other server: what it takes is not known, so parts are sent and its own answer decides.
        "openai_compatible": CompatibleHost(
            base_url=None,
            needs_key=False,
            dialect=_quirks(audio_parts=True, file_parts=True, video_urls=True, rerank=True),
        ),
    }
)
"""The rows, by kind."""


def spec_of(kind: str) -> HostSpec | None:
    """Returns what the configuration and the simulator need to know of a row; None if there is no such row."""
    row = ROWS.get(kind)
    if row is None:
        return None
    found_by = found_by_each(*row.key_variables) if row.needs_key and row.found_by_key else ()
    return HostSpec(
        kind=kind,
        build=partial(build, kind),
        keys={"api_key": api_key(*row.key_variables)},
        found_by=found_by,
        base_url=row.base_url,
        needs_base_url=row.base_url is None,
        models=row.default_models,
        wires=("openai_chat",),
        url_suffix="/v1",
        synonyms=row.synonyms,
    )


def _batching(how: Literal["openai", "mistral"]) -> Batching:
    from .._protocols.openai_chat.batch import MistralBatching, OpenAIBatching

    return OpenAIBatching() if how == "openai" else MistralBatching()


def dialect_of(kind: str) -> ChatDialect:
    """Returns the dialect of a row."""
    from .._protocols.openai_chat import ChatDialect

    return ChatDialect(**ROWS[kind].dialect)


def _listening(row: CompatibleHost, environ: Mapping[str, str]) -> str | None:
    """Returns the base URL from the variable that the server itself uses (such as ``OLLAMA_HOST``).

    Raises:
        ConfigurationError: the variable holds no address.
    """
    told = environ.get(row.host_variable, "").strip(" \t\r\n\"'").rstrip("/") if row.host_variable else ""
    if not told or row.base_url is None:
        return None
    usual = urlsplit(row.base_url)
    if told.count(":") > 1 and "[" not in told and "://" not in told:
        told = f"[{told}]"  # an IPv6 address alone
    try:
        parts = urlsplit(told if "://" in told else f"{usual.scheme}://{told}")
        own_port = parts.port
    except ValueError:
        raise ConfigurationError(
            f"{row.host_variable} must be an address such as 127.0.0.1:{usual.port} or https://example.com"
        ) from None
    host = parts.hostname or usual.hostname or ""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # where it listens, not where it is asked
    port = own_port or (usual.port if parts.scheme == "http" and "://" not in told else None)
    at = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{at}{f':{port}' if port else ''}{parts.path.removesuffix(usual.path)}{usual.path}"


def build(kind: str, name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> Provider:
    """Builds the host from the options of the entry and the environment.

    Args:
        kind: a key of `ROWS`.
        name: what the configuration calls it.
        options: ``api_key`` (an object with ``get_secret_value``) and ``base_url``.
        environ: the environment, for the key and the headers of the row.

    Raises:
        ConfigurationError: no base URL, or no key where one is needed.
    """
    from .._auth.keys import HeaderKey
    from .._protocols.openai_chat import OpenAIChat
    from .openai_listing import OpenAIListing

    row = ROWS[kind]
    url = options.get("base_url") or _listening(row, environ) or row.base_url
    if url is None:
        raise ConfigurationError(f"providers.{name} needs a base_url, such as http://127.0.0.1:8000/v1", provider=name)
    base_url = base_url_of(name, url)
    at_home = base_url == row.base_url
    key, where = find_key(name, options, environ, row.key_variables, needed=row.needs_key and at_home)
    route = Route(protocol=OpenAIChat(dialect_of(kind)))
    return Provider(
        name=name,
        kind=kind,
        base_url=base_url,
        auth=HeaderKey(key, where=where),
        resolve=lambda operation, model, request: route,
        headers={
            header: environ[variable] for header, variable in row.header_variables.items() if environ.get(variable)
        },
        listing=OpenAIListing(
            path=row.models_path, base_url=row.models_url if at_home else None, single=row.model_page
        ),
        batching=lambda model: _batching(row.batches) if row.batches else None,
        place=place_of(base_url, row.placed),
        origin="" if row.base_url else f"{kind}:{base_url}",  # of such servers no two need be the same
    )
