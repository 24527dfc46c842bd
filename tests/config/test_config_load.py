"""What a configuration means: the design's example, defaults, references, kinds, paths, problems."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest

from asyncllm._config import KINDS, MEMORY, SecretStr, load
from asyncllm._config.sections import RetryPolicy
from asyncllm.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
EXAMPLE = """
active_provider: openai
active_model: gpt-4o-mini
providers:
  openai:    {api_key: "${OPENAI_API_KEY}", fallback_models: [gpt-4o-mini, gpt-4o]}
  anthropic: {api_key: "${ANTHROPIC_API_KEY}", fallback_models: [claude-sonnet-4-5]}
  bedrock:   {region_name: us-east-1, fallback_models: ["anthropic.claude-3-sonnet-20240229-v1:0"]}   # AWS credential chain
  vertex:    {project_id: my-gcp-project, location: us-central1, fallback_models: [gemini-1.5-flash]} # ADC, or credentials_path
  gemini:    {api_key: "${GEMINI_API_KEY}", fallback_models: [gemini-pro]}
  local:     {kind: openai_compatible, base_url: "http://127.0.0.1:11434/v1"}
cost_tracking: {enabled: true, log_path: ./llm_costs.log}
"""  # noqa: E501  (as it stands in the design)
DEFAULTS = """
http: {library: httpx, max_connections: 1000, idle_connections: 20, keepalive: 15, trust_env: false, proxy: null, no_proxy: [], ca_bundle: null}
retry: {max_attempts: 3, max_attempts_per_call: 6, base_delay: 0.5, max_delay: 8}   # max_attempts: 1 switches retries off
timeouts: {connect: 5, write: 30, first_content: 300, idle: 60, no_content: 300, total: 600}
cross_provider_fallback: false
routing: {strategy: fallback}                # cost | latency | capability | load_balance, each with its own keys
limits: {}                                   # concurrent, requests_per_minute, tokens_per_minute
hedging: {}                                  # after: seconds, or percentile
budgets: []                                  # - {limit: 10.00, per: day, scope: {provider: openai}, on_exceed: error, assume_output_tokens: 4096}
catalog: {refresh_on_start: false, cache_path: null, prices: {}, capabilities: {}}
unsupported_parameters: drop                 # sampling hints only (temperature, top_p, seed)
cost_tracking: {enabled: true, database: "sqlite:///asyncllm.db", log_path: null, on_error: warn}
"""  # noqa: E501  (as it stands in the design)
ENTRY = "active_provider: openai\nproviders: {openai: {api_key: k}}\n"
KEY = {"OPENAI_API_KEY": "sk-1"}


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    return tmp_path / "config.yaml"


def problems(source: Any, environ: dict[str, str] | None = None, **options: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load(source, environ=environ or {}, **options)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value.problems


def with_entry(entry: dict[str, Any], name: str = "openai", **more: Any) -> dict[str, Any]:
    return {"active_provider": name, "providers": {name: entry}, **more}


def test_the_example_of_the_design_loads_with_one_key(tmp_path: Path) -> None:
    """The design's example loads as it stands when only the active provider's variable is set."""
    settings = load(written(tmp_path, EXAMPLE), environ=KEY)
    assert ("openai", "gpt-4o-mini") == (settings.active_provider, settings.active_model)
    assert {
        "openai": "openai",
        "anthropic": "anthropic",
        "bedrock": "bedrock",
        "vertex": "vertex",
        "gemini": "gemini",
        "local": "openai_compatible",
    } == {name: entry.kind for name, entry in settings.providers.items()}
    assert {"api_key": SecretStr("sk-1")} == settings.providers["openai"].options()
    assert {"region_name": "us-east-1"} == settings.providers["bedrock"].options()
    assert {"base_url": "http://127.0.0.1:11434/v1"} == settings.providers["local"].options()
    assert ("gpt-4o-mini", "gpt-4o") == settings.providers["openai"].fallback_models
    assert tmp_path / "llm_costs.log" == settings.cost_tracking.log_path


def test_the_defaults_of_the_design_are_the_defaults(tmp_path: Path) -> None:
    """Every optional section, written out with the design's defaults, changes nothing."""
    bare = load(written(tmp_path, ENTRY), environ={})
    assert bare == load(written(tmp_path, ENTRY + DEFAULTS), environ={})
    assert f"sqlite:///{tmp_path}/asyncllm.db" == bare.cost_tracking.database.get_secret_value()


def test_the_repository_has_a_configuration_that_loads() -> None:
    """The config.yaml at the root loads with one key, and with its commented defaults put in."""
    text = (ROOT / "config.yaml").read_text(encoding="utf-8")
    assert "openai" == load(ROOT / "config.yaml", environ=KEY).active_provider
    assert {"openai", "anthropic", "gemini", "bedrock", "vertex", "local"} == set(
        load(ROOT / "config.yaml", environ=KEY).providers
    )
    assert "\r" not in text


def test_the_commented_defaults_of_the_repository_are_true(tmp_path: Path) -> None:
    """What config.yaml shows in comments as defaults, uncommented, changes nothing."""
    text = (ROOT / "config.yaml").read_text(encoding="utf-8")
    start = text.index("# cross_provider_fallback")
    loud = text[:start] + "\n".join(line.removeprefix("# ") for line in text[start:].splitlines()) + "\n"
    assert load(written(tmp_path, text), environ=KEY) == load(written(tmp_path, loud), environ=KEY)


def test_settings_and_paths_and_mappings_are_sources(tmp_path: Path) -> None:
    """A path as text or object, a mapping and finished settings all load; settings come back as they are."""
    path = written(tmp_path, ENTRY)
    settings = load(path, environ={})
    assert settings == load(str(path), environ={})
    assert settings is load(settings)
    assert settings.providers == load(with_entry({"api_key": SecretStr("k")})).providers


def test_settings_cannot_change() -> None:
    """Settings are frozen."""
    settings = load(with_entry({"api_key": "k"}))
    with pytest.raises(FrozenInstanceError):
        settings.active_model = "x"  # type: ignore[misc]  # the refusal is the test


def test_a_missing_variable_of_the_active_provider_is_refused_at_once(tmp_path: Path) -> None:
    """The error names the file, the line, the dotted key and the variable."""
    path = written(tmp_path, EXAMPLE)
    expected = f"{path}:5: providers.openai.api_key: the environment variable OPENAI_API_KEY is not set"
    assert (expected,) == problems(path)


def test_a_missing_variable_of_another_provider_waits_for_its_use(tmp_path: Path) -> None:
    """An entry that is not active fails when its options are asked for, with the same sentence."""
    path = written(tmp_path, EXAMPLE)
    entry = load(path, environ=KEY).providers["anthropic"]
    expected = (f"{path}:6: providers.anthropic.api_key: the environment variable ANTHROPIC_API_KEY is not set",)
    assert expected == entry.pending
    with pytest.raises(ConfigurationError) as caught:
        entry.options()
    assert expected == caught.value.problems
    assert () == load(path, environ={**KEY, "ANTHROPIC_API_KEY": "a"}).providers["anthropic"].pending


@pytest.mark.parametrize(
    "entry",
    [
        {"kind": "${NO}", "whatever": 1},
        {"base_url": "${NO}", "kind": "openai_compatible"},
        {"fallback_models": ["a", "${NO}"], "api_key": "k"},
        {"timeouts": {"total": "${NO}"}, "api_key": "k"},
        {"aws_access_key_id": "a", "aws_secret_access_key": "${NO}", "kind": "bedrock"},
    ],
)
def test_any_key_of_an_inactive_entry_may_wait(entry: dict[str, Any]) -> None:
    """Whichever key a missing variable is in, the other providers go on working."""
    settings = load({"active_provider": "ollama", "providers": {"ollama": {}, "openai": entry}}, environ={})
    assert 1 == len(settings.providers["openai"].pending)
    with pytest.raises(ConfigurationError, match="NO is not set"):
        settings.providers["openai"].require()
    assert any("NO is not set" in line for line in problems(with_entry(entry)))


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"active_model": "${NO}"}, "active_model"),
        ({"http": {"no_proxy": ["a", "${NO}"]}}, "http.no_proxy[1]"),
        ({"budgets": [{"limit": "${NO}"}]}, "budgets[0].limit"),
        ({"http": "${NO}"}, "http"),
    ],
)
def test_a_missing_variable_outside_the_entries_is_refused(more: dict[str, Any], path: str) -> None:
    """Everywhere but in the entries a missing variable is an error, and only that is said."""
    assert (f"{path}: the environment variable NO is not set",) == problems(with_entry({"api_key": "k"}, **more))


def test_a_missing_active_provider_is_said_once() -> None:
    """A reference that decides which provider is active must resolve."""
    source = {"active_provider": "${NO}", "providers": {"openai": {"api_key": "${NO2}"}}}
    assert ("active_provider: the environment variable NO is not set",) == problems(source)


def test_references_fill_numbers_and_booleans() -> None:
    """A resolved text is read as the type of its key, and never as YAML."""
    environ = {"N": "7", "YES": "yes", "LIST": "[a, b]", "S": "2.5"}
    source = with_entry(
        {"api_key": "k", "fallback_models": ["${LIST}"]},
        http={"max_connections": "${N}", "trust_env": "${YES}"},
        timeouts={"idle": "${S}"},
        budgets=[{"limit": "${S}"}],
    )
    settings = load(source, environ=environ)
    assert (7, True, 2.5) == (settings.http.max_connections, settings.http.trust_env, settings.timeouts.idle)
    assert 2_500_000_000 == settings.budgets[0].limit
    assert ("[a, b]",) == settings.providers["openai"].fallback_models


def test_money_is_exact(tmp_path: Path) -> None:
    """A limit written as 0.1 is 100,000,000 nano-dollars, not the nearest binary fraction."""
    text = ENTRY + "budgets: [{limit: 0.1}, {limit: 10.00, per: month}, {limit: 0.000000001}]\n"
    limits = [budget.limit for budget in load(written(tmp_path, text), environ={}).budgets]
    assert [10**8, 10 * 10**9, 1] == limits


def test_a_credential_that_is_not_written_is_nobodys_mistake() -> None:
    """An entry without a key loads, since its provider looks in the usual places; an empty reference is no key."""
    source = {"active_provider": "openai", "providers": {"openai": {"api_key": "${NONE:-}"}, "zai": None}}
    settings = load(source, environ={})
    assert [{}, {}] == [entry.options() for entry in settings.providers.values()]


def test_an_openai_compatible_entry_needs_its_url() -> None:
    """The one kind that is nowhere by itself is refused without a base_url, active or not."""
    source = {"active_provider": "ollama", "providers": {"ollama": None, "local": {"kind": "openai_compatible"}}}
    assert ("providers.local: an entry of kind openai_compatible needs base_url",) == problems(source)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_takes_its_keys_and_no_others(kind: str) -> None:
    """Each kind accepts the keys of its row; a key of another kind is refused by name."""
    forms: dict[str, Any] = {"texts": ["b"], "objects": [{"category": "c", "threshold": "OFF"}]}
    values = {
        name: key.choices[0] if key.choices else forms.get(key.form, "x") for name, key in KINDS[kind].keys.items()
    }
    entry = {**values, "kind": kind, "base_url": "https://h/v1/"}
    settings = load(with_entry(entry, "mine"), environ={})
    assert {*KINDS[kind].keys, "base_url"} == settings.providers["mine"].options().keys()
    assert "https://h/v1" == settings.providers["mine"].base_url
    foreign = "organization" if kind != "openai" else "region_name"
    found = problems(with_entry(entry | {foreign: "x"}, "mine"))
    assert [True] == [line.startswith(f"providers.mine.{foreign}: not a key of this kind") for line in found]


def test_an_entry_inherits_what_it_does_not_set() -> None:
    """An entry's own timeouts and retry start from the general ones, not from the defaults."""
    source = with_entry(
        {"api_key": "k", "timeouts": {"total": 9}, "retry": {"max_attempts": 1}, "limits": {"concurrent": 2}},
        timeouts={"idle": 7},
    )
    entry = load(source).providers["openai"]
    assert entry.timeouts is not None
    assert entry.retry is not None
    assert entry.limits is not None
    assert (9, 7, 5) == (entry.timeouts.total, entry.timeouts.idle, entry.timeouts.connect)
    assert (1, 2) == (entry.retry.max_attempts, entry.limits.concurrent)
    assert {"api_key": SecretStr("k")} == entry.options()


def test_a_kind_made_in_python_may_have_any_key() -> None:
    """Entries of extra kinds keep their unknown keys, and hide those that sound like secrets."""
    source = with_entry({"kind": "mine", "region": "x", "custom": 1, "auth_token": "t", "api_key": "k"}, "m")
    settings = load(source, extra_kinds=frozenset({"mine"}))
    expected = {"api_key": SecretStr("k"), "region": "x", "custom": 1, "auth_token": SecretStr("t")}
    assert expected == settings.providers["m"].options()
    assert ("providers.m.kind: there is no such kind; did you mean 'mistral'? (found 'mistrl')",) == problems(
        with_entry({"kind": "mistrl"}, "m"), extra_kinds=frozenset({"mine"})
    )


def test_relative_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every path of a file is made absolute from the file's folder, wherever the process is."""
    (tmp_path / "sub").mkdir()
    text = """
active_provider: vertex
providers: {vertex: {credentials_path: ../key.json}}
http: {ca_bundle: /etc/ca.pem}
catalog: {cache_path: ~/models.json}
cost_tracking: {database: "sqlite:///ledger.db", log_path: log.jsonl}
"""
    written(tmp_path / "sub", text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    settings = load("sub/config.yaml", environ={})
    assert tmp_path / "sub/../key.json" == settings.providers["vertex"].options()["credentials_path"]
    assert Path("/etc/ca.pem") == settings.http.ca_bundle
    assert Path("/home/someone/models.json") == settings.catalog.cache_path
    assert tmp_path / "sub/log.jsonl" == settings.cost_tracking.log_path
    assert f"sqlite:///{tmp_path}/sub/ledger.db" == settings.cost_tracking.database.get_secret_value()


def test_a_home_that_nobody_has_is_taken_literally(tmp_path: Path) -> None:
    """A path such as ``~nobody-here/x`` is a folder of that name."""
    text = ENTRY + "cost_tracking: {log_path: ~no-such-user-here/x}\n"
    assert tmp_path / "~no-such-user-here/x" == load(written(tmp_path, text), environ={}).cost_tracking.log_path


def test_a_mapping_keeps_its_paths_and_its_ledger_in_memory() -> None:
    """Without a file there is nothing to be relative to, and nothing is written unless asked for."""
    assert MEMORY == load(with_entry({}, "ollama")).cost_tracking.database.get_secret_value()
    asked = {"database": "sqlite:///x.db", "log_path": "x.log"}
    tracking = load(with_entry({}, "ollama", cost_tracking=asked)).cost_tracking
    assert ("sqlite:///x.db", Path("x.log")) == (tracking.database.get_secret_value(), tracking.log_path)


@pytest.mark.parametrize("url", [":memory:", "sqlite://", "sqlite:///:memory:"])
def test_a_file_may_ask_for_a_ledger_in_memory(url: str, tmp_path: Path) -> None:
    """The usual spellings of a database in memory are one value."""
    text = ENTRY + f'cost_tracking: {{database: "{url}"}}\n'
    assert MEMORY == load(written(tmp_path, text), environ={}).cost_tracking.database.get_secret_value()


def test_routing_names_targets_in_three_ways() -> None:
    """A target is a model, a pair, or a mapping; a task may name a tier."""
    source = {"active_provider": "ollama", "providers": {"ollama": {}, "local": {"kind": "vllm"}}}
    balanced = load({**source, "routing": {"strategy": "load_balance", "targets": ["a", ["local", "b"]]}}).routing
    assert [(None, "a", None), ("local", "b", None)] == [
        (target.provider, target.model, target.weight) for target in balanced.targets
    ]
    tiers = {"strong": [{"provider": "local", "model": "b"}]}
    routing = {"strategy": "capability", "tiers": tiers, "tasks": {"code": "strong", "chat": ["a"]}}
    capable = load({**source, "routing": routing}).routing
    assert {"code": ["b"], "chat": ["a"]} == {
        task: [target.model for target in targets] for task, targets in capable.tasks.items()
    }


PROBLEMS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown section": ({"htp": {}}, "htp: unknown key; did you mean 'http'?"),
    "unknown key": ({"retry": {"max_atempts": 1}}, "retry.max_atempts: unknown key; did you mean 'max_attempts'?"),
    "unknown key in a list": (
        {"budgets": [{"limit": 1, "scope": {"usr": "u"}}]},
        "budgets[0].scope.usr: unknown key; did you mean 'user'?",
    ),
    "unknown key in a table": (
        {"catalog": {"prices": {"m": {"inptu": 1}}}},
        "catalog.prices.m.inptu: unknown key; did you mean 'input'?",
    ),
    "nothing alike": (
        {"limits": {"zzz": 1}},
        "limits.zzz: unknown key; known: concurrent, requests_per_minute, tokens_per_minute",
    ),
    "active provider": (
        {"active_provider": "opnai"},
        "active_provider: there is no such provider; did you mean 'openai'",
    ),
    "scope": (
        {"budgets": [{"limit": 1, "scope": {"provider": "zzz"}}]},
        "budgets[0].scope.provider: there is no such provider; known: openai (found 'zzz')",
    ),
    "target": (
        {"routing": {"strategy": "cost", "targets": [["zzz", "m"]]}},
        "routing.targets[0]: there is no such provider; known: openai",
    ),
    "task": (
        {"routing": {"strategy": "capability", "tasks": {"t": [["zzz", "m"]]}}},
        "routing.tasks.t[0]: there is no such provider; known: openai",
    ),
    "foreign routing key": ({"routing": {"targets": ["a"]}}, "routing: strategy fallback has no key targets"),
    "no tasks": ({"routing": {"strategy": "capability"}}, "routing: strategy capability needs tiers or tasks"),
    "unknown tier": (
        {"routing": {"strategy": "capability", "tiers": {}, "tasks": {"t": "x"}}},
        "routing.tasks.t: must be a list",
    ),
    "one target": ({"routing": {"strategy": "load_balance"}}, "routing: strategy load_balance needs two targets"),
    "a weight": (
        {"routing": {"strategy": "cost", "targets": [{"model": "m", "weight": 2}]}},
        "routing: a weight is for strategy load_balance only",
    ),
    "zero weight": (
        {"routing": {"strategy": "load_balance", "targets": [{"model": "m", "weight": 0}, "n"]}},
        "routing.targets[0].weight: must be greater than 0 (found 0)",
    ),
    "negative time": ({"timeouts": {"idle": -1}}, "timeouts.idle: must be greater than 0 (found -1)"),
    "no time": ({"timeouts": {"total": 0}}, "timeouts.total: must be greater than 0 (found 0)"),
    "endless": ({"timeouts": {"total": float("inf")}}, "timeouts.total: must be a finite number (found inf)"),
    "boolean": ({"retry": {"max_attempts": True}}, "retry.max_attempts: must be a number, not true or"),
    "no attempt": ({"retry": {"max_attempts": 0}}, "retry.max_attempts: must be greater than or equal to 1 (found 0)"),
    "delays": ({"retry": {"max_delay": 0.1}}, "retry: max_delay must not be smaller than base_delay"),
    "a fraction": ({"limits": {"concurrent": 1.5}}, "limits.concurrent: must be a valid integer"),
    "both hedges": ({"hedging": {"after": 1, "percentile": 95}}, "hedging: set after or percentile, not both"),
    "percentile": ({"hedging": {"percentile": 100}}, "hedging.percentile: must be less than 100 (found 100)"),
    "no limit": ({"budgets": [{}]}, "budgets[0].limit: is required"),
    "limit zero": ({"budgets": [{"limit": 0}]}, "budgets[0].limit: must be greater than 0 (found 0)"),
    "dust": ({"budgets": [{"limit": "0.0000000001"}]}, "budgets[0].limit: "),
    "window": ({"budgets": [{"limit": 1, "per": "fortnight"}]}, "budgets[0].per: must be 'hour', 'day'"),
    "budget without ledger": (
        {"budgets": [{"limit": 1}], "cost_tracking": {"enabled": False}},
        "budgets: budgets need cost_tracking.enabled: true",
    ),
    "database": (
        {"cost_tracking": {"database": "mysql://u:p@h/d"}},
        "cost_tracking.database: must be sqlite:///path, postgresql",
    ),
    "empty database": ({"cost_tracking": {"database": "sqlite:///"}}, "cost_tracking.database: must be sqlite:///path"),
    "tracking": ({"cost_tracking": 5}, "cost_tracking: must be a mapping"),
    "library": ({"http": {"library": "requests"}}, "http.library: must be 'httpx', 'httpx2' or 'aiohttp' (found"),
    "proxy": ({"http": {"proxy": "ftp://h"}}, "http.proxy: must be a URL that starts with http:// or https://"),
    "section": ({"retry": 5}, "retry: must be a mapping: keys with values (found 5)"),
    "list": ({"budgets": "x"}, "budgets: must be a list (found 'x')"),
    "number for text": ({"active_model": 4.1}, "active_model: must be a string; put it in quotes (found 4.1)"),
    "providers": ({"providers": {}}, "providers: must have at least 1 item"),
    "no provider section": ({"providers": None}, "providers: must be a mapping"),
    "an entry": ({"providers": {"openai": "sk-1"}}, "providers.openai: must be a mapping"),
    "certificate checks": ({"http": {"verify": False}}, "http.verify: unknown key"),
}


@pytest.mark.parametrize(("more", "expected"), PROBLEMS.values(), ids=PROBLEMS)
def test_every_mistake_has_its_sentence(more: dict[str, Any], expected: str) -> None:
    """A mistake is one sentence with the dotted key, and with what was meant where something is alike."""
    found = problems(with_entry({"api_key": "k"}) | more)
    assert [expected] == [line[: len(expected)] for line in found]


ENTRY_PROBLEMS: dict[str, tuple[dict[str, Any], str]] = {
    "misspelt in an unknown kind": (
        {"kind": "mistrl", "zzz": 1},
        "kind: there is no such kind; did you mean 'mistral'",
    ),
    "misspelt": ({"api_keey": "k"}, "api_keey: unknown key; did you mean 'api_key'?"),
    "kind": ({"kind": "opnai"}, "kind: there is no such kind; did you mean 'openai'? (found 'opnai')"),
    "kind type": ({"kind": 5}, "kind: must be a string; put it in quotes (found 5)"),
    "api": ({"api": "chats"}, "api: must be auto or chat or responses (found 'chats')"),
    "internal": ({"pending": ["x"]}, "pending: unknown key"),
    "text url": ({"base_url": "localhost:8000"}, "base_url: must be a URL that starts with http:// or https://"),
    "login url": ({"base_url": "https://u:secret-word@h"}, "base_url: must be a URL without a user name or password"),
    "query url": (
        {"base_url": "https://h?key=secret-word"},
        "base_url: must be a URL without a secret in its query; api_key and headers carry secrets",
    ),
    "fragment url": ({"base_url": "https://h#"}, "base_url: must be a URL without a query or a fragment"),
    "space url": ({"base_url": "https://h/ x"}, "base_url: must be a URL without spaces"),
    "break url": ({"base_url": "https://h/\r\nX: y"}, "base_url: must be a URL without spaces"),
    "slash url": ({"base_url": "https:\\\\h"}, "base_url: must be a URL without spaces, control characters"),
    "file url": ({"base_url": "file:///etc/passwd"}, "base_url: must be a URL that starts with http:// or https://"),
    "port url": ({"base_url": "https://h:secret-word"}, "base_url: must be a URL that starts with http:// or https://"),
    "bracket url": ({"base_url": "https://[::1"}, "base_url: must be a URL that starts with http:// or https://"),
    "key break": ({"api_key": "a\r\nX: secret-word"}, "api_key: must be printable ASCII"),
    "empty key": ({"api_key": SecretStr(" ")}, "api_key: must not be empty"),
    "key type": ({"api_key": 12345}, "api_key: must be a string; put it in quotes"),
    "models": ({"fallback_models": "m"}, "fallback_models: must be a list (found 'm')"),
    "empty model": ({"fallback_models": [""]}, "fallback_models[0]: must have at least 1 character (found '')"),
}


@pytest.mark.parametrize(("more", "expected"), ENTRY_PROBLEMS.values(), ids=ENTRY_PROBLEMS)
def test_every_mistake_in_an_entry_has_its_sentence(more: dict[str, Any], expected: str) -> None:
    """A mistake in a provider entry is one sentence that quotes no secret."""
    found = problems(with_entry({"api_key": "k"} | more))
    assert [f"providers.openai.{expected}"] == [line[: len(f"providers.openai.{expected}")] for line in found]
    assert "secret-word" not in str(found)


def test_half_a_pair_of_aws_keys_is_refused() -> None:
    """An access key without its secret is an error of the file."""
    expected = ("providers.bedrock: aws_access_key_id and aws_secret_access_key go together",)
    assert expected == problems(with_entry({"aws_access_key_id": "a"}, "bedrock"))


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [("bedrock", "region_name", "us-east-1/../x"), ("vertex", "location", "a.b"), ("vertex", "project_id", "../p")],
)
def test_what_becomes_part_of_a_host_or_path_is_checked(name: str, key: str, value: str) -> None:
    """Regions, locations and projects cannot lead a request elsewhere."""
    assert problems(with_entry({key: value}, name))[0].startswith(f"providers.{name}.{key}: must match pattern")


def test_several_problems_come_together_in_the_order_of_the_file(tmp_path: Path) -> None:
    """One error lists every problem with its line, top to bottom."""
    path = written(
        tmp_path,
        "active_provider: opeanai\nretry: {max_attempts: 0}\nproviders:\n  openai:\n    api_keyy: sk-canary-value\n"
        "    base_url: '${NO}'\nbudgets: 5\nwhat: 1\n",
    )
    found = problems(path)
    assert [2, 5, 7, 8] == [int(line.removeprefix(f"{path}:").split(":")[0]) for line in found]
    assert "sk-canary" not in str(found)


def test_many_problems_are_counted_not_listed() -> None:
    """After twenty problems only their number is told."""
    found = problems(with_entry({"api_key": "k"}, **{f"k{number}": 1 for number in range(50)}))
    assert (21, "and 30 more") == (len(found), found[-1])


def test_a_problem_quotes_the_reference_not_its_value() -> None:
    """What a variable holds is never shown, whatever key it was put into."""
    source = with_entry({"api_key": "k"}, active_model="m", unsupported_parameters="${V}", timeouts={"idle": "${V}"})
    found = "\n".join(problems(source, {"V": "canary"}))
    assert "canary" not in found
    assert 2 == found.count("(found '${V}')")


def test_long_values_are_cut() -> None:
    """A value without end is shown in part."""
    assert 200 > len(problems(with_entry({"api_key": "k"}, unsupported_parameters="x" * 10_000))[0])


def test_a_word_that_looks_like_a_key_is_not_shown() -> None:
    """A key pasted into the wrong place stays out of the message."""
    found = problems(with_entry({"api_key": "k"}) | {"active_provider": "sk-abcdefgh12345678"})
    assert "abcdefgh" not in str(found)


def test_settings_can_be_made_of_others() -> None:
    """A changed copy of settings is a configuration; a mapping may hold a section as a value."""
    settings = load(with_entry({"api_key": "k"}, budgets=[{"limit": "1.5"}]))
    changed = replace(settings, retry=RetryPolicy(max_attempts=1))
    assert changed is load(changed)
    assert changed.retry is load(with_entry({"api_key": "k"}, retry=changed.retry)).retry
