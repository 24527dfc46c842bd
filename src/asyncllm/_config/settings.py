"""The configuration as values: `Settings` and its `ProviderSettings`; the optional parts are in ``sections``.

`asyncllm._config.load` and `asyncllm._config.from_env` make them, and say what is wrong with file and line.
Secrets are `rules.SecretStr`, so that no repr, log or dump holds one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Annotated, Any, Literal

from .._ledger.budgets import EACH, Budget
from .._schema.values import dataclass
from ..errors import ConfigurationError
from .interpolate import KeyPath
from .nearest import ConfigProblem
from .rules import BASE_URL, POPULATED, SecretStr, above, at_least
from .sections import (
    Balance,
    CatalogSettings,
    CostTrackingSettings,
    Hedging,
    HTTPSettings,
    LimitBounds,
    Name,
    ProviderLimits,
    ResponseCacheSettings,
    RetryPolicy,
    RouteTarget,
    RoutingRules,
    SharedSettings,
    Timeouts,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentSettings:
    """A key, region or endpoint of an entry.

    What it does not set is as in the entry. Which keys it may hold depends on the entry's kind.

    Attributes:
        own: the keys that belong to its kind, those that are set; secrets are `SecretStr`.
    """

    name: Annotated[Name, "Its name in reports and in the health; without it its place in the list, from 1."]
    base_url: Annotated[str | None, BASE_URL, "Where it is reached; without it as the entry."] = None
    weight: Annotated[float, above(0), "Its share of the calls, in proportion to the other weights."] = 1.0
    limits: Annotated[ProviderLimits | None, "Its own, besides those of the entry."] = None
    headers: Annotated[
        Mapping[Name, SecretStr], "Headers of every request to it, besides those of the entry; never shown."
    ] = field(default_factory=dict)

    own: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """An entry of ``providers``. Which keys it may hold depends on its kind.

    Attributes:
        own: the keys that belong to its kind (`asyncllm._providers.spec.ConfigKey`), those that are set; secrets are
            `SecretStr`.
        pending: what keeps this entry from being used, a sentence each: variables that are not set.
    """

    kind: Annotated[Name, "What sort of provider this is; without it the entry's name."]
    base_url: Annotated[str | None, BASE_URL, "As in the vendor's own SDK; without it the vendor's own."] = None
    fallback_models: Annotated[
        tuple[Name, ...], "Models in the order in which they are tried; the first one is the entry's default."
    ] = ()
    max_tokens: Annotated[int | None, at_least(1), "Output tokens of a call that sets no max_tokens itself."] = None
    timeouts: Annotated[Timeouts | None, "This provider's own; what is not set is as in the section timeouts."] = None
    retry: Annotated[RetryPolicy | None, "This provider's own; what is not set is as in the section retry."] = None
    limits: Annotated[ProviderLimits | None, "This provider's own, besides those of the section limits."] = None

    priced_as: Annotated[
        Mapping[Name, Name],
        "A model's or deployment's name here -> the model whose prices and facts it has.",
    ] = field(default_factory=dict)

    headers: Annotated[
        Mapping[Name, SecretStr], "Headers of every request to this provider, for gateways; never shown."
    ] = field(default_factory=dict)
    dialect: Annotated[
        Mapping[Name, Any],
        "Fields of the wire format's dialect that this server needs otherwise; see docs/providers.md.",
    ] = field(default_factory=dict)

    deployments: Annotated[
        tuple[DeploymentSettings, ...],
        "Several keys, regions or endpoints for the same models; each has its own health and limits.",
    ] = ()
    balance: Annotated[
        Balance | None,
        "Which deployment a call tries first; null: as routing.strategy says, else weighted.",
    ] = None

    own: Mapping[str, Any] = field(default_factory=dict, repr=False)
    pending: tuple[str, ...] = field(default=(), repr=False)

    def require(self) -> None:
        """Checks that this entry can be used.

        Raises:
            ConfigurationError: a variable that it needs is not set.
        """
        if self.pending:
            raise ConfigurationError("this provider cannot be used", problems=self.pending)

    def options(self) -> dict[str, Any]:
        """Returns the set keys that the host is made from: URL, credentials (`SecretStr`), and the keys of its kind.

        Raises:
            ConfigurationError: a variable that the entry needs is not set.
        """
        self.require()
        names = ("base_url", "max_tokens", "headers", "dialect")
        common = {name: getattr(self, name) for name in names}
        return {name: value for name, value in common.items() if value} | dict(self.own)

    def options_of(self, deployment: DeploymentSettings) -> dict[str, Any]:
        """The same for one of its deployments.

        Raises:
            ConfigurationError: a variable that the entry needs is not set.
        """
        options = self.options()
        if deployment.base_url is not None:
            options["base_url"] = deployment.base_url
        if deployment.headers:
            options["headers"] = {**options.get("headers", {}), **deployment.headers}
        return options | dict(deployment.own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A whole configuration, checked. Times are in seconds, money in US dollars."""

    active_provider: Annotated[Name, "The entry of providers that calls use unless they name another."]
    active_model: Annotated[
        Name | None, "The model that calls use unless they name another; without it the entry's first one."
    ] = None
    providers: Annotated[Mapping[Name, ProviderSettings], POPULATED, "Name -> provider. The name is free."]
    http: HTTPSettings = field(default_factory=HTTPSettings)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeouts: Timeouts = field(default_factory=Timeouts)
    cross_provider_fallback: Annotated[
        bool, "Let a failed call go on to the other providers, in the order in which they are listed."
    ] = False
    fallback_on: Annotated[
        tuple[Literal["content_filter", "budget"], ...],
        "What a call goes on to the next target for besides failures: a blocked or refused answer, a full budget.",
    ] = ()
    routing: RoutingRules = field(default_factory=RoutingRules)
    limits: LimitBounds = field(default_factory=LimitBounds)
    hedging: Hedging = field(default_factory=Hedging)
    budgets: tuple[Budget, ...] = ()
    catalog: CatalogSettings = field(default_factory=CatalogSettings)
    unsupported_parameters: Annotated[
        Literal["drop", "error"],
        "Sampling hints (temperature, top_p, seed) that a model does not take: drop them with a warning on the "
        "response, or raise an error.",
    ] = "drop"
    shared: Annotated[
        SharedSettings | None, "Limits and health over all processes, by a Redis or Valkey server; null: each its own."
    ] = None
    response_cache: Annotated[
        ResponseCacheSettings | None, "Keep replies and give them again for the same request; null: never."
    ] = None
    cost_tracking: CostTrackingSettings = field(default_factory=CostTrackingSettings)

    def contradictions(self) -> list[ConfigProblem]:
        """Returns the problems that concern several sections."""
        known = frozenset(self.providers)
        problems = [
            ConfigProblem(path, "there is no such provider", name, known)
            for path, name in self._named_providers()
            if name not in known
        ]
        for name, entry in self.providers.items():
            names = [deployment.name for deployment in entry.deployments]
            problems += [
                ConfigProblem(("providers", name, "deployments", index, "name"), "two deployments have this name")
                for index, one in enumerate(names)
                if one in names[:index]
            ]
        if (
            self.routing.strategy == "load_balance"
            and not self.routing.targets
            and not any(entry.deployments for entry in self.providers.values())
        ):
            problems.append(
                ConfigProblem(
                    ("routing",), "strategy load_balance needs two targets or more, or a provider with deployments"
                )
            )
        if self.budgets and not self.cost_tracking.enabled:
            problems.append(ConfigProblem(("budgets",), "budgets need cost_tracking.enabled: true"))
        return problems

    def _named_providers(self) -> Iterator[tuple[KeyPath, str]]:
        yield ("active_provider",), self.active_provider
        for index, budget in enumerate(self.budgets):
            provider = dict(budget.scope.keys).get("provider", EACH)
            if provider != EACH:
                yield ("budgets", index, "scope", "provider"), provider
        groups: list[tuple[KeyPath, tuple[RouteTarget, ...]]] = [(("routing", "targets"), self.routing.targets)]
        for key in ("tiers", "tasks"):
            groups += [(("routing", key, name), targets) for name, targets in getattr(self.routing, key).items()]
        for path, targets in groups:
            for index, target in enumerate(targets):
                if target.provider is not None:
                    yield (*path, index), target.provider
