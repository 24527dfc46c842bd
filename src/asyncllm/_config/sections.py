"""The optional sections of a configuration: the values that the engine, the transport and the ledger use as they are.

A new key is one line here: its type, its bounds, its description and its default. ``reading`` checks what a file says
against the annotations, ``docs/config.schema.json`` is made of them, and whoever uses the section reads the attribute.
What depends on several keys of a section is checked in ``__post_init__``: a ValueError becomes a ConfigurationError
with file, line and key. A ``spelled_out`` method turns a short form (``"model"``) into the whole one before it is read.

Every number has a unit in its description and a bound; infinity, NaN and booleans are no numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from .._schema.values import dataclass
from .rules import FILLED, MONEY, PROXY_URL, Rule, SecretStr, above, at_least, below

MOST_DAYS = 36_500
LEAST_SIGNING_SECRET = 16
MEMORY = ":memory:"  # the ledger's database when nothing is to be kept on disk

Name = Annotated[str, FILLED]
Library = Literal["httpx", "httpx2", "aiohttp"]
Strategy = Literal["fallback", "cost", "latency", "capability", "load_balance", "least_busy", "cache_affinity"]
Balance = Literal["weighted", "least_busy", "latency", "cache_affinity"]


def stated(section: Any) -> dict[str, Any]:
    """The keys of a section that are set, with their values."""
    return {one.name: value for one in fields(section) if (value := getattr(section, one.name)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPSettings:
    """The HTTP connections, also those that fetch credentials."""

    library: Annotated[
        Library,
        "The HTTP library under the pool. httpx2 and aiohttp are extras; aiohttp runs on asyncio only.",
    ] = "httpx"
    max_connections: Annotated[int, at_least(1), "The most connections to one origin at a time."] = 1000
    idle_connections: Annotated[int, at_least(0), "The most idle connections kept to one origin."] = 20
    keepalive: Annotated[float, at_least(0), "Seconds an idle connection is kept."] = 15.0
    trust_env: Annotated[bool, "Read HTTP_PROXY, HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE."] = False
    proxy: Annotated[
        SecretStr | None,
        PROXY_URL,
        "The proxy's URL: http, https, socks5 or socks5h; it may hold a user name and a password.",
    ] = None
    no_proxy: Annotated[tuple[Name, ...], "Host names that are reached without the proxy."] = ()
    ca_bundle: Annotated[
        Path | None,
        "A PEM file (or a folder) of trusted certificates instead of certifi's; the word system takes those of the "
        "operating system (the extra truststore).",
    ] = None
    client_certificate: Annotated[Path | None, "A PEM file with the certificate by which servers know this client."] = (
        None
    )
    client_key: Annotated[Path | None, "A PEM file with its key, where the certificate's file does not hold it."] = None
    client_key_password: Annotated[SecretStr | None, "The password of that key."] = None

    def __post_init__(self) -> None:
        if self.client_certificate is None and (self.client_key or self.client_key_password):
            raise ValueError("client_key and client_key_password belong to a client_certificate, and there is none")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often an attempt is made again, and after which pause."""

    max_attempts: Annotated[int, at_least(1), "The most attempts on one model; 1 switches retries off."] = 3
    max_attempts_per_call: Annotated[
        int,
        at_least(1),
        "The most attempts in one call, over all its models. A retry leaves an attempt for every target not yet asked.",
    ] = 6
    base_delay: Annotated[float, at_least(0), "Seconds: the first pause is random up to this, then it doubles."] = 0.5
    max_delay: Annotated[float, at_least(0), "Seconds: the longest pause that is not asked for by the provider."] = 8.0
    wait_before_fallback: Annotated[
        float | None,
        at_least(0),
        "Seconds: the longest pause that a call waits for while another target may be asked; null: 1 where that target "
        "is the same model, 5 where it is another one.",
    ] = None

    def __post_init__(self) -> None:
        if self.max_delay < self.base_delay:
            raise ValueError("max_delay must not be smaller than base_delay")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a call waits, in seconds, each bound on its own."""

    connect: Annotated[float, above(0), "Seconds until a connection stands, TLS included."] = 5.0
    write: Annotated[float, above(0), "Seconds the server may take to accept the next part of the request."] = 30.0
    first_content: Annotated[float, above(0), "Seconds until a stream has its first content."] = 300.0
    idle: Annotated[float, above(0), "Seconds without any byte in the middle of an answer."] = 60.0
    no_content: Annotated[float, above(0), "Seconds without content, heartbeats or not."] = 300.0
    total: Annotated[
        float,
        above(0),
        "Seconds for the whole call: retries, waits and fallbacks. A stream: until its first content.",
    ] = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitBounds:
    """The most that is sent. Further calls wait for their turn. None means no bound."""

    concurrent: Annotated[int | None, at_least(1), "Requests at a time."] = None
    requests_per_minute: Annotated[int | None, at_least(1), "Requests a minute."] = None
    tokens_per_minute: Annotated[int | None, at_least(1), "Tokens a minute, input and output."] = None

    def __bool__(self) -> bool:
        bounds = (self.concurrent, self.requests_per_minute, self.tokens_per_minute)
        return any(bound is not None for bound in bounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderLimits(LimitBounds):
    """The same for one provider, and for single models of it."""

    models: Annotated[Mapping[Name, LimitBounds], "Model -> its own limits."] = field(default_factory=dict)


def _cache_url(secret: SecretStr) -> SecretStr:
    url = secret.get_secret_value()
    if url == MEMORY or (url.startswith("sqlite:///") and len(url) > 10):
        return secret
    try:
        return _redis_url(secret)
    except ValueError:
        raise ValueError("must be :memory:, sqlite:///path or redis://...") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseCacheSettings:
    """Replies that are kept, so that the same request is not paid for twice."""

    url: Annotated[
        SecretStr,
        Rule(_cache_url),
        ":memory: (this client only), sqlite:///path, or redis://host:6379/0.",
    ] = field(default_factory=lambda: SecretStr(MEMORY))
    ttl: Annotated[float, above(0), "Seconds after which a reply is asked for again."] = 3600.0
    prefix: Annotated[Name, "What the names of its keys begin with on a Redis server."] = "asyncllm"
    mode: Annotated[
        Literal["cache", "record", "replay"],
        "cache; or for tests: record keeps every reply for good, replay gives recorded ones and asks nobody.",
    ] = "cache"


def _redis_url(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().startswith(("redis://", "rediss://", "unix://", "valkey://", "valkeys://")):
        raise ValueError("must begin with redis://, rediss:// or unix:// (or valkey://)")
    from urllib.parse import urlsplit

    try:
        urlsplit(secret.get_secret_value()).port  # noqa: B018  # reading it checks it
    except ValueError:
        raise ValueError(
            "must be like redis://:password@host:6379/0, with / and @ in a password as %2F and %40"
        ) from None
    return secret


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSettings:
    """A Redis or Valkey server through which limits and health hold over all processes."""

    url: Annotated[SecretStr, Rule(_redis_url), "redis://host:6379/0, rediss:// with TLS, or unix:// and a path."]
    prefix: Annotated[Name, "What the names of its keys begin with; processes with the same prefix share."] = "asyncllm"
    on_error: Annotated[
        Literal["local", "error"],
        "While the server is gone: take the limit divided by the processes seen lately, or refuse the call.",
    ] = "local"
    cluster: Annotated[bool, "The server is a cluster; all keys of a prefix lie in one slot."] = False
    timeout: Annotated[float, above(0), "Seconds after which a server that does not answer is gone."] = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Hedging:
    """A second request when the first one is late; the first content wins. Off when neither key is set."""

    after: Annotated[float | None, above(0), "Seconds without first content until the second request."] = None
    percentile: Annotated[
        float | None,
        above(0),
        below(100),
        "The same as a percentile of the latencies seen: 95 hedges the slowest twentieth.",
    ] = None

    def __post_init__(self) -> None:
        if self.after is not None and self.percentile is not None:
            raise ValueError("set after or percentile, not both")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTarget:
    """A model of a provider."""

    provider: Annotated[Name | None, "A name in providers; without it the active provider."] = None
    model: Annotated[Name, "The name of the model."]
    weight: Annotated[
        float | None,
        above(0),
        "load_balance only: its share of the calls, in proportion to the other weights (default 1).",
    ] = None

    @staticmethod
    def spelled_out(written: Any) -> Any:
        """A model's name, or a pair of provider and model, as a mapping."""
        if isinstance(written, str):
            return {"model": written}
        if isinstance(written, (list, tuple)) and len(written) == 2:
            return {"provider": written[0], "model": written[1]}
        return written


_ROUTING_KEYS: Mapping[str, frozenset[str]] = {
    "fallback": frozenset(),
    "cost": frozenset({"targets"}),
    "latency": frozenset({"targets"}),
    "capability": frozenset({"tasks", "tiers"}),
    "load_balance": frozenset({"targets"}),
    "least_busy": frozenset({"targets"}),
    "cache_affinity": frozenset({"targets"}),
}
_BALANCES: Mapping[str, Balance] = {
    "load_balance": "weighted",
    "latency": "latency",
    "least_busy": "least_busy",
    "cache_affinity": "cache_affinity",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRules:
    """Which target a call tries first.

    A target is a model name (of the active provider), a pair [provider, model], or {provider, model, weight}.
    """

    strategy: Annotated[
        Strategy,
        "fallback: the chain in order. cost: the cheapest first. latency: the fastest first. "
        "capability: by the call's task. load_balance: at random by weight. least_busy: the one with the fewest "
        "requests under way. cache_affinity: a conversation returns to the one that has its beginning cached. The last "
        "four and latency also choose among the deployments of an entry.",
    ] = "fallback"
    targets: Annotated[
        tuple[RouteTarget, ...],
        "cost, latency, load_balance, least_busy, cache_affinity: what to choose from; empty: the chain of the active "
        "provider.",
    ] = ()
    tiers: Annotated[
        Mapping[Name, tuple[RouteTarget, ...]],
        "capability: lists of targets; economy, standard and premium serve the built-in tasks (speed; "
        "creative; analytical and code), other names serve tasks of your own.",
    ] = field(default_factory=dict)
    tasks: Annotated[
        Mapping[Name, tuple[RouteTarget, ...]], "capability: task -> its targets, or the name of a tier."
    ] = field(default_factory=dict)

    @staticmethod
    def spelled_out(written: Any) -> Any:
        """Tasks that name a tier get its targets."""
        if isinstance(written, dict) and isinstance(written.get("tasks"), dict):
            tiers = written["tiers"] if isinstance(written.get("tiers"), dict) else {}
            tasks = {
                task: tiers.get(targets, targets) if isinstance(targets, str) else targets
                for task, targets in written["tasks"].items()
            }
            return {**written, "tasks": tasks}
        return written

    def __post_init__(self) -> None:
        set_keys = {key for key in ("targets", "tiers", "tasks") if getattr(self, key)}
        foreign = set_keys - _ROUTING_KEYS[self.strategy]
        if foreign:
            raise ValueError(f"strategy {self.strategy} has no key {' or '.join(sorted(foreign))}")
        if self.strategy == "capability" and not (self.tasks or self.tiers):
            raise ValueError("strategy capability needs tiers or tasks")
        if self.strategy == "load_balance" and len(self.targets) == 1:
            raise ValueError("strategy load_balance needs two targets or more")
        if self.strategy != "load_balance" and any(target.weight is not None for target in self.all_targets()):
            raise ValueError("a weight is for strategy load_balance only")

    @property
    def balance(self) -> Balance | None:
        """How deployments are chosen by this strategy; None where it says nothing of them."""
        return _BALANCES.get(self.strategy)

    @property
    def weights(self) -> tuple[float, ...]:
        """The shares of ``targets``."""
        return tuple([1.0 if target.weight is None else target.weight for target in self.targets])

    def all_targets(self) -> tuple[RouteTarget, ...]:
        """Every target that the section names."""
        lists = (self.targets, *self.tiers.values(), *self.tasks.values())
        return tuple(target for targets in lists for target in targets)


Fee = Annotated[Decimal | None, at_least(0), MONEY]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSettings:
    """Prices of a model, in US dollars for a million tokens. What is not set keeps the built-in price or fee."""

    input: Annotated[Decimal | None, at_least(0), MONEY, "Tokens of the prompt."] = None
    output: Annotated[Decimal | None, at_least(0), MONEY, "Tokens of the answer."] = None
    cache_read: Annotated[Decimal | None, at_least(0), MONEY, "Tokens that are read from the prompt cache."] = None
    cache_write: Annotated[Decimal | None, at_least(0), MONEY, "Writing to the cache for five minutes."] = None
    cache_write_1h: Annotated[Decimal | None, at_least(0), MONEY, "Writing to the cache for an hour."] = None
    reasoning: Annotated[Decimal | None, at_least(0), MONEY, "Only where it is not billed as output."] = None
    input_audio: Annotated[Decimal | None, at_least(0), MONEY, "Tokens of sound in the prompt."] = None
    output_audio: Annotated[Decimal | None, at_least(0), MONEY, "Tokens of sound in the answer."] = None
    input_image: Annotated[Decimal | None, at_least(0), MONEY, "Tokens of pictures in the prompt."] = None
    output_image: Annotated[Decimal | None, at_least(0), MONEY, "Tokens of pictures in the answer."] = None
    request: Annotated[Fee, "Requests. US dollars for a thousand."] = None
    web_search: Annotated[Fee, "Searches of the web. US dollars for a thousand."] = None
    grounded_prompt: Annotated[Fee, "Prompts that Google grounds with a search. US dollars for a thousand."] = None
    file_search: Annotated[Fee, "Searches of files. US dollars for a thousand."] = None
    code_interpreter: Annotated[Fee, "Sessions of OpenAI's code interpreter. US dollars for a thousand."] = None
    code_execution: Annotated[Fee, "Runs of code. US dollars for a thousand."] = None
    image_generation: Annotated[Fee, "Pictures that are made. US dollars for a thousand."] = None
    google_maps: Annotated[Fee, "Prompts that Google grounds with its maps. US dollars for a thousand."] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilitySettings:
    """What a model can do. What is not set keeps the built-in knowledge."""

    context_window: Annotated[int | None, at_least(1), "Tokens of prompt and answer together."] = None
    max_output_tokens: Annotated[int | None, at_least(1), "Tokens of the longest answer."] = None
    tools: Annotated[bool | None, "Calls functions."] = None
    images: Annotated[bool | None, "Reads pictures."] = None
    documents: Annotated[bool | None, "Reads documents such as PDF."] = None
    audio: Annotated[bool | None, "Hears sound."] = None
    video: Annotated[bool | None, "Sees films."] = None
    json_schema: Annotated[bool | None, "Is held to a JSON schema by its host."] = None
    reasoning: Annotated[bool | None, "Thinks before it answers."] = None
    sampling: Annotated[bool | None, "Accepts temperature and top_p."] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogSettings:
    """What is known of models and prices."""

    refresh_on_start: Annotated[bool, "Ask the providers for their models when the client starts."] = False
    cache_path: Annotated[Path | None, "A file that keeps discovered models between runs."] = None
    prices: Annotated[
        Mapping[Name, PriceSettings], "Model, or provider/model -> its prices, over the built-in ones."
    ] = field(default_factory=dict)
    capabilities: Annotated[
        Mapping[Name, CapabilitySettings], "Model, or provider/model -> what it can do, over what is built in."
    ] = field(default_factory=dict)


def _database(secret: SecretStr) -> SecretStr:
    url = secret.get_secret_value()
    if url in (MEMORY, "sqlite://", "sqlite:///:memory:"):
        return SecretStr(MEMORY)
    if url.startswith(("postgresql://", "postgres://")) or (url.startswith("sqlite:///") and len(url) > 10):
        return secret
    raise ValueError("must be sqlite:///path, postgresql://... or :memory:")


def _days(text: str) -> timedelta:
    digits = text.strip().removesuffix("d")
    if not (digits.isascii() and digits.isdigit() and 1 <= int(digits[:6]) <= MOST_DAYS):
        raise ValueError(f"must be a number of days from 1 to {MOST_DAYS}, such as 400d")
    return timedelta(days=int(digits[:6]))


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertWebhookSettings:
    """Where alerts of budgets are sent, by signed requests."""

    url: Annotated[SecretStr, "The address that takes them, by POST. It is not shown, as some hold a secret."]
    secret: Annotated[SecretStr, "What the requests are signed with; at least 16 characters."]

    def __post_init__(self) -> None:
        if not self.url.get_secret_value().startswith(("https://", "http://")):
            raise ValueError("url must begin with https:// or http://")
        if len(self.secret.get_secret_value()) < LEAST_SIGNING_SECRET:
            raise ValueError(f"secret must have at least {LEAST_SIGNING_SECRET} characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class CostTrackingSettings:
    """The ledger."""

    enabled: Annotated[bool, "Keep a ledger; false: replies have their cost all the same, reports raise."] = True
    database: Annotated[
        SecretStr,
        Rule(_database, {"default": "sqlite:///asyncllm.db"}),
        "sqlite:///path, postgresql://..., or :memory: to keep nothing. In a configuration that is not a file the "
        "default is :memory:.",
    ] = field(default_factory=lambda: SecretStr(MEMORY))
    log_path: Annotated[Path | None, "A file that gets one JSON line for each settled attempt."] = None
    on_error: Annotated[
        Literal["warn", "error"], "When the ledger cannot write: go on with a warning, or refuse the call."
    ] = "warn"
    keep: Annotated[
        timedelta | None,
        Rule(_days, {"pattern": "^[0-9]{1,6}d?$"}, str),
        "How long records are kept, in days, as 400d; for ever if left out. The sums of their days stay.",
    ] = None
    durability: Annotated[
        Literal["commit", "journal"],
        "PostgreSQL: commit each attempt before it is sent, or write it to a file on this machine first, which costs "
        "less and is moved to the database within a second.",
    ] = "commit"
    journal_path: Annotated[
        Path | None, "The folder of these files, on a local disk that outlives the process; for durability: journal."
    ] = None
    alert_webhook: Annotated[
        AlertWebhookSettings | None, "Sends alerts of budgets to a server, signed and tried again."
    ] = None

    def __post_init__(self) -> None:
        if self.durability == "commit" and self.journal_path is None:
            return
        if not self.database.get_secret_value().startswith("postgres"):
            raise ValueError("durability and journal_path are for postgresql://; SQLite has its journal anyway")
        if self.durability == "commit":
            raise ValueError("journal_path is for durability: journal")
        if self.journal_path is None:
            raise ValueError("durability: journal needs journal_path, a folder on a disk that outlives the process")
