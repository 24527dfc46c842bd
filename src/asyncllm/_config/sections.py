"""The optional sections of a configuration, each with its defaults.

Every number has a unit in its description and a bound; infinity, NaN and booleans are no numbers. The descriptions are
what an editor shows, by way of the published JSON Schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    create_model,
    field_validator,
    model_validator,
)

from .._ledger.columns import SCOPES
from .._schema.request import ASSUMED_OUTPUT_TOKENS
from .urls import plain_url

_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
MEMORY = ":memory:"  # the ledger's database when nothing is to be kept on disk


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")  # noqa: TRY004  (pydantic collects ValueError only)
    return value


_Number = BeforeValidator(_no_boolean)
Seconds = Annotated[float, _Number, Field(gt=0, allow_inf_nan=False)]
Pause = Annotated[float, _Number, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, _Number, Field(ge=1)]
CountOrNone = Annotated[int, _Number, Field(ge=0)]
Dollars = Annotated[Decimal, _Number, Field(ge=0, allow_inf_nan=False, max_digits=18, decimal_places=9)]
Name = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A part of the configuration: frozen, and without room for unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


class HTTPSettings(Section):
    """The HTTP connections."""

    library: Literal["httpx", "httpx2", "aiohttp"] = Field(
        default="httpx",
        description="The HTTP library under the pool. httpx2 and aiohttp are extras; aiohttp runs on asyncio only.",
    )
    max_connections: Count = Field(default=1000, description="The most connections to one origin at a time.")
    idle_connections: CountOrNone = Field(default=20, description="The most idle connections kept to one origin.")
    keepalive: Pause = Field(default=15, description="Seconds an idle connection is kept.")
    trust_env: bool = Field(default=False, description="Read HTTP_PROXY, HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE.")
    proxy: SecretStr | None = Field(
        default=None,
        description="The proxy's URL: http, https, socks5 or socks5h; it may hold a user name and a password.",
    )
    no_proxy: tuple[Name, ...] = Field(default=(), description="Host names that are reached without the proxy.")
    ca_bundle: Path | None = Field(
        default=None, description="A PEM file of trusted certificates, instead of the usual ones."
    )

    @field_validator("proxy")
    @classmethod
    def _check_proxy(cls, proxy: SecretStr | None) -> SecretStr | None:
        return (
            None
            if proxy is None
            else SecretStr(plain_url(proxy.get_secret_value(), schemes=_PROXY_SCHEMES, may_log_in=True))
        )


class RetrySettings(Section):
    """How often an attempt is made again, and after which pause."""

    max_attempts: Count = Field(default=3, description="The most attempts on one model; 1 switches retries off.")
    max_attempts_per_call: Count = Field(default=6, description="The most attempts in one call, over all its models.")
    base_delay: Pause = Field(
        default=0.5, description="Seconds: the first pause is random up to this, then it doubles."
    )
    max_delay: Pause = Field(default=8, description="Seconds: the longest pause that is not asked for by the provider.")

    @model_validator(mode="after")
    def _check(self) -> RetrySettings:
        if self.max_delay < self.base_delay:
            raise ValueError("max_delay must not be smaller than base_delay")
        return self


class TimeoutSettings(Section):
    """How long a call waits, in seconds."""

    connect: Seconds = Field(default=5, description="Seconds until a connection stands, TLS included.")
    write: Seconds = Field(
        default=30, description="Seconds the server may take to accept the next part of the request."
    )
    first_content: Seconds = Field(default=300, description="Seconds until a stream has its first content.")
    idle: Seconds = Field(default=60, description="Seconds without any byte in the middle of an answer.")
    no_content: Seconds = Field(default=300, description="Seconds without content, heartbeats or not.")
    total: Seconds = Field(
        default=600,
        description="Seconds for the whole call: retries, waits and fallbacks. A stream: until its first content.",
    )


class LimitSettings(Section):
    """What is sent at most; calls beyond it wait for their turn."""

    concurrent: Count | None = Field(default=None, description="Requests at a time.")
    requests_per_minute: Count | None = Field(default=None, description="Requests a minute.")
    tokens_per_minute: Count | None = Field(default=None, description="Tokens a minute, input and output.")


class ProviderLimitSettings(LimitSettings):
    """The same for one provider, and for single models of it."""

    models: dict[Name, LimitSettings] = Field(default_factory=dict, description="Model -> its own limits.")


class HedgingSettings(Section):
    """A second request when the first one is late; the first content wins. Off when neither key is set."""

    after: Seconds | None = Field(default=None, description="Seconds without first content until the second request.")
    percentile: Annotated[float, _Number, Field(gt=0, lt=100)] | None = Field(
        default=None, description="The same as a percentile of the latencies seen: 95 hedges the slowest twentieth."
    )

    @model_validator(mode="after")
    def _check(self) -> HedgingSettings:
        if self.after is not None and self.percentile is not None:
            raise ValueError("set after or percentile, not both")
        return self


class RouteTarget(Section):
    """A model of a provider."""

    provider: Name | None = Field(default=None, description="A name in providers; without it the active provider.")
    model: Name
    weight: Annotated[float, _Number, Field(gt=0)] | None = Field(
        default=None,
        description="load_balance only: its share of the calls, in proportion to the other weights (default 1).",
    )


def _read_target(value: Any) -> Any:
    if isinstance(value, str):
        return {"model": value}
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return {"provider": value[0], "model": value[1]}
    return value


Target = Annotated[RouteTarget, BeforeValidator(_read_target)]

ROUTING_KEYS: Mapping[str, frozenset[str]] = {
    "fallback": frozenset(),
    "cost": frozenset({"targets"}),
    "latency": frozenset({"targets"}),
    "capability": frozenset({"tasks", "tiers"}),
    "load_balance": frozenset({"targets"}),
}


class RoutingSettings(Section):
    """Which target a call tries first.

    A target is a model name (of the active provider), a pair [provider, model], or {provider, model, weight}.
    """

    strategy: Literal["fallback", "cost", "latency", "capability", "load_balance"] = Field(
        default="fallback",
        description="fallback: the chain in order. cost: the cheapest first. latency: the fastest first. "
        "capability: by the call's task. load_balance: at random by weight.",
    )
    targets: tuple[Target, ...] = Field(
        default=(),
        description="cost, latency, load_balance: what to choose from; empty: the chain of the active provider.",
    )
    tiers: dict[Name, tuple[Target, ...]] = Field(
        default_factory=dict,
        description="capability: lists of targets; economy, standard and premium serve the built-in tasks (speed; "
        "creative; analytical and code), other names serve tasks of your own.",
    )
    tasks: dict[Name, tuple[Target, ...]] = Field(
        default_factory=dict, description="capability: task -> its targets, or the name of a tier."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_tiers(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("tasks"), dict) and isinstance(data.get("tiers"), dict):
            tasks = {
                task: data["tiers"].get(targets, targets) if isinstance(targets, str) else targets
                for task, targets in data["tasks"].items()
            }
            return {**data, "tasks": tasks}
        return data

    @model_validator(mode="after")
    def _check(self) -> RoutingSettings:
        set_keys = {key for key in ("targets", "tiers", "tasks") if getattr(self, key)}
        foreign = set_keys - ROUTING_KEYS[self.strategy]
        if foreign:
            raise ValueError(f"strategy {self.strategy} has no key {' or '.join(sorted(foreign))}")
        if self.strategy == "capability" and not (self.tasks or self.tiers):
            raise ValueError("strategy capability needs tiers or tasks")
        if self.strategy == "load_balance" and len(self.targets) < 2:
            raise ValueError("strategy load_balance needs two targets or more")
        if self.strategy != "load_balance" and any(target.weight is not None for target in self.all_targets()):
            raise ValueError("a weight is for strategy load_balance only")
        return self

    def all_targets(self) -> tuple[RouteTarget, ...]:
        """Every target that the section names."""
        lists = (self.targets, *self.tiers.values(), *self.tasks.values())
        return tuple(target for targets in lists for target in targets)


if TYPE_CHECKING:

    class _ScopeKeys(Section):
        provider: Name | None = None
else:
    _ScopeKeys = create_model(
        "_ScopeKeys",
        __base__=Section,
        **{name: (Name | None, Field(default=None, description=f"The {name}, as records have it.")) for name in SCOPES},
    )


class BudgetScope(_ScopeKeys):
    """Which calls a budget counts: those that fit every key that is set. "*" gives each value a budget of its own."""

    tags: dict[Name, Name] = Field(default_factory=dict, description="Tags a call must carry.")


class BudgetSettings(Section):
    """A limit on what calls may cost."""

    limit: Annotated[Decimal, _Number, Field(gt=0, allow_inf_nan=False, max_digits=18, decimal_places=9)] = Field(
        description="US dollars."
    )
    per: Literal["hour", "day", "week", "month", "session", "total"] = Field(
        default="day", description="The window; session is the life of one client, total never starts anew."
    )
    timezone: Name = Field(default="UTC", description="The zone whose clock begins the windows, as Europe/Berlin.")
    scope: BudgetScope = Field(default_factory=BudgetScope, description="Without it every call counts.")
    on_exceed: Literal["error", "warn"] = Field(
        default="error", description="error refuses the call before it is sent; warn sends it and logs a warning."
    )
    assume_output_tokens: Count = Field(
        default=ASSUMED_OUTPUT_TOKENS, description="Output tokens reserved for a call that sets no max_tokens."
    )
    on_error: Literal["error", "warn"] = Field(
        default="error", description="When the ledger cannot reserve: error refuses the call, warn lets it go."
    )
    name: str = Field(default="", description="What errors and alerts call it; made from the rest when left out.")

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"{timezone!r} is no known time zone; on a system without time zones: python -m pip install tzdata"
            ) from None
        return timezone


class PriceSettings(Section):
    """Prices of a model, in US dollars for a million tokens. What is not set keeps the built-in price."""

    input: Dollars | None = None
    output: Dollars | None = None
    cache_read: Dollars | None = None
    cache_write: Dollars | None = Field(default=None, description="Writing to the cache for five minutes.")
    cache_write_1h: Dollars | None = Field(default=None, description="Writing to the cache for an hour.")
    reasoning: Dollars | None = Field(default=None, description="Only where it is not billed as output.")
    input_audio: Dollars | None = None
    output_audio: Dollars | None = None


class CapabilitySettings(Section):
    """What a model can do. What is not set keeps the built-in knowledge."""

    context_window: Count | None = Field(default=None, description="Tokens.")
    max_output_tokens: Count | None = Field(default=None, description="Tokens.")
    tools: bool | None = None
    images: bool | None = None
    documents: bool | None = None
    audio: bool | None = None
    video: bool | None = None
    json_schema: bool | None = None
    reasoning: bool | None = None
    sampling: bool | None = Field(default=None, description="Accepts temperature and top_p.")


class CatalogSettings(Section):
    """What is known of models and prices."""

    refresh_on_start: bool = Field(
        default=False, description="Ask the providers for their models when the client starts."
    )
    cache_path: Path | None = Field(default=None, description="A file that keeps discovered models between runs.")
    prices: dict[Name, PriceSettings] = Field(
        default_factory=dict, description="Model, or provider/model -> its prices, over the built-in ones."
    )
    capabilities: dict[Name, CapabilitySettings] = Field(
        default_factory=dict, description="Model, or provider/model -> what it can do, over what is built in."
    )


class CostTrackingSettings(Section):
    """The ledger."""

    enabled: bool = True
    database: SecretStr = Field(
        default=SecretStr("sqlite:///asyncllm.db"),
        description="sqlite:///path, postgresql://..., or :memory: to keep nothing. In a configuration that is not a "
        "file the default is :memory:.",
        json_schema_extra={"default": "sqlite:///asyncllm.db"},
    )
    log_path: Path | None = Field(default=None, description="A file that gets one JSON line for each settled attempt.")
    on_error: Literal["warn", "error"] = Field(
        default="warn", description="When the ledger cannot write: go on with a warning, or refuse the call."
    )

    @field_validator("database")
    @classmethod
    def _check_database(cls, database: SecretStr) -> SecretStr:
        url = database.get_secret_value()
        if url in (MEMORY, "sqlite://", "sqlite:///:memory:"):
            return SecretStr(MEMORY)
        if url.startswith(("postgresql://", "postgres://")) or (url.startswith("sqlite:///") and len(url) > 10):
            return database
        raise ValueError("must be sqlite:///path, postgresql://... or :memory:")
