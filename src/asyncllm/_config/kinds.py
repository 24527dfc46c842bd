"""The kinds of provider entries, as data: which keys each knows, and in which environment variables its keys are found.

An entry that leaves out its credential is no error here: the provider's own file looks it up when the entry is used.
The variables in this table are for `asyncllm._config.from_env`, which has nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CREDENTIALS = frozenset(
    {
        "api_key",
        "access_token",
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "profile_name",
        "credentials_path",
    }
)
COMMON_KEYS = frozenset({"kind", "base_url", "fallback_models", "max_tokens", "timeouts", "retry", "limits"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What the configuration knows of one kind of provider.

    Attributes:
        keys: what an entry of this kind may hold besides `COMMON_KEYS`.
        variables: key -> the environment variables that hold it, first found wins.
        found_by: sets of variables; with every variable of one set present, `from_env` finds this provider.
        needs_base_url: there is no URL to fall back on, and no variable that holds one.
        apis: the values of ``api``.
        models: what `from_env` puts into ``fallback_models``: current models, the cheap one first.
    """

    keys: frozenset[str] = frozenset({"api_key"})
    variables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    found_by: tuple[frozenset[str], ...] = ()
    needs_base_url: bool = False
    apis: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


def _keyed(variables: str, *models: str, keys: str = "api_key", apis: tuple[str, ...] = ()) -> Kind:
    """A kind that is one API key, from the first of these variables."""
    names = tuple(variables.split())
    return Kind(
        keys=frozenset(keys.split()),
        variables={"api_key": names},
        found_by=tuple(frozenset({name}) for name in names),
        apis=apis,
        models=models,
    )


_BEDROCK = Kind(
    keys=frozenset(
        {
            "api_key",
            "aws_access_key_id",
            "aws_secret_access_key",
            "aws_session_token",
            "profile_name",
            "region_name",
            "api",
        }
    ),
    variables={
        "api_key": ("AWS_BEARER_TOKEN_BEDROCK",),
        "aws_access_key_id": ("AWS_ACCESS_KEY_ID",),
        "aws_secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
        "aws_session_token": ("AWS_SESSION_TOKEN",),
        "region_name": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    },
    found_by=(
        frozenset({"AWS_BEARER_TOKEN_BEDROCK"}),
        frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}),
    ),
    apis=("converse", "invoke"),
    models=("global.anthropic.claude-haiku-5-5", "global.anthropic.claude-sonnet-5-5"),
)
_AZURE = Kind(
    keys=frozenset({"api_key", "access_token", "api"}),
    variables={
        "api_key": ("AZURE_OPENAI_API_KEY",),
        "access_token": ("AZURE_OPENAI_AD_TOKEN",),
        "base_url": ("AZURE_OPENAI_ENDPOINT",),
    },
    found_by=(
        frozenset({"AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"}),
        frozenset({"AZURE_OPENAI_AD_TOKEN", "AZURE_OPENAI_ENDPOINT"}),
    ),
    apis=("chat", "responses"),
)
_VERTEX = Kind(
    keys=frozenset({"access_token", "credentials_path", "project_id", "location"}),
    variables={"project_id": ("GOOGLE_CLOUD_PROJECT",), "location": ("GOOGLE_CLOUD_LOCATION",)},
    found_by=(frozenset({"GOOGLE_APPLICATION_CREDENTIALS"}), frozenset({"GOOGLE_CLOUD_PROJECT"})),
    models=("gemini-3.8-flash",),
)

# In the order in which `from_env` looks: the first one found is the active provider.
KINDS: Mapping[str, Kind] = {
    "openai": _keyed(
        "OPENAI_API_KEY",
        "gpt-5.4-mini",
        "gpt-6-luna",
        keys="api_key api organization project",
        apis=("auto", "chat", "responses"),
    ),
    "anthropic": _keyed("ANTHROPIC_API_KEY", "claude-haiku-5-5", "claude-sonnet-5-5", keys="api_key api_version beta"),
    "gemini": _keyed(
        "GOOGLE_API_KEY GEMINI_API_KEY",
        "gemini-3.8-flash",
        "gemini-3.6-flash",
        keys="api_key api_version safety_settings",
    ),
    "bedrock": _BEDROCK,
    "azure": _AZURE,
    "vertex": _VERTEX,
    "groq": _keyed("GROQ_API_KEY", "openai/gpt-oss-20b", "openai/gpt-oss-120b"),
    "mistral": _keyed("MISTRAL_API_KEY", "mistral-small-latest", "mistral-large-latest"),
    "deepseek": _keyed("DEEPSEEK_API_KEY", "deepseek-v4-flash", "deepseek-v4-pro"),
    "xai": _keyed("XAI_API_KEY", "grok-4.3"),
    "openrouter": _keyed("OPENROUTER_API_KEY", "openai/gpt-5.4-nano", "openai/gpt-oss-20b"),
    "together": _keyed("TOGETHER_API_KEY", "openai/gpt-oss-20b", "openai/gpt-oss-120b"),
    "fireworks": _keyed("FIREWORKS_API_KEY", "accounts/fireworks/models/deepseek-v4-pro"),
    "cerebras": _keyed("CEREBRAS_API_KEY", "gpt-oss-120b"),
    "perplexity": _keyed("PERPLEXITY_API_KEY", "sonar", "sonar-pro"),
    "huggingface": _keyed("HF_TOKEN", "moonshotai/kimi-k2-instruct-0905"),
    "zai": _keyed("ZAI_API_KEY", "glm-4.7-flash", "glm-4.7"),
    # Its variable is set on many machines for other purposes, so it does not make this provider be found.
    "github": Kind(variables={"api_key": ("GITHUB_TOKEN",)}),
    "openai_compatible": Kind(needs_base_url=True),
    "ollama": Kind(),
    "vllm": Kind(),
    "llamacpp": Kind(),
    "lmstudio": Kind(),
}
