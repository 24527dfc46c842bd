"""A configuration from environment variables alone."""

from __future__ import annotations

import pytest

from asyncllm._config import KINDS, MEMORY, SecretStr, from_env
from asyncllm.errors import ConfigurationError

ALL = {
    "OPENAI_API_KEY": "o",
    "ANTHROPIC_API_KEY": "a",
    "GEMINI_API_KEY": "g",
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "session",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AZURE_OPENAI_API_KEY": "z",
    "AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com/",
    "GOOGLE_CLOUD_PROJECT": "p",
    "GROQ_API_KEY": "q",
    "MISTRAL_API_KEY": "m",
    "DEEPSEEK_API_KEY": "d",
    "XAI_API_KEY": "x",
    "OPENROUTER_API_KEY": "r",
    "TOGETHER_API_KEY": "t",
    "FIREWORKS_API_KEY": "f",
    "CEREBRAS_API_KEY": "c",
    "PERPLEXITY_API_KEY": "p",
    "HF_TOKEN": "h",
    "ZAI_API_KEY": "z",
}


def test_keys_of_aws_without_a_region_are_there_for_other_services() -> None:
    """Bedrock is passed over where another host is found; alone, or named, it stays, and the error names the region."""
    keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_CONFIG_FILE": "/nowhere"}
    both = {**keys, "OPENAI_API_KEY": "o"}
    assert ["openai"] == list(from_env(both).providers)
    assert ["openai", "bedrock"] == list(from_env({**both, "AWS_REGION": "us-east-1"}).providers)
    assert ["openai", "bedrock"] == list(from_env({**both, "ASYNCLLM_PROVIDER": "bedrock"}).providers)
    assert ["bedrock"] == list(from_env(keys).providers)


def test_every_provider_whose_variables_are_set_is_found_in_order() -> None:
    """All of them are found, the first one active, the ledger in memory."""
    settings = from_env(ALL)
    assert [name for name, kind in KINDS.items() if kind.found_by] == list(settings.providers)
    assert ("openai", None) == (settings.active_provider, settings.active_model)
    assert MEMORY == settings.cost_tracking.database.get_secret_value()
    assert [] == [name for name, entry in settings.providers.items() if entry.pending]
    assert {"azure"} == {name for name, entry in settings.providers.items() if not entry.fallback_models}


def test_the_credentials_arrive_where_they_belong() -> None:
    """Each entry holds what its own variables hold."""
    providers = from_env(ALL).providers
    assert {
        "region_name": "eu-west-1",
        "aws_access_key_id": SecretStr("id"),
        "aws_secret_access_key": SecretStr("secret"),
        "aws_session_token": SecretStr("session"),
    } == providers["bedrock"].options()
    assert {"base_url": "https://mine.openai.azure.com", "api_key": SecretStr("z")} == providers["azure"].options()
    assert {"project_id": "p"} == providers["vertex"].options()
    assert {"api_key": SecretStr("h")} == providers["huggingface"].options()


def test_a_bearer_key_of_bedrock_comes_before_access_keys() -> None:
    """With both set, the bearer key is used alone."""
    providers = from_env({**ALL, "AWS_BEARER_TOKEN_BEDROCK": "b"}).providers
    assert {"region_name": "eu-west-1", "api_key": SecretStr("b")} == providers["bedrock"].options()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"GEMINI_API_KEY": "g", "ZAI_API_KEY": "z"}, "gemini"),
        ({"OPENAI_API_KEY": " ", "ZAI_API_KEY": "z"}, "zai"),
        ({"GOOGLE_APPLICATION_CREDENTIALS": "/k.json"}, "vertex"),
        ({"AWS_ACCESS_KEY_ID": "a", "ZAI_API_KEY": "z"}, "zai"),
        ({"OPENAI_API_KEY": "o", "ZAI_API_KEY": "z", "ASYNCLLM_PROVIDER": "zai"}, "zai"),
        ({"OPENAI_API_KEY": "o", "ASYNCLLM_PROVIDER": "ollama"}, "ollama"),
        ({"ASYNCLLM_PROVIDER": "bedrock"}, "bedrock"),
        ({"ASYNCLLM_PROVIDER": "github", "GITHUB_TOKEN": "t"}, "github"),
    ],
)
def test_the_active_provider_is_the_first_one_or_the_named_one(environ: dict[str, str], expected: str) -> None:
    """ASYNCLLM_PROVIDER names any provider that has its variables or needs none; else the first one found is active."""
    assert expected == from_env(environ).active_provider


def test_the_librarys_own_variables_are_read() -> None:
    """Model, fallback, routing and budgets come from their variables."""
    settings = from_env(
        {
            "OPENAI_API_KEY": "o",
            "ASYNCLLM_MODEL": "m",
            "ASYNCLLM_CROSS_PROVIDER_FALLBACK": "true",
            "ASYNCLLM_ROUTING": "cost",
            "ASYNCLLM_DAILY_BUDGET": "0.1",
            "ASYNCLLM_MONTHLY_BUDGET": "12",
        }
    )
    assert ("m", True, "cost") == (settings.active_model, settings.cross_provider_fallback, settings.routing.strategy)
    assert [(10**8, "day"), (12 * 10**9, "month")] == [(found.limit, found.per) for found in settings.budgets]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"ASYNCLLM_MONTHLY_BUDGET": "much"}, "ASYNCLLM_MONTHLY_BUDGET: must be a valid number (found 'much')"),
        ({"ASYNCLLM_DAILY_BUDGET": "-1"}, "ASYNCLLM_DAILY_BUDGET: must be greater than 0 (found '-1')"),
        ({"ASYNCLLM_ROUTING": "dearest"}, "ASYNCLLM_ROUTING: must be"),
        ({"LLM_DAILY_BUDGET": "much"}, "LLM_DAILY_BUDGET: must be a valid number (found 'much')"),
        ({"ASYNCLLM_CROSS_PROVIDER_FALLBACK": "perhaps"}, "ASYNCLLM_CROSS_PROVIDER_FALLBACK: must be true or false"),
        ({"ASYNCLLM_PROVIDER": "opnai"}, "ASYNCLLM_PROVIDER: there is no such provider; did you mean 'openai'?"),
        ({"ASYNCLLM_PROVIDER": "openai_compatible"}, "providers.openai_compatible: an entry of kind openai_compatible"),
    ],
)
def test_a_wrong_variable_is_named(environ: dict[str, str], expected: str) -> None:
    """The sentence starts with the variable, as there is no file to point at."""
    with pytest.raises(ConfigurationError) as caught:
        from_env({"OPENAI_API_KEY": "o", **environ})
    assert [expected] == [line[: len(expected)] for line in caught.value.problems]


def test_without_any_key_the_variables_are_listed() -> None:
    """Who has set nothing learns what could be set."""
    with pytest.raises(ConfigurationError) as caught:
        from_env({"ASYNCLLM_MODEL": "m"})
    assert "openai: OPENAI_API_KEY" == caught.value.problems[0]
    assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in str(caught.value)


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the variables of the process are read, references in them left alone."""
    monkeypatch.setenv("OPENAI_API_KEY", "${HOME}")
    assert SecretStr("${HOME}") == from_env().providers["openai"].options()["api_key"]


KEYS = {"OPENAI_API_KEY": "o", "ANTHROPIC_API_KEY": "a"}


def test_the_other_names_of_the_variables_are_read() -> None:
    """Each variable has a second name; the first one wins."""
    names = {
        "PRIMARY_LLM_PROVIDER": "anthropic",
        "ENABLE_LLM_FALLBACK": "true",
        "LLM_ROUTING_STRATEGY": "cost_optimized",
    }
    settings = from_env({**KEYS, **names, "LLM_DAILY_BUDGET": "1", "LLM_MONTHLY_BUDGET": "12"})
    assert ("anthropic", True, "cost") == (
        settings.active_provider,
        settings.cross_provider_fallback,
        settings.routing.strategy,
    )
    assert [10**9, 12 * 10**9] == [budget.limit for budget in settings.budgets]
    assert "openai" == from_env({**KEYS, **names, "ASYNCLLM_PROVIDER": "openai"}).active_provider


@pytest.mark.parametrize("strategy", ["cost", "latency", "load_balance", "capability"])
def test_routing_chooses_among_all_providers(strategy: str) -> None:
    """A strategy from the environment alone has the models of every provider whose key is there."""
    routing = from_env({**KEYS, "ASYNCLLM_ROUTING": strategy}).routing
    assert strategy == routing.strategy
    assert {"openai", "anthropic"} == {target.provider for target in routing.all_targets()}


@pytest.mark.parametrize("word", ["Cost", "COST", "Load-Balance", "least_busy"])
def test_the_word_of_a_strategy_may_be_written_in_any_case(word: str) -> None:
    """Variables are often written in capitals, or with dashes."""
    assert word.lower().replace("-", "_") == from_env({**KEYS, "ASYNCLLM_ROUTING": word}).routing.strategy
