"""From what a call says about where to go to its targets: the named chain, or what the configured strategy chooses.

A call that names a provider, a model or a chain gets what it names. Otherwise the strategy orders its targets, which
are those of the configuration or, where it lists none, the active provider's chain.

``provider`` without ``model`` means that entry's first ``fallback_models``; a chain is the chosen model, then the
entry's ``fallback_models`` in order, without duplicates. A chain given by the call replaces the configured one. No
chain leaves its provider unless the call names another one in ``fallback``, or the configuration allows it: then the
first model of every other provider that can be used follows, in the order of the configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple, Union

from .._config.sections import RetryPolicy, RouteTarget, RoutingRules, Timeouts
from .._providers.provider import Provider
from .._schema.request import Request
from .._schema.values import dataclass
from ..errors import BadRequestError, ConfigurationError
from .forecast import estimate
from .health import Health
from .strategies import PriceOf, by_cost, by_latency, by_weight, fit, for_task
from .target import USUAL_RETRIES, FactsOf, Target, order

_MOST_REMEMBERED = 1000  # chains: names come from callers, so the memory of them is bounded
Fallback = Sequence[Union[str, tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """A configured provider: what the chain needs to know of it, and how to make it."""

    name: str
    models: tuple[str, ...]
    timeouts: Timeouts
    build: Callable[[], Provider]
    retry: RetryPolicy = USUAL_RETRIES


class Targeting:
    """Resolves the chain of each call.

    Args:
        entries: the configured providers by name.
        active_provider: the one that is meant when a call names none.
        active_model: its model, where the configuration names one.
        cross_provider: whether a configured chain goes on to the other providers.
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

    def provider(self, name: str) -> Provider:
        """The host of a configured entry, made at its first use.

        Raises:
            ConfigurationError: there is no such entry, or it cannot be used as it is configured.
        """
        built = self._built.get(name)
        if built is None:
            built = self._built[name] = self._entry(name).build()
        return built

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
        entry = replace(self._entry(name), build=build)
        other = Targeting(
            {**self._entries, name: entry},
            self._active_provider,
            self._active_model,
            cross_provider=self._cross_provider,
        )
        other._built.update({key: host for key, host in self._built.items() if key != name})
        return other

    def aim(self, provider: Provider, model: str) -> Target:
        """A target of a provider that is there already."""
        entry = self._entry(provider.name)
        return Target(provider, model, entry.timeouts, entry.retry)

    def _elsewhere(self, name: str) -> list[Target]:
        """The first models of the other providers; one that cannot be used, for want of a key, is left out."""
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
    """Where a call goes.

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
        health: knows the latencies.
        price_of: knows the prices.
        facts_of: knows what models can do.
        draw: a random number of at least 0 and less than 1.

    Attributes:
        fixed: what every call gets that names the same provider and model, and no more; None stands for no name.
    """

    def __init__(
        self,
        rules: RoutingRules,
        targeting: Targeting,
        health: Health,
        *,
        price_of: PriceOf,
        facts_of: FactsOf,
        draw: Callable[[], float],
    ) -> None:
        self._rules = rules
        self._targeting = targeting
        self._health = health
        self._price_of = price_of
        self._facts_of = facts_of
        self._draw = draw
        self._made: dict[RouteTarget, Target] = {}
        self.fixed: dict[tuple[str | None, str | None], Choice] = {}

    def named(self, provider: str | None, model: str | None, fallback: Fallback | None, task: str | None) -> bool:
        """Whether the call itself says where it goes, so that no strategy is asked.

        Raises:
            BadRequestError: it names a task and a target.
            ConfigurationError: it names a task, and no tasks are configured.
        """
        named = provider is not None or model is not None or fallback is not None
        if task is not None:
            if named:
                raise BadRequestError("give either task, or provider, model and fallback, but not both")
            if self._rules.strategy != "capability":
                raise ConfigurationError(
                    "task= needs `routing: {strategy: capability, tiers: {...}}` in the configuration"
                )
        return named or self._rules.strategy == "fallback" or (self._rules.strategy == "capability" and task is None)

    def fix(self, named: tuple[str | None, str | None] | None, choice: Choice) -> None:
        """Remembers a choice for the calls that name the same; None where a call says more than that."""
        if named is not None and len(self.fixed) < _MOST_REMEMBERED:
            self.fixed[named] = choice

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
        balanced = order(by_weight(targets, rules.weights, self._draw, sticky_key))
        return Choice(balanced, "/".join(balanced[0].key))

    def _targets(self, named: Sequence[RouteTarget]) -> tuple[Target, ...]:
        return tuple([self._made.get(one) or self._make(one) for one in named])

    def _make(self, named: RouteTarget) -> Target:
        target = self._made[named] = self._targeting.target(named.provider, named.model)
        return target
