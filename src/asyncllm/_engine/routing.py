"""Finds the targets of a call: the chain that it names, or what the configured strategy chooses.

A call that names a provider, a model or a chain gets what it names. Otherwise the strategy orders its targets, which
are those of the configuration or, where it lists none, the active provider's chain.

``provider`` without ``model`` means that entry's first ``fallback_models``; a chain is the chosen model, then the
entry's ``fallback_models`` in order, without duplicates. A chain given by the call replaces the configured one. No
chain leaves its provider unless the call names another one in ``fallback``, or the configuration allows it: then the
first model of every other provider that can be used follows, in the order of the configuration.

An entry may have several deployments: keys, regions or endpoints for the same models. Then each of its targets becomes
one for each deployment, in an order that is found anew for every call (`Routing.spread`): those that are off, that
failed a moment ago or that are full come last; what belongs to one account stays with it; the rest is as ``balance``
says. A client without deployments does nothing of this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple, Union

from .._config.sections import Balance, RetryPolicy, RouteTarget, RoutingRules, Timeouts
from .._providers.provider import Provider
from .._schema.request import Request
from .._schema.values import dataclass
from ..errors import BadRequestError, ConfigurationError
from .forecast import estimate
from .health import Health
from .limits import Limits
from .strategies import (
    PriceOf,
    answered_last,
    beginning,
    bound_to,
    by_cost,
    by_latency,
    by_load,
    by_weight,
    fit,
    for_task,
    put_first,
)
from .target import USUAL_RETRIES, FactsOf, Target, order

_MOST_REMEMBERED = 1000  # chains: names come from callers, so the memory of them is bounded
Fallback = Sequence[Union[str, tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A key, region or endpoint of an entry.

    Attributes:
        weight: its share of the calls.
        build: makes its host.
    """

    weight: float
    build: Callable[[], Provider]


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """A configured provider: what the chain needs to know of it, and how its host is made.

    Attributes:
        build: makes its host; of an entry with deployments that of the first one.
        deployments: all of them; empty where it has only one.
        balance: which of them a call tries first.
    """

    name: str
    models: tuple[str, ...]
    timeouts: Timeouts
    build: Callable[[], Provider]
    retry: RetryPolicy = USUAL_RETRIES
    deployments: tuple[Deployment, ...] = ()
    balance: Balance = "weighted"


class Group(NamedTuple):
    """The deployments of a model.

    Attributes:
        targets: one for each deployment.
        weights: their shares of the calls.
        balance: which of them a call tries first.
    """

    targets: tuple[Target, ...]
    weights: tuple[float, ...]
    balance: Balance


class Targeting:
    """Resolves the chain of each call.

    Args:
        entries: the configured providers by name.
        active_provider: the one that is meant when a call names none.
        active_model: its model, where the configuration names one.
        cross_provider: whether a configured chain goes on to the other providers.

    Attributes:
        has_deployments: whether an entry has several.
    """

    def __init__(
        self,
        entries: Mapping[str, ProviderEntry],
        active_provider: str,
        active_model: str | None,
        *,
        cross_provider: bool = False,
    ) -> None:
        self._entries = entries
        self._active_provider = active_provider
        self._active_model = active_model
        self._cross_provider = cross_provider
        self._built: dict[str, Provider] = {}
        self._chains: dict[tuple[str | None, str | None], tuple[Target, ...]] = {}
        self.has_deployments = any(entry.deployments for entry in entries.values())
        self._deployed: dict[str, tuple[Provider, ...]] = {}
        self._groups: dict[tuple[str, str], Group] = {}

    def provider(self, name: str) -> Provider:
        """Returns the host of a configured entry. It is made at the first use.

        Raises:
            ConfigurationError: there is no such entry, or it cannot be used as it is configured.
        """
        built = self._built.get(name)
        if built is None:
            built = self._built[name] = self._entry(name).build()
        return built

    def group(self, target: Target) -> Group | None:
        """The deployments of a target's entry, for its model; None where the entry has only one.

        Raises:
            ConfigurationError: one of them cannot be used as it is configured.
        """
        found = self._groups.get(target.entry_key)
        if found is None:
            entry = self._entries[target.provider.name]
            if not entry.deployments:
                return None
            hosts = self._deployed.get(entry.name)
            if hosts is None:
                hosts = (self.provider(entry.name), *(later.build() for later in entry.deployments[1:]))
                self._deployed[entry.name] = hosts
            targets = tuple([self.aim(host, target.model) for host in hosts])
            found = Group(targets, tuple([one.weight for one in entry.deployments]), entry.balance)
            if len(self._groups) < _MOST_REMEMBERED:
                self._groups[target.entry_key] = found
        return found

    def resolve(self, provider: str | None, model: str | None, fallback: Fallback | None) -> tuple[Target, ...]:
        """The targets of one call, in order, at least one.

        Raises:
            ConfigurationError: an unknown provider, or no model to ask.
        """
        if fallback is not None:
            return self._chain(provider, model, fallback)
        key = (provider, model)
        chain = self._chains.get(key)
        if chain is None:
            chain = self._chain(provider, model, None)
            if len(self._chains) < _MOST_REMEMBERED:
                self._chains[key] = chain
        return chain

    def _chain(self, provider: str | None, model: str | None, fallback: Fallback | None) -> tuple[Target, ...]:
        name = provider or self._active_provider
        entry = self._entry(name)
        first = model or self._default_model(provider, entry)
        later = entry.models if fallback is None else fallback
        hops = [(name, first), *[(name, hop) if isinstance(hop, str) else _pair(hop) for hop in later]]
        chain = [self.target(at, asked) for at, asked in hops]
        if self._cross_provider and fallback is None:
            chain += self._elsewhere(name)
        return order(chain)

    def target(self, provider: str | None, model: str) -> Target:
        """A model of a configured provider; of the active one by default.

        Raises:
            ConfigurationError: there is no such entry, or it cannot be used as it is configured.
        """
        entry = self._entry(provider or self._active_provider)
        return Target(self.provider(entry.name), model, entry.timeouts, entry.retry)

    def with_host(self, name: str, build: Callable[[], Provider]) -> Targeting:
        """The same chains with another host in the place of one.

        Args:
            name: the entry whose host is replaced.
            build: makes the other host.

        Raises:
            ConfigurationError: there is no such entry.
        """
        entry = replace(self._entry(name), build=build, deployments=())
        other = Targeting(
            {**self._entries, name: entry},
            self._active_provider,
            self._active_model,
            cross_provider=self._cross_provider,
        )
        other._built.update({key: host for key, host in self._built.items() if key != name})
        other._deployed.update({key: hosts for key, hosts in self._deployed.items() if key != name})
        return other

    def aim(self, provider: Provider, model: str) -> Target:
        """Returns a target of a host that exists already."""
        entry = self._entry(provider.name)
        return Target(provider, model, entry.timeouts, entry.retry)

    def _elsewhere(self, name: str) -> list[Target]:
        """Returns the first models of the other providers. A provider without a key is left out."""
        found = []
        for other in self._entries.values():
            if other.name != name and other.models:
                with suppress(ConfigurationError):
                    found.append(self.target(other.name, other.models[0]))
        return found

    def _default_model(self, provider: str | None, entry: ProviderEntry) -> str:
        if provider is None and self._active_model:
            return self._active_model
        if entry.models:
            return entry.models[0]
        if entry.name == self._active_provider and self._active_model:
            return self._active_model
        raise ConfigurationError(
            f"no model to ask: give model=..., or list models under providers.{entry.name}.fallback_models"
        )

    def _entry(self, name: str) -> ProviderEntry:
        entry = self._entries.get(name)
        if entry is None:
            known = ", ".join(self._entries) or "none"
            raise ConfigurationError(f"no provider {name!r} is configured (configured: {known})")
        return entry


def _pair(hop: tuple[str, str]) -> tuple[str, str]:
    if len(hop) != 2 or not all(isinstance(name, str) for name in hop):
        raise ConfigurationError('fallback must be a list of "model" or ("provider", "model")')
    return hop[0], hop[1]


class Choice(NamedTuple):
    """The targets of a call, and how they were chosen.

    Attributes:
        variant: what load balancing chose, as ``provider/model``.
    """

    targets: tuple[Target, ...]
    variant: str | None = None


class Routing:
    """Chooses the targets of each call.

    Args:
        rules: the strategy and its keys.
        targeting: makes targets, and the chains that calls name.
        health: knows the latencies, and what is off.
        limits: knows what is full; None where nothing is limited.
        price_of: knows the prices.
        facts_of: knows what models can do.
        draw: a random number of at least 0 and less than 1.

    Attributes:
        fixed: what every call gets that names the same provider and model, and no more; None stands for no name.
        has_deployments: whether the targets of a choice must be spread.
        usual: the model of calls that name none; ``""`` before the first one, and where a strategy chooses.
    """

    def __init__(
        self,
        rules: RoutingRules,
        targeting: Targeting,
        health: Health,
        *,
        limits: Limits | None = None,
        price_of: PriceOf,
        facts_of: FactsOf,
        draw: Callable[[], float],
    ) -> None:
        self._rules = rules
        self._targeting = targeting
        self._health = health
        self._limits = limits
        self.has_deployments = targeting.has_deployments
        self._price_of = price_of
        self._facts_of = facts_of
        self._draw = draw
        self._made: dict[RouteTarget, Target] = {}
        self.fixed: dict[tuple[str | None, str | None], Choice] = {}
        self.usual = ""

    def named(self, provider: str | None, model: str | None, fallback: Fallback | None, task: str | None) -> bool:
        """Returns whether the call itself names its targets, so that no strategy is needed.

        Raises:
            BadRequestError: it names a task and a target.
            ConfigurationError: it names a task, and no tasks are configured.
        """
        rules = self._rules
        named = provider is not None or model is not None or fallback is not None
        if task is not None:
            if named:
                raise BadRequestError("give either task, or provider, model and fallback, but not both")
            if rules.strategy != "capability":
                raise ConfigurationError(
                    "task= needs `routing: {strategy: capability, tiers: {...}}` in the configuration"
                )
        if named or rules.strategy == "fallback" or (rules.strategy == "capability" and task is None):
            return True
        # These choose among equals: without targets that is among the deployments of each model.
        return not rules.targets and rules.strategy in ("load_balance", "least_busy", "cache_affinity")

    def fix(self, named: tuple[str | None, str | None] | None, choice: Choice) -> None:
        """Returns a choice that can be kept for all calls with the same names, or None if the call says more."""
        if named is not None and len(self.fixed) < _MOST_REMEMBERED:
            self.fixed[named] = choice
            if named == (None, None):
                self.usual = choice.targets[0].model

    def choose(self, request: Request, *, task: str | None, sticky_key: str | None) -> Choice:
        """The targets of a call that names none, by the configured strategy.

        Raises:
            BadRequestError: an unknown task.
            UnsupportedContentError: no model of the task has what the request needs.
            ConfigurationError: a target cannot be used as it is configured.
        """
        rules = self._rules
        if task is not None:
            targets = order(self._targets(for_task(task, rules.tasks, rules.tiers)))
            return Choice(fit(targets, request, self._facts_of))
        targets = self._targets(rules.targets) if rules.targets else self._targeting.resolve(None, None, None)
        if rules.strategy == "cost":
            return Choice(by_cost(order(targets), self._price_of, *estimate(request)))
        if rules.strategy == "latency":
            health = self._health
            return Choice(by_latency(order(targets), lambda target: health.typical(target, request.stream), self._draw))
        if rules.strategy == "least_busy":
            return Choice(order(by_load(targets, (1.0,) * len(targets), self._load, self._draw)))
        if rules.strategy == "cache_affinity":
            sticky_key = sticky_key or beginning(request)
        balanced = order(by_weight(targets, rules.weights, self._draw, sticky_key))
        return Choice(balanced, "/".join(balanced[0].entry_key) if rules.strategy == "load_balance" else None)

    def spread(self, targets: Sequence[Target], request: Request, sticky_key: str | None) -> tuple[Target, ...]:
        """The targets with one for each deployment in the place of an entry's, in the order for this call.

        Raises:
            ConfigurationError: a deployment cannot be used as it is configured.
        """
        found: list[Target] = []
        for target in targets:
            group = self._targeting.group(target)
            found += (target,) if group is None else self._ordered(group, request, sticky_key)
        return tuple(found)

    def _ordered(self, group: Group, request: Request, sticky_key: str | None) -> Sequence[Target]:
        targets, weights, balance = group
        draw = self._draw
        if balance == "least_busy":
            ordered = by_load(targets, weights, self._load, draw)
        elif balance == "latency":
            health = self._health
            ordered = by_latency(targets, lambda target: health.typical(target, request.stream), draw)
        elif balance == "cache_affinity":
            ordered = by_weight(targets, weights, draw, sticky_key or beginning(request))
            ordered = put_first(ordered, answered_last(request))
        else:
            ordered = by_weight(targets, weights, draw, sticky_key)
        health, limits, now = self._health, self._limits, self._health.now()
        seen = {target.key: state for target in ordered if (state := health.seen(target)) is not None}
        off = {key for key, state in seen.items() if state.refuses(now)}
        doubted = {key for key, state in seen.items() if state.is_doubted(now)}
        full = {target.key for target in ordered if limits is not None and not limits.room(target)}
        if full and len(full) == len(ordered):  # whoever has the shortest queue for its share is free first
            ordered, full = by_load(targets, weights, self._load, draw), set()
        ordered = tuple(sorted(ordered, key=lambda one: (one.key in off, one.key in doubted, one.key in full)))
        return put_first(ordered, bound_to(request), unless=off)

    def _load(self, target: Target) -> int:
        """Attempts under way and calls that wait; of an entry with deployments over all of them."""
        group = self._targeting.group(target)
        targets = (target,) if group is None or target.provider.deployment is not None else group.targets
        waiting = 0 if self._limits is None else sum(self._limits.queue(one.key)[0] for one in targets)
        states = [self._health.seen(one) for one in targets]
        return waiting + sum(state.under_way for state in states if state is not None)

    def _targets(self, named: Sequence[RouteTarget]) -> tuple[Target, ...]:
        return tuple([self._made.get(one) or self._make(one) for one in named])

    def _make(self, named: RouteTarget) -> Target:
        target = self._made[named] = self._targeting.target(named.provider, named.model)
        return target
